//! A map of small entries that is made afresh.
#![forbid(unsafe_code)]

use super::fill::FilledPart;
use super::{MOST_EQUAL, PART_SLOTS, SlotHeader, SlotLayout, lowest};
use crate::error::{Error, Result};
use crate::map::table::Record;

/// Most keys that have one hash: those that a part has slots for, and those in the overflow.
const MOST_OF_HASH: usize = PART_SLOTS as usize + MOST_EQUAL;
/// Bytes of slots that are handed over together.
const PIECE: usize = 1 << 18;
/// Stands for a record that a later one has replaced.
const REPLACED: u64 = u64::MAX;

/// Which entries belong to which part, each part's in the order of hashes and keys.
pub(in crate::map) struct Arrangement {
    header: SlotHeader,
    layout: SlotLayout,
    records: Vec<Record>,
    /// Where the records of each part start, and where they end.
    starts: Vec<usize>,
}

impl Arrangement {
    /// Arranges records, whose entries `entry` finds by their offsets.
    ///
    /// `replaces(earlier, later)` compares the keys of two records with equal hashes: `None` if
    /// they differ, something if the later one replaces the earlier one, or an error.
    ///
    /// # Errors
    /// `crowded` if too many keys have equal hashes, and what `replaces` returns.
    pub(in crate::map) fn new<'a>(
        records: &[Record],
        layout: SlotLayout,
        entry: impl Fn(u64) -> &'a [u8],
        mut replaces: impl FnMut(u64, u64) -> Result<Option<u64>>,
        crowded: impl Fn() -> Error,
    ) -> Result<Self> {
        let mut new = Self::by_part(records, layout);
        if new.sort(&entry, &mut replaces, &crowded)? {
            let kept = new.records.iter().filter(|it| it.offset != REPLACED);
            new = Self::by_part(&kept.copied().collect::<Vec<_>>(), layout);
            new.sort(&entry, &mut replaces, &crowded)?;
        }
        let overflow: Vec<Record> = new.overflow().copied().collect();
        let is_crowded = |run: &[Record]| run[0].hash == run[MOST_EQUAL].hash;
        if overflow.windows(MOST_EQUAL + 1).any(is_crowded) {
            return Err(crowded());
        }
        new.header.overflow = overflow.len() as u64;
        let empty = new.starts.windows(2).filter(|part| part[0] == part[1]);
        new.header.empty_parts = empty.count() as u64;
        Ok(new)
    }

    /// Puts the records of each part into their order. Whether some were replaced, which are then
    /// to be left out: the number of parts follows from the others.
    fn sort<'a>(
        &mut self,
        entry: &impl Fn(u64) -> &'a [u8],
        replaces: &mut impl FnMut(u64, u64) -> Result<Option<u64>>,
        crowded: &impl Fn() -> Error,
    ) -> Result<bool> {
        let layout = self.layout;
        let key = |record: &Record| layout.key(entry(record.offset));
        let mut replaced = false;
        for part in self.starts.windows(2) {
            let records = &mut self.records[part[0]..part[1]];
            records.sort_unstable_by_key(|record| (record.hash, record.offset));
            let equal = |one: &Record, other: &Record| one.hash == other.hash;
            for run in records.chunk_by_mut(equal).filter(|run| run.len() > 1) {
                let distinct = distinct(run, replaces, crowded)?;
                replaced |= distinct < run.len();
                run[..distinct].sort_by(|one, other| key(one).cmp(key(other)));
                run[distinct..]
                    .iter_mut()
                    .for_each(|it| it.offset = REPLACED);
            }
        }
        Ok(replaced)
    }

    fn by_part(records: &[Record], layout: SlotLayout) -> Self {
        let header = SlotHeader::new(records.len() as u64);
        let part_of = |record: &Record| header.part_of(record.hash) as usize;
        let mut starts = vec![0; header.parts() as usize + 1];
        for record in records {
            starts[part_of(record) + 1] += 1;
        }
        for part in 1..starts.len() {
            starts[part] += starts[part - 1];
        }
        let mut next = starts.clone();
        let mut sorted = vec![Record { hash: 0, offset: 0 }; records.len()];
        for record in records {
            let place = &mut next[part_of(record)];
            sorted[*place] = *record;
            *place += 1;
        }
        Self {
            header,
            layout,
            records: sorted,
            starts,
        }
    }

    fn members(&self, part: usize) -> &[Record] {
        &self.records[self.starts[part]..self.starts[part + 1]]
    }

    /// What the parts have no slots for.
    fn overflow(&self) -> impl Iterator<Item = &Record> {
        let slots = self.header.part_slots as usize;
        let parts = 0..self.header.parts() as usize;
        parts.flat_map(move |part| self.members(part).iter().skip(slots))
    }

    /// Length of the archive section.
    pub(in crate::map) fn archive_length(&self) -> u64 {
        (self.header.slots() + self.header.overflow) * self.layout.size as u64
    }

    /// Hands over the archive section in pieces, and returns the index section. `moved` is told the
    /// offset of each record, and its offset in the archive.
    pub(in crate::map) fn write<'a>(
        &self,
        entry: impl Fn(u64) -> &'a [u8],
        mut put: impl FnMut(&[u8]) -> Result<()>,
        mut moved: impl FnMut(u64, u64),
    ) -> Result<Vec<u8>> {
        let (header, size) = (&self.header, self.layout.size);
        let part_size = header.part_slots as usize * size;
        let mut index = header.encode(size).to_vec();
        index.resize(header.index_length() as usize, 0);
        let filler = self.filler(&entry);
        let mut slots = Vec::with_capacity(PIECE + part_size);
        for part in 0..header.parts() as usize {
            let members = self.members(part);
            let filled = self.filled(part);
            let start = slots.len();
            slots.resize(start + part_size, 0);
            let entries = members.iter().map(|record| entry(record.offset));
            filled.write_slots(&mut slots[start..], size, entries);
            if members.is_empty() {
                let free = slots[start..].chunks_exact_mut(size);
                free.for_each(|slot| slot.copy_from_slice(&filler));
            }
            let first = part as u64 * header.part_slots;
            let places = filled.places.iter().take(header.part_slots as usize);
            for (record, place) in members.iter().zip(places) {
                moved(record.offset, (first + u64::from(*place)) * size as u64);
            }
            put_part(&mut index, header, part as u64, &filled);
            if slots.len() >= PIECE {
                put(&slots)?;
                slots.clear();
            }
        }
        let first = header.slots();
        for (number, record) in (first..).zip(self.overflow()) {
            slots.extend_from_slice(entry(record.offset));
            moved(record.offset, number * size as u64);
        }
        put(&slots)?;
        Ok(index)
    }

    fn filled(&self, part: usize) -> FilledPart {
        let hashes: Vec<u64> = self.members(part).iter().map(|it| it.hash).collect();
        FilledPart::new(&self.header, &hashes)
    }

    /// What stands in the slots of parts without entries: the first live entry.
    fn filler<'a>(&self, entry: &impl Fn(u64) -> &'a [u8]) -> Vec<u8> {
        let mut parts = 0..self.header.parts() as usize;
        let first = parts.find(|part| !self.members(*part).is_empty());
        let Some(first) = first.filter(|_| self.header.empty_parts > 0) else {
            return Vec::new();
        };
        let filled = self.filled(first);
        let slot = lowest(&filled.live);
        let mut members = self.members(first).iter().zip(filled.places);
        let found = members.find(|(_, place)| Some(usize::from(*place)) == slot);
        found.map_or_else(Vec::new, |(record, _)| entry(record.offset).to_vec())
    }
}

/// Writes what the index says of a part.
pub(super) fn put_part(index: &mut [u8], header: &SlotHeader, part: u64, filled: &FilledPart) {
    let pilots = filled.pilots(header);
    index[SlotHeader::pilots_at(part) as usize..][..pilots.len()].copy_from_slice(pilots);
    let live = &mut index[header.live_at(part) as usize..];
    live.iter_mut()
        .zip(filled.live(header))
        .for_each(|(place, byte)| *place = byte);
}

/// Lets the last record of each key stay, in front of the others; returns how many keys there are.
fn distinct(
    run: &mut [Record],
    replaces: &mut impl FnMut(u64, u64) -> Result<Option<u64>>,
    crowded: &impl Fn() -> Error,
) -> Result<usize> {
    let mut distinct = 0;
    'records: for number in 0..run.len() {
        let record = run[number];
        for earlier in &mut run[..distinct] {
            if replaces(earlier.offset, record.offset)?.is_some() {
                *earlier = record;
                continue 'records;
            }
        }
        if distinct == MOST_OF_HASH {
            return Err(crowded());
        }
        run[distinct] = record;
        distinct += 1;
    }
    Ok(distinct)
}
