//! What rkyv's own checks of hash tables and B-trees leave open.
//!
//! The lookups and iterators of rkyv 0.8.18 rely on four properties that its checks do not look
//! at. Without them they panic, or read keys and values that nobody checked, which is undefined
//! behaviour:
//!
//! - the control bytes behind the capacity of a hash table repeat its first ones, so that they lead
//!   to no empty slot;
//! - the table of an index map holds positions below the number of its entries;
//! - a leaf of a B-tree has an entry;
//! - an inner node of a B-tree has a first child.
//!
//! This pass walks the archive by its description, after rkyv has accepted it, and visits only
//! types that contain such collections.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::layout::{GROUP, NodeLayout, WORD, Word, is_nan};
use crate::schema::{Description, Field, NoneMark, Shape, Type, TypeIndex};

/// Checks the collections in values that rkyv's checks have accepted.
pub(crate) struct Collections<'a> {
    description: &'a Description,
    archive: &'a [u8],
    /// For each type, whether there can be a collection in it.
    concerned: Vec<bool>,
    seen: Seen,
}

/// Values behind shared pointers, by archive offset and type of the pointer, as rkyv knows them:
/// all pointers of a type to an offset have the same length, so one check is for all of them.
pub(crate) type Seen = HashSet<(usize, TypeIndex)>;

/// Why a collection was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectionError {
    #[error("the hash table at offset {at} has a control byte that leads to an empty slot")]
    Control { at: usize },
    #[error("the index map at offset {at} has a position that leads to no entry")]
    Position { at: usize },
    #[error("a B-tree has a leaf without entries, at offset {at}")]
    EmptyLeaf { at: usize },
    #[error("a B-tree has an inner node without a first child, at offset {at}")]
    NoFirstChild { at: usize },
}

impl<'a> Collections<'a> {
    /// Collections in `archive`, whose root type the description tells.
    pub(crate) fn new(description: &'a Description, archive: &'a [u8]) -> Self {
        Self::resume(description, archive, Seen::new())
    }

    /// The same for an archive that has grown since values in it were `seen`.
    pub(crate) fn resume(description: &'a Description, archive: &'a [u8], seen: Seen) -> Self {
        Self {
            description,
            archive,
            concerned: concerned(description),
            seen,
        }
    }

    /// What was checked behind shared pointers, for [`resume`](Self::resume).
    pub(crate) fn into_seen(self) -> Seen {
        self.seen
    }

    /// Checks the collections in the value at an offset: a root, or the entry of a map.
    ///
    /// # Panics
    /// If rkyv's checks have not accepted the value.
    pub(crate) fn check(&mut self, at: usize) -> Result<(), CollectionError> {
        self.value(self.description.root, at)
    }

    fn value(&mut self, index: TypeIndex, at: usize) -> Result<(), CollectionError> {
        if !self.concerned[index.0 as usize] {
            return Ok(());
        }
        let described = self.type_of(index);
        match &described.shape {
            Shape::Array { item, length } => self.items(*item, at, *length),
            Shape::Struct { fields, .. } | Shape::Tuple { parts: fields } => {
                self.fields(fields, at)
            }
            Shape::Enum { variants } => {
                let tag = self.archive[at];
                let variant = variants.iter().find(|variant| variant.tag == tag);
                variant.map_or(Ok(()), |variant| self.fields(&variant.fields, at))
            }
            Shape::Option { some, offset, none } => {
                if self.is_none(*none, at, described.size) {
                    return Ok(());
                }
                self.value(*some, at + offset)
            }
            Shape::Box { target } => self.pointee(*target, at),
            Shape::Shared { target } | Shape::Interned { target } => {
                if self.seen.insert((self.target(at), index)) {
                    self.pointee(*target, at)
                } else {
                    Ok(())
                }
            }
            Shape::Vec { item } => self.items(*item, self.target(at), self.length(at + WORD)),
            Shape::BTreeMap {
                key,
                value,
                node_entries,
            } => {
                if self.length(at + WORD) == 0 {
                    return Ok(());
                }
                let (key_type, value_type) = (self.type_of(*key), self.type_of(*value));
                let layout = NodeLayout::new(key_type, value_type, *node_entries);
                self.node((*key, *value), &layout, self.target(at))
            }
            Shape::Set { map } => self.value(*map, at),
            Shape::HashMap { entry } => self.table(*entry, at),
            Shape::IndexMap { entry } => {
                self.positions(at)?;
                let entries = self.target(at + 3 * WORD);
                self.items(*entry, entries, self.length(at + WORD))
            }
            Shape::Map {
                key,
                value,
                key_offset,
                value_offset,
                ..
            } => {
                self.value(*key, at + key_offset)?;
                self.value(*value, at + value_offset)
            }
            _ => Ok(()),
        }
    }

    fn fields(&mut self, fields: &[Field], at: usize) -> Result<(), CollectionError> {
        fields
            .iter()
            .try_for_each(|field| self.value(field.type_index, at + field.offset))
    }

    fn items(&mut self, item: TypeIndex, at: usize, length: usize) -> Result<(), CollectionError> {
        let size = self.type_of(item).size;
        (0..length).try_for_each(|number| self.value(item, at + number * size))
    }

