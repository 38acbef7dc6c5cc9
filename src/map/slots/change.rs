//! The next generation of a map of small entries, of which the parts are filled anew that change.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};

use super::fill::{FilledPart, fill_free};
use super::{PART_LOAD, SlotHeader, SlotLayout, live_of, lowest};
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::map::MapKey;
use crate::map::archived::ArchivedMap;
use crate::map::changed::ChangedBytes;
use crate::map::key::Key;
use crate::map::raw::EntryRef;
use crate::map::table::Record;
use crate::region::Successor;

/// A map with changes that has the shape it had.
pub(in crate::map) struct ChangedSlots<'a> {
    header: SlotHeader,
    layout: SlotLayout,
    archive: ChangedBytes<'a>,
    index: ChangedBytes<'a>,
    earlier: (&'a [u8], &'a [u8]),
    /// Earlier and next offsets of entries in the parts that changed.
    pub(in crate::map) moved: Vec<(u64, u64)>,
    /// Offsets of the new entries where they were, and in the map.
    pub(in crate::map) placed: Vec<(u64, u64)>,
}

/// A new entry.
struct Coming<'f, K: MapKey, V: Value> {
    record: Record,
    entry: EntryRef<'f, K, V>,
    /// The offset of the entry with its key that goes.
    replaced: Option<u64>,
}

/// An entry of a part that is filled anew.
struct Member<'m> {
    hash: u64,
    bytes: &'m [u8],
    offset: u64,
    is_new: bool,
}

/// What changes in a part.
struct PartChange<'c, 'f, K: MapKey, V: Value> {
    going: Vec<u64>,
    coming: Vec<&'c Coming<'f, K, V>>,
}

impl<'a> ChangedSlots<'a> {
    /// A map with new entries, and without those at some offsets; `None` if that needs another
    /// shape. `earlier` has these sections.
    ///
    /// # Errors
    /// `duplicate` of a key that the map has, or that two new entries have.
    pub(in crate::map) fn new<'f, K: MapKey, V: Value>(
        earlier: &ArchivedMap<K, V>,
        sections: (&'a [u8], &'a [u8]),
        going: &HashSet<u64>,
        fresh: impl Iterator<Item = (Record, EntryRef<'f, K, V>)>,
        duplicate: impl Fn(&K::Archived) -> Error,
    ) -> Result<Option<Self>> {
        let coming = |(record, entry): (Record, EntryRef<'f, K, V>)| {
            let replaced = earlier.find_entry(record.hash, entry.key());
            let replaced = replaced.map(EntryRef::offset);
            match replaced {
                Some(offset) if !going.contains(&offset) => Err(duplicate(entry.key())),
                _ => Ok(Coming {
                    record,
                    entry,
                    replaced,
                }),
            }
        };
        let coming: Vec<Coming<'f, K, V>> = fresh.map(coming).collect::<Result<_>>()?;
        let header = *earlier.raw().slots();
        let entries = header.entries + coming.len() as u64 - going.len() as u64;
        let is_sparse = header.parts() > 1 && entries < header.parts() * PART_LOAD / 4;
        if entries == 0 || header.buckets == 0 || header.is_irregular() || is_sparse {
            return Ok(None);
        }
        let layout = EntryRef::<K, V>::SLOT;
        let mut changed = Self {
            header: SlotHeader { entries, ..header },
            layout,
            archive: ChangedBytes::new(sections.0),
            index: ChangedBytes::new(sections.1),
            earlier: sections,
            moved: Vec::new(),
            placed: Vec::new(),
        };
        changed.index.write(0, &changed.header.encode(layout.size));
        for (part, change) in by_part(&header, layout, going, &coming) {
            let replaces = |it: &&Coming<'f, K, V>| it.replaced.is_some();
            if change.going.len() == change.coming.len() && change.coming.iter().all(replaces) {
                changed.replace(part, &change);
            } else if !changed.fill(earlier, part, &change, &duplicate)? {
                return Ok(None);
            }
        }
        changed.moved.sort_unstable();
        changed.placed.sort_unstable();
        Ok(Some(changed))
    }

    fn part_size(&self) -> usize {
        self.header.part_slots as usize * self.layout.size
    }

