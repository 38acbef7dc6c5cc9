//! Why values are not written.
#![forbid(unsafe_code)]

use std::fmt;

use rkyv::rancor::{BoxedError, Source};

/// Why a value was not written.
#[derive(Debug)]
pub struct WriteError(pub(in crate::value) BoxedError);

/// What the writer itself refuses.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("a text, byte string or list of {length} parts is too long")]
    TooLong { length: usize },
    #[error("a value of more than 1 GiB: one of its parts lies farther away than it reaches")]
    OutOfReach,
    #[error(
        "a value cannot be a key of a dict or an item of a set: only none, bools, numbers that are not NaN, texts, bytes, and tuples and frozen sets of these can"
    )]
    Unhashable,
    #[error("a dict has two equal keys, a set two equal items, or very many with one hash")]
    Duplicate,
    #[error("bytes are no text with surrogates: they are not encoded as UTF-8, or have none")]
    Surrogates,
    #[error("{0}")]
    Other(String),
}

impl WriteError {
    /// An error of a source of values.
    pub fn new(message: impl fmt::Display) -> Self {
        Refused::Other(message.to_string()).into()
    }
}

impl From<Refused> for WriteError {
    fn from(refused: Refused) -> Self {
        Self(BoxedError::new(refused))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for WriteError {}
