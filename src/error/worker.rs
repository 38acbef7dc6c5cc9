//! How a worker can fail.

use nix::sys::signal::Signal;

/// How a worker ended that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Its closure panicked. A program compiled with `panic = "abort"` shows as [`Self::Killed`].
    #[error("panicked: {message}")]
    Panicked {
        /// What the panic said; where it was is on the worker's stderr.
        message: String,
    },
    /// Its closure returned an error; see [`spawn_try`](crate::prefork::spawn_try).
    #[error("failed: {message}")]
    Failed {
        /// The error, as it prints.
        message: String,
    },
    /// It left no answer: something in its closure called `exit`; or, with code 102, it could write
    /// none, and said why on its stderr.
    #[error("exited with code {code} and left no result")]
    Exited {
        /// The code, 0 to 255.
        code: i32,
    },
    /// A signal ended it.
    #[error("killed by {}", name_of(*.signal))]
    Killed {
        /// The number of the signal.
        signal: i32,
    },
    /// Its closure returned, but the result did not arrive whole.
    #[error("its result did not arrive: {reason}")]
    Unreadable {
        /// Which step failed and why.
        reason: String,
    },
    /// Its result is larger than the owner takes; see [`Pool::limit_answers`](crate::prefork::Pool::limit_answers).
    #[error(
        "its result has {got} bytes, more than the {most} that are taken; see Pool::limit_answers"
    )]
    TooLarge {
        /// The most that is taken, in bytes.
        most: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// It is gone, and something else than the pool took note of how.
    #[error(
        "reaped by something else than its pool; do not ignore SIGCHLD, and wait for no process \
         but your own"
    )]
    Lost,
}

fn name_of(signal: i32) -> String {
    match Signal::try_from(signal) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {signal}"),
    }
}
