//! Limits of this process.
#![forbid(unsafe_code)]

use nix::sys::resource::{Resource, getrlimit};

/// What most systems allow, where the kernel does not tell.
const USUAL: u64 = 1024;

/// How many descriptors this process may have open, and its user in flight.
pub(crate) fn most_descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(USUAL, |(soft, _)| soft)
}
