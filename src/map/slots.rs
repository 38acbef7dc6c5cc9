//! Small entries: they stand in the table themselves, in slots that the hashes of their keys give.
//!
//! So are the maps laid out whose keys and values have all their bytes in themselves, at most
//! [`MOST_SIZE`] of them in an entry.
//!
//! ```text
//! archive section  = slots | overflow entries
//! slot, entry      = archived key | archived value       each aligned for itself, 4 at least
//! index section    = header of 64 bytes | pilots | zeros to a multiple of 8 | live bits
//!
//! header   0  4  hash id
//!          4  4  bytes of an entry
//!          8  8  entries
//!         16  8  buckets
//!         24  8  slots of a part
//!         32  8  overflow entries
//!         40  8  parts without entries
//!         48 16  zeros
//! pilots         one byte a bucket
//! live bits      one bit a slot, the lowest first; those of a part begin a u64
//! ```
//!
//! A *part* has 64 *buckets* and 256 slots. The bucket of a key follows from its hash, and the slot
//! from hash and *pilot* of the bucket, which the builder has chosen so that all keys of the bucket
//! have slots of their own:
//!
//! ```text
//! bucket = (hash * buckets) >> 64             of 128 bits; bucket b belongs to part b / 64
//! slot   = part * 256 + ((hash mod 2^32 * pilot) mod 2^32 >> 24) mod (slots of a part)
//! ```
//!
//! With pilot 1 to 255 the entry is there, or nowhere. Pilot 0 stands for buckets whose keys found
//! no such places: they stand in any slots of the part, or, where it is full, in the overflow. One
//! part alone, of up to 240 entries, has 2, 4, .. 256 slots and a quarter as many buckets.
//!
//! Rules, beside what this says:
//!
//! - Free slots are copies of the first live entry of their part; in a part without entries, of the
//!   first one of the map. So all slots hold valid entries, a lookup need not know which are live,
//!   and a copy is never found, since its key leads to another slot.
//! - Entries of buckets with pilot 0 ascend by hash and bytes of the key: those in slots by slot,
//!   then those in the overflow. The overflow has at most [`MOST_EQUAL`] of one hash.
//! - Pilots of buckets without keys are 1.
//!
//! The bytes of a part are a function of the set of its entries: the order of insertion does not
//! count, and what a generation changes in a part is as if it had been made afresh.
#![forbid(unsafe_code)]

mod arrange;
mod change;
mod check;
mod fill;

use super::index::{HASH_ID, INDEX_HEADER_LENGTH};

pub(super) use arrange::Arrangement;
pub(super) use change::ChangedSlots;
pub(crate) use check::check_slots;

/// Most bytes of an entry that stands in a slot. Larger ones would make free slots too dear.
pub(super) const MOST_SIZE: usize = 40;
pub(crate) const PART_BUCKETS: u64 = 64;
pub(crate) const PART_SLOTS: u64 = 256;
/// Words of live bits of a part.
const PART_WORDS: usize = (PART_SLOTS / 64) as usize;
/// Entries of a part on average where there are several.
const PART_LOAD: u64 = 188;
/// Most overflow entries of one hash: a search looks at so many.
pub(crate) const MOST_EQUAL: usize = 256;

/// The bucket of a hash; there is one at least.
#[inline]
pub(crate) fn bucket_of(hash: u64, buckets: u64) -> u64 {
    ((u128::from(hash) * u128::from(buckets)) >> 64) as u64
}

/// The number of the first slot of a bucket's part.
#[inline]
pub(crate) fn first_slot(bucket: u64) -> u64 {
    (bucket & !(PART_BUCKETS - 1)) * (PART_SLOTS / PART_BUCKETS)
}

/// The slot in its part of a hash; `mask` is the number of slots of a part less 1.
#[inline]
pub(crate) fn slot_in_part(hash: u64, pilot: u8, mask: u64) -> u64 {
    u64::from((hash as u32).wrapping_mul(u32::from(pilot)) >> 24) & mask
}

/// Where the parts of an entry are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotLayout {
    /// Bytes of an entry.
    pub(crate) size: usize,
    pub(crate) key_offset: usize,
    pub(crate) key_size: usize,
}

impl SlotLayout {
    /// The bytes of the key of an entry.
    pub(super) fn key(self, entry: &[u8]) -> &[u8] {
        &entry[self.key_offset..][..self.key_size]
    }
}

/// What the index of a map of small entries says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SlotHeader {
    pub(crate) entries: u64,
    pub(crate) buckets: u64,
    /// Slots of a part: a power of two, if there are entries.
    pub(crate) part_slots: u64,
    pub(crate) overflow: u64,
    pub(crate) empty_parts: u64,
}

impl SlotHeader {
    /// The header for a number of entries, before it is known how they fall into the parts.
    pub(super) fn new(entries: u64) -> Self {
        let slots = (entries + entries / 16 + 1).next_power_of_two();
        let (buckets, part_slots) = match entries {
            0 => (0, 0),
            _ if slots <= PART_SLOTS => (slots.div_ceil(PART_SLOTS / PART_BUCKETS), slots),
            _ => (entries.div_ceil(PART_LOAD) * PART_BUCKETS, PART_SLOTS),
        };
        Self {
            entries,
            buckets,
            part_slots,
            overflow: 0,
            empty_parts: 0,
        }
    }

