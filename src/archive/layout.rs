//! How the words and the B-tree nodes of an archive are laid out.
#![forbid(unsafe_code)]

use rkyv::primitive::{ArchivedUsize, FixedIsize, FixedUsize};

use crate::region::format::{BIG_ENDIAN, byte_order};
use crate::schema::Type;

/// Bytes of a length or of a relative pointer.
pub(crate) const WORD: usize = size_of::<FixedUsize>();
/// Alignment of a length or of a relative pointer.
pub(crate) const WORD_ALIGNMENT: usize = align_of::<ArchivedUsize>();

/// Lookups in hash tables read control bytes in groups of this many.
pub(crate) const GROUP: usize = 16;

/// A length, or a relative pointer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word(FixedUsize);

impl Word {
    /// Reads a word in the byte order of archives.
    #[inline]
    pub(crate) fn from_bytes(bytes: [u8; WORD]) -> Self {
        Self(match byte_order() {
            BIG_ENDIAN => FixedUsize::from_be_bytes(bytes),
            _ => FixedUsize::from_le_bytes(bytes),
        })
    }

    /// The word as a length.
    #[inline]
    pub(crate) fn length(self) -> usize {
        self.0 as usize
    }

    /// The word as a relative pointer: how far its target is away.
    #[inline]
    pub(crate) fn distance(self) -> isize {
        self.0 as FixedIsize as isize
    }

    /// Whether the word is the relative pointer that leads nowhere.
    #[inline]
    pub(crate) fn is_nowhere(self) -> bool {
        self.0 == 1
    }

    /// The length of text that is not inline, whose first word this is.
    #[inline]
    pub(crate) fn text_length(self) -> usize {
        match byte_order() {
            BIG_ENDIAN => self.length() & (usize::MAX >> (usize::BITS - FixedUsize::BITS + 2)),
            _ => (self.length() & 0x3f) | ((self.length() & !0xff) >> 2),
        }
    }
}

/// Whether the bytes of a number stand for none.
pub(crate) fn is_nan(bytes: &[u8]) -> bool {
    let mut number = [0; 8];
    let number = &mut number[..bytes.len().min(8)];
    number.copy_from_slice(&bytes[..number.len()]);
    if byte_order() == BIG_ENDIAN {
        number.reverse();
    }
    match *number {
        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]).is_nan(),
        [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]).is_nan(),
        _ => false,
    }
}

/// The parts of a B-tree's node, as offsets from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeLayout {
    /// Entries that there is room for.
    pub(crate) entries: usize,
    pub(crate) keys: usize,
    pub(crate) values: usize,
    /// The length of a leaf, the children of an inner node.
    pub(crate) rest: usize,
    pub(crate) align: usize,
}

impl NodeLayout {
    /// The layout of nodes with room for a number of entries.
    pub(crate) fn new(key: &Type, value: &Type, entries: usize) -> Self {
        let keys = 1_usize.next_multiple_of(key.align);
        let values = (keys + key.size * entries).next_multiple_of(value.align);
        let end = values + value.size * entries;
        let align = key.align.max(value.align);
        Self {
            entries,
            keys,
            values,
            rest: end.next_multiple_of(align).next_multiple_of(WORD_ALIGNMENT),
            align: align.max(WORD_ALIGNMENT),
        }
    }

    /// Bytes of a leaf.
    pub(crate) fn leaf_size(&self) -> usize {
        (self.rest + WORD).next_multiple_of(self.align)
    }

    /// Bytes of an inner node.
    pub(crate) fn inner_size(&self) -> usize {
        (self.rest + WORD * (self.entries + 1)).next_multiple_of(self.align)
    }
}
