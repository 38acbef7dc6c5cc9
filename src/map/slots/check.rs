//! The check of a map of small entries, whoever wrote it: one pass, one hash of each key, and no
//! search.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::ops::Range;

use super::{
    MOST_EQUAL, PART_BUCKETS, SlotHeader, SlotLayout, bucket_of, is_live, live_of, lowest,
    slot_in_part,
};
use crate::map::check::MapError;

/// Checks an index whose header was read before, and the archive section.
///
/// `slots` gives a range of the archive, and `hash` checks the entry at an archive offset: it gives
/// the hash of its key, or `None` if that is not known, so that the place of the entry is not
/// checked.
pub(crate) fn check_slots<'a>(
    header: &SlotHeader,
    index: &[u8],
    layout: SlotLayout,
    slots: impl Fn(Range<u64>) -> Result<Cow<'a, [u8]>, MapError>,
    hash: impl FnMut(u64) -> Result<Option<u64>, MapError>,
) -> Result<(), MapError> {
    let size = layout.size as u64;
    let part_size = header.part_slots * size;
    let end = header.slots() * size;
    let overflow = slots(end..end + header.overflow * size)?;
    let mut check = Check {
        header,
        layout,
        hash,
        overflow: Overflow {
            left: &overflow,
            at: end,
            next: None,
            run: (0, 0),
        },
        entries: header.overflow,
        first: None,
    };
    let padding = SlotHeader::pilots_at(0) + header.buckets;
    if index[padding as usize..header.live_at(0) as usize]
        != [0; 8][..(header.live_at(0) - padding) as usize]
    {
        return index_error("the bytes behind its pilots are not zero");
    }
    let mut empty = Vec::new();
    for part in 0..header.parts() {
        let bytes = slots(part * part_size..(part + 1) * part_size)?;
        if !check.part(part, index, &bytes)? {
            empty.push(part);
        }
    }
    if check.overflow.next_hash(&mut check.hash, size)?.is_some() {
        return index_error("its overflow has an entry that no part overflows with");
    }
    let counted = (check.entries, empty.len() as u64);
    if counted != (header.entries, header.empty_parts) {
        return Err(MapError::Index(format!(
            "it counts {} entries and {} parts without any, where there are {} and {}",
            header.entries, header.empty_parts, counted.0, counted.1
        )));
    }
    let Some(first) = check.first else {
        return match header.buckets {
            0 => Ok(()),
            _ => index_error("it has buckets, and no entries"),
        };
    };
    for part in empty {
        let start = part * part_size;
        let bytes = slots(start..start + part_size)?;
        let mut free = bytes.chunks_exact(layout.size);
        if let Some(slot) = free.position(|slot| slot != first) {
            return not_a_copy(start + slot as u64 * size);
        }
    }
    Ok(())
}

fn index_error(reason: &str) -> Result<(), MapError> {
    Err(MapError::Index(reason.to_owned()))
}

fn entry_error<T>(offset: u64, problem: &str) -> Result<T, MapError> {
    Err(MapError::Index(format!(
        "the entry at offset {offset} {problem}"
    )))
}

fn not_a_copy<T>(offset: u64) -> Result<T, MapError> {
    Err(MapError::Archive(format!(
        "the free slot at offset {offset} is no copy of the first entry"
    )))
}

struct Check<'a, H> {
    header: &'a SlotHeader,
    layout: SlotLayout,
    hash: H,
    overflow: Overflow<'a>,
    /// Live entries met so far, and those in the overflow.
    entries: u64,
    /// The first live entry of the map.
    first: Option<Vec<u8>>,
}

/// Entries of the overflow that no part has claimed yet.
struct Overflow<'a> {
    left: &'a [u8],
    at: u64,
    /// The hash of the next one, once it was checked.
    next: Option<Option<u64>>,
    /// A hash, and how many entries with it there were one after the other.
    run: (u64, usize),
}

impl Overflow<'_> {
    /// The hash of the next entry, if there is one and its hash is known.
    fn next_hash(
        &mut self,
        hash: &mut impl FnMut(u64) -> Result<Option<u64>, MapError>,
        size: u64,
    ) -> Result<Option<u64>, MapError> {
        while !self.left.is_empty() {
            let known = match self.next {
                Some(known) => known,
                None => *self.next.insert(hash(self.at)?),
            };
            if known.is_some() {
                return Ok(known);
            }
            self.advance(size);
        }
        Ok(None)
    }

    fn advance(&mut self, size: u64) {
        self.left = &self.left[size as usize..];
        self.at += size;
        self.next = None;
    }
}

