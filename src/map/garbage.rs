//! Where the entries stand that later ones have replaced, or that went.
//!
//! ```text
//! garbage section = offset offset ...      archive offsets of entries (u64), ascending
//! ```
//!
//! A list of its own, so that no byte of an entry ever changes: generations share the pages of all
//! entries.
#![forbid(unsafe_code)]

const OFFSET: usize = size_of::<u64>();

/// The archive offsets of garbage entries that are still to come, ascending.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GarbageList<'a>(&'a [[u8; OFFSET]]);

impl<'a> GarbageList<'a> {
    /// A section that was decoded before.
    pub(crate) fn of(section: &'a [u8]) -> Self {
        Self(section.as_chunks().0)
    }

    /// Reads a section.
    pub(crate) fn decode(section: &'a [u8]) -> Result<Self, &'static str> {
        let (list, rest) = (Self::of(section), section.as_chunks::<OFFSET>().1);
        if !rest.is_empty() {
            return Err("its length is not a multiple of 8");
        }
        if !list.offsets().is_sorted_by(|one, other| one < other) {
            return Err("its offsets do not ascend");
        }
        Ok(list)
    }

    pub(crate) fn offsets(self) -> impl Iterator<Item = u64> + 'a {
        self.0.iter().copied().map(u64::from_le_bytes)
    }

    /// Whether the entry at an offset is the next one of the list, which it then leaves. Asked for
    /// all entries in their order.
    #[inline]
    pub(crate) fn takes(&mut self, offset: u64) -> bool {
        match self.0.split_first() {
            Some((next, rest)) if u64::from_le_bytes(*next) == offset => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// The part of the list from an offset on.
    pub(crate) fn from(self, offset: u64) -> Self {
        let before = self
            .0
            .partition_point(|it| u64::from_le_bytes(*it) < offset);
        Self(&self.0[before..])
    }

    /// The part of the list before an offset.
    pub(crate) fn before(self, offset: u64) -> Self {
        let before = self
            .0
            .partition_point(|it| u64::from_le_bytes(*it) < offset);
        Self(&self.0[..before])
    }

    /// The first offset that was not taken.
    pub(crate) fn first(self) -> Option<u64> {
        self.offsets().next()
    }
}

/// A section of these offsets, in any order.
pub(super) fn encode(mut offsets: Vec<u64>) -> Vec<u8> {
    offsets.sort_unstable();
    offsets.iter().flat_map(|it| it.to_le_bytes()).collect()
}
