//! What was written, for what contains it.
#![forbid(unsafe_code)]

#[cfg(doc)]
use super::Writer;
use crate::archive::Output;
use crate::value::format::{NONE, integer_word, pointer_word};

/// A value that a [`Writer`] has written, for the value that contains it.
///
/// It may be used as often as you like, with all writers of one builder: a cache of what was written
/// saves a second look at large values. It is of no use with other builders, nor after the entry in
/// which it was written was refused: what contains it then is refused when all is checked, or
/// contains something else that was written there.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub(super) what: What,
    /// The hash, if the value can be a key.
    pub(super) hash: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    /// A whole word.
    Constant(u32),
    Integer(i64),
    /// Its bits; floats are written where they are used.
    Float(u64),
    /// Archive offset, and tag of words that lead there.
    At(u32, u64),
}

impl What {
    /// The word at an offset.
    pub(super) fn word(self, at: u64) -> Option<u32> {
        match self {
            Self::Constant(word) => Some(word),
            Self::Integer(number) => integer_word(number),
            Self::At(tag, target) => pointer_word(tag, at, target),
            Self::Float(_) => None,
        }
    }

    /// What tells a part with a word from others.
    pub(super) fn identity(self) -> u64 {
        match self {
            Self::At(tag, offset) => u64::from(tag) << 56 | 1 << 48 | offset,
            other => u64::from(other.word(0).unwrap_or_default()),
        }
    }
}

impl Written {
    pub(super) const fn new(what: What, hash: Option<u64>) -> Self {
        Self { what, hash }
    }

    /// Whether the value can be a key of a dict or an item of a set.
    #[must_use]
    pub fn is_hashable(&self) -> bool {
        self.hash.is_some()
    }

    /// Where the value lies by rkyv's positions, or its word.
    pub(in crate::value) fn place(self, out: &dyn Output) -> Place {
        match self.what {
            What::At(tag, offset) => Place::At(tag, out.position_of(offset) as u64),
            What::Constant(word) => Place::Word(word),
            What::Integer(number) => Place::Word(integer_word(number).unwrap_or_default()),
            What::Float(_) => Place::Word(NONE),
        }
    }
}

/// What a word is made of once it is known where it stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::value) enum Place {
    Word(u32),
    At(u32, u64),
}
