//! Entries where they lie: the one place that turns the bytes of a map into references.
//!
//! What the other files rely on:
//!
//! - A reference to an [`Entry`] is made here only, of a valid entry that is not garbage. It has
//!   all that it points to, for as long as the reference lives.
//! - A [`RawMap`] is made of valid sections only. Its methods take any hash and any offset.
//! - [`place`] and [`check_entries`] take any bytes.
//!
//! What has a precondition is an `unsafe fn`; only this file and `assembly` call such functions.
#![allow(unsafe_code)]

mod progress;
mod reference;

use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;

use rkyv::api::check_pos_with_context;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::BoxedError;
use rkyv::rend::u32_le;
use rkyv::{Archive, Place, Portable};

use super::check::MapError;
use super::entry::{entry_length, frame, header_of_length};
use super::garbage::GarbageList;
use super::index::{INDEX_HEADER_LENGTH, IndexHeader, Line, home, tag};
use super::key::Key;
use crate::archive::{CheckStrategy, Collections, Validator};
use crate::schema::{Description, Schema, Shape, TypeIndex, Types};

pub(super) use progress::{Counted, EntryCheck, Part};
use reference::AHEAD;
pub(crate) use reference::EntryRef;

/// Bytes that memory is fetched by, of common processors.
const CACHE_LINE: u64 = 64;

/// The start of an entry.
#[repr(C)]
pub struct Entry<K: Archive, V: Archive> {
    header: u32_le,
    key: K::Archived,
    value: V::Archived,
}

// SAFETY: a C struct of portable fields.
unsafe impl<K: Archive, V: Archive> Portable for Entry<K, V> {}

// SAFETY: the offsets are the compiler's, and key and value have schemas of their own.
unsafe impl<K, V> Schema for Entry<K, V>
where
    K: Archive<Archived: Schema> + 'static,
    V: Archive<Archived: Schema> + 'static,
{
    fn describe(types: &mut Types) -> TypeIndex {
        types.define::<Self>("Map", |types| Shape::Map {
            key: K::Archived::describe(types),
            value: V::Archived::describe(types),
            key_offset: offset_of!(Self, key),
            value_offset: offset_of!(Self, value),
        })
    }
}

impl<K: Archive, V: Archive> Entry<K, V> {
    /// Bytes of header, key and value, without what they point to.
    pub(super) const SIZE: usize = size_of::<Self>();
}

/// Fills in the first bytes of an entry that is `bytes` long, which rkyv knows by `position`: its
/// header, and the key and value whose parts were serialised before.
///
/// # Panics
/// If `bytes` are too few, or not aligned for the entry.
pub(super) fn place<K: Archive, V: Archive>(
    bytes: &mut [u8],
    position: usize,
    (key, key_resolver): (&K, K::Resolver),
    (value, value_resolver): (&V, V::Resolver),
) {
    let header = u32_le::from_native(header_of_length(bytes.len() as u64));
    let entry: *mut Entry<K, V> = bytes.as_mut_ptr().cast();
    assert!(
        bytes.len() >= Entry::<K, V>::SIZE && entry.is_aligned(),
        "an entry has an aligned place in the buffer"
    );
    // SAFETY: `entry` is aligned and in bounds of initialised bytes that this function borrows
    // alone, as was just asserted, and so are its fields.
    unsafe {
        (&raw mut (*entry).header).write(header);
        let key_position = position + offset_of!(Entry<K, V>, key);
        let key_place = Place::new_unchecked(key_position, &raw mut (*entry).key);
        key.resolve(key_resolver, key_place);
        let value_position = position + offset_of!(Entry<K, V>, value);
        let value_place = Place::new_unchecked(value_position, &raw mut (*entry).value);
        value.resolve(value_resolver, value_place);
    }
}

impl<'a, K: Archive, V: Archive> EntryRef<'a, K, V> {
    /// The entry at an archive offset.
    ///
    /// # Safety
    /// A valid entry that is not garbage starts at `offset` of `archive`, aligned for these types.
    pub(super) unsafe fn at(archive: &'a [u8], offset: u64) -> Self {
        // SAFETY: the caller's promise.
        let entry = unsafe { &*archive.as_ptr().add(offset as usize).cast() };
        Self { entry, archive }
    }
}

/// The sections of a map.
///
/// The archive is a sequence of entries, and all that are not garbage are valid. The index has a
/// line at least, and each taken slot leads to the start of such an entry. The list of garbage has
/// the starts of all others, ascending.
pub(super) struct RawMap<K: Archive, V: Archive> {
    archive: *const u8,
    archive_length: u64,
    lines: *const Line,
    header: IndexHeader,
    garbage: *const [u8],
    types: PhantomData<(K::Archived, V::Archived)>,
}

// SAFETY: a map is a view of immutable bytes; sharing or sending it shares references to keys and
// values, which the bounds allow.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Sync for RawMap<K, V> {}
// SAFETY: as above.
unsafe impl<K: Archive<Archived: Sync>, V: Archive<Archived: Sync>> Send for RawMap<K, V> {}

