//! Errors of workers.

use nix::sys::signal::Signal;

/// Why a worker gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The closure panicked. A program compiled with `panic = "abort"` shows as [`Self::Killed`].
    #[error("panicked: {message}")]
    Panicked {
        /// The message of the panic; its place is on the worker's stderr.
        message: String,
    },
    /// The closure returned an error; see [`spawn_try`](crate::prefork::spawn_try).
    #[error("failed: {message}")]
    Failed {
        /// The error, as it prints.
        message: String,
    },
    /// The worker exited without an answer: something in the closure called `exit`, or, with code
    /// 102, the answer could not be written; the worker's stderr says why.
    #[error("exited with code {code} and left no result")]
    Exited {
        /// The code, 0 to 255.
        code: i32,
    },
    /// A signal killed the worker.
    #[error("killed by {}", name_of(*.signal))]
    Killed {
        /// The number of the signal.
        signal: i32,
    },
    /// The closure returned, but the result did not arrive whole.
    #[error("its result did not arrive: {reason}")]
    Unreadable {
        /// Which step failed and why.
        reason: String,
    },
    /// The result is larger than the owner accepts; see
    /// [`Pool::limit_answers`](crate::prefork::Pool::limit_answers).
    #[error(
        "its result is too large: expected at most {most} bytes, got {got}; see Pool::limit_answers"
    )]
    TooLarge {
        /// The most bytes that are accepted.
        most: u64,
        /// Bytes of the result.
        got: u64,
    },
    /// The worker is gone, and something else than the pool reaped it.
    #[error(
        "reaped by something else than its pool; do not ignore SIGCHLD, and do not wait for processes \
         that are not yours"
    )]
    Lost,
}

fn name_of(signal: i32) -> String {
    match Signal::try_from(signal) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {signal}"),
    }
}
