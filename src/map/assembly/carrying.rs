//! What stands in the sections of archive and index, for a generation that follows another.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::block::{Block, duplicate};
use super::{Assembly, put_beside};
use crate::archive::Value;
use crate::error::Result;
use crate::frozen::Frozen;
use crate::map::builder::{Moved, Places};
use crate::map::garbage;
use crate::map::index::{IndexHeader, Line};
use crate::map::raw::EntryRef;
use crate::map::slots::ChangedSlots;
use crate::map::table::Record;
use crate::map::{Map, MapKey};
use crate::region::format::SectionKind;
use crate::region::{Label, Region, Successor, Unsealed};
use crate::schema::Description;

/// What comes of a carry.
pub(in crate::map) enum Carried<K: MapKey, V: Value> {
    Done(Frozen<Map<K, V>>),
    /// The entries do not fit into the shape of the earlier generation.
    Afresh(Box<Assembly<K, V>>),
}

/// The index section, and the inputs section.
pub(super) struct Index {
    /// All that stands before lines.
    pub(super) start: Vec<u8>,
    pub(super) lines: Vec<Line>,
    pub(super) inputs: Option<Vec<u8>>,
}

impl Index {
    /// Adds all sections behind the archive, and seals the region.
    pub(super) fn seal(
        self,
        mut unsealed: Unsealed,
        garbage_offsets: Vec<u64>,
        description: &Description,
    ) -> Result<Region> {
        unsealed.begin(SectionKind::Index)?;
        unsealed.append(&self.start)?;
        for lines in self.lines.chunks(1 << 14) {
            unsealed.append(&line_bytes(lines))?;
        }
        if !garbage_offsets.is_empty() {
            unsealed.begin(SectionKind::Garbage)?;
            unsealed.append(&garbage::encode(garbage_offsets))?;
        }
        if let Some(inputs) = &self.inputs {
            unsealed.begin(SectionKind::Inputs)?;
            unsealed.append(inputs)?;
        }
        unsealed.begin(SectionKind::Schema)?;
        unsealed.append(&description.to_json())?;
        unsealed.seal(description.fingerprint())
    }
}

impl<K: MapKey, V: Value> Assembly<K, V> {
    /// The entries of this assembly beside those of an earlier generation, without the ones that
    /// are `going`. The archive of the earlier generation is shared, and its index as far as it
    /// serves. `inputs` is told where the entries come to stand.
    ///
    /// The assembly comes back where small entries have to be arranged afresh.
    pub(in crate::map) fn carry(
        mut self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<EntryRef<'_, K, V>>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Carried<K, V>> {
        let label = self.label().clone();
        let fresh = self.inserted()?;
        let block = Block::of_inserted(&fresh);
        let next = put_beside(label, earlier, going, &block, inputs)?;
        drop(block);
        drop(fresh);
        Ok(match next {
            Some(next) => Carried::Done(next),
            None => Carried::Afresh(Box::new(self)),
        })
    }
}

impl<K: MapKey, V: Value> Map<K, V> {
    /// Entries from anywhere, whose keys differ, and are those of no entry that stays, beside those of an earlier generation that are not
    /// `going`; as [`MapBuilder::carry`](crate::MapBuilder::carry). They must be independent. None if
    /// small entries have to be arranged afresh.
    pub(crate) fn carry_entries(
        label: Label,
        earlier: &Frozen<Self>,
        going: &HashSet<EntryRef<'_, K, V>>,
        entries: Vec<EntryRef<'_, K, V>>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Option<Frozen<Self>>> {
        put_beside(label, earlier, going, &Block::of_entries(entries), inputs)
    }
}

impl<K: MapKey, V: Value> Block<'_, K, V> {
    /// Puts archive, index and garbage into the next generation: the entries behind those of the
    /// earlier one, which stay where they are.
    pub(super) fn put_behind<'n>(
        &'n self,
        name: &str,
        earlier: &Frozen<Map<K, V>>,
        gone: &[EntryRef<'_, K, V>],
        next: &mut Successor<'n>,
    ) -> Result<Moved> {
        let shift = earlier.archive().len() as u64;
        self.check_limit_behind(shift, name)?;
        next.begin(SectionKind::Archive);
        next.keep(0..shift);
        self.pieces.iter().for_each(|piece| next.write(*piece));

        let records = self.records.iter();
        let records: Vec<Record> = records.map(|record| record.behind(shift)).collect();
        let entries = (earlier.len() + records.len() - gone.len()) as u64;
        let lengths = gone.iter().map(|entry| entry.length());
        let garbage = earlier.garbage() + lengths.sum::<u64>();
        next.begin(SectionKind::Index);
        match self.reused_table(name, entries, earlier, gone, &records)? {
            Some(table) => {
                let lines = earlier.lines().len();
                let header = IndexHeader {
                    garbage,
                    ..IndexHeader::of(entries, lines)
                };
                table.lines().put(&header, next);
            }
            None => {
                let going: HashSet<_> = gone.iter().copied().collect();
                let kept = earlier.entries().filter(|entry| !going.contains(entry));
                let header = IndexHeader {
                    garbage,
                    ..IndexHeader::new(entries)
                };
                let table = self.new_table(name, &header, kept.map(Record::from), &records)?;
                next.write(header.encode().to_vec());
                next.write(line_bytes(table.lines()));
            }
        }
        let offsets = earlier.garbage_list().offsets();
        let offsets: Vec<u64> = offsets
            .chain(gone.iter().map(|entry| entry.offset()))
            .collect();
        if !offsets.is_empty() {
            next.begin(SectionKind::Garbage);
            next.write(garbage::encode(offsets));
        }
        Ok(Moved {
            earlier: Places::shifted(0),
            fresh: Places::shifted(shift),
        })
    }

    /// Puts archive and index into the next generation: the slots of the earlier one, in which the
    /// parts are filled anew that change; `None` if the entries do not fit.
    pub(super) fn put_into_slots(
        &self,
        name: &str,
        earlier: &Frozen<Map<K, V>>,
        gone: &[EntryRef<'_, K, V>],
        next: &mut Successor<'_>,
    ) -> Result<Option<Moved>> {
        let section = |kind| earlier.region().section(kind);
        let sections = (section(SectionKind::Archive)?, section(SectionKind::Index)?);
        let gone = gone.iter().map(|entry| entry.offset()).collect();
        let fresh = self.records.iter().copied();
        let fresh = fresh.zip(self.entries.iter().copied());
        let duplicate = |key: &K::Archived| duplicate::<K>(name, key);
        let changed = ChangedSlots::new(earlier, sections, &gone, fresh, duplicate)?;
        let Some(changed) = changed else {
            return Ok(None);
        };
        next.begin(SectionKind::Archive);
        changed.put_archive(next);
        next.begin(SectionKind::Index);
        changed.put_index(next);
        Ok(Some(Moved {
            earlier: Places::some_listed(changed.moved),
            fresh: Places::listed(changed.placed),
        }))
    }
}

/// The bytes of lines.
pub(super) fn line_bytes(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.to_bytes()).collect()
}
