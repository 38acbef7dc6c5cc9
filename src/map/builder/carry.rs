//! The next generation of a map: the entries that stay are copied as one block of bytes.

use std::collections::HashSet;
use std::marker::PhantomData;

use rkyv::Archive;

use super::super::entry::{Entry, garbage_head};
use super::super::index::{IndexHead, Line, OFFSET_UNIT, home, most_steps, next, tag};
use super::super::key::Key;
use super::super::table::{Record, Table};
use super::super::{ArchivedMap, Map, MapKey};
use super::MapBuilder;
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::Frozen;
use crate::region::format::SectionKind;
use crate::region::{Backing, Label, Unsealed, View};

/// An index that takes new keys may have this many of the ten slots of a line taken, on average,
/// before it is built anew, where a new one has seven.
const MOST_TAKEN: u64 = 8;

/// Where the entries of an earlier generation, and those that are new, stand in the next.
pub(crate) struct Moved {
    /// Archive offset of the first new entry; they follow each other as in their own builder.
    pub(crate) shift: u64,
    /// Earlier and next offsets, ascending by the earlier ones, if the entries were written one by
    /// one. Otherwise they stand where they stood.
    compacted: Option<Vec<(u64, u64)>>,
}

impl Moved {
    /// The next offset of an earlier entry that stays.
    pub(crate) fn of(&self, earlier: u64) -> Option<u64> {
        let Some(pairs) = &self.compacted else {
            return Some(earlier);
        };
        let found = pairs.binary_search_by_key(&earlier, |(earlier, _)| *earlier);
        found.ok().map(|at| pairs[at].1)
    }
}

/// The entries of a builder, borrowed while nothing is inserted.
pub(crate) struct Inserted<'a, K, V> {
    view: View<'a>,
    types: PhantomData<fn(K, V)>,
}

impl<K: MapKey, V: Value> Inserted<'_, K, V> {
    /// Key and bytes of the entry at an offset that the builder gave.
    pub(crate) fn entry(&self, offset: u64) -> (&K::Archived, &[u8]) {
        let archive = self.view.archive();
        let entry = entry_at::<K, V>(archive, offset);
        (&entry.key, &archive[offset as usize..][..entry.length()])
    }
}

impl<K: MapKey, V: Value> MapBuilder<K, V> {
    /// An empty map that will be a generation of a cache.
    pub(crate) fn next_generation(label: Label, backing: Backing) -> Result<Self> {
        Ok(Self::over(Unsealed::create(label, backing)?))
    }

    /// Archive offset of the next entry.
    pub(crate) fn next_offset(&self) -> u64 {
        self.complete
    }