    pub(crate) fn parts(&self) -> u64 {
        self.buckets.div_ceil(PART_BUCKETS)
    }

    /// Slots of all parts.
    pub(crate) fn slots(&self) -> u64 {
        self.parts() * self.part_slots
    }

    /// Words of the live bits of a part.
    pub(crate) fn words(&self) -> u64 {
        self.part_slots.div_ceil(64)
    }

    /// Buckets of a part.
    fn part_buckets(&self) -> u64 {
        self.buckets.min(PART_BUCKETS)
    }

    /// Whether a part can be neither filled nor emptied further without a look at the others.
    fn is_irregular(&self) -> bool {
        self.overflow != 0 || self.empty_parts != 0
    }

    /// The part that a hash belongs to.
    pub(super) fn part_of(&self, hash: u64) -> u64 {
        bucket_of(hash, self.buckets) / PART_BUCKETS
    }

    /// Where the pilots of a part are in the index section.
    fn pilots_at(part: u64) -> u64 {
        INDEX_HEADER_LENGTH as u64 + part * PART_BUCKETS
    }

    /// Where the live bits of a part are in the index section.
    pub(crate) fn live_at(&self, part: u64) -> u64 {
        let start = INDEX_HEADER_LENGTH as u64 + self.buckets.next_multiple_of(8);
        start + part * self.words() * 8
    }

    /// Length of the index section.
    pub(crate) fn index_length(&self) -> u64 {
        self.live_at(self.parts())
    }

    pub(super) fn encode(&self, size: usize) -> [u8; INDEX_HEADER_LENGTH] {
        let mut bytes = [0; INDEX_HEADER_LENGTH];
        bytes[..4].copy_from_slice(&HASH_ID.to_le_bytes());
        bytes[4..8].copy_from_slice(&(size as u32).to_le_bytes());
        let fields = [
            self.entries,
            self.buckets,
            self.part_slots,
            self.overflow,
            self.empty_parts,
        ];
        for (place, field) in bytes[8..].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads the header at the start of an index section, and compares it with the lengths of index
    /// and archive, and with the size of an entry.
    pub(crate) fn decode(
        start: &[u8],
        index: u64,
        archive: u64,
        size: usize,
    ) -> Result<Self, &'static str> {
        let Some(bytes) = start.first_chunk::<INDEX_HEADER_LENGTH>() else {
            return Err("it is shorter than its header");
        };
        let word = |offset: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]));
        let field = |offset: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]));
        if word(0) != HASH_ID {
            return Err("its hash function is unknown");
        }
        if word(4) as usize != size {
            return Err("its entries have another size than the type");
        }
        if bytes[48..].iter().any(|&byte| byte != 0) {
            return Err("its header ends in other bytes than zeros");
        }
        let header = Self {
            entries: field(8),
            buckets: field(16),
            part_slots: field(24),
            overflow: field(32),
            empty_parts: field(40),
        };
        if header.buckets > index || header.part_slots > PART_SLOTS {
            return Err("it has too many buckets, or slots of a part");
        }
        let is_regular = match header.buckets {
            0 => header.part_slots == 0,
            buckets if header.part_slots == PART_SLOTS => buckets.is_multiple_of(PART_BUCKETS),
            buckets => {
                header.part_slots.is_power_of_two()
                    && buckets == header.part_slots.div_ceil(PART_SLOTS / PART_BUCKETS)
            }
        };
        if !is_regular {
            return Err("its numbers of buckets and of slots do not go together");
        }
        header.check_lengths(index, archive, size)?;
        Ok(header)
    }

    /// Compares the lengths of the sections: once they fit, no product of these numbers overflows.
    fn check_lengths(&self, index: u64, archive: u64, size: usize) -> Result<(), &'static str> {
        let wide = u128::from;
        let (parts, words) = (wide(self.parts()), wide(self.words()));
        let table = wide(self.buckets).next_multiple_of(8) + parts * words * 8;
        if INDEX_HEADER_LENGTH as u128 + table != wide(index) {
            return Err("its length does not fit its number of buckets");
        }
        let entries = parts * wide(self.part_slots) + wide(self.overflow);
        if entries * size as u128 != wide(archive) {
            return Err("the length of the archive does not fit its numbers of slots and overflow");
        }
        Ok(())
    }
}

/// Whether a slot of a part is live.
fn is_live(live: &[u64], slot: usize) -> bool {
    live[slot / 64] >> (slot % 64) & 1 != 0
}

fn set_live(live: &mut [u64], slot: usize) {
    live[slot / 64] |= 1 << (slot % 64);
}

/// The first live slot of a part.
fn lowest(live: &[u64]) -> Option<usize> {
    let word = live.iter().position(|word| *word != 0)?;
    Some(word * 64 + live[word].trailing_zeros() as usize)
}

/// The live bits of a part, from their bytes.
fn live_of(bytes: &[u8]) -> [u64; PART_WORDS] {
    let mut live = [0; PART_WORDS];
    for (word, bytes) in live.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    live
}
