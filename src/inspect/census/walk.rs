//! The walk over values that counts them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::paths::{Paths, Place};
use crate::archive::WORD;
use crate::inspect::dynamic::{
    Archive, Depth, Fault, FaultKind, Pair, Read, Run, Table, Tree, collection_shape,
};
use crate::schema::{Shape, Type, TypeIndex, Variant};

const WORD_LENGTH: u64 = WORD as u64;
/// Values for each byte of the archive, and beyond that, that one walk visits.
const VISITS_FACTOR: u64 = 64;
const VISITS: u64 = 1 << 24;

/// Counts values, entry by entry.
pub(super) struct Walk<'a> {
    pub(super) archive: Archive<'a>,
    pub(super) paths: Paths<'a>,
    /// Bytes in which shared values are counted: those of the entry. Its first use is there too.
    own: Range<u64>,
    /// Shared values of the entry that were counted, by offset and type.
    seen: HashSet<(u64, TypeIndex)>,
    claimed: u64,
    visits_left: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(archive: Archive<'a>) -> Self {
        Self {
            archive,
            paths: Paths::new(archive.types),
            own: 0..archive.length(),
            seen: HashSet::new(),
            claimed: 0,
            visits_left: VISITS_FACTOR
                .saturating_mul(archive.length())
                .saturating_add(VISITS),
        }
    }

    /// Says in which bytes the values lie that are walked next.
    pub(super) fn enter(&mut self, own: Range<u64>) {
        self.own = own;
        if !self.seen.is_empty() {
            self.seen.clear();
        }
    }

    /// Counts the value at an offset and all in it. Returns its own bytes, with those of values
    /// that count as part of it.
    pub(super) fn value(&mut self, place: Place, run: Run, depth: Depth) -> Read<u64> {
        let described = self.paths.described(place);
        let (at, size) = (run.at, described.size as u64);
        self.visit(at, 1)?;
        let mut inside = 0;
        let (shape, is_set) = collection_shape(self.archive.types, described);
        let own = match shape {
            Shape::String => self.string(place, at)?,
            Shape::Str => {
                self.text(place, run)?;
                run.length
            }
            Shape::CString => size + self.archive.c_string(at)?.length + 1,
            Shape::Slice { item } => {
                self.items(place, *item, run, depth.inner(at)?)?;
                0
            }
            Shape::Array { item, length } => {
                let length = *length as u64;
                self.items(place, *item, Run { at, length }, depth.inner(at)?)?;
                0
            }
            Shape::Vec { item } => {
                let run = self.archive.items(at, self.archive.types.get(*item))?;
                self.items(place, *item, run, depth.behind_pointer(at)?)?;
                size
            }
            Shape::Struct { fields, .. } | Shape::Tuple { parts: fields } => {
                let depth = depth.inner(at)?;
                for (number, field) in fields.iter().enumerate() {
                    let part = || Some(Cow::Owned(format!(".{}", field.name)));
                    let child = self.paths.child(place, number, field.type_index, part)?;
                    self.value(child, sized(at + field.offset as u64), depth)?;
                }
                0
            }
            Shape::Enum { variants } => self.variant(place, described, variants, at, depth)?,
            Shape::Option { some, offset, none } => {
                match self.archive.is_some(at, described.size, *none)? {
                    false => size,
                    true => {
                        let child = self.paths.child(place, 0, *some, || None)?;
                        let run = sized(at + *offset as u64);
                        inside = self.value(child, run, depth.inner(at)?)?;
                        size - self.archive.types.get(*some).size as u64
                    }
                }
            }
            Shape::Box { target } => {
                inside = self.target(place, *target, at, depth)?;
                size
            }
            Shape::Shared { target } | Shape::Interned { target } => {
                let run = self.archive.pointee(at, *target)?;
                if self.is_first(run.at, *target) {
                    inside = self.target(place, *target, at, depth)?;
                }
                size
            }
            Shape::SelfDescribing { .. } => {
                self.self_describing(place, at, depth)?;
                size
            }
            Shape::BTreeMap {
                key,
                value,
                node_entries,
            } => {
                let tree = Tree::new(self.archive, at, *key, *value, *node_entries)?;
                size + self.tree(place, is_set, tree, (*key, *value), depth)?
            }
            Shape::HashMap { entry } => {
                let table = Table::new(self.archive, at, *entry)?;
                size + self.table(place, is_set, table, *entry, depth)?
            }
            Shape::IndexMap { entry } => {
                let table = Table::indexed(self.archive, at, *entry)?;
                size + self.table(place, is_set, table, *entry, depth)?
            }
            _ => size,
        };
        self.claim(at, own)?;
        self.paths.add(place, 1, own, own + inside);
        Ok(own + inside)
    }
}

/// The bytes of a value whose type tells its size.
fn sized(at: u64) -> Run {
    Run { at, length: 0 }
}

impl<'a> Walk<'a> {
    fn string(&mut self, place: Place, at: u64) -> Read<u64> {
        let run = self.archive.string(at)?;
        if run.at == at {
            return Ok(2 * WORD_LENGTH);
        }
        self.text(place, run)?;
        Ok(2 * WORD_LENGTH + run.length)
    }

    /// Whether a shared value at an offset is counted here, and was not before.
    pub(super) fn is_first(&mut self, at: u64, target: TypeIndex) -> bool {
        self.own.contains(&at) && self.seen.insert((at, target))
    }

