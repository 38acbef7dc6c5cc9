//! Entries where they lie: the one place that turns the bytes of a map into references.
//!
//! What the other files rely on:
//!
//! - An [`Entry`] is made here only, of a valid entry that is not garbage. It has all that it points
//!   to, for as long as it lives.
//! - A [`RawMap`] is made of valid sections only. Its methods take any hash and any offset.
//! - [`check_entries`] takes any bytes.
//!
//! What has a precondition is an `unsafe fn`; only this file and `assembly` call such functions.
#![allow(unsafe_code)]

mod in_slots;
mod progress;
mod reference;

use std::marker::PhantomData;
use std::mem::offset_of;

use rkyv::rend::u32_le;
use rkyv::{Archive, Portable};

use super::MapKey;
use super::check::MapError;
use super::entry::entry_length;
use super::garbage::GarbageList;
use super::index::{INDEX_HEADER_LENGTH, IndexHeader, Line, home, tag};
use super::key::Key;
use super::slots::{SlotHeader, bucket_of, first_slot, slot_in_part};
use crate::archive::{Collections, Value};
use crate::schema::{MapLayout, Schema, TypeIndex, Types};

pub(super) use progress::{Counted, EntryCheck, EntryRange};
pub(crate) use reference::EntryRef;
use reference::{AHEAD, check_value, shape};
pub(super) use reference::{Walk, ask_for, check_entry};

/// Bytes that memory is fetched by, of common processors.
const CACHE_LINE: u64 = 64;

/// An entry that lines lead to.
#[repr(C)]
struct Framed<K: Archive, V: Archive> {
    header: u32_le,
    key: K::Archived,
    value: V::Archived,
}

/// An entry that stands in a slot.
#[repr(C, align(4))]
struct Slotted<K: Archive, V: Archive> {
    key: K::Archived,
    value: V::Archived,
}

// SAFETY: a C struct of portable fields.
unsafe impl<K: Archive, V: Archive> Portable for Framed<K, V> {}
// SAFETY: as above.
unsafe impl<K: Archive, V: Archive> Portable for Slotted<K, V> {}

// SAFETY: the offsets are the compiler's, and key and value have schemas of their own.
unsafe impl<K: Value, V: Value> Schema for Framed<K, V> {
    fn describe(types: &mut Types) -> TypeIndex {
        let offsets = [offset_of!(Self, key), offset_of!(Self, value)];
        types.define::<Self>("Map", |types| {
            shape::<K, V>(types, offsets, MapLayout::Lines)
        })
    }
}

// SAFETY: as above.
unsafe impl<K: Value, V: Value> Schema for Slotted<K, V> {
    fn describe(types: &mut Types) -> TypeIndex {
        let offsets = [offset_of!(Self, key), offset_of!(Self, value)];
        types.define::<Self>("Map", |types| {
            shape::<K, V>(types, offsets, MapLayout::Slots)
        })
    }
}

/// Key and value of an entry.
pub(super) struct Entry<'a, K: Archive, V: Archive> {
    key: &'a K::Archived,
    value: &'a V::Archived,
}

/// The entry that starts at a place.
///
/// # Safety
/// A valid entry of these types that is not garbage starts there, aligned for them, and lives as
/// long as the result.
#[inline]
unsafe fn entry<'a, K: Value, V: Value>(start: *const u8) -> Entry<'a, K, V> {
    // SAFETY: the caller's promise; the offsets are those of the fields.
    unsafe {
        Entry {
            key: &*start.add(Entry::<K, V>::KEY).cast(),
            value: &*start.add(Entry::<K, V>::VALUE).cast(),
        }
    }
}

impl<'a, K: Value, V: Value> EntryRef<'a, K, V> {
    /// The entry at an archive offset.
    ///
    /// # Safety
    /// A valid entry that is not garbage starts at `offset` of `archive`, aligned for these types.
    pub(super) unsafe fn at(archive: &'a [u8], offset: u64) -> Self {
        // SAFETY: the caller's promise; the result borrows the archive.
        let entry = unsafe { entry(archive.as_ptr().add(offset as usize)) };
        Self { entry, archive }
    }
}

/// The sections of a map.
///
/// Where lines lead to entries, the archive is, from `start` on, a sequence of entries, and all that
/// are not garbage are valid. The index has a line at least, and each taken slot leads to the start
/// of such an entry. The list of garbage has the starts of all others, ascending.
///
/// Where entries stand in slots, the archive begins with them, has as many as the header of the
/// index says, and all of them are valid entries.
pub(super) struct RawMap<K: Archive, V: Archive> {
    archive: *const u8,
    archive_length: u64,
    /// Where the first entry starts.
    start: u64,
    /// What stands behind the header of the index: lines, or pilots and live bits.
    table: *const u8,
    table_length: u64,
    lines: IndexHeader,
    slots: SlotHeader,
    /// Slots of a part less 1.
    mask: u64,
    garbage: *const [u8],
    types: PhantomData<(K::Archived, V::Archived)>,
}

