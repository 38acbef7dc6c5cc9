//! The kernel: memory files, mappings, processes, clocks, messages with descriptors.
//!
//! System calls on descriptors, memory and sockets go through rustix; processes, signals and users
//! through nix.

pub(crate) mod clock;
pub(crate) mod limits;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod panics;
pub(crate) mod peer;
pub(crate) mod threads;
