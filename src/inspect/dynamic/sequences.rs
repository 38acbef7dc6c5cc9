//! Iterators over the parts of values.

use std::iter::FusedIterator;

use super::archive::Run;
use super::collections::{EntryFrames, EntryLayout, Frame, FrameKind, Pair, Table, Tree};
use super::fault::{Fault, FaultKind, Read};
use super::value::{Depth, Dynamic};
use crate::error::Result;
use crate::schema::{Field, Shape, TypeIndex};

/// The fields of a struct, a tuple or a variant, in the order of declaration.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    first: Dynamic<'a>,
    start: u64,
    fields: std::slice::Iter<'a, Field>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(whole: Dynamic<'a>, fields: &'a [Field]) -> Read<Self> {
        Ok(Self {
            first: whole.part(whole.type_index, whole.at)?,
            start: whole.at,
            fields: fields.iter(),
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Dynamic<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        let value = Dynamic {
            type_index: field.type_index,
            at: self.start + field.offset as u64,
            ..self.first
        };
        Some((&field.name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for Fields<'_> {}
impl FusedIterator for Fields<'_> {}

/// The items of a sequence or of a set. After an error there are no more.
#[derive(Debug, Clone)]
pub struct Items<'a>(Source<'a>);

#[derive(Debug, Clone)]
enum Source<'a> {
    Run {
        next: Dynamic<'a>,
        size: u64,
        left: u64,
    },
    Keys(Entries<'a>),
}

impl<'a> Items<'a> {
    /// Items that lie in a value.
    pub(super) fn run(whole: Dynamic<'a>, item: TypeIndex, run: Run) -> Read<Self> {
        Self::of(whole.part(item, run.at)?, run)
    }

    /// Items that a pointer of a value leads to.
    pub(super) fn behind_pointer(whole: Dynamic<'a>, item: TypeIndex, run: Run) -> Read<Self> {
        Self::of(
            Dynamic {
                length: 0,
                ..whole.target(item, run)?
            },
            run,
        )
    }

    fn of(next: Dynamic<'a>, run: Run) -> Read<Self> {
        Ok(Self(Source::Run {
            next,
            size: next.described().size as u64,
            left: run.length,
        }))
    }

    pub(super) fn keys(entries: Entries<'a>) -> Self {
        Self(Source::Keys(entries))
    }

    /// How many items are left, as the region says.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        match &self.0 {
            Source::Run { left, .. } => *left,
            Source::Keys(entries) => entries.remaining(),
        }
    }

    pub(super) fn read_next(&mut self) -> Option<Read<Dynamic<'a>>> {
        match &mut self.0 {
            Source::Run { next, size, left } => {
                *left = left.checked_sub(1)?;
                let item = *next;
                next.at += *size;
                Some(Ok(item))
            }
            Source::Keys(entries) => Some(entries.read_next()?.map(|(key, _)| key)),
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Dynamic<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let archive = match &self.0 {
            Source::Run { next, .. } => next.archive,
            Source::Keys(entries) => entries.whole.archive,
        };
        let next = self.read_next()?;
        Some(next.map_err(|fault| archive.error(*fault)))
    }
}

/// Keys and values of a map. After an error there are no more.
///
/// B-trees yield them in the order of keys, hash tables in the order of slots, and the map of a
/// region in [its own](crate::Map#order).
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    whole: Dynamic<'a>,
    key: TypeIndex,
    value: TypeIndex,
    depth: Depth,
    pairs: Pairs<'a>,
    remaining: u64,
}