// SAFETY: a map is a view of immutable bytes; sharing or sending it shares references to keys and
// values, which the bounds allow.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Sync for RawMap<K, V> {}
// SAFETY: as above.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Send for RawMap<K, V> {}

impl<K: MapKey, V: Value> RawMap<K, V> {
    /// A view of the sections of a map; the error is what is wrong with the header of the index.
    ///
    /// # Safety
    /// The sections are valid for `K` and `V`: made by this process's own builder, or accepted
    /// by [`super::check::check`]. They start at multiples of 64, outlive the view and are never
    /// written.
    pub(super) unsafe fn new(
        archive: &[u8],
        start: usize,
        index: &[u8],
        garbage: &[u8],
    ) -> Result<Self, &'static str> {
        let (mut lines, mut slots) = (IndexHeader::default(), SlotHeader::default());
        let (mut archive, mut start) = (archive, start as u64);
        match Entry::<K, V>::IN_SLOTS {
            true => {
                archive = archive.get(start as usize..).unwrap_or_default();
                start = 0;
                let lengths = (index.len() as u64, archive.len() as u64);
                slots = SlotHeader::decode(index, lengths.0, lengths.1, Entry::<K, V>::SIZE)?;
            }
            false => lines = IndexHeader::decode(index)?,
        }
        let table = &index[INDEX_HEADER_LENGTH..];
        Ok(Self {
            archive: archive.as_ptr(),
            archive_length: archive.len() as u64,
            start,
            table: table.as_ptr(),
            table_length: table.len() as u64,
            lines,
            slots,
            mask: slots.part_slots.wrapping_sub(1),
            garbage,
            types: PhantomData,
        })
    }

    /// Where garbage entries start.
    pub(super) fn garbage(&self) -> GarbageList<'_> {
        // SAFETY: the section lives as long as `self` (`RawMap::new`).
        GarbageList::of(unsafe { &*self.garbage })
    }

    /// The same view again.
    ///
    /// # Safety
    /// The sections outlive the result too.
    pub(super) unsafe fn copy(&self) -> Self {
        Self { ..*self }
    }

    /// The archive section.
    #[inline]
    pub(super) fn archive(&self) -> &[u8] {
        // SAFETY: the section is as long, and lives as long as `self` (`RawMap::new`).
        unsafe { std::slice::from_raw_parts(self.archive, self.archive_length as usize) }
    }

    /// What stands behind the header of the index section.
    fn table(&self) -> &[u8] {
        // SAFETY: the section is as long, and lives as long as `self` (`RawMap::new`).
        unsafe { std::slice::from_raw_parts(self.table, self.table_length as usize) }
    }

    /// All lines of the index; none where entries stand in slots.
    pub(super) fn lines(&self) -> &[Line] {
        // SAFETY: `IndexHeader::decode` has compared the number of lines with the length of the
        // section, which starts at a multiple of 64 and lives as long as `self` (`RawMap::new`).
        unsafe { std::slice::from_raw_parts(self.table.cast(), self.lines.lines as usize) }
    }

    /// The entry in a slot, live or not, or in the overflow behind all slots.
    #[inline]
    fn in_slot(&self, slot: u64) -> Option<Entry<'_, K, V>> {
        let is_there = slot < self.slots.slots() + self.slots.overflow;
        // SAFETY: `SlotHeader` has compared these numbers with the length of the archive, all of
        // which are valid entries (`RawMap`).
        is_there.then(|| unsafe { entry(self.archive.add(slot as usize * Entry::<K, V>::SIZE)) })
    }

    /// The entry at an archive offset from anywhere, if there is one.
    ///
    /// Costs about what a lookup costs, and a check of the key.
    pub(super) fn entry_at(&self, offset: u64) -> Option<EntryRef<'_, K, V>> {
        if Entry::<K, V>::IN_SLOTS {
            let slot = offset / Entry::<K, V>::SIZE as u64;
            let is_start = offset.is_multiple_of(Entry::<K, V>::SIZE as u64);
            let found = (is_start && self.is_live(slot)).then(|| self.in_slot(slot));
            return self.entry_ref(found.flatten()?);
        }
        let archive = self.archive();
        let key_offset = usize::try_from(offset).ok()?;
        let key_offset = key_offset.checked_add(Entry::<K, V>::KEY)?;
        let hash = check_value::<K::Archived>(archive, key_offset)?.key_hash();
        let mut line = self.home(hash);
        while !line.line.has(tag(hash), offset) {
            line = line.behind()?;
        }
        // SAFETY: a taken slot of this index leads to the offset.
        Some(unsafe { EntryRef::at(archive, offset) })
    }

    /// The first line to look at for a hash; an empty one where entries stand in slots.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> MapLine<'_, K, V> {
        if Entry::<K, V>::IN_SLOTS {
            let (map, number, line) = (self, 0, &Line::EMPTY);
            return MapLine { map, number, line };
        }
        let number = home(hash, self.lines.lines);
        // SAFETY: `home` is below the number of lines for every hash, as that is not zero.
        unsafe { self.line(number) }
    }

    /// A line, if there are so many.
    fn line_at(&self, number: u64) -> Option<MapLine<'_, K, V>> {
        // SAFETY: it is below their number.
        (number < self.lines.lines).then(|| unsafe { self.line(number) })
    }

    /// # Safety
    /// `number` is below the number of lines.
    #[inline]
    unsafe fn line(&self, number: u64) -> MapLine<'_, K, V> {
        let map = self;
        // SAFETY: the caller's promise; the lines are as in `lines`.
        let line = unsafe { &*self.table.cast::<Line>().add(number as usize) };
        MapLine { map, number, line }
    }

    /// The entry at an archive offset.
    ///
    /// # Safety
    /// A valid entry starts there: a taken slot leads to it.
    #[inline]
    unsafe fn entry(&self, offset: u64) -> Entry<'_, K, V> {
        // SAFETY: the caller's promise; the section lives as long as `self` (`RawMap::new`).
        unsafe { entry(self.archive.add(offset as usize)) }
    }
}