impl<H: FnMut(u64) -> Result<Option<u64>, MapError>> Check<'_, H> {
    /// Checks one part; false if it has no entries.
    fn part(&mut self, part: u64, index: &[u8], slots: &[u8]) -> Result<bool, MapError> {
        let (header, layout) = (self.header, self.layout);
        let pilots = &index[SlotHeader::pilots_at(part) as usize..];
        let pilots = &pilots[..header.part_buckets() as usize];
        let live = &index[header.live_at(part) as usize..][..header.words() as usize * 8];
        let live = live_of(live);
        if header.part_slots < 64 && live[0] >> header.part_slots != 0 {
            index_error("it has live bits behind the slots")?;
        }
        let Some(first) = lowest(&live) else {
            if pilots.iter().any(|&pilot| pilot != 1) {
                index_error("a part without entries has pilots")?;
            }
            return Ok(false);
        };
        let first = &slots[first * layout.size..][..layout.size];
        self.first.get_or_insert_with(|| first.to_vec());
        let start = part * header.part_slots * layout.size as u64;
        let mut last = None;
        for (slot, entry) in slots.chunks_exact(layout.size).enumerate() {
            let offset = start + (slot * layout.size) as u64;
            if is_live(&live, slot) {
                self.entry(part, pilots, (slot as u64, offset), entry, &mut last)?;
            } else if entry != first {
                return not_a_copy(offset);
            }
        }
        self.overflow_of(part, pilots, last)?;
        Ok(true)
    }

    /// Checks a live entry. `last` is hash and key of the one before it without a pilot.
    fn entry<'e>(
        &mut self,
        part: u64,
        pilots: &[u8],
        (slot, offset): (u64, u64),
        entry: &'e [u8],
        last: &mut Option<(u64, &'e [u8])>,
    ) -> Result<(), MapError> {
        self.entries += 1;
        let Some(hash) = (self.hash)(offset)? else {
            return Ok(());
        };
        let bucket = bucket_of(hash, self.header.buckets);
        if bucket / PART_BUCKETS != part {
            return entry_error(offset, "stands in a part that is not its own");
        }
        match pilots[(bucket % PART_BUCKETS) as usize] {
            0 => {
                let rank = (hash, self.layout.key(entry));
                if last.is_some_and(|last| last >= rank) {
                    return entry_error(offset, "is not in the order of those without a pilot");
                }
                *last = Some(rank);
            }
            pilot if slot_in_part(hash, pilot, self.header.part_slots - 1) != slot => {
                return entry_error(offset, "stands where its key does not lead");
            }
            _ => {}
        }
        Ok(())
    }

    /// Checks the entries of the overflow that belong to a part: they stand behind all that it has
    /// without a pilot, in order, so that no key is there twice.
    fn overflow_of(
        &mut self,
        part: u64,
        pilots: &[u8],
        last: Option<(u64, &[u8])>,
    ) -> Result<(), MapError> {
        let (header, layout) = (self.header, self.layout);
        let mut last = last.map(|(hash, key)| (hash, key.to_vec()));
        let size = layout.size as u64;
        while let Some(hash) = self.overflow.next_hash(&mut self.hash, size)? {
            let bucket = bucket_of(hash, header.buckets);
            if bucket / PART_BUCKETS != part {
                break;
            }
            let overflow = &mut self.overflow;
            let rank = (hash, layout.key(&overflow.left[..layout.size]).to_vec());
            if pilots[(bucket % PART_BUCKETS) as usize] != 0 {
                return entry_error(
                    overflow.at,
                    "is in the overflow, where its bucket has a pilot",
                );
            }
            if last.is_some_and(|last| last >= rank) {
                return entry_error(overflow.at, "is not in the order of the overflow");
            }
            last = Some(rank);
            overflow.run = match overflow.run {
                (same, count) if same == hash => (hash, count + 1),
                _ => (hash, 1),
            };
            if overflow.run.1 > MOST_EQUAL {
                return entry_error(overflow.at, "has the hash of too many others");
            }
            overflow.advance(size);
        }
        Ok(())
    }
}
