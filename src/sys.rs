//! The kernel: memfds, mappings, processes, clocks, messages with descriptors.
//!
//! One rule for system calls: rustix for descriptors, sockets and futexes, memmap2 for maps of
//! files; nix for processes, signals, users, and for maps that want a fixed address or advice that
//! memmap2 has not. What no safe crate has is in `mapping` (memory) and `process` (everything
//! else).

pub(crate) mod clock;
pub(crate) mod limits;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod memfd_id;
pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod panics;
pub(crate) mod peer;
#[cfg(feature = "posix-shm")]
pub(crate) mod private_file;
pub(crate) mod process;
#[cfg(feature = "posix-shm")]
pub(crate) mod shm;
mod single;
pub(crate) mod threads;