    /// The entries inserted so far, checked.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn inserted(&mut self) -> Result<Inserted<'_, K, V>> {
        self.check_all()?;
        Ok(Inserted {
            view: self.sink.unsealed.view()?,
            types: PhantomData,
        })
    }

    /// Puts an inputs section into the region.
    pub(crate) fn with_inputs(mut self, inputs: Vec<u8>) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// The entries of this builder and those of an earlier generation, without the ones at the
    /// offsets in `going`.
    ///
    /// The archive of the earlier generation is copied as a block, and its index as far as it
    /// serves. A new entry takes the place of the earlier one with its key, which must be among
    /// those going. `inputs` makes the inputs section.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn carry(
        mut self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<u64>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let label = self.sink.unsealed.label().clone();
        let fresh = self.inserted()?.view;
        let mut next = Self::next_generation(label, Backing::Memfd)?;
        next.append_earlier(earlier, going)?;
        let shift = next.append_bytes(fresh.archive())?;
        next.sink.flush()?;
        let records = self.records.iter().map(|record| Record {
            offset: record.offset + shift,
            ..*record
        });
        next.records = records.collect();
        let (head, lines) = next.carried_index(earlier, going)?;
        let inputs = inputs(&Moved {
            shift,
            compacted: None,
        });
        next.seal_carried(&head, &lines, &inputs)
    }

    /// The same without garbage, by copying each entry for itself. Only for entries that
    /// [are independent](entries_are_independent); every byte is checked anew.
    pub(crate) fn compact(
        self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<u64>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let label = self.sink.unsealed.label().clone();
        let mut next = Self::next_generation(label, Backing::Memfd)?;
        let archive = earlier.region().section(SectionKind::Archive)?;
        let mut pairs = Vec::with_capacity(earlier.len());
        for (offset, key) in earlier.offsets().filter(|it| !going.contains(&it.0)) {
            let length = earlier.entry(offset).length();
            pairs.push((offset, next.complete));
            next.copy_entry(key.key_hash(), &archive[offset as usize..][..length])?;
        }
        let moved = Moved {
            shift: next.complete,
            compacted: Some(pairs),
        };
        next.merge(self)?;
        next.with_inputs(inputs(&moved)).finish()
    }

    /// Copies the archive of an earlier generation, with the entries that go as garbage.
    fn append_earlier(&mut self, earlier: &Frozen<Map<K, V>>, going: &HashSet<u64>) -> Result<()> {
        let archive = earlier.region().section(SectionKind::Archive)?;
        let mut going: Vec<u64> = going.iter().copied().collect();
        going.sort_unstable();
        for offset in going {
            self.append_bytes(&archive[self.complete as usize..offset as usize])?;
            self.append_bytes(&garbage_head(earlier.entry(offset).length() as u64))?;
        }
        self.append_bytes(&archive[self.complete as usize..])?;
        Ok(())
    }

    /// Adds an entry that was serialised before.
    fn copy_entry(&mut self, hash: u64, entry: &[u8]) -> Result<()> {
        let offset = self.append_bytes(entry)?;
        self.records.push(Record { hash, offset });
        Ok(())
    }

    /// The index over the block of earlier entries and the new ones behind it.
    fn carried_index(
        &self,
        earlier: &ArchivedMap<K, V>,
        going: &HashSet<u64>,
    ) -> Result<(IndexHead, Vec<Line>)> {
        let garbage = going
            .iter()
            .map(|offset| earlier.entry(*offset).length() as u64);
        let head = IndexHead {
            entries: (earlier.len() + self.records.len() - going.len()) as u64,
            lines: earlier.lines().len() as u64,
            garbage: earlier.garbage() + garbage.sum::<u64>(),
        };
        if head.entries <= MOST_TAKEN * head.lines
            && let Some(lines) = self.reused_lines(earlier, going)?
        {
            return Ok((head, lines));
        }
        self.new_lines(earlier, going, head)
    }

    /// The lines of the earlier index with the slots of the entries that go taken by the ones that
    /// replace them; `None` if that cannot be done in place.
    fn reused_lines(
        &self,
        earlier: &ArchivedMap<K, V>,
        going: &HashSet<u64>,
    ) -> Result<Option<Vec<Line>>> {
        let mut lines = earlier.lines().to_vec();
        let mut vanished = going.clone();
        let view = self.sink.unsealed.view()?;
        let mut steps_left = most_steps(lines.len() as u64);
        for record in &self.records {
            let key = &entry_at::<K, V>(view.archive(), record.offset).key;
            match earlier.find_offset(record.hash, key) {
                Some(replaced) => {
                    if !vanished.remove(&replaced) {
                        return Err(self.duplicate(key));
                    }
                    let Some((line, slot)) = earlier.slot_of(record.hash, replaced) else {
                        return Ok(None);
                    };
                    lines[line].put(slot, tag(record.hash), record.offset);
                }
                None => {
                    if !place(&mut lines, *record, &mut steps_left) {
                        return Ok(None);
                    }
                }
            }
        }
        for offset in vanished {
            let hash = earlier.entry(offset).key.key_hash();
            match earlier.slot_of(hash, offset) {
                // A line that overflows must stay full: searches rely on it.
                Some((line, slot)) if !lines[line].overflows() => lines[line].clear(slot),
                _ => return Ok(None),
            }
        }
        Ok(Some(lines))
    }

    /// A new index over all entries.
    fn new_lines(
        &self,
        earlier: &ArchivedMap<K, V>,
        going: &HashSet<u64>,
        head: IndexHead,
    ) -> Result<(IndexHead, Vec<Line>)> {
        let head = IndexHead {
            garbage: head.garbage,
            ..IndexHead::new(head.entries)
        };
        let kept = earlier
            .offsets()
            .filter(|(offset, _)| !going.contains(offset));
        let kept = kept.map(|(offset, key)| Record {
            hash: key.key_hash(),
            offset,
        });
        let records: Vec<Record> = kept.chain(self.records.iter().copied()).collect();
        let view = self.sink.unsealed.view()?;
        let key = |offset| &entry_at::<K, V>(view.archive(), offset).key;
        let replaces = |one, other| match key(one) == key(other) {
            true => Err(self.duplicate(key(other))),
            false => Ok(None),
        };
        let table = Table::build(head.lines, &records, replaces, || self.crowded())?;
        Ok((head, table.lines))
    }

    fn duplicate(&self, key: &K::Archived) -> Error {
        Error::DuplicateKey {
            name: self.sink.unsealed.label().name.clone(),
            key: format!("{key:?}"),
        }
    }

    fn crowded(&self) -> Error {
        Error::Crowded {
            name: self.sink.unsealed.label().name.clone(),
        }
    }

    fn seal_carried(
        self,
        head: &IndexHead,
        lines: &[Line],
        inputs: &[u8],
    ) -> Result<Frozen<Map<K, V>>> {
        let mut unsealed = self.sink.unsealed;
        unsealed.begin(SectionKind::Index);
        unsealed.append(&head.encode())?;
        for lines in lines.chunks(1 << 14) {
            let bytes: Vec<[u8; 64]> = lines.iter().map(|line| line.to_bytes()).collect();
            unsealed.append(bytes.as_flattened())?;
        }
        unsealed.begin(SectionKind::Inputs);
        unsealed.append(inputs)?;
        let region = Frozen::<Map<K, V>>::seal(unsealed, &self.description)?;
        // SAFETY: the archive is two blocks of whole entries. The first is that of a valid map,
        // so its entries and every pointer in them were checked; pointers are relative and lead
        // nowhere out of their block, so they lead to the same bytes here. Only heads of entries
        // that went were changed, and `Validator::enter` keeps all values clear of heads. The
        // second block was accepted by `check_all`. The index leads to each entry that is not
        // garbage once: it is the earlier index with slots exchanged, taken and cleared by
        // `reused_lines`, which keeps overflowing lines full, or was built over all records.
        unsafe { Frozen::over(region) }
    }
}

