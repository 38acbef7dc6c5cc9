//! The fields that a walk has met, and what was counted in each.

use std::borrow::Cow;
use std::collections::HashMap;

use super::table::Row;
use super::texts::Texts;
use crate::inspect::dynamic::{Checked, Fault, FaultKind, Read};
use crate::schema::{Shape, Type, TypeIndex};

/// Most fields of one census: a schema can have more paths than anybody could read.
const LIMIT: usize = 1 << 16;
/// Most characters of one part of a path: a schema can have names of any length, at many paths.
const PART_LIMIT: usize = 80;

/// The tree of fields, its nodes made when a value is met there first.
#[derive(Debug)]
pub(super) struct Paths<'a> {
    types: &'a Checked,
    nodes: Vec<Node<'a>>,
}

/// A field, as a position in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug)]
struct Node<'a> {
    type_index: TypeIndex,
    described: &'a Type,
    parent: Option<Place>,
    /// The last part of the path; without one, the values count as part of those around them.
    part: Option<Cow<'a, str>>,
    children: Vec<Option<Place>>,
    /// Which parts of values of the type are counted here, where it is not all of them.
    row: Option<&'static str>,
    counts: Counts,
    texts: Option<Box<Texts>>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    count: u64,
    bytes: u64,
    /// Own bytes of the largest value.
    largest: u64,
    /// The same with values that count as part of it.
    largest_whole: u64,
}

impl<'a> Paths<'a> {
    pub(super) fn new(types: &'a Checked) -> Self {
        Self {
            types,
            nodes: Vec::new(),
        }
    }

    /// Starts a path: of the value of a region, or of its keys.
    pub(super) fn root(&mut self, type_index: TypeIndex, name: Cow<'a, str>) -> Place {
        self.push(None, type_index, Some(name))
    }

    /// The name that the path of a value starts with.
    pub(super) fn root_name(types: &'a Checked, type_index: TypeIndex) -> Cow<'a, str> {
        let described = types.get(type_index);
        match &described.shape {
            Shape::Struct { .. } | Shape::Enum { .. } => Cow::Borrowed(&described.name),
            Shape::Option { some: inner, .. } | Shape::Interned { target: inner } => {
                match &types.get(*inner).shape {
                    Shape::Struct { .. } | Shape::Enum { .. } => Self::root_name(types, *inner),
                    _ => Cow::Borrowed("value"),
                }
            }
            _ => Cow::Borrowed("value"),
        }
    }

    #[inline]
    pub(super) fn described(&self, place: Place) -> &'a Type {
        self.nodes[place.0 as usize].described
    }

    /// The field of a number in another. `part` names it when it is met first.
    #[inline]
    pub(super) fn child(
        &mut self,
        place: Place,
        number: usize,
        type_index: TypeIndex,
        part: impl FnOnce() -> Option<Cow<'a, str>>,
    ) -> Read<Place> {
        let children = &self.nodes[place.0 as usize].children;
        if let Some(Some(known)) = children.get(number) {
            return Ok(*known);
        }
        self.new_child(place, number, type_index, part())
    }

    /// The type of a field.
    pub(super) fn type_index(&self, place: Place) -> TypeIndex {
        self.nodes[place.0 as usize].type_index
    }

    /// The row of a number in a field, for what belongs to it and has no type of its own.
    pub(super) fn row_in(
        &mut self,
        place: Place,
        number: usize,
        name: &'static str,
    ) -> Read<Place> {
        let node = &self.nodes[place.0 as usize];
        if let Some(Some(known)) = node.children.get(number) {
            return Ok(*known);
        }
        if self.nodes.len() == LIMIT {
            return Err(Fault::new(0, FaultKind::Paths { most: LIMIT }));
        }
        let row = self.push(Some(place), node.type_index, Some(Cow::Borrowed(name)));
        self.nodes[row.0 as usize].row = Some(name);
        self.set_child(place, number, row);
        Ok(row)
    }

    fn set_child(&mut self, place: Place, number: usize, child: Place) {
        let children = &mut self.nodes[place.0 as usize].children;
        if children.len() <= number {
            children.resize(number + 1, None);
        }
        children[number] = Some(child);
    }

    #[cold]
    fn new_child(
        &mut self,
        place: Place,
        number: usize,
        type_index: TypeIndex,
        part: Option<Cow<'a, str>>,
    ) -> Read<Place> {
        if self.nodes.len() == LIMIT {
            return Err(Fault::new(0, FaultKind::Paths { most: LIMIT }));
        }
        let child = match self.around(place, type_index) {
            Some(outer) => outer,
            None => self.push(Some(place), type_index, part),
        };
        self.set_child(place, number, child);
        Ok(child)
    }

