//! The index of the next generation.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::block::{Block, duplicate};
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::map::MapKey;
use crate::map::archived::ArchivedMap;
use crate::map::index::{IndexHeader, Line, home};
use crate::map::key::Key;
use crate::map::lines::ChangedLines;
use crate::map::raw::EntryRef;
use crate::map::table::{Record, Table};
use crate::sys::threads;

/// An index that takes new keys may have this many of the ten slots of a line taken, on average,
/// before it is built anew, where a new one has seven.
const MOST_TAKEN: u64 = 8;
/// Lines of an earlier index whose entries are placed together into a new one.
const PART: u64 = 1 << 10;
/// How many parts may wait to be placed.
const PARTS_AHEAD: usize = 16;

impl<K: MapKey, V: Value> Block<'_, K, V> {
    /// An index over the entries of an earlier generation that stay, and the new ones behind them.
    ///
    /// Both are placed in about the order of the lines that they come to, so that these are in the
    /// processor's caches.
    pub(super) fn new_table(
        &self,
        name: &str,
        header: &IndexHeader,
        (earlier, going): (&ArchivedMap<K, V>, &HashSet<EntryRef<'_, K, V>>),
        fresh: impl Iterator<Item = Record> + Clone,
    ) -> Result<Table<Vec<Line>>> {
        let lines = earlier.lines().len() as u64;
        let parts: Vec<u64> = (0..lines.div_ceil(PART)).collect();
        let part_of = |record: &Record| (home(record.hash, lines) / PART) as usize;
        let (fresh, ends) = by_part(fresh, parts.len(), part_of);
        let kept = |part: &u64| {
            let entries = earlier.line_entries(part * PART..lines.min((part + 1) * PART));
            let kept = entries.filter(|entry| going.is_empty() || !going.contains(entry));
            Ok(kept.map(Record::from).collect::<Vec<_>>())
        };
        let mut table = Table::from_lines(vec![Line::EMPTY; header.lines as usize]);
        // Keys that are equal were refused, or are of entries that go.
        let place = |part: &u64, kept: Vec<Record>| {
            let start = part
                .checked_sub(1)
                .map_or(0, |before| ends[before as usize]);
            let mut records = kept.iter().chain(&fresh[start..ends[*part as usize]]);
            match records.all(|record| table.add(*record)) {
                true => Ok(PARTS_AHEAD),
                false => Err(Error::Crowded {
                    name: name.to_owned(),
                }),
            }
        };
        threads::in_order(&parts, kept, place)?;
        Ok(table)
    }

    /// The earlier index, in which new entries have taken the slots of those with their keys, and
    /// the others that are gone have none; `None` if that cannot be done in place.
    pub(super) fn reused_table<'a>(
        &self,
        name: &str,
        entries: u64,
        earlier: &'a ArchivedMap<K, V>,
        gone: &[EntryRef<'_, K, V>],
        mut records: impl Iterator<Item = Record>,
    ) -> Result<Option<Table<ChangedLines<'a>>>> {
        let mut fits = entries <= MOST_TAKEN * earlier.lines().len() as u64;
        if !fits && self.is_vetted {
            return Ok(None);
        }
        let mut table = Table::from_lines(ChangedLines::new(earlier.lines()));
        if self.is_vetted && gone.is_empty() {
            // None of its keys is there.
            let fits = records.all(|record| table.add(record));
            return Ok(fits.then_some(table));
        }
        let mut vanished: HashSet<_> = gone.iter().copied().collect();
        for (record, entry) in records.zip(&self.entries) {
            let replaced = earlier.find_entry(record.hash, entry.key());
            fits &= match replaced {
                Some(replaced) if !vanished.remove(&replaced) => {
                    return Err(duplicate::<K>(name, entry.key()));
                }
                Some(replaced) if fits => table.exchange(replaced.offset(), record),
                None if fits => table.add(record),
                _ => false,
            };
        }
        let mut vanished = vanished.into_iter();
        fits = fits && vanished.all(|entry| table.clear(entry.key().key_hash(), entry.offset()));
        Ok(fits.then_some(table))
    }
}

/// Records by their parts, and where each part ends.
fn by_part(
    records: impl Iterator<Item = Record> + Clone,
    parts: usize,
    part_of: impl Fn(&Record) -> usize,
) -> (Vec<Record>, Vec<usize>) {
    let mut counts = vec![0; parts];
    records
        .clone()
        .for_each(|record| counts[part_of(&record)] += 1);
    let mut places = Vec::with_capacity(parts);
    let all = counts.iter().fold(0, |start, count| {
        places.push(start);
        start + count
    });
    let nothing = Record { hash: 0, offset: 0 };
    let mut sorted = vec![nothing; all];
    for record in records {
        let place = &mut places[part_of(&record)];
        sorted[*place] = record;
        *place += 1;
    }
    (sorted, places)
}
