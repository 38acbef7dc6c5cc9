//! Errors of what workers hand back.

use serde::Serialize;

/// Why a delta cannot be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// It was made over another cache.
    #[error("it belongs to cache {got:?}; merge it into that one")]
    OtherCache {
        /// The cache that the delta was made over.
        got: String,
    },
    /// What it has was found out under another value of [`Policy::keyed_by`](crate::Policy::keyed_by).
    #[error(
        "it was made under another value of keyed_by: expected digest {expected}, got {got}; drop it, and find out anew what it has"
    )]
    OtherKey {
        /// The digest of the value of the cache, in hexadecimal digits.
        expected: String,
        /// That of the generation that the delta was made over.
        got: String,
    },
    /// It adds and removes the same key, which no overlay does.
    #[error("it both adds and removes the key {key}")]
    Contradiction {
        /// The key, as `Debug` prints it.
        key: String,
    },
    /// It has a key twice, which no overlay does.
    #[error("it has the key {key} twice")]
    Twice {
        /// The key, as `Debug` prints it.
        key: String,
    },
    /// What its entries share comes to very much where each use of it is written out, as a merge does.
    #[error(
        "what its entries share comes to {got} bytes where it is written out at each use, expected at most {most}"
    )]
    Expands {
        /// The limit.
        most: u64,
        /// What it comes to.
        got: u64,
    },
    /// The recorded inputs of an entry cannot be read.
    #[error("the inputs of the entry {key} cannot be read: {reason}")]
    Inputs {
        /// The key, as `Debug` prints it.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A value that the closure of the rule made cannot be written.
    #[error("the value that the rule made for the key {key} cannot be written: {reason}")]
    Value {
        /// The key, as `Debug` prints it.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The closure of the rule panicked.
    #[error("the rule panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The merge was stopped while another process had the turn of the cache.
    #[error("the merge was stopped while it waited for another process; merge again")]
    Stopped,
    /// The cache is built by closures, which would undo what is merged.
    #[error("the cache is built by closures; declare it with `Store::merged` to merge into it")]
    Built,
}
