//! Walks over the entries of B-trees, hash tables and keyed maps.

use std::borrow::Cow;

use super::archive::{Archive, Run};
use super::fault::{Fault, Problem, Read};
use crate::archive::{GROUP, NodeLayout, WORD};
use crate::map::{ENTRY_ALIGNMENT, head_is_garbage, head_length};
use crate::schema::{Shape, Type, TypeIndex};

const WORD_LENGTH: u64 = WORD as u64;
/// No tree of 2^32 entries is higher.
const TREE_LIMIT: usize = 64;

/// Where a key and its value lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: u64,
    pub(crate) value: u64,
}

/// The entries of a B-tree, in the order of their keys.
#[derive(Debug, Clone)]
pub(crate) struct Tree<'a> {
    archive: Archive<'a>,
    layout: NodeLayout,
    key_size: u64,
    value_size: u64,
    at: u64,
    length: u64,
    yielded: u64,
    node_bytes: u64,
    path: Vec<Node>,
}

/// A node on the way to the current entry.
#[derive(Debug, Clone, Copy)]
struct Node {
    at: u64,
    /// Entries in use.
    entries: u64,
    inner: bool,
    /// In inner nodes, children and entries take turns.
    step: u64,
}

impl<'a> Tree<'a> {
    /// The tree at an offset.
    pub(crate) fn new(
        archive: Archive<'a>,
        at: u64,
        key: TypeIndex,
        value: TypeIndex,
        node_entries: usize,
    ) -> Read<Self> {
        let types = archive.types;
        let length = archive.length_at(at + WORD_LENGTH)?;
        let mut tree = Self {
            archive,
            layout: types.node(key, value, node_entries),
            key_size: types.get(key).size as u64,
            value_size: types.get(value).size as u64,
            at,
            length,
            yielded: 0,
            node_bytes: 0,
            path: Vec::new(),
        };
        // Keys have bytes, so a length that lies costs no more than the archive is long.
        if length.saturating_mul(tree.key_size) > archive.length() {
            return Err(Fault::new(at, Problem::Items { length }));
        }
        if length > 0 {
            tree.enter(at)?;
        }
        Ok(tree)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the nodes that the walk has come to so far.
    pub(crate) fn node_bytes(&self) -> u64 {
        self.node_bytes
    }

    /// Goes down to the node that a pointer leads to.
    fn enter(&mut self, pointer: u64) -> Read<()> {
        let (archive, layout) = (self.archive, self.layout);
        let at = archive.follow(pointer, layout.leaf_size() as u64, layout.align)?;
        if self.path.len() == TREE_LIMIT {
            return Err(self.miscounted());
        }
        let inner = archive.flag(at)?;
        self.node_bytes += match inner {
            true => layout.inner_size() as u64,
            false => layout.leaf_size() as u64,
        };
        let most = layout.entries as u64;
        let mut entries = most;
        if inner {
            archive.follow(pointer, layout.inner_size() as u64, layout.align)?;
        } else {
            entries = archive.length_at(at + layout.rest as u64)?;
            if entries == 0 || entries > most {
                let got = entries;
                return Err(Fault::new(at, Problem::Node { got, most }));
            }
        }
        self.path.push(Node {
            at,
            entries,
            inner,
            step: 0,
        });
        Ok(())
    }

    fn advance(&mut self) -> Read<Option<Pair>> {
        while let Some(node) = self.path.last_mut() {
            let Node { at, inner, .. } = *node;
            let steps = node.entries * (1 + u64::from(inner)) + u64::from(inner);
            if node.step == steps {
                self.path.pop();
                continue;
            }
            let step = node.step;
            node.step += 1;
            if inner && step.is_multiple_of(2) {
                let child = at + self.layout.rest as u64 + step / 2 * WORD_LENGTH;
                if !self.archive.is_nowhere(child)? {
                    self.enter(child)?;
                }
                continue;
            }
            let number = if inner { step / 2 } else { step };
            if self.yielded == self.length {
                return Err(self.miscounted());
            }
            self.yielded += 1;
            return Ok(Some(Pair {
                key: at + self.layout.keys as u64 + number * self.key_size,
                value: at + self.layout.values as u64 + number * self.value_size,
            }));
        }
        match self.yielded == self.length {
            true => Ok(None),
            false => Err(self.miscounted()),
        }
    }

    fn miscounted(&self) -> Box<Fault> {
        let (expected, got) = (self.length, self.yielded);
        Fault::new(self.at, Problem::Entries { expected, got })
    }
}

impl Iterator for Tree<'_> {
    type Item = Read<Pair>;

    fn next(&mut self) -> Option<Read<Pair>> {
        let next = self.advance();
        if next.is_err() {
            // A walk ends with its first error.
            self.path.clear();
            self.yielded = self.length;
        }
        next.transpose()
    }
}

