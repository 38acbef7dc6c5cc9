//! A map in the making, and what may be claimed of it: that its sections are valid.
//!
//! Bytes become a [`Frozen`] map here only: an archive whose entries were checked, and an index
//! that leads to them.
#![allow(unsafe_code)]

mod next_index;

use std::collections::HashSet;

use super::archived::ArchivedMap;
use super::check::{Earlier, MapError, check, check_after};
use super::entry::ENTRY_LIMIT;
use super::garbage::{self, GarbageList};
use super::index::{ARCHIVE_LIMIT, IndexHeader, Line};
use super::key::Key;
use super::raw::{Entry, EntryCheck, EntryRef, RawMap, place};
use super::table::{Record, Table};
use super::{Map, MapKey};
use crate::archive::checked::{Checked, Findings};
use crate::archive::{Freezer, Scratch, Sink, Value};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::region::{Label, Region, Successor, Unsealed, View};
use crate::schema::Description;

/// Position that rkyv is told for the first byte of every entry: far enough from zero that
/// interned values of earlier entries have positions too.
const ENTRY_POSITION: u32 = 1 << 31;
/// Bytes of entries that are checked together.
const CHECKED_AT_ONCE: u64 = 1 << 20;
/// An index that takes new keys may have this many of the ten slots of a line taken, on average,
/// before it is built anew, where a new one has seven.
const MOST_TAKEN: u64 = 8;

/// The archive of a map in the making.
///
/// It is a sequence of whole entries. Once all are checked, a valid entry starts at the offset of
/// each record, and there is a record for each entry that is not garbage; nothing changes entries
/// that were checked.
pub(super) struct Assembly<K, V> {
    sink: Sink,
    scratch: Scratch,
    records: Vec<Record>,
    /// The check of the entries that are written, and how many records it has compared.
    check: EntryCheck<K, V>,
    compared: usize,
    refused: Option<Error>,
    /// Archive offset behind the last entry that is complete.
    complete: u64,
    /// Bytes of entries that are garbage.
    garbage: u64,
    /// Their offsets.
    garbage_offsets: Vec<u64>,
}

/// The entries of an assembly, checked, and borrowed while nothing is inserted.
pub(crate) struct Inserted<'a, K, V> {
    view: View<'a>,
    assembly: &'a Assembly<K, V>,
}

impl<K: MapKey, V: Value> Inserted<'_, K, V> {
    /// The entries in the order in which they were inserted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryRef<'_, K, V>> {
        let archive = self.view.archive();
        let records = self.assembly.records.iter();
        // SAFETY: all are checked, and the view and its archive are borrowed.
        records.map(|record| unsafe { EntryRef::at(archive, record.offset) })
    }

    /// Their records, with an archive before theirs.
    fn records_behind(&self, shift: u64) -> Vec<Record> {
        let records = self.assembly.records.iter();
        records.map(|record| record.behind(shift)).collect()
    }
}

impl<K, V> Assembly<K, V> {
    pub(super) fn label(&self) -> &Label {
        self.sink.unsealed.label()
    }

    /// How many entries were inserted.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Archive offset of the next entry.
    pub(super) fn end(&self) -> u64 {
        self.complete
    }
}

impl<K: MapKey, V: Value> Assembly<K, V> {
    pub(super) fn from_unsealed(unsealed: Unsealed) -> Self {
        Self {
            sink: Sink::new(unsealed),
            scratch: Scratch::default(),
            records: Vec::new(),
            check: EntryCheck::new(),
            compared: 0,
            refused: None,
            complete: 0,
            garbage: 0,
            garbage_offsets: Vec::new(),
        }
    }

    /// An empty assembly with the same label, over the same backing.
    pub(super) fn create_beside(&self) -> Result<Self> {
        Ok(Self::from_unsealed(self.sink.unsealed.create_beside()?))
    }

    /// Adds an entry; after an error or a panic it is not there.
    pub(super) fn insert(&mut self, key: &K, value: &V) -> Result<()> {
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
        if self.refused.is_none() && self.sink.flushed() >= self.check.offset() + CHECKED_AT_ONCE {
            self.refused = self.check_flushed().err();
        }
        Ok(())
    }

    /// Drops what an insertion has written that failed or panicked.
    fn take_back(&mut self) {
        if self.sink.offset() != self.complete {
            self.sink.truncate(self.complete);
            self.scratch.interner.forget_from(self.complete);
        }
    }

