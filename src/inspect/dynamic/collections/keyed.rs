//! The walk over the entries of a keyed map.

use super::Pair;
use crate::inspect::dynamic::archive::Archive;
use crate::inspect::dynamic::checked::Checked;
use crate::inspect::dynamic::fault::{Fault, FaultKind, Read};
use crate::map::{GarbageList, entry_alignment, entry_length};
use crate::schema::{Shape, TypeIndex};

/// The entries of a keyed map, garbage included, in the order of insertion.
#[derive(Debug, Clone)]
pub(crate) struct EntryFrames<'a> {
    archive: Archive<'a>,
    layout: EntryLayout,
    next: u64,
    end: u64,
    garbage: GarbageList<'a>,
}

/// Where key and value lie in an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryLayout {
    /// Bytes of header, key and value.
    least: u64,
    alignment: u64,
    key: TypeIndex,
    value: TypeIndex,
    key_offset: u64,
    value_offset: u64,
}

/// An entry of a keyed map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) length: u64,
    pub(crate) garbage: bool,
}

impl EntryLayout {
    /// The layout of the entries of a type, if it is a keyed map.
    pub(crate) fn new(types: &Checked, map: TypeIndex) -> Option<Self> {
        let described = types.get(map);
        let Shape::Map {
            key,
            value,
            key_offset,
            value_offset,
        } = described.shape
        else {
            return None;
        };
        Some(Self {
            least: described.size as u64,
            alignment: entry_alignment(types.description(), map),
            key,
            value,
            key_offset: key_offset as u64,
            value_offset: value_offset as u64,
        })
    }

    pub(crate) fn types(&self) -> (TypeIndex, TypeIndex) {
        (self.key, self.value)
    }

    /// The entry at an offset.
    pub(crate) fn frame(&self, archive: Archive<'_>, at: u64) -> Read<Frame> {
        let align = self.alignment as usize;
        let unaligned = |at| Fault::new(at, FaultKind::Unaligned { align });
        if !at.is_multiple_of(self.alignment) {
            return Err(unaligned(at));
        }
        let header = u32::from_le_bytes(archive.array(at)?);
        let (length, least, most) = (entry_length(header), self.least, archive.length() - at);
        if length < least || length > most {
            let fault = FaultKind::Frame {
                length,
                least,
                most,
            };
            return Err(Fault::new(at, fault));
        }
        if !length.is_multiple_of(self.alignment) {
            return Err(unaligned(at + length));
        }
        Ok(Frame {
            at,
            length,
            garbage: false,
        })
    }

    /// Where key and value of an entry lie.
    pub(crate) fn pair(&self, frame: Frame) -> Pair {
        Pair {
            key: frame.at + self.key_offset,
            value: frame.at + self.value_offset,
        }
    }
}

impl<'a> EntryFrames<'a> {
    /// The entries from an offset to another.
    pub(crate) fn new(archive: Archive<'a>, layout: EntryLayout, next: u64, end: u64) -> Self {
        Self {
            archive,
            layout,
            next,
            end,
            garbage: archive.garbage.from(next),
        }
    }

    /// An offset in the list of garbage where no entry started so far.
    pub(crate) fn not_met(&self) -> Option<u64> {
        self.garbage.first()
    }

    pub(crate) fn archive(&self) -> Archive<'a> {
        self.archive
    }

    pub(crate) fn layout(&self) -> EntryLayout {
        self.layout
    }
}

impl Iterator for EntryFrames<'_> {
    type Item = Read<Frame>;

    fn next(&mut self) -> Option<Read<Frame>> {
        if self.next >= self.end {
            return None;
        }
        let garbage = self.garbage.takes(self.next);
        let frame = self.layout.frame(self.archive, self.next);
        let frame = frame.map(|frame| Frame { garbage, ..frame });
        self.next = match &frame {
            Ok(frame) => frame.at + frame.length,
            Err(_) => self.end,
        };
        Some(frame)
    }
}
