//! Building a map entry by entry.
#![allow(unsafe_code)]

mod carry;

use std::fmt;
use std::marker::PhantomData;

use rkyv::Place;

use super::check::{EntryCheck, Problem};
use super::entry::{ENTRY_LIMIT, Entry, entry_alignment, garbage_head};
use super::index::{ARCHIVE_LIMIT, IndexHead};
use super::key::Key;
use super::table::{Record, Table};
use super::{Map, MapKey};
use crate::archive::{Freezer, Scratch, Sink, Value};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::region::{Backing, Label, Unsealed};
use crate::schema::Description;

pub(crate) use carry::{Moved, offset_of_unit, unit};

/// Position that rkyv is told for the first byte of every entry: far enough from zero that
/// interned values of earlier entries have positions too.
const ENTRY_POSITION: u32 = 1 << 31;
/// Bytes of entries that are checked together.
const CHECKED_AT_ONCE: u64 = 1 << 20;

/// Builds a frozen map: each [`insert`](Self::insert) serialises straight into the memory file.
///
/// The heap holds one entry, sixteen bytes for each entry inserted, a digest and an offset for
/// each distinct interned value, and at the end the table. Entries keep the order of insertion,
/// and equal insertions give equal bytes.
///
/// Several builders, on several threads or in forked parsers (see [`Part`](super::Part)), become
/// one map by [`merge`](Self::merge) and [`append`](Self::append): their bytes are concatenated,
/// nothing is serialised again. What is interned is written once per builder.
///
/// In a forked child a builder of the parent refuses with [`Error::NotOwner`], and dropping it
/// there does nothing.
///
/// ```
/// use floe::MapBuilder;
///
/// let mut versions = MapBuilder::<String, String>::new("versions")?;
/// versions.insert(&"zlib".into(), &"1.3.1".into())?;
/// versions.insert(&"busybox".into(), &"1.37.0".into())?;
/// let versions = versions.finish()?;
/// assert_eq!(versions["zlib"].as_str(), "1.3.1");
/// assert_eq!(versions.get("gcc"), None);
/// # Ok::<(), floe::Error>(())
/// ```
pub struct MapBuilder<K, V> {
    sink: Sink,
    scratch: Scratch,
    records: Vec<Record>,
    description: Description,
    /// The check of the entries that are written, and how many records it has compared.
    check: EntryCheck,
    compared: usize,
    refused: Option<Error>,
    /// Archive offset behind the last entry that is complete.
    complete: u64,
    /// Entries start at multiples of this.
    alignment: u64,
    garbage: u64,
    last_wins: bool,
    /// The inputs section, if the region gets one.
    inputs: Option<Vec<u8>>,
    types: PhantomData<fn(K, V)>,
}