    /// A field of the same type that a field lies in: types that contain themselves make no longer
    /// and longer paths.
    fn around(&self, place: Place, type_index: TypeIndex) -> Option<Place> {
        let parent = |place: &Place| self.nodes[place.0 as usize].parent;
        let mut outwards = std::iter::successors(Some(place), parent);
        outwards.find(|place| self.nodes[place.0 as usize].type_index == type_index)
    }

    fn push(
        &mut self,
        parent: Option<Place>,
        type_index: TypeIndex,
        part: Option<Cow<'a, str>>,
    ) -> Place {
        self.nodes.push(Node {
            type_index,
            described: self.types.get(type_index),
            parent,
            part: part.map(cut),
            children: Vec::new(),
            row: None,
            counts: Counts::default(),
            texts: None,
        });
        Place(self.nodes.len() as u32 - 1)
    }

    /// Counts values of some own bytes; `whole` are those with values that count as part of it.
    #[inline]
    pub(super) fn add(&mut self, place: Place, times: u64, own: u64, whole: u64) {
        let counts = &mut self.nodes[place.0 as usize].counts;
        counts.count += times;
        counts.bytes += own * times;
        counts.largest = counts.largest.max(own);
        counts.largest_whole = counts.largest_whole.max(whole);
    }

    pub(super) fn add_text(&mut self, place: Place, text: &[u8]) {
        let texts = &mut self.nodes[place.0 as usize].texts;
        texts.get_or_insert_default().add(text);
    }

    /// Adds what was counted here to sums by type and by path.
    pub(super) fn sum_up(self, sums: &mut Sums) {
        let mut names: Vec<Vec<String>> = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            // Parents come before their children.
            let mut path = node.parent.map_or_else(
                || Vec::from_iter(sums.prefix.clone()),
                |it| names[it.0 as usize].clone(),
            );
            path.extend(node.part.as_deref().map(str::to_owned));
            let kind = sums.kinds.entry((node.type_index, node.row)).or_default();
            kind.count += node.counts.count;
            kind.bytes += node.counts.bytes;
            kind.largest = kind.largest.max(node.counts.largest);
            let field = sums.fields.entry(path.clone()).or_default();
            field.counts.bytes += node.counts.bytes;
            if node.part.is_some() {
                field.counts.count += node.counts.count;
                let largest = field.counts.largest.max(node.counts.largest_whole);
                field.counts.largest = largest;
            }
            if let Some(texts) = node.texts {
                field.texts.get_or_insert_default().join(*texts);
            }
            names.push(path);
        }
    }
}

fn cut(part: Cow<'_, str>) -> Cow<'_, str> {
    match part.char_indices().nth(PART_LIMIT) {
        Some((end, _)) => Cow::Owned(part[..end].to_owned()),
        None => part,
    }
}

/// What several walks have counted.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// What the paths of the root begin with that is counted next.
    pub(super) prefix: Option<String>,
    kinds: HashMap<(TypeIndex, Option<&'static str>), Counts>,
    fields: HashMap<Vec<String>, FieldSum>,
}

#[derive(Debug, Default)]
struct FieldSum {
    counts: Counts,
    texts: Option<Texts>,
}

impl Sums {
    pub(super) fn bytes(&self) -> u64 {
        self.kinds.values().map(|counts| counts.bytes).sum()
    }

    /// Rows by type and by path.
    pub(super) fn rows(self, types: &Checked) -> (Vec<Row>, Vec<Row>) {
        let kind = |((index, row), counts): ((TypeIndex, Option<&str>), Counts)| Row {
            name: match row {
                None => types.get(index).name.clone(),
                Some(row) => format!("{} {row}", types.get(index).name),
            },
            ..counts.row()
        };
        let field = |(path, sum): (Vec<String>, FieldSum)| Row {
            name: path.concat(),
            path,
            text: sum.texts.map(|texts| texts.text()),
            ..sum.counts.row()
        };
        (
            self.kinds.into_iter().map(kind).collect(),
            self.fields.into_iter().map(field).collect(),
        )
    }
}

impl Counts {
    fn row(self) -> Row {
        Row {
            count: self.count,
            bytes: self.bytes,
            largest: self.largest,
            ..Row::default()
        }
    }
}