/// What a lookup in slots needs of a map that has some.
pub(super) struct SlotView<'a, K: Archive, V: Archive> {
    slots: *const u8,
    pilots: *const u8,
    buckets: u64,
    mask: u64,
    types: PhantomData<&'a (K::Archived, V::Archived)>,
}

impl<'a, K: MapKey, V: Value> SlotView<'a, K, V> {
    /// The pilot of the bucket of a hash, and the entry in the slot that both give.
    #[inline]
    pub(super) fn place(&self, hash: u64) -> (u8, Entry<'a, K, V>) {
        let bucket = bucket_of(hash, self.buckets);
        // SAFETY: `bucket_of` is below the number of buckets for every hash, and `SlotHeader` has
        // compared that with the length of the section. So is the slot below their number for
        // every hash and pilot: `first_slot` gives the first one of a part, and the mask is the
        // number of slots of a part less 1. All slots hold valid entries (`RawMap`).
        unsafe {
            let pilot = *self.pilots.add(bucket as usize);
            let slot = first_slot(bucket) + slot_in_part(hash, pilot, self.mask);
            let offset = slot as usize * Entry::<K, V>::SIZE;
            (pilot, entry(self.slots.add(offset)))
        }
    }
}

/// A line of the index of a map.
pub(super) struct MapLine<'a, K: Archive, V: Archive> {
    map: &'a RawMap<K, V>,
    number: u64,
    line: &'a Line,
}

impl<'a, K: MapKey, V: Value> MapLine<'a, K, V> {
    /// The entries here that have the tag of a hash.
    #[inline]
    pub(super) fn candidates(self, hash: u64) -> impl Iterator<Item = Entry<'a, K, V>> {
        self.line.candidates(tag(hash)).map(move |slot| {
            let offset = self.line.offset(slot);
            // Most keys reach into the next line, or lead there, and would be waited for twice.
            self.map.prefetch(offset + CACHE_LINE, 1);
            // SAFETY: tags are not zero, so this slot of the index of `map` is taken.
            unsafe { self.map.entry(offset) }
        })
    }

    /// The first of them, whose memory is asked for.
    #[inline]
    pub(super) fn prefetch_entry(self, hash: u64) -> Option<Entry<'a, K, V>> {
        let offset = self.line.offset(self.line.candidates(tag(hash)).next()?);
        self.map.prefetch(offset, 2);
        // SAFETY: as in `candidates`.
        Some(unsafe { self.map.entry(offset) })
    }

    /// The line behind this one, or the first one behind the last, if a search goes on there.
    #[inline]
    pub(super) fn behind(self) -> Option<Self> {
        let is_last = self.number + 1 == self.map.lines.lines;
        let behind = if is_last { 0 } else { self.number + 1 };
        // SAFETY: `number` is below the number of lines, and so is the one behind it.
        self.overflows().then(|| unsafe { self.map.line(behind) })
    }
}