#[derive(Debug, Clone)]
enum Pairs<'a> {
    Tree(Tree<'a>),
    Table(Table<'a>),
    Keyed(EntryFrames<'a>),
    /// Words of self-describing values, the next key and its value.
    Words(Pair),
}

impl<'a> Entries<'a> {
    pub(super) fn tree(
        whole: Dynamic<'a>,
        key: TypeIndex,
        value: TypeIndex,
        tree: Tree<'a>,
    ) -> Read<Self> {
        Ok(Self {
            whole,
            key,
            value,
            depth: whole.depth.behind_pointer(whole.at)?,
            remaining: tree.length(),
            pairs: Pairs::Tree(tree),
        })
    }

    pub(super) fn table(whole: Dynamic<'a>, entry: TypeIndex, table: Table<'a>) -> Read<Self> {
        let (key, value) = match &whole.archive.types.get(entry).shape {
            Shape::Struct { fields, .. } => (fields[0].type_index, fields[1].type_index),
            _ => (entry, entry),
        };
        Ok(Self {
            whole,
            key,
            value,
            depth: whole.depth.behind_pointer(whole.at)?,
            remaining: table.length(),
            pairs: Pairs::Table(table),
        })
    }

    /// Words of keys, and as many of values.
    pub(super) fn words(whole: Dynamic<'a>, keys: Run, values: u64) -> Read<Self> {
        let next = Pair {
            key: keys.at,
            value: values,
        };
        Ok(Self {
            whole,
            key: whole.type_index,
            value: whole.type_index,
            depth: whole.depth.behind_pointer(whole.at)?,
            remaining: keys.length,
            pairs: Pairs::Words(next),
        })
    }

    /// The entries of the map of a region; `whole.length` tells how many they are.
    pub(super) fn keyed(whole: Dynamic<'a>, layout: EntryLayout) -> Read<Self> {
        let (key, value) = layout.types();
        let archive = whole.archive;
        Ok(Self {
            whole,
            key,
            value,
            depth: whole.depth.inner(whole.at)?,
            remaining: whole.length,
            pairs: Pairs::Keyed(EntryFrames::new(
                archive,
                layout,
                whole.at,
                archive.length(),
            )),
        })
    }

    /// How many entries are left, as the region says.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(super) fn key_type(&self) -> TypeIndex {
        self.key
    }

    /// The entry of a keyed map at an offset.
    pub(super) fn at(&self, at: u64) -> Read<(Dynamic<'a>, Dynamic<'a>)> {
        match &self.pairs {
            Pairs::Keyed(keyed) => {
                let frame = keyed.layout().frame(self.whole.archive, at)?;
                Ok(self.parts(keyed.layout().pair(frame)))
            }
            _ => Err(Fault::new(at, FaultKind::Unkeyed)),
        }
    }

    /// The entry of a keyed map in a slot.
    pub(super) fn in_slot(&self, slot: u64) -> Read<(Dynamic<'a>, Dynamic<'a>)> {
        let size = match &self.pairs {
            Pairs::Keyed(keyed) => keyed.layout().slot().map_or(0, |slot| slot.size as u64),
            _ => 0,
        };
        self.at(slot.saturating_mul(size))
    }

    pub(super) fn read_next(&mut self) -> Option<Read<(Dynamic<'a>, Dynamic<'a>)>> {
        let pair = match &mut self.pairs {
            Pairs::Tree(tree) => tree.next()?,
            Pairs::Table(table) => table.next()?,
            Pairs::Words(next) => {
                if self.remaining == 0 {
                    return None;
                }
                let pair = *next;
                let size = self.whole.described().size as u64;
                *next = Pair {
                    key: pair.key + size,
                    value: pair.value + size,
                };
                Ok(pair)
            }
            Pairs::Keyed(keyed) => {
                let layout = keyed.layout();
                let is_entry = |it: &Frame| it.kind == FrameKind::Entry;
                let frame = keyed.find(|frame| frame.as_ref().map_or(true, is_entry))?;
                frame.map(|frame| layout.pair(frame))
            }
        };
        self.remaining = self.remaining.saturating_sub(1);
        let pair = pair.map_err(|fault| fault.within(self.whole.type_index));
        Some(pair.map(|pair| self.parts(pair)))
    }

    fn parts(&self, pair: Pair) -> (Dynamic<'a>, Dynamic<'a>) {
        (
            self.part(self.key, pair.key),
            self.part(self.value, pair.value),
        )
    }

    fn part(&self, type_index: TypeIndex, at: u64) -> Dynamic<'a> {
        Dynamic {
            archive: self.whole.archive,
            type_index,
            at,
            length: 0,
            depth: self.depth,
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(Dynamic<'a>, Dynamic<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let archive = self.whole.archive;
        Some(self.read_next()?.map_err(|fault| archive.error(*fault)))
    }
}