    /// The slots of a part as they were.
    fn slots(&self, part: u64) -> &'a [u8] {
        let start = part as usize * self.part_size();
        &self.earlier.0[start..][..self.part_size()]
    }

    fn live(&self, part: u64) -> [u64; super::PART_WORDS] {
        let start = self.header.live_at(part) as usize;
        live_of(&self.earlier.1[start..][..self.header.words() as usize * 8])
    }

    /// Writes new values: keys that stay keep their slots.
    fn replace<K: MapKey, V: Value>(&mut self, part: u64, change: &PartChange<'_, '_, K, V>) {
        let start = part as usize * self.part_size();
        let mut slots = self.slots(part).to_vec();
        let size = self.layout.size;
        for coming in &change.coming {
            let offset = coming.replaced.unwrap_or_default();
            slots[offset as usize - start..][..size].copy_from_slice(coming.entry.bytes());
            self.placed.push((coming.record.offset, offset));
        }
        let live = self.live(part);
        if let Some(first) = lowest(&live) {
            fill_free(&mut slots, size, &live, first);
        }
        self.archive.write(start, &slots);
    }

    /// Fills a part with other keys; false if it has no room for them, or none is left.
    fn fill<'f, K: MapKey, V: Value>(
        &mut self,
        earlier: &ArchivedMap<K, V>,
        part: u64,
        change: &PartChange<'_, 'f, K, V>,
        duplicate: &impl Fn(&K::Archived) -> Error,
    ) -> Result<bool> {
        let first = part * self.header.part_slots;
        let kept = earlier.slot_entries(first..first + self.header.part_slots);
        let kept: Vec<EntryRef<'_, K, V>> = kept
            .filter(|entry| !change.going.contains(&entry.offset()))
            .collect();
        let kept = kept.iter().map(|entry| Member {
            hash: entry.key().key_hash(),
            bytes: entry.bytes(),
            offset: entry.offset(),
            is_new: false,
        });
        let coming = change.coming.iter().map(|coming| Member {
            hash: coming.record.hash,
            bytes: coming.entry.bytes(),
            offset: coming.record.offset,
            is_new: true,
        });
        let mut members: Vec<Member<'_>> = kept.chain(coming).collect();
        let (layout, header) = (self.layout, self.header);
        let rank = |it: &Member<'_>| (it.hash, layout.key(it.bytes).to_vec());
        members.sort_by(|one, other| {
            let hashes = one.hash.cmp(&other.hash);
            hashes.then_with(|| layout.key(one.bytes).cmp(layout.key(other.bytes)))
        });
        let twice = members.windows(2).find(|it| rank(&it[0]) == rank(&it[1]));
        if let Some(member) = twice.map(|it| &it[1]) {
            let mut coming = change.coming.iter();
            let coming = coming.find(|it| it.entry.bytes() == member.bytes);
            return coming.map_or(Ok(false), |it| Err(duplicate(it.entry.key())));
        }
        // A key whose hash is not what it was is found by whoever makes the map afresh.
        let belongs = |it: &Member<'_>| header.part_of(it.hash) == part;
        if members.is_empty()
            || members.len() as u64 > header.part_slots
            || !members.iter().all(belongs)
        {
            return Ok(false);
        }
        let hashes: Vec<u64> = members.iter().map(|it| it.hash).collect();
        let filled = FilledPart::new(&header, &hashes);
        let mut slots = vec![0; self.part_size()];
        filled.write_slots(&mut slots, layout.size, members.iter().map(|it| it.bytes));
        for (member, place) in members.iter().zip(filled.places) {
            let pair = (
                member.offset,
                (first + u64::from(place)) * layout.size as u64,
            );
            match member.is_new {
                true => self.placed.push(pair),
                false => self.moved.push(pair),
            }
        }
        self.archive.write(part as usize * self.part_size(), &slots);
        let pilots = SlotHeader::pilots_at(part) as usize;
        self.index.write(pilots, filled.pilots(&header));
        let live: Vec<u8> = filled.live(&header).collect();
        self.index.write(header.live_at(part) as usize, &live);
        Ok(true)
    }

    /// Puts the archive section into the next generation.
    pub(in crate::map) fn put_archive(&self, next: &mut Successor<'_>) {
        self.archive.put(next);
    }

    /// Puts the index section into the next generation.
    pub(in crate::map) fn put_index(&self, next: &mut Successor<'_>) {
        self.index.put(next);
    }
}

/// The changes of each part.
fn by_part<'c, 'f, K: MapKey, V: Value>(
    header: &SlotHeader,
    layout: SlotLayout,
    going: &HashSet<u64>,
    coming: &'c [Coming<'f, K, V>],
) -> BTreeMap<u64, PartChange<'c, 'f, K, V>> {
    let nothing = || PartChange {
        going: Vec::new(),
        coming: Vec::new(),
    };
    let mut parts = BTreeMap::new();
    for offset in going {
        let part = offset / layout.size as u64 / header.part_slots;
        let part = parts.entry(part).or_insert_with(nothing);
        part.going.push(*offset);
    }
    for coming in coming {
        let part = header.part_of(coming.record.hash);
        let part = parts.entry(part).or_insert_with(nothing);
        part.coming.push(coming);
    }
    parts
}
