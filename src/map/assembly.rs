//! A map in the making, and what may be claimed of it: that its sections are valid.
//!
//! Bytes become a [`Frozen`] map here only: an archive whose entries were checked, and an index
//! that leads to them.
#![allow(unsafe_code)]

mod block;
mod carrying;
mod insertion;
mod lone;
mod next_index;
mod shared;

use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;

use rkyv::Place;
use rkyv::util::AlignedVec;

use super::archived::ArchivedMap;
use super::builder::{Moved, Places};
use super::check::{Earlier, MapError, check, check_after};
use super::entry::header_of_length;
use super::garbage::GarbageList;
use super::index::IndexHeader;
use super::key::Key;
use super::raw::{Entry, EntryCheck, EntryRef, RawMap};
use super::slots::Arrangement;
use super::table::{Record, Table};
use super::{Map, MapKey};
use crate::archive::checked::{Checked, Form, RootForm};
use crate::archive::content::sealed;
use crate::archive::findings::Findings;
use crate::archive::parts::Part;
use crate::archive::{ArchivedAs, Readable, Scratch, Sink, Value};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::region::{Label, Region, Successor};
use crate::schema::{TypeIndex, Types};

pub(crate) use lone::LoneWriter;
pub(crate) use shared::RootMap;

use block::{Block, check_limit, duplicate};
pub(super) use carrying::Carried;
use carrying::Index;

/// Makes the inputs section, once it is known where the entries stand.
pub(super) type MakeInputs<'a> = Box<dyn FnOnce(&Places) -> Vec<u8> + 'a>;

/// The archive of a map in the making.
///
/// It is a sequence of whole entries, behind other roots of the region if there are some. Once all
/// are checked, a valid entry starts at the offset of each record, and there is a record for each
/// entry that is not garbage; nothing changes entries that were checked.
pub(super) struct Assembly<K, V> {
    sink: Sink,
    scratch: Scratch,
    records: Vec<Record>,
    /// The check of the entries that are written, and how many records it has compared.
    check: EntryCheck<K, V>,
    compared: usize,
    refused: Option<Error>,
    /// Where the entries start in the region. Those that stand in slots are put there when all are
    /// known; until then their offsets count from 0.
    start: u64,
    /// Archive offset behind the last entry that is complete.
    complete: u64,
    /// Bytes of entries that are garbage.
    garbage: u64,
    /// Their offsets.
    garbage_offsets: Vec<u64>,
}

/// The entries of an assembly, checked, and borrowed while nothing is inserted.
pub(crate) struct Inserted<'a, K, V> {
    bytes: Readable<'a>,
    assembly: &'a Assembly<K, V>,
}

impl<K: MapKey, V: Value> Inserted<'_, K, V> {
    /// The entries in the order in which they were inserted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryRef<'_, K, V>> {
        let archive = self.bytes.archive();
        let records = self.assembly.records.iter();
        // SAFETY: all are checked, and their bytes are borrowed.
        records.map(|record| unsafe { EntryRef::at(archive, record.offset) })
    }
}

impl<K: MapKey, V: Value> Assembly<K, V> {
    /// Adds all entries of another assembly.
    pub(super) fn merge(&mut self, mut other: Self) -> Result<()> {
        assert_eq!(
            other.start, 0,
            "an archive with other roots is not one of entries"
        );
        other.check_all()?;
        let view = other.sink.readable()?;
        // SAFETY: `check_all` found every entry valid, and each has its record.
        let shift = unsafe { self.append_checked(view.archive(), other.records.iter().copied())? };
        self.add_garbage(other.garbage, shift, other.garbage_offsets.iter().copied());
        Ok(())
    }

