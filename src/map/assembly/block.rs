//! Entries that are put beside those of an earlier generation.
#![forbid(unsafe_code)]

use super::Inserted;
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::Content;
use crate::map::check::entries_are_independent;
use crate::map::index::ARCHIVE_LIMIT;
use crate::map::raw::EntryRef;
use crate::map::table::Record;
use crate::map::{Map, MapKey};

/// Valid entries, one behind the other, which point to nothing outside of the block.
///
/// No key stands in it twice.
pub(super) struct Block<'a, K: MapKey, V: Value> {
    /// Where the entries are in the block.
    pub(super) records: Vec<Record>,
    pub(super) entries: Vec<EntryRef<'a, K, V>>,
    /// The bytes of the block.
    pub(super) pieces: Vec<&'a [u8]>,
    pub(super) length: u64,
    /// Whether all of its keys were looked for in the earlier generation: what has one of them there
    /// goes.
    pub(super) is_vetted: bool,
}

impl<'a, K: MapKey, V: Value> Block<'a, K, V> {
    /// The block of an assembly.
    pub(super) fn of_inserted(inserted: &'a Inserted<'_, K, V>) -> Self {
        let bytes = inserted.bytes.archive();
        Self {
            records: inserted.assembly.records.clone(),
            entries: inserted.entries().collect(),
            pieces: vec![bytes],
            length: bytes.len() as u64,
            is_vetted: false,
        }
    }

    /// The same of entries wherever they are, which must be independent, and vetted.
    pub(super) fn of_entries(entries: Vec<EntryRef<'a, K, V>>) -> Self {
        assert!(
            entries_are_independent(&Map::<K, V>::describe()),
            "an entry that points to others is none without them"
        );
        let mut records = Vec::with_capacity(entries.len());
        let mut length = 0;
        for entry in &entries {
            records.push(Record {
                offset: length,
                ..Record::from(*entry)
            });
            length += entry.length();
        }
        let runs = entries.chunk_by(|one, next| one.is_before(*next));
        let pieces = runs.map(|run| run[0].bytes_to_end_of(run[run.len() - 1]));
        Self {
            pieces: pieces.collect(),
            records,
            entries,
            length,
            is_vetted: true,
        }
    }

    /// Slots have no more bits for offsets.
    pub(super) fn check_limit_behind(&self, start: u64, name: &str) -> Result<()> {
        check_limit(start + self.length, name)
    }
}

/// The same for an archive of a length.
pub(super) fn check_limit(archive_length: u64, name: &str) -> Result<()> {
    if archive_length > ARCHIVE_LIMIT {
        return Err(Error::TooLarge {
            name: name.to_owned(),
            most: ARCHIVE_LIMIT,
        });
    }
    Ok(())
}

/// What says that a key is there twice.
pub(super) fn duplicate<K: MapKey>(name: &str, key: &K::Archived) -> Error {
    Error::DuplicateKey {
        name: name.to_owned(),
        key: format!("{key:?}"),
    }
}
