//! The types of a region as a tree that people can read.

use std::collections::HashSet;

use floe::schema::{Description, Field, NamedRoot, Shape, Type, TypeIndex, Variant};

use super::table::{Cell, Column, Table};

/// Letters of a name, times interned types, that are compared.
const MOST_COMPARED: usize = 1 << 20;
/// Types nested deeper are not shown.
const DEEPEST: usize = 32;

const COLUMNS: &[Column] = &[
    Column("offset", "OFFSET"),
    Column("size", "SIZE"),
    Column("type", "TYPE"),
];

/// All that a value of the root type is made of: offset in what it is a member of, size, and the
/// name behind the lines of the tree. Each type is unfolded once.
pub(crate) fn tree(description: &Description, root_type: TypeIndex) -> Table {
    let is_interned = |described: &&Type| matches!(described.shape, Shape::Interned { .. });
    let interned = description.types.iter().filter(is_interned);
    let mut tree = Tree {
        description,
        interned: interned.map(|it| it.name.as_str()).collect(),
        unfolded: HashSet::new(),
        table: Table::new(COLUMNS),
    };
    if let Some(root) = description.get(root_type) {
        let name = match root.shape {
            Shape::Map { key, value, .. } => {
                format!("Map<{}, {}>", tree.name(key), tree.name(value))
            }
            _ => tree.name(root_type),
        };
        tree.push(Cell::Number(0), Cell::Number(root.size as u64), name);
        tree.unfold(root_type, "", 0);
    }
    tree.table
}

struct Tree<'a> {
    description: &'a Description,
    /// Names of interned types.
    interned: Vec<&'a str>,
    unfolded: HashSet<TypeIndex>,
    table: Table,
}

/// What a type is made of, in one line.
struct Member<'a> {
    offset: Option<usize>,
    name: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Value(TypeIndex),
    Variant(&'a [Field]),
}

impl<'a> Tree<'a> {
    fn push(&mut self, offset: Cell, size: Cell, text: String) {
        self.table.push(vec![offset, size, Cell::Text(text)]);
    }

    /// Adds the members of a type below a line that starts with `indent`.
    fn unfold(&mut self, index: TypeIndex, indent: &str, depth: usize) {
        let Some((index, described)) = self.inner(index) else {
            return;
        };
        let members = self.members(described);
        if depth < DEEPEST && !members.is_empty() && self.unfolded.insert(index) {
            self.add(&members, indent, depth);
        }
    }

