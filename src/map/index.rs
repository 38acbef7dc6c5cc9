//! The table that finds entries: open addressing, one u64 for a slot.
//!
//! ```text
//! index section = head of 64 bytes | slots
//! head = hash id (u32) | zero (u32) | entries | slots | bytes of garbage entries | zeros
//! slot = 0 (empty), or bits 0-23 tag, bits 24-63 offset of the entry / 16 + 1
//! ```
//!
//! The home slot of a key is the low bits of its hash, its tag the high 24 bits; collisions go to
//! the next slot. At most 3/4 of the slots are taken, so a search always meets an empty one.

/// Bytes before the slots.
pub(crate) const HEAD_LENGTH: usize = 64;
/// The hash of [`Key`](super::Key) as it is today.
const HASH_ID: u32 = 1;
/// The slots of one cache line: the smallest table.
const FEWEST_SLOTS: u64 = 8;

const TAG_BITS: u32 = 24;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;

/// A slot of the table, little-endian.
pub(crate) type Slot = [u8; 8];
pub(crate) const EMPTY: Slot = [0; 8];

/// What an index says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexHead {
    pub(crate) entries: u64,
    pub(crate) slots: u64,
    pub(crate) garbage: u64,
}

impl IndexHead {
    /// The head for a number of entries: the smallest power of two of slots that is filled to
    /// 3/4 at most.
    pub(crate) fn new(entries: u64) -> Self {
        let slots = (entries * 4)
            .div_ceil(3)
            .next_power_of_two()
            .max(FEWEST_SLOTS);
        Self {
            entries,
            slots,
            garbage: 0,
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_LENGTH] {
        let mut bytes = [0; HEAD_LENGTH];
        bytes[..4].copy_from_slice(&HASH_ID.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.slots.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.garbage.to_le_bytes());
        bytes
    }

    /// Reads the head of an index section and compares it with the section's length.
    pub(crate) fn decode(section: &[u8]) -> Result<Self, &'static str> {
        let Some(bytes) = section.first_chunk::<HEAD_LENGTH>() else {
            return Err("it is shorter than its head");
        };
        let field = |offset: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]));
        if field(0) != u64::from(HASH_ID) {
            return Err("its hash function is unknown");
        }
        let head = Self {
            entries: field(8),
            slots: field(16),
            garbage: field(24),
        };
        if bytes[32..].iter().any(|&byte| byte != 0) {
            return Err("its head ends in other bytes than zeros");
        }
        if !head.slots.is_power_of_two() || head.entries >= head.slots {
            return Err("its number of slots does not fit its number of entries");
        }
        let slot_bytes = (section.len() - HEAD_LENGTH) as u64;
        if head.slots.checked_mul(size_of::<Slot>() as u64) != Some(slot_bytes) {
            return Err("its length does not fit its number of slots");
        }
        Ok(head)
    }
}

/// The slot for an entry at an archive offset.
#[inline]
pub(crate) fn slot(hash: u64, offset: u64) -> Slot {
    (((offset / super::entry::ENTRY_ALIGNMENT + 1) << TAG_BITS) | tag(hash)).to_le_bytes()
}

/// The archive offset in a taken slot.
#[inline]
pub(crate) fn slot_offset(slot: u64) -> u64 {
    ((slot >> TAG_BITS) - 1) * super::entry::ENTRY_ALIGNMENT
}

/// The bits of the hash that stand in a slot.
#[inline]
pub(crate) fn tag(hash: u64) -> u64 {
    hash >> (u64::BITS - TAG_BITS)
}

/// The tag in a slot.
#[inline]
pub(crate) fn slot_tag(slot: u64) -> u64 {
    slot & TAG_MASK
}

/// Numbers of the slots to look at, in order, without end.
#[inline]
pub(crate) fn probe(hash: u64, slots: u64) -> impl Iterator<Item = usize> {
    let mask = slots - 1;
    (0..).map(move |step: u64| (hash.wrapping_add(step) & mask) as usize)
}
