//! The table that finds entries: lines of ten slots, one cache line each.
//!
//! ```text
//! index section = header of 64 bytes | lines
//! header = hash id (u32) | zero (u32) | entries | lines | bytes of garbage entries | zeros
//!          (small entries have another index, whose second word is not zero: see `slots.rs`)
//! line = 10 tags | overflow mark | 3 zeros | 10 offsets of entries (40 bits each, in units of 4)
//! ```
//!
//! A tag is one byte of the key's hash, or zero for an empty slot; the ten of a line are compared
//! at once. The home line of a key follows from the high bits of its hash, its tag from the low
//! ones. A key that finds its home line full goes to the next; the overflow mark of the lines that
//! it passed is 1, and a search goes on from marked lines only. At most 7 of 10 slots are taken on
//! average.
#![forbid(unsafe_code)]

use super::raw::equal_bytes;

/// Bytes before the lines.
pub(crate) const INDEX_HEADER_LENGTH: usize = 64;
/// The hash of [`Key`](super::Key) as it is today.
pub(super) const HASH_ID: u32 = 2;
/// Slots of a line.
pub(crate) const LINE_SLOTS: usize = 10;
/// How many slots of a line are taken on average, at most. More make misses and overflows
/// dearer, fewer make the table larger: it has nine bytes for an entry.
const LINE_ENTRIES: u64 = 7;

/// Entries start at multiples of this, which offsets in slots are counted in.
pub(crate) const OFFSET_UNIT: u64 = 4;
/// Most bytes that the entries of a map may take: offsets have 40 bits.
pub(crate) const ARCHIVE_LIMIT: u64 = OFFSET_UNIT << 40;

/// Where the overflow mark is.
const MARK: usize = LINE_SLOTS;
/// Where the offsets are.
const OFFSETS: usize = 14;
const OFFSET_LENGTH: usize = 5;

/// What a search looks at in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Line([u8; 64]);

const _: () = assert!(OFFSETS + LINE_SLOTS * OFFSET_LENGTH == size_of::<Line>());

impl Line {
    /// A line without entries.
    pub(crate) const EMPTY: Self = Self([0; 64]);

    /// The slots whose tag is `tag`.
    #[inline]
    pub(crate) fn candidates(&self, tag: u8) -> Candidates {
        candidates(&self.0, tag)
    }

    /// The archive offset in a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) fn offset(&self, slot: usize) -> u64 {
        offset(&self.0, slot)
    }

    /// Whether a search goes on behind this line.
    #[inline]
    pub(crate) fn overflows(&self) -> bool {
        leads_on(&self.0)
    }

    /// Whether the entry at an archive offset stands here.
    #[inline]
    pub(crate) fn has(&self, tag: u8, offset: u64) -> bool {
        leads_to(&self.0, tag, offset)
    }

    /// Whether bytes that no search looks at are not zero.
    pub(crate) fn has_stray_bytes(&self) -> bool {
        let empty = self.candidates(0);
        self.0[MARK + 1..OFFSETS] != [0; 3] || empty.into_iter().any(|slot| self.offset(slot) != 0)
    }

    /// Whether no slot is empty.
    pub(crate) fn is_full(&self) -> bool {
        self.taken() == LINE_SLOTS as u64
    }

    /// The archive offsets in the slots in use.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = u64> + '_ {
        let in_use = (0..LINE_SLOTS).filter(|slot| self.0[*slot] != 0);
        in_use.map(|slot| self.offset(slot))
    }

    /// Tags and archive offsets in the slots in use.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        let in_use = (0..LINE_SLOTS).filter(|slot| self.0[*slot] != 0);
        in_use.map(|slot| (self.0[slot], self.offset(slot)))
    }

    /// Slots in use.
    pub(crate) fn taken(&self) -> u64 {
        LINE_SLOTS as u64 - self.candidates(0).count() as u64
    }

    /// Takes a slot for an entry at a multiple of [`OFFSET_UNIT`] below [`ARCHIVE_LIMIT`].
    pub(crate) fn put(&mut self, slot: usize, tag: u8, offset: u64) {
        debug_assert!(offset.is_multiple_of(OFFSET_UNIT) && offset < ARCHIVE_LIMIT);
        self.0[slot] = tag;
        let start = OFFSETS + slot * OFFSET_LENGTH;
        let bytes = (offset / OFFSET_UNIT).to_le_bytes();
        self.0[start..][..OFFSET_LENGTH].copy_from_slice(&bytes[..OFFSET_LENGTH]);
    }

    /// Takes the first empty slot; if there is none, marks the line as overflowing.
    pub(crate) fn put_in_empty(&mut self, tag: u8, offset: u64) -> bool {
        match self.candidates(0).next() {
            Some(slot) => {
                self.put(slot, tag, offset);
                true
            }
            None => {
                self.0[MARK] = 1;
                false
            }
        }
    }

    /// Empties a slot of a line that does not overflow.
    pub(crate) fn clear(&mut self, slot: usize) {
        self.put(slot, 0, 0);
    }

    pub(crate) fn to_bytes(self) -> [u8; 64] {
        self.0
    }

    #[inline]
    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        Self(*bytes)
    }
}