/// The unit of the entry at an archive offset, by which inputs know it.
///
/// # Errors
/// [`Error::TooLarge`] for a map of more than 16 GiB.
pub(crate) fn unit(name: &str, offset: u64) -> Result<u32> {
    u32::try_from(offset / OFFSET_UNIT).map_err(|_| Error::TooLarge {
        name: name.to_owned(),
        most: OFFSET_UNIT << u32::BITS,
    })
}

/// The archive offset of a unit.
pub(crate) fn offset_of_unit(unit: u32) -> u64 {
    u64::from(unit) * OFFSET_UNIT
}

/// The entry at the offset of a record whose archive was checked, or copied from a checked one.
fn entry_at<K: Archive, V: Archive>(archive: &[u8], offset: u64) -> &Entry<K, V> {
    // SAFETY: `carry` copies blocks of checked entries only, each aligned for them, and takes offsets
    // from the records and the iterators of those; the borrow of the archive outlives the entry.
    unsafe { Entry::at(archive.as_ptr(), offset) }
}

/// Places a record whose key is not there; false if no steps are left.
fn place(lines: &mut [Line], record: Record, steps_left: &mut u64) -> bool {
    let count = lines.len() as u64;
    let mut number = home(record.hash, count);
    while !lines[number as usize].put_in_empty(tag(record.hash), record.offset) {
        let Some(left) = steps_left.checked_sub(1) else {
            return false;
        };
        *steps_left = left;
        number = next(number, count);
    }
    true
}
