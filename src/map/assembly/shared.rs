//! What an assembly writes to: a sink of its own, or one that has other roots of the region.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::Assembly;
use super::carrying::line_bytes;
use crate::archive::{Scratch, Sink, Value};
use crate::error::{Error, Result};
use crate::map::MapKey;
use crate::map::garbage;
use crate::map::raw::{Entry, EntryCheck};
use crate::region::{Label, Unsealed};

/// A map that is complete, as one of several roots.
pub(crate) struct RootMap {
    pub(crate) sink: Sink,
    pub(crate) scratch: Scratch,
    /// Where its entries are in the archive.
    pub(crate) archive: Range<u64>,
    pub(crate) index: Vec<u8>,
    pub(crate) garbage: Vec<u8>,
}

impl<K, V> Assembly<K, V> {
    pub(in crate::map) fn label(&self) -> &Label {
        self.sink.unsealed.label()
    }

    /// How many entries were inserted.
    pub(in crate::map) fn len(&self) -> usize {
        self.records.len()
    }

    /// Where the entries start in the region.
    pub(in crate::map) fn start(&self) -> u64 {
        self.start
    }

    /// Archive offset of the next entry.
    pub(in crate::map) fn end(&self) -> u64 {
        self.complete
    }
}

impl<K: MapKey, V: Value> Assembly<K, V> {
    pub(in crate::map) fn from_unsealed(unsealed: Unsealed) -> Self {
        Self::behind(Sink::new(unsealed), Scratch::default())
    }

    /// An empty assembly behind what a sink has, which shares interned values with that.
    pub(in crate::map) fn behind(mut sink: Sink, scratch: Scratch) -> Self {
        let start = sink.offset();
        if Entry::<K, V>::IN_SLOTS {
            sink.keep();
        }
        let first = sink.offset();
        Self {
            sink,
            scratch,
            records: Vec::new(),
            check: EntryCheck::starting_at(first as usize),
            compared: 0,
            refused: None,
            start,
            complete: first,
            garbage: 0,
            garbage_offsets: Vec::new(),
        }
    }

    /// An empty assembly with the same label, over the same backing.
    pub(in crate::map) fn create_beside(&self) -> Result<Self> {
        Ok(Self::from_unsealed(self.sink.unsealed.create_beside()?))
    }

    /// Checks the entries and builds the index, for a region that gets more roots.
    pub(in crate::map) fn into_root(mut self, last_wins: bool) -> Result<RootMap> {
        let index = self.index(last_wins, None)?;
        self.sink.resume();
        Ok(RootMap {
            archive: self.start..self.sink.offset(),
            index: [index.start, line_bytes(&index.lines)].concat(),
            garbage: garbage::encode(self.garbage_offsets),
            sink: self.sink,
            scratch: self.scratch,
        })
    }

    /// Notes garbage of an archive that was appended.
    pub(super) fn add_garbage(
        &mut self,
        bytes: u64,
        shift: u64,
        offsets: impl Iterator<Item = u64>,
    ) {
        self.garbage += bytes;
        self.garbage_offsets
            .extend(offsets.map(|offset| offset + shift));
    }

    /// Copies whole entries to the end, without a check; returns the archive offset of the first.
    pub(super) fn append_bytes(&mut self, entries: &[u8]) -> Result<u64> {
        let start = self.complete;
        self.sink.append(entries)?;
        self.complete = self.sink.offset();
        Ok(start)
    }

    pub(super) fn crowded(&self) -> Error {
        let name = self.label().name.clone();
        Error::Crowded { name }
    }
}
