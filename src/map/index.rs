//! The table that finds entries: lines of seven slots, one cache line each.
//!
//! ```text
//! index section = head of 64 bytes | lines
//! head = hash id (u32) | zero (u32) | entries | lines | bytes of garbage entries | zeros
//! line = 7 tags | overflow mark | 7 offsets of entries (u64 each)
//! ```
//!
//! A tag is one byte of the key's hash, or zero for an empty slot; the seven of a line are compared
//! at once. The home line of a key follows from the high bits of its hash, its tag from the low
//! ones. A key that finds its home line full goes to the next; the overflow mark of the lines that
//! it passed is 1, and a search goes on from marked lines only. At most 9 of 14 slots are taken.

/// Bytes before the lines.
pub(crate) const HEAD_LENGTH: usize = 64;
/// The hash of [`Key`](super::Key) as it is today.
const HASH_ID: u32 = 1;
/// Slots of a line.
pub(crate) const LINE_SLOTS: usize = 7;
/// How many slots of two lines are taken on average, at most. More make misses and overflows
/// dearer, fewer make the table larger: it has 14 bytes for an entry.
const TWO_LINES_ENTRIES: u64 = 9;

/// What a search looks at in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub(crate) struct Line {
    /// The tags of the seven slots from the lowest byte on, and the overflow mark.
    tags: [u8; 8],
    /// Archive offsets, little-endian; zero in empty slots.
    offsets: [[u8; 8]; LINE_SLOTS],
}

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    /// The slots whose tag is `tag`: for each of them the highest bit of its byte is set.
    ///
    /// It is exact, without a borrow from byte to byte: an empty slot in the answer would be read
    /// as an entry.
    #[inline]
    pub(crate) fn candidates(&self, tag: u8) -> Candidates {
        const ONES: u64 = 0x0001_0101_0101_0101;
        const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        const SLOTS: u64 = 0x0080_8080_8080_8080;
        let differing = u64::from_le_bytes(self.tags) ^ (u64::from(tag) * ONES);
        let not_zero = ((differing & LOW_BITS) + LOW_BITS) | differing;
        Candidates(!not_zero & SLOTS)
    }

    /// The archive offset in a slot.
    #[inline]
    pub(crate) fn offset(&self, slot: usize) -> u64 {
        u64::from_le_bytes(self.offsets[slot])
    }

    /// Whether a search goes on behind this line.
    #[inline]
    pub(crate) fn overflows(&self) -> bool {
        self.tags[LINE_SLOTS] != 0
    }

    /// Whether the entry at an archive offset stands here.
    #[inline]
    pub(crate) fn has(&self, tag: u8, offset: u64) -> bool {
        let mut candidates = self.candidates(tag);
        candidates.any(|slot| self.offset(slot) == offset)
    }

    /// Whether a slot without an entry has an offset.
    pub(crate) fn has_stray_offset(&self) -> bool {
        (0..LINE_SLOTS).any(|slot| self.tags[slot] == 0 && self.offset(slot) != 0)
    }

    /// Whether no slot is empty.
    pub(crate) fn is_full(&self) -> bool {
        self.tags[..LINE_SLOTS].iter().all(|tag| *tag != 0)
    }

    /// Slots in use.
    pub(crate) fn taken(&self) -> u64 {
        self.tags[..LINE_SLOTS]
            .iter()
            .filter(|tag| **tag != 0)
            .count() as u64
    }

    /// Takes a slot.
    pub(crate) fn put(&mut self, slot: usize, tag: u8, offset: u64) {
        self.tags[slot] = tag;
        self.offsets[slot] = offset.to_le_bytes();
    }

    /// Takes the first empty slot; if there is none, marks the line as overflowing.
    pub(crate) fn put_in_empty(&mut self, tag: u8, offset: u64) -> bool {
        match self.tags[..LINE_SLOTS].iter().position(|tag| *tag == 0) {
            Some(slot) => {
                self.put(slot, tag, offset);
                true
            }
            None => {
                self.tags[LINE_SLOTS] = 1;
                false
            }
        }
    }

    /// Empties a slot of a line that does not overflow.
    pub(crate) fn clear(&mut self, slot: usize) {
        self.put(slot, 0, 0);
    }

    pub(crate) fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..8].copy_from_slice(&self.tags);
        bytes[8..].copy_from_slice(self.offsets.as_flattened());
        bytes
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let word = |number: usize| std::array::from_fn(|byte| bytes[8 * number + byte]);
        Self {
            tags: word(0),
            offsets: std::array::from_fn(|slot| word(slot + 1)),
        }
    }
}

/// Numbers of slots, from the lowest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates(u64);

impl Iterator for Candidates {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() / u8::BITS;
        self.0 &= self.0 - 1;
        Some(slot as usize)
    }
}

/// What an index says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexHead {
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) garbage: u64,
}

impl IndexHead {
    /// The head for a number of entries.
    pub(crate) fn new(entries: u64) -> Self {
        Self {
            entries,
            lines: entries * 2 / TWO_LINES_ENTRIES + 1,
            garbage: 0,
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEAD_LENGTH] {
        let mut bytes = [0; HEAD_LENGTH];
        bytes[..4].copy_from_slice(&HASH_ID.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lines.to_le_bytes());
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
            lines: field(16),
            garbage: field(24),
        };
        if bytes[32..].iter().any(|&byte| byte != 0) {
            return Err("its head ends in other bytes than zeros");
        }
        let line_bytes = (section.len() - HEAD_LENGTH) as u64;
        if head.lines == 0 || head.lines.checked_mul(size_of::<Line>() as u64) != Some(line_bytes) {
            return Err("its length does not fit its number of lines");
        }
        Ok(head)
    }
}

/// Steps from one line to the next that building or checking a table may take in all. Tables of
/// keys with a good hash need less than one for a line; without a bound, keys that all have the
/// same hash would take quadratic time.
pub(crate) fn most_steps(lines: u64) -> u64 {
    lines.saturating_mul(256)
}

/// The tag of a hash; never zero, which stands for an empty slot.
#[inline]
pub(crate) fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// The number of the first line to look at.
#[inline]
pub(crate) fn home(hash: u64, lines: u64) -> u64 {
    ((u128::from(hash) * u128::from(lines)) >> 64) as u64
}

/// The number of the line behind another.
#[inline]
pub(crate) fn next(line: u64, lines: u64) -> u64 {
    if line + 1 == lines { 0 } else { line + 1 }
}
