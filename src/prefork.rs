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
//! A worker starts with everything that its owner had. It reads the frozen caches whose handles the
//! closure owns or borrows without copying a page.
//!
//! Start workers that can fail with [`spawn_try`]: the first error of a worker is the error of
//! [`Pool::join`].
//!
//! # Lifetimes
//! * Dropping a [`Pool`] ends its workers by `SIGTERM`, then after [`GRACE`] by `SIGKILL`, and
//!   reaps them all.
//! * The owner passes `SIGTERM` on to its workers, then does what it would have done without a
//!   pool: it dies, or its own handler runs. An owner that ignores `SIGTERM` passes nothing on, and
//!   its workers ignore the signal too.
//! * If the owner dies otherwise, the workers keep running and read what they have.
//!
//! # Limits
//! * An owner may ignore `SIGCHLD`, set `SA_NOCLDWAIT` or reap all its children: results still
//!   arrive. Only the end of a worker without a result is then unknown: it is reported as
//!   [`WorkerError::Lost`].
//! * A worker decides what its answer says and how long it is. The owner reads only memory that
//!   exists, up to a limit that [`Pool::limit_answers`] sets.

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

/// The place of a worker in its pool.
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

    /// How many workers were requested.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }
}
