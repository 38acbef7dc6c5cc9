//! Forking workers from a process with several threads. This file has the one function of the module
//! whose safety is the caller's, and does nothing itself.
#![allow(unsafe_code)]

use super::{Answer, Pool, Worker, process::spawn_with};
use crate::error::Error;
use crate::sys::process::MayFork;

/// As [`spawn`](super::spawn), but from a process that may have several threads.
///
/// # Safety
/// Only the calling thread exists in a worker. Everything that another thread was changing at the
/// moment of the fork stays half changed there, and every lock that it held stays locked for ever.
/// So `work`, and all that it calls, must not touch such state. In particular:
/// * No lock, channel, once-cell or condition variable that another thread may use, also inside of
///   libraries: loggers, thread pools, `std::env`, name resolution, time zones.
/// * Joining, waking or messaging a thread of the owner never succeeds.
/// * Memory that other threads write without a lock (by `unsafe` code) may be torn.
/// * The allocator is safe to use with glibc, which repairs its own locks in the child; another
///   global allocator must promise the same.
///
/// These are safe: reading frozen caches; `print!` and `eprintln!` and panics, since the locks
/// of stdout and stderr are held by the calling thread while it forks (though not while another
/// thread replaces the panic hook); and all that the worker makes itself.
///
/// A `SIGTERM` that another thread handles just while a worker is being forked may miss that
/// worker.
///
/// # Errors
/// As [`spawn`](super::spawn), but never [`Refusal::Multithreaded`](super::Refusal::Multithreaded).
pub unsafe fn spawn_multithreaded<F, R>(count: usize, work: F) -> Result<Pool<R>, Error>
where
    F: FnOnce(Worker) -> R,
    R: Answer,
{
    // SAFETY: the caller vouches for what `work` does in the child; what runs there besides uses no
    // lock but those of stdout, stderr and the registry, which `spawn_with` holds on this thread.
    let may_fork = unsafe { MayFork::multithreaded() };
    spawn_with(&may_fork, count, work)
}