/// Starts loading a cache line; a hint that has no effect on addresses that are not mapped.
#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see and never faults; SSE is part
    // of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// One bit for each of the first sixteen bytes of a line: whether it is `byte`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn equal_bytes(line: &[u8; 64], byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: SSE2 is part of x86-64; a line has so many bytes.
    unsafe {
        let bytes = _mm_loadu_si128(std::ptr::from_ref(line).cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn equal_bytes(line: &[u8; 64], byte: u8) -> u32 {
    let equal = |number: usize| u32::from(line[number] == byte) << number;
    (0..16).map(equal).sum()
}

impl<'a, K: MapKey, V: Value> Walk<'a, K, V> {
    #[inline]
    pub(super) fn next(&mut self) -> Option<Entry<'a, K, V>> {
        if Entry::<K, V>::IN_SLOTS {
            return self.next_in_slots();
        }
        while self.offset < self.map.archive_length {
            let offset = self.offset;
            // SAFETY: an entry starts there, valid or garbage: each one ends where the next starts.
            let header: *const u32_le = unsafe { self.map.archive.add(offset as usize).cast() };
            // SAFETY: its header is aligned as all of it.
            let header = unsafe { header.read() }.to_native();
            self.offset += entry_length(header);
            let ahead = self.offset.max(offset + AHEAD);
            self.map.prefetch(ahead, self.ahead);
            if !self.garbage.takes(offset) {
                self.left -= 1;
                // SAFETY: it is not garbage, so it is valid.
                return Some(unsafe { self.map.entry(offset) });
            }
        }
        None
    }
}

/// Checks the entries of a part of an archive section, whatever stands before it; `live` is shown
/// those that are not garbage.
pub(super) fn check_entries<K, V>(
    part: &EntryRange<'_>,
    mut garbage: GarbageList<'_>,
    live: impl FnMut(u64, &K::Archived) -> Result<(), MapError>,
) -> Result<Counted, MapError>
where
    K: Value,
    V: Value,
{
    let mut check = EntryCheck::<K, V>::of_range(part);
    if !(part.start as u64).is_multiple_of(check.alignment) || part.start > part.archive.len() {
        let start = part.start;
        return Err(MapError::Archive(format!("no entry can start at {start}")));
    }
    // SAFETY: no value was found valid before, so none is taken to be.
    unsafe { check.go_on(part.archive, &mut garbage, live)? };
    match garbage.first() {
        Some(offset) => Err(MapError::lists_no_entry(offset)),
        None => Ok(check.counted()),
    }
}

impl<K: Value, V: Value> EntryCheck<K, V> {
    /// Checks every entry from [`offset`](Self::offset) to the end of `archive`; `live` is shown
    /// those that are not garbage.
    ///
    /// After an entry was refused, or `live` panicked, everything is refused.
    ///
    /// # Safety
    /// The bytes before [`offset`](Self::offset) are those that were checked, here or as
    /// [`skip_to`](Self::skip_to) was promised.
    pub(super) unsafe fn go_on(
        &mut self,
        archive: &[u8],
        garbage: &mut GarbageList<'_>,
        mut live: impl FnMut(u64, &K::Archived) -> Result<(), MapError>,
    ) -> Result<(), MapError> {
        if std::mem::replace(&mut self.broken, true) {
            let reason = "an entry was refused before".to_owned();
            return Err(MapError::Archive(reason));
        }
        self.validator.grow(archive);
        let seen = std::mem::take(&mut self.seen);
        let mut collections = Collections::resume(&self.description, archive, seen);
        while self.offset < archive.len() {
            let offset = self.offset;
            let at = |reason| MapError::Archive(format!("entry at offset {offset}: {reason}"));
            let framed = Entry::<K, V>::frame(&archive[offset..], self.alignment);
            let length = framed.map_err(at)?;
            self.validator.enter(offset..offset + length);
            if garbage.takes(offset as u64) {
                self.counted.garbage += length as u64;
            } else {
                let key = check_entry::<K, V>(archive, offset, &mut self.validator).map_err(at)?;
                let checked = collections.check(offset);
                checked.map_err(|refusal| at(refusal.to_string()))?;
                live(offset as u64, key)?;
                self.counted.entries += 1;
            }
            self.offset += length;
        }
        self.seen = collections.into_seen();
        self.broken = false;
        Ok(())
    }

    /// Goes on behind entries that were checked elsewhere, up to the archive offset `end`.
    ///
    /// # Safety
    /// The bytes from [`offset`](Self::offset) to `end` are whole entries; those that are not
    /// garbage are valid.
    pub(super) unsafe fn skip_to(&mut self, end: u64) {
        self.offset = end as usize;
    }
}
