//! The index of the next generation.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::block::{Block, duplicate};
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::map::MapKey;
use crate::map::archived::ArchivedMap;
use crate::map::index::{IndexHeader, Line};
use crate::map::key::Key;
use crate::map::lines::ChangedLines;
use crate::map::raw::EntryRef;
use crate::map::table::{Record, Table};

/// An index that takes new keys may have this many of the ten slots of a line taken, on average,
/// before it is built anew, where a new one has seven.
const MOST_TAKEN: u64 = 8;

impl<K: MapKey, V: Value> Block<'_, K, V> {
    /// An index over the entries of an earlier generation that stay, and the new ones behind them.
    pub(super) fn new_table(
        &self,
        name: &str,
        header: &IndexHeader,
        kept: impl Iterator<Item = Record>,
        fresh: &[Record],
    ) -> Result<Table<Vec<Line>>> {
        let records: Vec<Record> = kept.chain(fresh.iter().copied()).collect();
        // Keys that are equal were refused, or are of entries that go.
        let distinct = |_, _| Ok(None);
        Table::build(header.lines, &records, distinct, || Error::Crowded {
            name: name.to_owned(),
        })
    }

    /// The earlier index, in which new entries have taken the slots of those with their keys, and
    /// the others that are gone have none; `None` if that cannot be done in place.
    pub(super) fn reused_table<'a>(
        &self,
        name: &str,
        entries: u64,
        earlier: &'a ArchivedMap<K, V>,
        gone: &[EntryRef<'_, K, V>],
        records: &[Record],
    ) -> Result<Option<Table<ChangedLines<'a>>>> {
        let mut fits = entries <= MOST_TAKEN * earlier.lines().len() as u64;
        if !fits && self.is_vetted {
            return Ok(None);
        }
        let mut table = Table::from_lines(ChangedLines::new(earlier.lines()));
        let mut vanished: HashSet<_> = gone.iter().copied().collect();
        // Where nothing goes, no vetted key is there.
        let all_are_new = self.is_vetted && gone.is_empty();
        for (record, entry) in records.iter().zip(&self.entries) {
            let replaced = match all_are_new {
                true => None,
                false => earlier.find_entry(record.hash, entry.key()),
            };
            fits &= match replaced {
                Some(replaced) if !vanished.remove(&replaced) => {
                    return Err(duplicate::<K>(name, entry.key()));
                }
                Some(replaced) if fits => table.exchange(replaced.offset(), *record),
                None if fits => table.add(*record),
                _ => false,
            };
        }
        let mut vanished = vanished.into_iter();
        fits = fits && vanished.all(|entry| table.clear(entry.key().key_hash(), entry.offset()));
        Ok(fits.then_some(table))
    }
}