impl<K: Archive, V: Archive> RawMap<K, V> {
    /// A view of the sections of a map; the error is what is wrong with the header of the index.
    ///
    /// # Safety
    /// The sections are valid for `K` and `V`: made by this process's own builder, or accepted
    /// by [`super::check::check`]. They start at multiples of 64, outlive the view and are never
    /// written.
    pub(super) unsafe fn new(
        archive: &[u8],
        index: &[u8],
        garbage: &[u8],
    ) -> Result<Self, &'static str> {
        let header = IndexHeader::decode(index)?;
        Ok(Self {
            archive: archive.as_ptr(),
            archive_length: archive.len() as u64,
            lines: index[INDEX_HEADER_LENGTH..].as_ptr().cast(),
            header,
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

    #[inline]
    pub(super) fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// The archive section.
    #[inline]
    pub(super) fn archive(&self) -> &[u8] {
        // SAFETY: the section is as long, and lives as long as `self` (`RawMap::new`).
        unsafe { std::slice::from_raw_parts(self.archive, self.archive_length as usize) }
    }

    /// All lines of the index.
    pub(super) fn lines(&self) -> &[Line] {
        // SAFETY: `IndexHeader::decode` has compared the number of lines with the length of the
        // section, which starts at a multiple of 64 and lives as long as `self` (`RawMap::new`).
        unsafe { std::slice::from_raw_parts(self.lines, self.header.lines as usize) }
    }

    /// The entry at an archive offset from anywhere, if there is one.
    ///
    /// Costs about what a lookup costs, and a check of the key.
    pub(super) fn entry_at(&self, offset: u64) -> Option<EntryRef<'_, K, V>>
    where
        K: Archive<Archived: CheckBytes<CheckStrategy> + Schema + Key>,
    {
        let archive = self.archive();
        let key_offset = usize::try_from(offset).ok()?;
        let key_offset = key_offset.checked_add(offset_of!(Entry<K, V>, key))?;
        let key = check_value::<K::Archived>(archive, key_offset)?;
        let hash = key.key_hash();
        let mut line = self.home(hash);
        while !line.line.has(tag(hash), offset) {
            line = line.behind()?;
        }
        // SAFETY: a taken slot of this index leads to the offset.
        Some(unsafe { EntryRef::at(archive, offset) })
    }

    /// The first line to look at for a hash.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> MapLine<'_, K, V> {
        let number = home(hash, self.header.lines);
        // SAFETY: `home` is below the number of lines for every hash, as that is not zero.
        unsafe { self.line(number) }
    }

    /// # Safety
    /// `number` is below the number of lines.
    #[inline]
    unsafe fn line(&self, number: u64) -> MapLine<'_, K, V> {
        let map = self;
        // SAFETY: the caller's promise; the lines are as in `lines`.
        let line = unsafe { &*self.lines.add(number as usize) };
        MapLine { map, number, line }
    }

    /// The entry at an archive offset.
    ///
    /// # Safety
    /// A valid entry starts there: a taken slot leads to it.
    #[inline]
    unsafe fn entry(&self, offset: u64) -> &Entry<K, V> {
        // SAFETY: the caller's promise; the section lives as long as `self` (`RawMap::new`).
        unsafe { &*self.archive.add(offset as usize).cast() }
    }

    /// An entry with its archive, if it is one of this map: every entry in its archive is.
    pub(super) fn entry_ref<'a>(&'a self, entry: &'a Entry<K, V>) -> Option<EntryRef<'a, K, V>> {
        let archive = self.archive();
        let place = ptr::from_ref(entry).cast();
        let is_here = archive.as_ptr_range().contains(&place);
        is_here.then_some(EntryRef { entry, archive })
    }

    /// Asks for the memory of the home line of a hash.
    #[inline]
    pub(super) fn prefetch_line(&self, hash: u64) {
        let home = home(hash, self.header.lines);
        prefetch(self.lines.wrapping_add(home as usize).cast());
    }

    /// Asks for some lines of memory from an archive offset on, which may lie behind the end.
    #[inline]
    fn prefetch(&self, offset: u64, lines: u64) {
        let start = self.archive.wrapping_add(offset as usize);
        for line in 0..lines {
            prefetch(start.wrapping_add((line * CACHE_LINE) as usize));
        }
    }
}

/// A line of the index of a map.
pub(super) struct MapLine<'a, K: Archive, V: Archive> {
    map: &'a RawMap<K, V>,
    number: u64,
    line: &'a Line,
}

