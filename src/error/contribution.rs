//! Why a contribution is not taken.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Measure {
    /// Deltas.
    Deltas,
    /// Bytes of their regions.
    Bytes,
    /// Additions and removals.
    Entries,
    /// Connections.
    Connections,
}

/// Why nothing of a contribution was taken. The contributor still has all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is not a delta of this cache.
    #[error("it is not a delta of this cache: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The owner lets this process write nothing under a key of the delta.
    #[error("this process may write nothing under the key {key}")]
    Forbidden {
        /// The key, as `Debug` prints it.
        key: String,
    },
    /// The delta is larger than one may be.
    #[error(
        "it is too large: expected at most {most} {what}, got {got}; contribute less at a time, or raise the limits of the owner"
    )]
    TooLarge {
        /// What there is too much of.
        what: Measure,
        /// The limit.
        most: u64,
        /// What the delta has.
        got: u64,
    },
    /// This process has contributed too much for now.
    #[error("this process has contributed its {most} {what} for now; try again in {} ms", again_in.as_millis())]
    OverQuota {
        /// What there is too much of.
        what: Measure,
        /// The limit.
        most: u64,
        /// How long to wait.
        again_in: Duration,
    },
    /// All processes together have contributed too much for now.
    #[error("the owner takes no more than {most} {what} for now; try again in {} ms", again_in.as_millis())]
    Busy {
        /// What there is too much of.
        what: Measure,
        /// The limit.
        most: u64,
        /// How long to wait.
        again_in: Duration,
    },
    /// The owner has not looked at what came before, and there is no room for more.
    #[error("the owner has not looked at what was contributed before; try again later")]
    Full,
    /// The user has too many descriptors in flight: in messages of all its processes that nobody
    /// has received yet.
    #[error(
        "this user has at least {limit} descriptors in flight, the limit on open files of this process; try again later, or raise the limit (ulimit -n)"
    )]
    InFlight {
        /// The limit on open files of this process.
        limit: u64,
    },
    /// This process was refused too often.
    #[error("this process was refused too often and is cut off; try again in {} ms", again_in.as_millis())]
    CutOff {
        /// How long to wait.
        again_in: Duration,
    },
    /// The owner could not merge it.
    #[error("the owner could not merge it: {reason}")]
    Failed {
        /// Why.
        reason: String,
    },
    /// The owner has closed the connection to make room for another one, or has stopped accepting
    /// contributions, for good or through the handle that was used.
    #[error(
        "the owner has closed the connection; contribute again, through a handle that is made anew if this lasts"
    )]
    Closed,
    /// The owner has ended, or another process has shut its channel down.
    #[error("the owner has ended")]
    OwnerEnded,
    /// The owner, or another process that it has forked, has let it go without a word: it may have
    /// been merged, or not.
    #[error(
        "it was lost on its way; contribute it again: what has been merged already counts once"
    )]
    Lost,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deltas => "deltas",
            Self::Bytes => "bytes",
            Self::Entries => "entries",
            Self::Connections => "connections",
        })
    }
}