    fn write_entry(&mut self, start: u64, key: &K, value: &V) -> Result<()> {
        self.sink.reserve(Entry::<K, V>::SIZE);
        let mut freezer = Freezer::new(&mut self.sink, &mut self.scratch);
        let key_resolver = freezer.serialize(key)?;
        let value_resolver = freezer.serialize(value)?;
        drop(freezer);
        // The buffer is aligned to more than entries are, and what was flushed before ends with a
        // whole entry.
        self.sink.pad(self.check.alignment());
        let entry = self.sink.buffered_mut(start);
        let (key, value) = ((key, key_resolver), (value, value_resolver));
        place::<K, V>(entry, ENTRY_POSITION as usize, key, value);
        Ok(())
    }

    /// Adds an entry that was serialised before, for a check with the others.
    pub(super) fn copy_entry(&mut self, entry: EntryRef<'_, K, V>) -> Result<()> {
        let hash = entry.key().key_hash();
        let offset = self.append_bytes(entry.bytes())?;
        self.records.push(Record { hash, offset });
        Ok(())
    }

    /// Adds all entries of another assembly.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<()> {
        other.check_all()?;
        let view = other.sink.unsealed.view()?;
        // SAFETY: `check_all` found every entry valid, and each has its record.
        let shift = unsafe { self.append_checked(view.archive(), other.records.iter().copied())? };
        self.add_garbage(other.garbage, shift, other.garbage_offsets.iter().copied());
        Ok(())
    }

    /// Adds all entries of a map.
    pub(super) fn append(&mut self, map: &Frozen<Map<K, V>>) -> Result<()> {
        let records = map.entries().map(Record::from);
        // SAFETY: a map has valid entries only, and each has its record.
        let shift = unsafe { self.append_checked(map.archive(), records)? };
        self.add_garbage(map.garbage(), shift, map.garbage_list().offsets());
        Ok(())
    }

    /// Notes garbage of an archive that was appended.
    fn add_garbage(&mut self, bytes: u64, shift: u64, offsets: impl Iterator<Item = u64>) {
        self.garbage += bytes;
        self.garbage_offsets
            .extend(offsets.map(|offset| offset + shift));
    }

    /// Copies an archive to the end, behind checked entries; returns the offset at which it starts.
    ///
    /// # Safety
    /// All entries of the archive that are not garbage are valid; the records are theirs, in order.
    unsafe fn append_checked(
        &mut self,
        archive: &[u8],
        records: impl Iterator<Item = Record>,
    ) -> Result<u64> {
        self.check_all()?;
        let shift = self.append_bytes(archive)?;
        let records = records.map(|record| record.behind(shift));
        self.records.extend(records);
        self.compared = self.records.len();
        // SAFETY: everything before was checked, and the caller vouches for what was appended.
        // Pointers are relative and lead nowhere out of their archive, so they lead to the same
        // bytes here, and lengths of entries are multiples of their alignment.
        unsafe { self.check.skip_to(self.complete) };
        Ok(shift)
    }

    /// Copies whole entries to the end, without a check; returns the archive offset of the first.
    fn append_bytes(&mut self, entries: &[u8]) -> Result<u64> {
        let start = self.complete;
        self.sink.append(entries)?;
        self.complete = self.sink.offset();
        Ok(start)
    }

    /// The entries inserted so far, checked.
    pub(super) fn inserted(&mut self) -> Result<Inserted<'_, K, V>> {
        self.check_all()?;
        Ok(Inserted {
            view: self.sink.unsealed.view()?,
            assembly: self,
        })
    }

    /// Writes what is buffered and checks all entries.
    fn check_all(&mut self) -> Result<()> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        self.take_back();
        self.sink.flush()?;
        self.check_flushed()?;
        assert_eq!(self.compared, self.records.len(), "a record is of an entry");
        Ok(())
    }

    /// Checks the entries that were written since the last check. rkyv's traits are safe to
    /// implement, so what they wrote is no more trusted than bytes from elsewhere.
    fn check_flushed(&mut self) -> Result<()> {
        let view = self.sink.unsealed.view()?;
        let mut records = self.records[self.compared..].iter();
        let mut odd_key = None;
        let compare = |offset: u64, key: &K::Archived| match records.next() {
            Some(record) if record.offset == offset && record.hash == key.key_hash() => Ok(()),
            _ => {
                odd_key = Some(format!("{key:?}"));
                Err(MapError::Archive(String::new()))
            }
        };
        // SAFETY: bytes are appended to the archive only, but for the truncation of an entry that
        // is not complete and was not checked.
        let checked = unsafe {
            self.check
                .go_on(view.archive(), &mut GarbageList::default(), compare)
        };
        self.compared = self.records.len() - records.len();
        let name = || self.sink.unsealed.label().name.clone();
        match (checked, odd_key) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(key)) => Err(Error::KeyHash { name: name(), key }),
            (Err(problem), None) => Err(problem.in_cache(name())),
        }
    }

    /// Checks the entries, builds the index and seals both; `last_wins` lets later entries replace
    /// those with equal keys.
    pub(super) fn finish(
        mut self,
        last_wins: bool,
        inputs: Option<&[u8]>,
    ) -> Result<Frozen<Map<K, V>>> {
        self.check_all()?;
        let mut header = IndexHeader::new(self.records.len() as u64);
        // SAFETY: `check_all` found a valid entry at the offset of every record.
        let table = unsafe { self.table(header.lines, &self.records, last_wins)? };
        let offsets = table.garbage().iter().map(|garbage| garbage.offset);
        self.garbage_offsets.extend(offsets);
        let garbage = table.garbage().iter().map(|garbage| garbage.length);
        header.garbage = self.garbage + garbage.sum::<u64>();
        header.entries -= table.garbage().len() as u64;
        // SAFETY: `check_all` found every entry of the archive valid, `table` leads to their
        // records, and only entries that it does not lead to have become garbage.
        unsafe { self.seal(&header, table.lines(), inputs) }
    }

    /// An index over records.
    ///
    /// # Safety
    /// A valid entry starts at the offset of every record.
    unsafe fn table(
        &self,
        lines: u64,
        records: &[Record],
        last_wins: bool,
    ) -> Result<Table<Vec<Line>>> {
        self.check_limit(self.complete)?;
        let view = self.sink.unsealed.view()?;
        let archive = view.archive();
        let replaces = |earlier, later| {
            // SAFETY: both are offsets of records, and no offset is cut off below the limit.
            let (earlier, later): (EntryRef<'_, K, V>, EntryRef<'_, K, V>) =
                unsafe { (EntryRef::at(archive, earlier), EntryRef::at(archive, later)) };
            match earlier.key() == later.key() {
                false => Ok(None),
                true if last_wins => Ok(Some(earlier.length())),
                true => Err(self.duplicate(later.key())),
            }
        };
        let name = || self.label().name.clone();
        Table::build(lines, records, replaces, || Error::Crowded { name: name() })
    }

    /// The entries of this assembly behind those of an earlier generation, without the ones that
    /// are `going`. The archive of the earlier generation is shared, and its index as far as it
    /// serves. `inputs` is told the offset of the first new entry.
    pub(super) fn carry(
        mut self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<EntryRef<'_, K, V>>,
        inputs: impl FnOnce(u64) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let own = going.iter().filter(|entry| entry.is_in(earlier.archive()));
        let gone: Vec<EntryRef<'_, K, V>> = own.copied().collect();
        let mut next = Successor::new(self.label().clone(), earlier.region());
        let shift = earlier.archive().len() as u64;

        next.begin(SectionKind::Archive);
        next.keep(0..shift);
        let description = self.check.description().clone();
        let fresh = self.inserted()?;
        let assembly = fresh.assembly;
        assembly.check_limit(shift + assembly.complete)?;
        next.write(fresh.view.archive());

        let records = fresh.records_behind(shift);
        let entries = (earlier.len() + records.len() - gone.len()) as u64;
        let lengths = gone.iter().map(|entry| entry.length());
        let garbage = earlier.garbage() + lengths.sum::<u64>();
        next.begin(SectionKind::Index);
        match assembly.reused_table(entries, earlier, &gone, &records, &fresh)? {
            Some(table) => {
                let lines = earlier.lines().len();
                let header = IndexHeader {
                    garbage,
                    ..IndexHeader::of(entries, lines)
                };
                table.lines().put(&header, &mut next);
            }
            None => {
                let kept = earlier.entries().filter(|entry| !going.contains(entry));
                let header = IndexHeader {
                    garbage,
                    ..IndexHeader::new(entries)
                };
                let table = assembly.new_table(&header, kept.map(Record::from), &records)?;
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
        next.begin(SectionKind::Inputs);
        next.write(inputs(shift));
        next.begin(SectionKind::Schema);
        next.keep_or_write(description.to_json());
        let region = next.seal(description.fingerprint())?;
        // SAFETY: the archive is two blocks of whole entries. The first is that of a valid map, so
        // its entries and every pointer in them were checked; pointers are relative and
        // lead nowhere out of their block, so they lead to the same bytes here. The second
        // block was accepted by `check_all`. The table is the earlier index in which no
        // entry that went has kept its slot, or one of the records of all that stay; what
        // it was given beside that are the records of the second block. What went is in the
        // list of garbage, beside what was.
        let checked = unsafe { Checked::from_region_unchecked(region)? };
        Ok(Frozen::from_checked(checked))
    }

    /// Slots have no more bits for offsets.
    fn check_limit(&self, archive_length: u64) -> Result<()> {
        if archive_length > ARCHIVE_LIMIT {
            return Err(Error::TooLarge {
                name: self.label().name.clone(),
                most: ARCHIVE_LIMIT,
            });
        }
        Ok(())
    }

    /// Adds the other sections, and seals the region.
    ///
    /// # Safety
    /// Every entry of the archive that is not garbage is valid, and each taken slot of the lines
    /// leads to one of them.
    unsafe fn seal(
        self,
        header: &IndexHeader,
        lines: &[Line],
        inputs: Option<&[u8]>,
    ) -> Result<Frozen<Map<K, V>>> {
        let mut unsealed = self.sink.unsealed;
        unsealed.begin(SectionKind::Index)?;
        unsealed.append(&header.encode())?;
        for lines in lines.chunks(1 << 14) {
            unsealed.append(&line_bytes(lines))?;
        }
        if !self.garbage_offsets.is_empty() {
            unsealed.begin(SectionKind::Garbage)?;
            unsealed.append(&garbage::encode(self.garbage_offsets))?;
        }
        if let Some(inputs) = inputs {
            unsealed.begin(SectionKind::Inputs)?;
            unsealed.append(inputs)?;
        }
        let region = Frozen::<Map<K, V>>::seal(unsealed, self.check.description())?;
        // SAFETY: the caller's promise.
        let checked = unsafe { Checked::from_region_unchecked(region)? };
        Ok(Frozen::from_checked(checked))
    }
}

impl<K: MapKey, V: Value> Content for Map<K, V> {
    type Archived = ArchivedMap<K, V>;
    type View = ArchivedMap<K, V>;

    fn describe() -> Description {
        Description::of::<Entry<K, V>>()
    }

    fn check(region: &Region) -> Result<Findings> {
        let checked = check::<K, V>(sections(region)?);
        checked.map_err(|problem| problem.in_cache(region.header().name.clone()))
    }

    fn check_after(region: &Region, earlier: &Checked<Self>) -> Result<Findings> {
        let (sections, before) = (sections(region)?, earlier.region());
        let earlier = Earlier {
            map: earlier,
            findings: earlier.findings(),
            index_differs: region.differing(SectionKind::Index, before),
        };
        let begins = region.begins_as(SectionKind::Archive, before);
        let shown = begins.then(|| check_after(sections, &earlier)).flatten();
        shown.map_or_else(|| Self::check(region), Ok)
    }

    unsafe fn view(region: &Region) -> Result<Self::View> {
        let [archive, index, garbage] = sections(region)?;
        // SAFETY: the caller vouches for valid sections of this type, which live as long as the
        // region; `Region` keeps them at multiples of 64 and never writes.
        let map = unsafe { RawMap::new(archive, index, garbage) };
        let map = map.map_err(|problem| MapError::Index(problem.to_owned()));
        map.map(ArchivedMap::from_raw)
            .map_err(|problem| problem.in_cache(region.header().name.clone()))
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        // SAFETY: the caller vouches for the region.
        ArchivedMap::from_raw(unsafe { view.raw().copy() })
    }

    unsafe fn archived(view: &Self::View) -> &Self::Archived {
        view
    }
}

/// Archive, index and garbage; the last one is empty where there is no such section.
fn sections(region: &Region) -> Result<[&[u8]; 3]> {
    let garbage = region.header().section(SectionKind::Garbage);
    Ok([
        region.section(SectionKind::Archive)?,
        region.section(SectionKind::Index)?,
        garbage.map_or(&[], |section| &region.bytes()[section.range()]),
    ])
}

fn line_bytes(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.to_bytes()).collect()
}