impl<'a, K: Archive, V: Archive> MapLine<'a, K, V> {
    /// The entries here that have the tag of a hash.
    #[inline]
    pub(super) fn candidates(self, hash: u64) -> impl Iterator<Item = &'a Entry<K, V>> {
        self.line.candidates(tag(hash)).map(move |slot| {
            let offset = self.line.offset(slot);
            // Such a key reaches into the next line as a rule, and would be waited for twice.
            if Entry::<K, V>::SIZE as u64 > CACHE_LINE / 2 {
                self.map.prefetch(offset + CACHE_LINE, 1);
            }
            // SAFETY: tags are not zero, so this slot of the index of `map` is taken.
            unsafe { self.map.entry(offset) }
        })
    }

    /// The first of them, whose memory is asked for.
    #[inline]
    pub(super) fn prefetch_entry(self, hash: u64) -> Option<&'a Entry<K, V>> {
        let offset = self.line.offset(self.line.candidates(tag(hash)).next()?);
        self.map.prefetch(offset, 2);
        // SAFETY: as in `candidates`.
        Some(unsafe { self.map.entry(offset) })
    }

    /// Whether a search goes on behind this line.
    #[inline]
    pub(super) fn overflows(self) -> bool {
        self.line.overflows()
    }

    /// The line behind this one, or the first one behind the last, if a search goes on there.
    #[inline]
    pub(super) fn behind(self) -> Option<Self> {
        let is_last = self.number + 1 == self.map.header.lines;
        let behind = if is_last { 0 } else { self.number + 1 };
        // SAFETY: `number` is below the number of lines, and so is the one behind it.
        self.overflows().then(|| unsafe { self.map.line(behind) })
    }
}

/// Asks for the memory of a line of any index.
#[inline]
pub(super) fn ask_for(line: &[u8; 64]) {
    prefetch(line.as_ptr());
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
        let bytes = _mm_loadu_si128(ptr::from_ref(line).cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) fn equal_bytes(line: &[u8; 64], byte: u8) -> u32 {
    let equal = |number: usize| u32::from(line[number] == byte) << number;
    (0..16).map(equal).sum()
}

/// The entries of a map that are not garbage, in the order in which they were inserted.
pub(super) struct Walk<'a, K: Archive, V: Archive> {
    map: &'a RawMap<K, V>,
    /// Where the next entry starts, or the end of the archive.
    offset: u64,
    left: usize,
    /// Lines of memory that are asked for at each step: as many as the mean entry has, since a
    /// number that changed would be a branch that is not predicted.
    ahead: u64,
    garbage: GarbageList<'a>,
}

impl<'a, K: Archive, V: Archive> Walk<'a, K, V> {
    #[inline]
    pub(super) fn next(&mut self) -> Option<&'a Entry<K, V>> {
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
    part: &Part<'_>,
    mut garbage: GarbageList<'_>,
    live: impl FnMut(u64, &K::Archived) -> Result<(), MapError>,
) -> Result<Counted, MapError>
where
    K: Archive<Archived: CheckBytes<CheckStrategy> + Schema> + 'static,
    V: Archive<Archived: CheckBytes<CheckStrategy> + Schema> + 'static,
{
    let mut check = EntryCheck::<K, V>::of_part(part);
    // SAFETY: no value was found valid before, so none is taken to be.
    unsafe { check.go_on(part.archive, &mut garbage, live)? };
    match garbage.first() {
        Some(offset) => Err(MapError::lists_no_entry(offset)),
        None => Ok(check.counted()),
    }
}

impl<K, V> EntryCheck<K, V>
where
    K: Archive<Archived: CheckBytes<CheckStrategy> + Schema> + 'static,
    V: Archive<Archived: CheckBytes<CheckStrategy> + Schema> + 'static,
{
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
            let least = Entry::<K, V>::SIZE;
            let framed = frame(&archive[offset..], least, self.alignment);
            let length = framed.map_err(at)?;
            self.validator.enter(offset..offset + length);
            if garbage.takes(offset as u64) {
                self.counted.garbage += length as u64;
            } else {
                let key_offset = offset + offset_of!(Entry<K, V>, key);
                let value_offset = offset + offset_of!(Entry<K, V>, value);
                let validator = &mut self.validator;
                check_pos_with_context::<K::Archived, _, BoxedError>(
                    archive, key_offset, validator,
                )
                .map_err(|error| at(format!("key: {error}")))?;
                check_pos_with_context::<V::Archived, _, BoxedError>(
                    archive,
                    value_offset,
                    validator,
                )
                .map_err(|error| at(format!("value: {error}")))?;
                let checked = collections.check(offset);
                checked.map_err(|refusal| at(refusal.to_string()))?;
                // SAFETY: it was just accepted.
                live(offset as u64, unsafe { value_at(archive, key_offset) })?;
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

/// The value at an archive offset from anywhere, if a valid one is there.
fn check_value<T>(archive: &[u8], offset: usize) -> Option<&T>
where
    T: CheckBytes<CheckStrategy> + Schema,
{
    let validator = &mut Validator::new(archive);
    check_pos_with_context::<T, _, BoxedError>(archive, offset, validator).ok()?;
    let collections = Collections::new(&Description::of::<T>(), archive).check(offset);
    collections.ok()?;
    // SAFETY: it was just accepted.
    Some(unsafe { value_at(archive, offset) })
}

/// The value at an archive offset.
///
/// # Safety
/// There is a valid, aligned one.
unsafe fn value_at<T>(archive: &[u8], offset: usize) -> &T {
    // SAFETY: the caller's promise; the result borrows the archive.
    unsafe { &*archive.as_ptr().add(offset).cast() }
}