    /// The value that the pointer at an offset leads to.
    fn pointee(&mut self, target: TypeIndex, at: usize) -> Result<(), CollectionError> {
        match self.type_of(target).shape {
            Shape::Slice { item } => self.items(item, self.target(at), self.length(at + WORD)),
            _ => self.value(target, self.target(at)),
        }
    }

    fn table(&mut self, entry: TypeIndex, at: usize) -> Result<(), CollectionError> {
        let size = self.type_of(entry).size;
        self.slots(at, size)?
            .try_for_each(|slot| self.value(entry, slot))
    }

    /// Checks that the table of an index map leads to entries only.
    fn positions(&self, at: usize) -> Result<(), CollectionError> {
        let length = self.length(at + WORD);
        match self.slots(at, WORD)?.all(|slot| self.length(slot) < length) {
            true => Ok(()),
            false => Err(CollectionError::Position { at }),
        }
    }

    /// Where the slots in use of a hash table are, whose control bytes are checked.
    fn slots(
        &self,
        at: usize,
        size: usize,
    ) -> Result<impl Iterator<Item = usize> + use<'a>, CollectionError> {
        let (length, mut capacity) = (self.length(at + WORD), self.length(at + 2 * WORD));
        if length == 0 {
            capacity = 0;
        }
        let start = self.target(at);
        let count = match capacity {
            0 => 0,
            _ => capacity.next_multiple_of(GROUP) + GROUP - 1,
        };
        let archive = self.archive;
        let is_full = move |number: usize| archive[start + number] & 0x80 == 0;
        if (capacity..count).any(|number| is_full(number) && !is_full(number % capacity)) {
            return Err(CollectionError::Control { at });
        }
        let full = (0..capacity).filter(move |slot| is_full(*slot));
        Ok(full.map(move |slot| start - (slot + 1) * size))
    }

    fn node(
        &mut self,
        types: (TypeIndex, TypeIndex),
        layout: &NodeLayout,
        at: usize,
    ) -> Result<(), CollectionError> {
        let rest = at + layout.rest;
        let length = if self.archive[at] == 0 {
            match self.length(rest) {
                0 => return Err(CollectionError::EmptyLeaf { at }),
                length => length,
            }
        } else {
            if self.is_nowhere(rest) {
                return Err(CollectionError::NoFirstChild { at });
            }
            let children = (0..=layout.entries).map(|number| rest + number * WORD);
            for child in children {
                if !self.is_nowhere(child) {
                    self.node(types, layout, self.target(child))?;
                }
            }
            layout.entries
        };
        self.items(types.0, at + layout.keys, length)?;
        self.items(types.1, at + layout.values, length)
    }

    fn type_of(&self, index: TypeIndex) -> &'a Type {
        &self.description.types[index.0 as usize]
    }

    fn is_none(&self, mark: NoneMark, at: usize, size: usize) -> bool {
        match mark {
            NoneMark::Tag => self.archive[at] == 0,
            NoneMark::Zero => self.archive[at..at + size].iter().all(|&byte| byte == 0),
            NoneMark::Nowhere => self.is_nowhere(at),
            NoneMark::AboveOne => self.archive[at] > 1,
            NoneMark::Nan => is_nan(&self.archive[at..at + size]),
        }
    }

    /// Whether the pointer at an offset stands for none.
    fn is_nowhere(&self, at: usize) -> bool {
        self.word(at).is_nowhere()
    }

    /// Where the relative pointer at an offset leads to.
    fn target(&self, at: usize) -> usize {
        at.wrapping_add_signed(self.word(at).distance())
    }

    fn length(&self, at: usize) -> usize {
        self.word(at).length()
    }

    fn word(&self, at: usize) -> Word {
        Word::from_bytes(std::array::from_fn(|i| self.archive[at + i]))
    }
}

/// For each type, whether it is a hash table or B-tree, or leads to one.
fn concerned(description: &Description) -> Vec<bool> {
    let types = &description.types;
    let mut concerned = vec![false; types.len()];
    // Types may contain each other, so their answers are joined until none changes.
    loop {
        let mut changed = false;
        for (position, described) in types.iter().enumerate() {
            if !concerned[position] && leads_to_collection(&described.shape, &concerned) {
                concerned[position] = true;
                changed = true;
            }
        }
        if !changed {
            return concerned;
        }
    }
}

fn leads_to_collection(shape: &Shape, concerned: &[bool]) -> bool {
    let leads = |index: &TypeIndex| concerned[index.0 as usize];
    let any = |fields: &[Field]| fields.iter().any(|field| leads(&field.type_index));
    match shape {
        Shape::BTreeMap { .. } | Shape::HashMap { .. } | Shape::IndexMap { .. } => true,
        Shape::Set { map } => leads(map),
        Shape::Array { item, .. } | Shape::Slice { item } | Shape::Vec { item } => leads(item),
        Shape::Option { some, .. } => leads(some),
        Shape::Box { target } | Shape::Shared { target } | Shape::Interned { target } => {
            leads(target)
        }
        Shape::Struct { fields, .. } | Shape::Tuple { parts: fields } => any(fields),
        Shape::Enum { variants } => variants.iter().any(|variant| any(&variant.fields)),
        Shape::Map { key, value, .. } => leads(key) || leads(value),
        _ => false,
    }
}