    fn add(&mut self, members: &[Member<'a>], indent: &str, depth: usize) {
        for (number, member) in members.iter().enumerate() {
            let (branch, below) = match number + 1 == members.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            let below = format!("{indent}{below}");
            let offset = member
                .offset
                .map_or(Cell::Empty, |offset| Cell::Number(offset as u64));
            match member.kind {
                Kind::Value(index) => {
                    let size = self.description.get(index).map_or(0, |it| it.size);
                    let text = format!("{indent}{branch}{}: {}", member.name, self.name(index));
                    self.push(offset, Cell::Number(size as u64), text);
                    self.unfold(index, &below, depth + 1);
                }
                Kind::Variant(fields) => {
                    self.push(
                        offset,
                        Cell::Empty,
                        format!("{indent}{branch}{}", member.name),
                    );
                    self.add(
                        &fields.iter().map(field).collect::<Vec<_>>(),
                        &below,
                        depth + 1,
                    );
                }
            }
        }
    }

    /// The members of a type. Of maps and sets, whose names tell it all otherwise, only those that
    /// have members themselves.
    fn members(&self, described: &'a Type) -> Vec<Member<'a>> {
        match &described.shape {
            Shape::Struct { fields, .. } | Shape::Tuple { parts: fields } => {
                fields.iter().map(field).collect()
            }
            Shape::Enum { variants } if is_plain(variants) => Vec::new(),
            Shape::Enum { variants } => variants.iter().map(variant).collect(),
            Shape::Map {
                key,
                value,
                key_offset,
                value_offset,
                ..
            } => vec![
                member(Some(*key_offset), "key", *key),
                member(Some(*value_offset), "value", *value),
            ],
            Shape::Roots { roots } => {
                let root = |root: &'a NamedRoot| member(None, &root.name, root.type_index);
                roots.iter().map(root).collect()
            }
            Shape::BTreeMap { key, value, .. } => {
                let members = vec![member(None, "key", *key), member(None, "value", *value)];
                self.with_members(members)
            }
            Shape::Set { map } => {
                let mut members = self.description.get(*map).map(|map| self.members(map));
                let members = members.get_or_insert_default();
                members.retain(|member| member.name == "key");
                std::mem::take(members)
            }
            Shape::HashMap { entry } | Shape::IndexMap { entry } => {
                match self.description.get(*entry).map(|it| &it.shape) {
                    Some(Shape::Struct { fields, .. }) => {
                        self.with_members(fields.iter().map(field).collect())
                    }
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn with_members(&self, mut members: Vec<Member<'a>>) -> Vec<Member<'a>> {
        members.retain(|member| match member.kind {
            Kind::Value(index) => self.inner(index).is_some_and(|(_, inner)| {
                let shape = &inner.shape;
                matches!(
                    shape,
                    Shape::Tuple { .. } | Shape::Struct { .. } | Shape::Enum { .. }
                )
            }),
            Kind::Variant(_) => true,
        });
        members
    }

    /// The type that pointers, options and collections lead to.
    fn inner(&self, mut index: TypeIndex) -> Option<(TypeIndex, &'a Type)> {
        // A hostile schema can go round in circles.
        for _ in 0..DEEPEST {
            let described = self.description.get(index)?;
            index = match described.shape {
                Shape::Slice { item } | Shape::Vec { item } | Shape::Array { item, .. } => item,
                Shape::Box { target } | Shape::Shared { target } => target,
                Shape::Interned { target } => target,
                Shape::Option { some, .. } => some,
                _ => return Some((index, described)),
            };
        }
        None
    }

    /// The name of a type, where interning is a remark and not a bracket. If all that there is to
    /// tell of it are the names of variants, they follow.
    fn name(&self, index: TypeIndex) -> String {
        let Some(described) = self.description.get(index) else {
            return "?".to_owned();
        };
        let name = self.without_interned(&described.name);
        match &described.shape {
            Shape::Interned { .. } => name + ", interned",
            Shape::Option { some, .. } if self.is_interned(*some) => name + ", interned",
            _ if name != described.name => name + ", members interned",
            Shape::Enum { variants } if is_plain(variants) => {
                let names: Vec<&str> = variants.iter().map(|it| it.name.as_str()).collect();
                format!("{name} = {}", names.join(" | "))
            }
            _ => name,
        }
    }

    fn is_interned(&self, index: TypeIndex) -> bool {
        let described = self.description.get(index);
        described.is_some_and(|it| matches!(it.shape, Shape::Interned { .. }))
    }

    /// `Vec<Interned<String>>` as `Vec<String>`.
    fn without_interned(&self, name: &str) -> String {
        // A hostile schema shall take no time.
        if name.len().saturating_mul(self.interned.len()) > MOST_COMPARED {
            return name.to_owned();
        }
        let (mut shown, mut rest) = (String::new(), name);
        // Whether each open bracket is one of a wrapper.
        let mut open = Vec::new();
        while let Some(next) = rest.chars().next() {
            let is_wrapper = self.interned.iter().any(|name| rest.starts_with(name));
            if let (true, Some((_, inner))) = (is_wrapper, rest.split_once('<')) {
                open.push(true);
                rest = inner;
                continue;
            }
            let closes_wrapper = match next {
                '<' => {
                    open.push(false);
                    false
                }
                '>' => open.pop().unwrap_or(false),
                _ => false,
            };
            if !closes_wrapper {
                shown.push(next);
            }
            rest = &rest[next.len_utf8()..];
        }
        shown
    }
}

fn member(offset: Option<usize>, name: &str, index: TypeIndex) -> Member<'_> {
    let kind = Kind::Value(index);
    Member { offset, name, kind }
}

/// Whether no variant has fields.
fn is_plain(variants: &[Variant]) -> bool {
    variants.iter().all(|variant| variant.fields.is_empty())
}

fn variant(variant: &Variant) -> Member<'_> {
    Member {
        offset: None,
        name: &variant.name,
        kind: Kind::Variant(&variant.fields),
    }
}

fn field(field: &Field) -> Member<'_> {
    member(Some(field.offset), &field.name, field.type_index)
}