    pub(super) fn text(&mut self, place: Place, run: Run) -> Read<()> {
        // Claimed before it is hashed, so that overlapping texts cost no more than the archive.
        if run.length > self.archive.length() - self.claimed {
            return Err(self.overlap(run.at));
        }
        let text = self.archive.bytes(run)?;
        self.paths.add_text(place, &text);
        Ok(())
    }

    fn target(&mut self, place: Place, target: TypeIndex, at: u64, depth: Depth) -> Read<u64> {
        let run = self.archive.pointee(at, target)?;
        let child = self.paths.child(place, 0, target, || None)?;
        self.value(child, run, depth.behind_pointer(at)?)
    }

    fn items(&mut self, place: Place, item: TypeIndex, run: Run, depth: Depth) -> Read<()> {
        if run.length == 0 {
            return Ok(());
        }
        let part = || Some(Cow::Borrowed("[]"));
        let child = self.paths.child(place, 0, item, part)?;
        let described = self.archive.types.get(item);
        let size = described.size as u64;
        if is_plain(described) {
            self.claim(run.at, size * run.length)?;
            self.paths.add(child, run.length, size, size);
            return Ok(());
        }
        for number in 0..run.length {
            self.value(child, sized(run.at + number * size), depth)?;
        }
        Ok(())
    }

    /// Own bytes of an enum: its tag, and what the variant has no use for.
    fn variant(
        &mut self,
        place: Place,
        described: &'a Type,
        variants: &'a [Variant],
        at: u64,
        depth: Depth,
    ) -> Read<u64> {
        let (before, from) = variants.split_at(self.archive.variant(at, variants)?);
        let variant = &from[0];
        // The fields of all variants are numbered through.
        let start: usize = before.iter().map(|earlier| earlier.fields.len()).sum();
        let depth = depth.inner(at)?;
        let mut own = described.size as u64;
        for (number, field) in variant.fields.iter().enumerate() {
            let part = || Some(Cow::Owned(format!("::{}.{}", variant.name, field.name)));
            let child = self
                .paths
                .child(place, start + number, field.type_index, part)?;
            self.value(child, sized(at + field.offset as u64), depth)?;
            own = own.saturating_sub(self.paths.described(child).size as u64);
        }
        Ok(own)
    }

    /// Bytes of a tree's nodes without its keys and values.
    fn tree(
        &mut self,
        place: Place,
        is_set: bool,
        mut tree: Tree<'a>,
        types: (TypeIndex, TypeIndex),
        depth: Depth,
    ) -> Read<u64> {
        let mut used = 0;
        for pair in tree.by_ref() {
            used += self.pair(place, is_set, pair?, types, depth)?;
        }
        Ok(tree.node_bytes().saturating_sub(used))
    }

    /// Bytes of a table's slots and control bytes without its keys and values.
    fn table(
        &mut self,
        place: Place,
        is_set: bool,
        table: Table<'a>,
        entry: TypeIndex,
        depth: Depth,
    ) -> Read<u64> {
        let Shape::Struct { fields, .. } = &self.archive.types.get(entry).shape else {
            return Ok(0);
        };
        let types = (fields[0].type_index, fields[1].type_index);
        let bytes = table.bytes();
        let mut used = 0;
        for pair in table {
            used += self.pair(place, is_set, pair?, types, depth)?;
        }
        Ok(bytes.saturating_sub(used))
    }

    /// Counts key and value of a collection; returns the bytes that they lie in.
    fn pair(
        &mut self,
        place: Place,
        is_set: bool,
        pair: Pair,
        (key, value): (TypeIndex, TypeIndex),
        depth: Depth,
    ) -> Read<u64> {
        let depth = depth.behind_pointer(pair.key)?;
        let name = if is_set { "[]" } else { "[key]" };
        let child = self
            .paths
            .child(place, 0, key, || Some(Cow::Borrowed(name)))?;
        self.value(child, sized(pair.key), depth)?;
        if !is_set {
            let part = || Some(Cow::Borrowed("[]"));
            let child = self.paths.child(place, 1, value, part)?;
            self.value(child, sized(pair.value), depth)?;
        }
        let size = |index| self.archive.types.get(index).size as u64;
        Ok(size(key) + size(value))
    }

    #[inline]
    pub(super) fn visit(&mut self, at: u64, times: u64) -> Read<()> {
        match self.visits_left.checked_sub(times) {
            Some(left) => self.visits_left = left,
            None => {
                let most = VISITS_FACTOR.saturating_mul(self.archive.length());
                return Err(Fault::new(at, FaultKind::Expansion { most }));
            }
        }
        Ok(())
    }

    /// Takes bytes that belong to one value only.
    #[inline]
    pub(super) fn claim(&mut self, at: u64, bytes: u64) -> Read<()> {
        self.claimed = self.claimed.saturating_add(bytes);
        if self.claimed > self.archive.length() {
            return Err(self.overlap(at));
        }
        Ok(())
    }

    #[cold]
    fn overlap(&self, at: u64) -> Box<Fault> {
        let archive = self.archive.length();
        Fault::new(at, FaultKind::Overlap { archive })
    }
}

/// Whether values of a type have no parts, so that a run of them needs no visits.
fn is_plain(described: &Type) -> bool {
    matches!(
        described.shape,
        Shape::Bool
            | Shape::Char
            | Shape::Unsigned
            | Shape::Signed
            | Shape::Float
            | Shape::Duration
            | Shape::IpAddr
            | Shape::SocketAddrV4
            | Shape::SocketAddrV6
            | Shape::Address { .. }
    )
}
