//! Entries that are added to a map in the making.
#![forbid(unsafe_code)]

use super::{Assembly, place};
use crate::archive::{ArchivedAs, Freezer, Value};
use crate::error::Result;
use crate::map::MapKey;
use crate::map::entry::ENTRY_LIMIT;
use crate::map::raw::Entry;
use crate::map::table::Record;

/// Position that rkyv is told for the first byte of every entry: far enough from zero that
/// interned values of earlier entries have positions too.
const ENTRY_POSITION: u32 = 1 << 31;
/// Bytes of entries that are checked together.
const CHECKED_AT_ONCE: u64 = 1 << 20;

impl<K: MapKey, V: Value> Assembly<K, V> {
    /// Adds an entry; after an error or a panic it is not there.
    pub(in crate::map) fn insert(&mut self, key: &K, value: &impl ArchivedAs<V>) -> Result<()> {
        self.sink.unsealed.check_owner()?;
        self.take_back();
        let record = Record {
            hash: key.key_hash(),
            offset: self.complete,
        };
        self.sink.start(ENTRY_POSITION, ENTRY_LIMIT, true);
        let written = self.write_entry(record.offset, key, value);
        if let Err(error) = written.and_then(|()| self.sink.release()) {
            self.take_back();
            return Err(error);
        }
        self.complete = self.sink.offset();
        self.records.push(record);
        // While its bytes are still in the processor's caches. An error is one of `finish`.
        if self.refused.is_none()
            && self.sink.readable_end() >= self.check.offset() + CHECKED_AT_ONCE
        {
            self.refused = self.check_flushed().err();
        }
        Ok(())
    }

    /// Drops what an insertion has written that failed or panicked.
    pub(super) fn take_back(&mut self) {
        if self.sink.offset() != self.complete {
            self.sink.truncate(self.complete);
            self.scratch.interner.forget_from(self.complete);
        }
    }

    fn write_entry(&mut self, start: u64, key: &K, value: &impl ArchivedAs<V>) -> Result<()> {
        self.sink.reserve(Entry::<K, V>::SIZE);
        let mut freezer = Freezer::new(&mut self.sink, &mut self.scratch);
        let key_resolver = freezer.serialize(key)?;
        let value_resolver = freezer.serialize(value)?;
        drop(freezer);
        if Entry::<K, V>::IN_SLOTS {
            // Nothing leads to what a serialisation may have written beside.
            self.sink.truncate(start + Entry::<K, V>::SIZE as u64);
        }
        // The buffer is aligned to more than entries are, and what was flushed before ends with a
        // whole entry.
        self.sink.pad(self.check.alignment());
        let entry = self.sink.buffered_mut(start);
        let (key, value) = ((key, key_resolver), (value, value_resolver));
        place::<K, V, _>(entry, ENTRY_POSITION as usize, key, value);
        Ok(())
    }
}
