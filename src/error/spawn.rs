//! Errors of forking workers.

use std::io;

use crate::error::remedy;

/// Why workers could not be forked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The process has several threads, so a safe fork is impossible.
    #[error(
        "expected 1 thread in this process, got {threads}; join thread pools and stop ticking \
         progress bars first (rayon's global pool never ends: use a scoped one), or use \
         prefork::spawn_with"
    )]
    Multithreaded {
        /// Threads counted in `/proc/self/task`.
        threads: usize,
    },
    /// The threads of the process could not be counted.
    #[error(
        "cannot count the threads of this process in /proc/self/task: {0}; is /proc mounted, and may \
         it be read (openat, getdents64)? prefork::spawn_with does not count"
    )]
    CountThreads(io::Error),
    /// More workers were requested than this process has room for.
    #[error(
        "expected at most {most} more workers in this process, got {asked}; wait for other pools first, or \
         ask for fewer"
    )]
    TooMany {
        /// Requested workers.
        asked: usize,
        /// Workers for which there is room.
        most: usize,
    },
    /// The disposition of `SIGTERM` could not be read, set or blocked.
    #[error(
        "cannot prepare the handling of SIGTERM (sigaction, sigprocmask): {0}; does a sandbox refuse it?"
    )]
    Disposition(io::Error),
    /// The memfd for the result of a worker could not be created.
    #[error(
        "cannot create the memfd for the result of worker {worker} (memfd_create, fchmod): \
         {reason}{}", remedy(.reason)
    )]
    AnswerMemory {
        /// The worker, which is also how many were started before it.
        worker: usize,
        /// What the kernel said.
        reason: io::Error,
    },
    /// The kernel refused a fork.
    #[error("worker {worker} (fork): {reason}{}", remedy(.reason))]
    Kernel {
        /// The worker, which is also how many were started before it.
        worker: usize,
        /// What the kernel said.
        reason: io::Error,
    },
}

impl From<SpawnError> for super::Error {
    fn from(source: SpawnError) -> Self {
        Self::Fork { reason: source }
    }
}
