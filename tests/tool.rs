//! The tool, driven as its users drive it.
