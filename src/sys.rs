//! The kernel: memory files, mappings, processes, clocks, messages with descriptors.
//!
//! One rule for system calls: those on descriptors, memory and sockets go through rustix and memmap2;
//! those on processes, signals and users through nix. A file knows one kind of error number. What no
//! safe crate has is in `mapping` (memory) and `process` (everything else), and nowhere above.

pub(crate) mod clock;
pub(crate) mod limits;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod panics;
pub(crate) mod peer;
pub(crate) mod process;
mod single;
pub(crate) mod threads;
