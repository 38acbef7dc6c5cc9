//! Workers forked from one process, each handing back a typed result.
//!
//! ```
//! # fn main() -> Result<(), floe::Error> {
//! let tens = floe::prefork::spawn(4, |worker| worker.index() as u64 * 10)?.join()?;
//! assert_eq!(tens, [0, 10, 20, 30]);
//! # Ok(())
//! # }
//! ```
//!
//! A worker starts with everything that its owner had: handles on frozen caches moved into the
//! closure, or merely visible to it, are read without copying a page.
//!
//! Workers that can fail are started by [`spawn_try`]: the first error of one is the error of
//! [`Pool::join`].
//!
//! # Lifetimes
//! * A [`Pool`] that is dropped ends its workers: `SIGTERM`, [`GRACE`], `SIGKILL`. All are reaped.
//! * `SIGTERM` to the owner is passed on to the workers, then the owner does what it would have
//!   done without a pool: it dies, or its own handler runs. An owner that ignores `SIGTERM` passes
//!   nothing on, and its workers ignore the signal too.
//! * The owner's death by anything else leaves the workers running: they read what they have.
//!
//! # Limits
//! * An owner may ignore `SIGCHLD`, set `SA_NOCLDWAIT` or reap all children that there are: results
//!   arrive all the same. Only how a worker ended that gave none is then not known: it is reported
//!   as [`WorkerError::Lost`].
//! * A worker decides what its answer says, and how long it is. Only memory that is really there is
//!   read, up to a limit that [`Pool::limit_answers`] sets.

mod answer;
mod pool;
mod process;
mod relay;

pub use crate::error::{SpawnError, WorkerError};
pub use crate::sys::process::MayFork;
pub use answer::{Answer, MOST_ANSWER};
pub use pool::{Exit, GRACE, Pool};
pub use process::{spawn, spawn_try, spawn_try_with, spawn_with};
pub use relay::MOST_WORKERS;

/// What a worker knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker {
    index: usize,
    count: usize,
}

impl Worker {
    /// The number of this worker in its pool, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// How many workers were asked for.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }
}
