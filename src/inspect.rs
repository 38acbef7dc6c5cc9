//! Looking at regions and processes without changing them.
#![forbid(unsafe_code)]

pub mod census;
pub mod dynamic;
pub mod pages;
pub mod usage;