    /// Adds all entries of a map.
    pub(super) fn append(&mut self, map: &Frozen<Map<K, V>>) -> Result<()> {
        if Entry::<K, V>::IN_SLOTS {
            self.check_all()?;
            return map.entries().try_for_each(|entry| self.copy_entry(entry));
        }
        let records = map.entries().map(Record::from);
        // SAFETY: a map has valid entries only, and each has its record.
        let shift = unsafe { self.append_checked(map.archive(), records)? };
        self.add_garbage(map.garbage(), shift, map.garbage_list().offsets());
        Ok(())
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

    /// Adds an entry that was checked where it is. It must be independent.
    pub(super) fn copy_entry(&mut self, entry: EntryRef<'_, K, V>) -> Result<()> {
        assert!(
            self.check.takes_independent_entries(),
            "an entry that points to others is none without them"
        );
        if self.sink.offset() != self.check.offset() || self.compared < self.records.len() {
            self.check_all()?;
        }
        let hash = entry.key().key_hash();
        let offset = self.append_bytes(entry.bytes())?;
        self.records.push(Record { hash, offset });
        self.compared = self.records.len();
        // SAFETY: everything before was checked, and an `EntryRef` is a valid entry. It points to
        // nothing but its own bytes, so it leads to the same ones here, and lengths of entries are
        // multiples of their alignment.
        unsafe { self.check.skip_to(self.complete) };
        Ok(())
    }

    /// The entries inserted so far, checked.
    pub(super) fn inserted(&mut self) -> Result<Inserted<'_, K, V>> {
        self.check_all()?;
        Ok(Inserted {
            bytes: self.sink.readable()?,
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
        if self.compared == self.records.len() && self.complete == self.check.offset() {
            return Ok(());
        }
        let view = self.sink.readable()?;
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
    /// those with equal keys. `inputs` is told where the entries come to stand.
    pub(super) fn finish(
        mut self,
        last_wins: bool,
        inputs: Option<MakeInputs<'_>>,
    ) -> Result<Frozen<Map<K, V>>> {
        let index = self.index(last_wins, inputs)?;
        let description = self.check.description();
        let region = index.seal(self.sink.unsealed, self.garbage_offsets, description)?;
        // SAFETY: `check_all` found all entries valid. `arrange` puts them into all slots, or
        // `lead_to_all` leads to them from the lines, and lists all others as garbage.
        let checked = unsafe { Checked::from_region_unchecked(region)? };
        Ok(Frozen::from_checked(checked))
    }

    /// Checks the entries and builds the index over them; those that stand in slots are put there.
    fn index(&mut self, last_wins: bool, inputs: Option<MakeInputs<'_>>) -> Result<Index> {
        self.check_all()?;
        check_limit(self.complete, &self.label().name)?;
        match Entry::<K, V>::IN_SLOTS {
            // SAFETY: `check_all` found a valid entry at the offset of every record.
            true => unsafe { self.arrange(last_wins, inputs) },
            // SAFETY: as above.
            false => unsafe { self.lead_to_all(last_wins, inputs) },
        }
    }

    /// An index of lines over all entries, in which the last one of each key wins.
    ///
    /// # Safety
    /// A valid entry starts at the offset of every record.
    unsafe fn lead_to_all(
        &mut self,
        last_wins: bool,
        inputs: Option<MakeInputs<'_>>,
    ) -> Result<Index> {
        let mut header = IndexHeader::new(self.records.len() as u64);
        let view = (!self.records.is_empty()).then(|| self.sink.readable());
        let view = view.transpose()?;
        let archive = view.as_ref().map_or(&[][..], Readable::archive);
        // SAFETY: the caller's promise.
        let replaces = unsafe { self.replaces(archive, last_wins) };
        let crowded = || self.crowded();
        let table = Table::build(header.lines, &self.records, replaces, crowded)?;
        drop(view);
        let offsets = table.garbage().iter().map(|garbage| garbage.offset);
        self.garbage_offsets.extend(offsets);
        let garbage = table.garbage().iter().map(|garbage| garbage.length);
        header.garbage = self.garbage + garbage.sum::<u64>();
        header.entries -= table.garbage().len() as u64;
        Ok(Index {
            start: header.encode().to_vec(),
            lines: table.into_lines(),
            inputs: inputs.map(|inputs| inputs(&Places::shifted(0))),
        })
    }

    /// Puts the entries into slots of the archive section; the last one of each key wins.
    ///
    /// # Safety
    /// A valid entry starts at the offset of every record.
    unsafe fn arrange(&mut self, last_wins: bool, inputs: Option<MakeInputs<'_>>) -> Result<Index> {
        let layout = EntryRef::<K, V>::SLOT;
        let entries = &self.sink.buffer;
        let entry = |offset: u64| &entries[offset as usize..][..layout.size];
        // SAFETY: the caller's promise.
        let replaces = unsafe { self.replaces(entries, last_wins) };
        let crowded = || self.crowded();
        let arranged = Arrangement::new(&self.records, layout, entry, replaces, crowded)?;
        let mut moved = Vec::new();
        let unsealed = &mut self.sink.unsealed;
        unsealed.expect_archive(arranged.archive_length())?;
        let put = |bytes: &[u8]| unsealed.append(bytes);
        let start = arranged.write(entry, put, |from, to| {
            if inputs.is_some() {
                moved.push((from, to));
            }
        })?;
        Ok(Index {
            start,
            lines: Vec::new(),
            inputs: inputs.map(|inputs| inputs(&Places::listed(moved))),
        })
    }

    /// Whether one record replaces an earlier one: the length of the earlier entry if so.
    ///
    /// # Safety
    /// A valid entry starts at the offset of every record in the archive.
    unsafe fn replaces<'a>(
        &'a self,
        archive: &'a [u8],
        last_wins: bool,
    ) -> impl FnMut(u64, u64) -> Result<Option<u64>> + use<'a, K, V> {
        move |earlier, later| {
            // SAFETY: both are offsets of records, and no offset is cut off below the limit.
            let (earlier, later): (EntryRef<'_, K, V>, EntryRef<'_, K, V>) =
                unsafe { (EntryRef::at(archive, earlier), EntryRef::at(archive, later)) };
            let is_same = || earlier.key() == later.key() || earlier.has_key_bytes(later);
            match is_same() {
                false => Ok(None),
                true if last_wins => Ok(Some(earlier.length())),
                true => Err(duplicate::<K>(&self.label().name, later.key())),
            }
        }
    }
}

/// A block of entries beside those of an earlier generation.
fn put_beside<K: MapKey, V: Value>(
    label: Label,
    earlier: &Frozen<Map<K, V>>,
    going: &HashSet<EntryRef<'_, K, V>>,
    block: &Block<'_, K, V>,
    inputs: impl FnOnce(&Moved) -> Vec<u8>,
) -> Result<Option<Frozen<Map<K, V>>>> {
    let own = going.iter().filter(|entry| entry.is_in(earlier.archive()));
    let gone: Vec<EntryRef<'_, K, V>> = own.copied().collect();
    let (name, description) = (label.name.clone(), Map::<K, V>::describe());
    let mut next = Successor::new(label, earlier.region());
    let moved = match Entry::<K, V>::IN_SLOTS {
        true => block.put_into_slots(&name, earlier, &gone, &mut next)?,
        false => Some(block.put_behind(&name, earlier, &gone, &mut next)?),
    };
    let Some(moved) = moved else {
        return Ok(None);
    };
    next.begin(SectionKind::Inputs);
    next.write(inputs(&moved));
    next.begin(SectionKind::Schema);
    next.keep_or_write(description.json().to_vec());
    let region = next.seal(description.fingerprint())?;
    // SAFETY: with lines, the archive is two blocks of whole entries. The first is that of a valid
    // map, so its entries and every pointer in them were checked; pointers are relative and lead
    // nowhere out of their block, so they lead to the same bytes here. So it is with the second: a
    // `Block` has valid entries only, all that they point to, and its records are theirs. Lengths of
    // entries are multiples of their alignment. The table is the earlier index in which no entry
    // that went has kept its slot, or one of the records of all that stay; what it was given beside
    // that are the records of the second block. What went is in the list of garbage, beside what was.
    // In slots, each has an entry of the valid map, or one of the block; there are as many as there
    // were.
    let checked = unsafe { Checked::from_region_unchecked(region)? };
    Ok(Some(Frozen::from_checked(checked)))
}

/// An entry in private memory of its own, checked, with all that it points to.
pub(crate) struct LoneEntry<K, V> {
    bytes: AlignedVec<16>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: MapKey, V: Value> LoneEntry<K, V> {
    /// Copies the entry that an assembly has, if it has one and no more.
    fn copied(assembly: &mut Assembly<K, V>) -> Result<Self> {
        assembly.check_all()?;
        let bytes = assembly.sink.readable()?;
        assert_eq!(assembly.records.len(), 1, "an entry is alone");
        let mut copy = AlignedVec::with_capacity(bytes.archive().len());
        copy.extend_from_slice(bytes.archive());
        Ok(Self {
            bytes: copy,
            types: PhantomData,
        })
    }

    pub(crate) fn entry(&self) -> EntryRef<'_, K, V> {
        // SAFETY: `check_all` found a valid entry at the start of these bytes, which has all that it
        // points to in them, since nothing stands before it. Nobody changes them.
        unsafe { EntryRef::at(&self.bytes, 0) }
    }
}

/// Fills in the first bytes of an entry that is `bytes` long, which rkyv knows by `position`: its
/// header, and the key and value whose parts were serialised before.
///
/// # Panics
/// If `bytes` are too few, or not aligned for the entry.
fn place<K: Value, V: Value, S: ArchivedAs<V>>(
    bytes: &mut [u8],
    position: usize,
    (key, key_resolver): (&K, K::Resolver),
    (value, value_resolver): (&S, S::Resolver),
) {
    let (key_offset, value_offset) = (Entry::<K, V>::KEY, Entry::<K, V>::VALUE);
    let is_aligned = bytes.as_ptr().addr().is_multiple_of(Entry::<K, V>::ALIGN);
    assert!(
        bytes.len() >= Entry::<K, V>::SIZE && is_aligned,
        "an entry has an aligned place in the buffer"
    );
    if !Entry::<K, V>::IN_SLOTS {
        let header = header_of_length(bytes.len() as u64).to_le_bytes();
        bytes[..header.len()].copy_from_slice(&header);
    }
    let start = bytes.as_mut_ptr();
    // SAFETY: `start` is aligned and in bounds of initialised bytes that this function borrows
    // alone, as was just asserted, and so are the fields of the entry.
    unsafe {
        let key_place = start.add(key_offset).cast();
        key.resolve(
            key_resolver,
            Place::new_unchecked(position + key_offset, key_place),
        );
        let value_place = start.add(value_offset).cast();
        value.resolve(
            value_resolver,
            Place::new_unchecked(position + value_offset, value_place),
        );
    }
}

/// The form of a [`Map`].
#[derive(Debug)]
pub enum Keyed {}

impl sealed::Sealed for Keyed {}

impl<K: MapKey, V: Value> Content for Map<K, V> {
    type Archived = ArchivedMap<K, V>;
    type Form = Keyed;
}

impl<K: MapKey, V: Value> Form<Map<K, V>> for Keyed {
    type View = ArchivedMap<K, V>;

