//! The walk over the entries of a keyed map.

use super::Pair;
use crate::inspect::dynamic::archive::Archive;
use crate::inspect::dynamic::checked::Checked;
use crate::inspect::dynamic::fault::{Fault, FaultKind, Read};
use crate::map::{GarbageList, SlotLayout, entry_alignment, entry_length};
use crate::schema::{MapLayout, Shape, TypeIndex};

/// The entries of a keyed map, in the order of their offsets, with what stands between them.
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
    key_size: u64,
    in_slots: bool,
}

/// An entry of a keyed map, or the place of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) at: u64,
    pub(crate) length: u64,
    pub(crate) kind: FrameKind,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Entry,
    Garbage,
    /// A slot without an entry.
    Free,
}

/// Which slots have entries, where entries stand in slots.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LiveSlots<'a> {
    slots: u64,
    /// Bits, the lowest first; those of several parts follow each other in whole words.
    bits: &'a [u8],
}

impl<'a> LiveSlots<'a> {
    pub(crate) fn new(slots: u64, bits: &'a [u8]) -> Self {
        Self { slots, bits }
    }

    /// Whether a slot has an entry; in the overflow behind all slots each one has.
    fn has(self, slot: u64) -> bool {
        let byte = self.bits.get((slot / 8) as usize);
        slot >= self.slots || byte.is_some_and(|byte| byte >> (slot % 8) & 1 != 0)
    }
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
            layout,
        } = described.shape
        else {
            return None;
        };
        let key_size = types.get(key).size as u64;
        Some(Self {
            least: described.size as u64,
            alignment: entry_alignment(types.description(), map),
            key,
            value,
            key_offset: key_offset as u64,
            value_offset: value_offset as u64,
            key_size,
            in_slots: layout == MapLayout::Slots,
        })
    }

    /// The layout of a slot, if entries stand in slots.
    pub(crate) fn slot(&self) -> Option<SlotLayout> {
        self.in_slots.then_some(SlotLayout {
            size: self.least as usize,
            key_offset: self.key_offset as usize,
            key_size: self.key_size as usize,
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
        if self.in_slots {
            let length = self.least;
            if !at.is_multiple_of(length) || length > archive.length() - at.min(archive.length()) {
                return Err(archive.outside(at, length));
            }
            let kind = match archive.live().has(at / length) {
                true => FrameKind::Entry,
                false => FrameKind::Free,
            };
            return Ok(Frame { at, length, kind });
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
            kind: FrameKind::Entry,
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
            garbage: archive.garbage().from(next),
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
        let mut frame = self.layout.frame(self.archive, self.next);
        if self.garbage.takes(self.next)
            && let Ok(frame) = &mut frame
        {
            frame.kind = FrameKind::Garbage;
        }
        self.next = match &frame {
            Ok(frame) => frame.at + frame.length,
            Err(_) => self.end,
        };
        Some(frame)
    }
}