impl<K: MapKey, V: Value> MapBuilder<K, V> {
    /// An empty map in a memory file named `floe:NAME.GENERATION`.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::MemoryFile`].
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self::over(Unsealed::create(
            Label::first(name)?,
            Backing::Memfd,
        )?))
    }

    /// An empty map on the heap, for tests and for systems without memory files: it cannot be
    /// handed to other processes, and a fork copies it like any heap.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn on_heap(name: &str) -> Result<Self> {
        Ok(Self::over(Unsealed::create(
            Label::first(name)?,
            Backing::Heap,
        )?))
    }

    pub(crate) fn over(unsealed: Unsealed) -> Self {
        let description = Map::<K, V>::describe();
        Self {
            sink: Sink::new(unsealed),
            scratch: Scratch::default(),
            records: Vec::new(),
            check: EntryCheck::default(),
            compared: 0,
            refused: None,
            complete: 0,
            alignment: entry_alignment(&description),
            description,
            garbage: 0,
            last_wins: false,
            inputs: None,
            types: PhantomData,
        }
    }

    /// Lets the entry inserted last under a key replace earlier ones, instead of failing. The
    /// replaced bytes stay in the region as garbage.
    #[must_use]
    pub fn last_wins(mut self) -> Self {
        self.last_wins = true;
        self
    }

    /// Entries inserted so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing was inserted yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Adds an entry.
    ///
    /// That a key was there before is noticed by [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`Error::Serialize`], [`Error::TooLarge`] (an entry has at most 1 GiB), [`Error::Write`]
    /// and [`Error::NotOwner`]. The entry is then not in the map; the builder can go on, also if
    /// the serialisation of a key or value panics.
    pub fn insert(&mut self, key: &K, value: &V) -> Result<()> {
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
        self.sink.pad(self.alignment);
        let length = self.sink.offset() - start;
        let entry: *mut Entry<K, V> = self.sink.buffered_mut(start).as_mut_ptr().cast();
        // SAFETY: `reserve` put `SIZE` zeroed bytes at the start of the entry, which is aligned: the
        // buffer is to 16, and what was flushed before ends with a whole entry. The resolvers come from serialising these very values
        // at the positions that the places have.
        unsafe {
            Entry::write_head(entry, length);
            let position = ENTRY_POSITION as usize;
            let (key_field, value_field) = (&raw mut (*entry).key, &raw mut (*entry).value);
            let key_position = position + key_field.byte_offset_from(entry) as usize;
            let value_position = position + value_field.byte_offset_from(entry) as usize;
            key.resolve(key_resolver, Place::new_unchecked(key_position, key_field));
            value.resolve(
                value_resolver,
                Place::new_unchecked(value_position, value_field),
            );
        }
        Ok(())
    }

    /// Adds all entries of another builder, behind the own ones, by copying its bytes. `other` is
    /// gone afterwards, also if entries of this builder are what is refused.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::MemoryFile`] and [`Error::NotOwner`]; what [`finish`](Self::finish)
    /// says of entries, if those of either builder are refused. Refused entries stay, and with them
    /// every later merge and `finish` fails.
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        other.check_all()?;
        let view = other.sink.unsealed.view()?;
        self.append_checked(view.archive(), other.records.iter().copied())?;
        self.garbage += other.garbage;
        Ok(())
    }

    /// Adds all entries of a frozen map, behind the own ones, by copying its bytes.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::MemoryFile`] and [`Error::NotOwner`]; what
    /// [`finish`](Self::finish) says of the own entries, as for [`merge`](Self::merge).
    pub fn append(&mut self, map: &Frozen<Map<K, V>>) -> Result<()> {
        let records = map.offsets().map(|(offset, key)| Record {
            hash: key.key_hash(),
            offset,
        });
        self.append_checked(map.region().section(SectionKind::Archive)?, records)?;
        self.garbage += map.garbage();
        Ok(())
    }

    /// Copies an archive of entries that were checked elsewhere to the end, behind checked ones.
    /// The records are those of that archive.
    fn append_checked(
        &mut self,
        archive: &[u8],
        records: impl Iterator<Item = Record>,
    ) -> Result<()> {
        self.check_all()?;
        let shift = self.append_bytes(archive)?;
        let earlier = self.records.len();
        self.records.extend(records.map(|record| Record {
            offset: record.offset + shift,
            ..record
        }));
        self.compared = self.records.len();
        let starts = self.records[earlier..].iter().map(|record| record.offset);
        self.check.skip_to(self.complete, &self.description, starts);
        Ok(())
    }

    /// Copies whole entries to the end, without a check; returns the archive offset of the first.
    fn append_bytes(&mut self, entries: &[u8]) -> Result<u64> {
        let start = self.complete;
        self.sink.append(entries)?;
        self.complete = self.sink.offset();
        Ok(start)
    }

    /// Checks the entries, builds the index, seals the region and maps it.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] unless the builder was told [`last_wins`](Self::last_wins);
    /// [`Error::TooLarge`] if all entries together take more than 4 TiB; [`Error::KeyHash`] and [`Error::Crowded`] for keys with a bad hash; [`Error::Invalid`] if a
    /// serialisation wrote what does not read; [`Error::Write`], [`Error::MemoryFile`]
    /// and [`Error::NotOwner`].
    pub fn finish(mut self) -> Result<Frozen<Map<K, V>>> {
        self.check_all()?;
        if self.complete > ARCHIVE_LIMIT {
            return Err(Error::TooLarge {
                name: self.sink.unsealed.label().name.clone(),
                most: ARCHIVE_LIMIT,
            });
        }
        let mut head = IndexHead::new(self.records.len() as u64);
        let table = self.table(&head)?;
        let mut unsealed = self.sink.unsealed;
        for garbage in &table.garbage {
            unsealed.patch_archive(&garbage_head(garbage.length), garbage.offset)?;
            head.garbage += garbage.length;
        }
        head.entries -= table.garbage.len() as u64;
        head.garbage += self.garbage;
        unsealed.begin(SectionKind::Index);
        unsealed.append(&head.encode())?;
        for lines in table.lines.chunks(1 << 14) {
            let bytes: Vec<[u8; 64]> = lines.iter().map(|line| line.to_bytes()).collect();
            unsealed.append(bytes.as_flattened())?;
        }
        if let Some(inputs) = &self.inputs {
            unsealed.begin(SectionKind::Inputs);
            unsealed.append(inputs)?;
        }
        let region = Frozen::<Map<K, V>>::seal(unsealed, &self.description)?;
        // SAFETY: `check_all` found every entry of the archive valid, and `table` made the index
        // over them.
        unsafe { Frozen::over(region) }
    }

    /// The index over all records, whose entries are checked.
    fn table(&self, head: &IndexHead) -> Result<Table> {
        let view = self.sink.unsealed.view()?;
        let archive = view.archive().as_ptr();
        // SAFETY: `check_all` found a valid entry at the offset of every record, and `view`
        // borrows the region's only writer while they are read.
        let entry = |offset| unsafe { Entry::<K, V>::at(archive, offset) };
        let name = || self.sink.unsealed.label().name.clone();
        let replaces = |earlier, later| {
            if entry(earlier).key != entry(later).key {
                return Ok(None);
            }
            if self.last_wins {
                return Ok(Some(entry(earlier).length() as u64));
            }
            Err(Error::DuplicateKey {
                name: name(),
                key: format!("{:?}", entry(later).key),
            })
        };
        let crowded = || Error::Crowded { name: name() };
        Table::build(head.lines, &self.records, replaces, crowded)
    }

    /// Writes what is buffered and checks all entries.
    fn check_all(&mut self) -> Result<()> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        self.take_back();
        self.sink.flush()?;
        self.check_flushed()
    }

    /// Checks the entries that were written since the last check. rkyv's traits are safe to
    /// implement, so what they wrote is no more trusted than bytes from elsewhere.
    fn check_flushed(&mut self) -> Result<()> {
        let view = self.sink.unsealed.view()?;
        let mut records = self.records[self.compared..].iter();
        let mut odd_key = None;
        let checked =
            self.check.go_on::<K, V>(
                view.archive(),
                &self.description,
                |offset, key| match records.next() {
                    Some(record) if record.offset == offset && record.hash == key.key_hash() => {
                        Ok(())
                    }
                    _ => {
                        odd_key = Some(format!("{key:?}"));
                        Err(Problem::Archive(String::new()))
                    }
                },
            );
        self.compared = self.records.len() - records.len();
        let name = || self.sink.unsealed.label().name.clone();
        match (checked, odd_key) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(key)) => Err(Error::KeyHash { name: name(), key }),
            (Err(problem), None) => Err(problem.in_cache(name())),
        }
    }
}

impl<K, V> fmt::Debug for MapBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapBuilder")
            .field("name", &self.sink.unsealed.label().name)
            .field("entries", &self.records.len())
            .finish_non_exhaustive()
    }
}