/// The entries of a hash table, in the order of its slots.
#[derive(Debug, Clone)]
pub(crate) struct Table<'a> {
    controls: Cow<'a, [u8]>,
    /// Where the slots end and the control bytes start.
    middle: u64,
    slot_size: u64,
    key_offset: u64,
    value_offset: u64,
    at: u64,
    length: u64,
    yielded: u64,
    next: usize,
}

impl<'a> Table<'a> {
    /// The table at an offset.
    pub(crate) fn new(archive: Archive<'a>, at: u64, entry: TypeIndex) -> Read<Self> {
        let slot = archive.types.get(entry);
        let length = archive.length_at(at + WORD_LENGTH)?;
        let capacity = match length {
            0 => 0,
            _ => archive.length_at(at + 2 * WORD_LENGTH)?,
        };
        let (mut middle, mut controls) = (0, Cow::Borrowed(&[][..]));
        if capacity > 0 {
            middle = archive.follow(at, control_count(capacity), slot.align)?;
            let slots = capacity.checked_mul(slot.size as u64);
            if slots.is_none_or(|slots| slots > middle) {
                return Err(Fault::new(at, Problem::Items { length: capacity }));
            }
            let length = capacity;
            controls = archive.bytes(Run { at: middle, length })?;
        }
        let (key_offset, value_offset) = match &slot.shape {
            Shape::Struct { fields, .. } => (fields[0].offset, fields[1].offset),
            _ => (0, 0),
        };
        Ok(Self {
            controls,
            middle,
            slot_size: slot.size as u64,
            key_offset: key_offset as u64,
            value_offset: value_offset as u64,
            at,
            length,
            yielded: 0,
            next: 0,
        })
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of slots and control bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self.controls.len() {
            0 => 0,
            capacity => capacity as u64 * self.slot_size + control_count(capacity as u64),
        }
    }
}

/// Control bytes of a table: whole groups, and the first ones again, which lookups read past the
/// end.
fn control_count(capacity: u64) -> u64 {
    let group = GROUP as u64;
    capacity.next_multiple_of(group) + group - 1
}

impl Iterator for Table<'_> {
    type Item = Read<Pair>;

    fn next(&mut self) -> Option<Read<Pair>> {
        let in_use = |control: &u8| control & 0x80 == 0;
        let rest = &self.controls[self.next..];
        let Some(position) = rest.iter().position(in_use) else {
            self.next = self.controls.len();
            let (expected, got) = (self.length, self.yielded);
            // The error is told once.
            self.yielded = self.length;
            return (expected != got)
                .then(|| Err(Fault::new(self.at, Problem::Entries { expected, got })));
        };
        self.next += position + 1;
        self.yielded += 1;
        let slot = self.middle - self.next as u64 * self.slot_size;
        Some(Ok(Pair {
            key: slot + self.key_offset,
            value: slot + self.value_offset,
        }))
    }
}

/// The entries of a keyed map, garbage included, in the order of insertion.
#[derive(Debug, Clone)]
pub(crate) struct Keyed<'a> {
    archive: Archive<'a>,
    layout: EntryLayout,
    next: u64,
    end: u64,
}

/// Where key and value lie in an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryLayout {
    /// Bytes of head, key and value.
    least: u64,
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
    /// The layout of entries of a type, if that is a keyed map.
    pub(crate) fn new(described: &Type) -> Option<Self> {
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
        let align = ENTRY_ALIGNMENT as usize;
        if !at.is_multiple_of(ENTRY_ALIGNMENT) {
            return Err(Fault::new(at, Problem::Unaligned { align }));
        }
        let head = u32::from_le_bytes(archive.array(at)?);
        let (length, least, most) = (head_length(head), self.least, archive.length() - at);
        if length < least || length > most {
            let fault = Problem::Frame {
                length,
                least,
                most,
            };
            return Err(Fault::new(at, fault));
        }
        Ok(Frame {
            at,
            length,
            garbage: head_is_garbage(head),
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

impl<'a> Keyed<'a> {
    /// The entries from an offset to another.
    pub(crate) fn new(archive: Archive<'a>, layout: EntryLayout, next: u64, end: u64) -> Self {
        Self {
            archive,
            layout,
            next,
            end,
        }
    }

    pub(crate) fn layout(&self) -> EntryLayout {
        self.layout
    }
}

impl Iterator for Keyed<'_> {
    type Item = Read<Frame>;

    fn next(&mut self) -> Option<Read<Frame>> {
        if self.next >= self.end {
            return None;
        }
        let frame = self.layout.frame(self.archive, self.next);
        self.next = match &frame {
            Ok(frame) => frame.at + frame.length,
            Err(_) => self.end,
        };
        Some(frame)
    }
}