// Lines where they lie, aligned or not: a copy of one would be waited for.

/// Whether the entry at an archive offset stands in a line.
#[inline]
pub(crate) fn leads_to(line: &[u8; 64], tag: u8, target: u64) -> bool {
    candidates(line, tag).any(|slot| offset(line, slot) == target)
}

/// Whether a search goes on behind a line.
#[inline]
pub(crate) fn leads_on(line: &[u8; 64]) -> bool {
    line[MARK] != 0
}

#[inline]
fn candidates(line: &[u8; 64], tag: u8) -> Candidates {
    Candidates(equal_bytes(line, tag) & ((1 << LINE_SLOTS) - 1))
}

#[inline]
fn offset(line: &[u8; 64], slot: usize) -> u64 {
    // The three bytes before the offset are loaded with it, so that every load has eight bytes
    // and stays in the line.
    const BEFORE: usize = size_of::<u64>() - OFFSET_LENGTH;
    let start = OFFSETS - BEFORE + slot * OFFSET_LENGTH;
    let bytes = line[start..].first_chunk();
    let word = u64::from_le_bytes(*bytes.expect("there are ten slots"));
    (word >> (8 * BEFORE)) * OFFSET_UNIT
}

/// Numbers of slots, from the lowest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidates(u32);

impl Iterator for Candidates {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(slot as usize)
    }
}

/// What an index says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct IndexHeader {
    pub(crate) entries: u64,
    pub(crate) lines: u64,
    pub(crate) garbage: u64,
}

impl IndexHeader {
    /// The header for a number of entries.
    pub(crate) fn new(entries: u64) -> Self {
        Self::of(entries, (entries / LINE_ENTRIES + 1) as usize)
    }

    /// The header for a number of entries in a number of lines.
    pub(crate) fn of(entries: u64, lines: usize) -> Self {
        Self {
            entries,
            lines: lines as u64,
            garbage: 0,
        }
    }

    pub(crate) fn encode(&self) -> [u8; INDEX_HEADER_LENGTH] {
        let mut bytes = [0; INDEX_HEADER_LENGTH];
        bytes[..4].copy_from_slice(&HASH_ID.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.lines.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.garbage.to_le_bytes());
        bytes
    }

    /// Reads the header of an index section and compares it with the section's length.
    pub(crate) fn decode(section: &[u8]) -> Result<Self, &'static str> {
        Self::decode_header(section, section.len() as u64)
    }

    /// The same for the first bytes of a section of a length.
    pub(crate) fn decode_header(start: &[u8], length: u64) -> Result<Self, &'static str> {
        let Some(bytes) = start.first_chunk::<INDEX_HEADER_LENGTH>() else {
            return Err("it is shorter than its header");
        };
        let field = |offset: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]));
        if field(0) != u64::from(HASH_ID) {
            return Err("its hash function is unknown");
        }
        let header = Self {
            entries: field(8),
            lines: field(16),
            garbage: field(24),
        };
        if bytes[32..].iter().any(|&byte| byte != 0) {
            return Err("its header ends in other bytes than zeros");
        }
        let line_bytes = length.saturating_sub(INDEX_HEADER_LENGTH as u64);
        if header.lines == 0
            || header.lines.checked_mul(size_of::<Line>() as u64) != Some(line_bytes)
        {
            return Err("its length does not fit its number of lines");
        }
        Ok(header)
    }
}

/// How many entries an index counts that is known to be valid, whichever kind it is of.
pub(super) fn counted_entries(section: &[u8]) -> Option<u64> {
    let bytes = section.get(8..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
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