    fn describe(types: &mut Types) -> TypeIndex {
        Entry::<K, V>::describe(types)
    }

    fn check(region: &Region) -> Result<Findings> {
        <Self as RootForm<Map<K, V>>>::check_part(&Part::whole(region)?)
    }

    fn check_after(region: &Region, earlier: &Checked<Map<K, V>>) -> Result<Findings> {
        let (part, before) = (Part::whole(region)?, earlier.region());
        let earlier = Earlier {
            map: earlier,
            findings: earlier.findings(),
            index_differs: region.differing(SectionKind::Index, before),
        };
        let begins = region.begins_as(SectionKind::Archive, before);
        let shown = match (begins, part.index()) {
            (true, Ok(index)) => check_after(part.archive, index, part.garbage, &earlier),
            _ => None,
        };
        shown.map_or_else(|| <Self as RootForm<Map<K, V>>>::check_part(&part), Ok)
    }

    unsafe fn view(region: &Arc<Region>) -> Result<Self::View> {
        // SAFETY: the caller's promise.
        unsafe { <Self as RootForm<Map<K, V>>>::view_part(&Part::whole(region)?) }
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        // SAFETY: the caller vouches for the region.
        ArchivedMap::from_raw(unsafe { view.raw().copy() })
    }

    unsafe fn archived(view: &Self::View) -> &ArchivedMap<K, V> {
        view
    }
}

impl<K: MapKey, V: Value> RootForm<Map<K, V>> for Keyed {
    fn check_part(part: &Part<'_>) -> Result<Findings> {
        let checked = check::<K, V>(part.archive, part.start, part.index()?, part.garbage);
        checked.map_err(|problem| {
            let (section, reason) = problem.into_parts();
            part.invalid(section, reason)
        })
    }

    unsafe fn view_part(part: &Part<'_>) -> Result<Self::View> {
        // SAFETY: the caller vouches for valid sections of this type, which live as long as the
        // region; `Region` keeps them at multiples of 64 and never writes. The index of a root
        // starts at a multiple of 64 of its section.
        let map = unsafe { RawMap::new(part.archive, part.start, part.index()?, part.garbage) };
        map.map(ArchivedMap::from_raw)
            .map_err(|problem| part.invalid(SectionKind::Index, problem.to_owned()))
    }
}
