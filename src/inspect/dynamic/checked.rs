//! A description whose sizes, offsets and indices are known to fit together.
//!
//! It is checked once, so that reading needs to check only what the archive says: every part of a
//! value lies inside of it, and no value takes work without having bytes.

mod fault;

use std::collections::HashSet;

use crate::archive::parts::{MOST_ROOTS, ROW_LENGTH};
use crate::archive::{NodeLayout, WORD};
use crate::schema::{
    ALIGNMENT_LIMIT, Description, Field, FieldStyle, MapLayout, NamedRoot, NoneMark, Shape, Type,
    TypeIndex, Variant,
};

use fault::{SchemaError, SchemaFault};

/// Most that one value may take, and the highest offset in it.
const SIZE_LIMIT: usize = crate::archive::VALUE_LIMIT as usize;
/// How deep types may fault in each other without a pointer between them.
const NESTING_LIMIT: usize = 64;
/// Values without bytes that may fault in one value.
const EMPTY_LIMIT: usize = 1 << 16;

/// A description that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The cache, for errors.
    name: String,
    description: Description,
}

impl Checked {
    /// Checks every type of a description, in time proportional to its length.
    pub(crate) fn new(name: &str, description: Description) -> Result<Self, SchemaError> {
        let name = name.to_owned();
        let checked = Self { name, description };
        match checked.check_all() {
            Ok(()) => Ok(checked),
            Err((index, fault)) => Err(SchemaError {
                number: index.0,
                name: checked.type_name(index),
                fault,
            }),
        }
    }

    fn check_all(&self) -> Result<(), (TypeIndex, SchemaFault)> {
        for (number, described) in self.types().iter().enumerate() {
            let index = TypeIndex(number as u32);
            let checked = self
                .check(described)
                .and_then(|()| self.check_mentioned(described));
            checked.map_err(|fault| (index, fault))?;
        }
        let root = self.description.root;
        self.resolve(root).map_err(|fault| (root, fault))?;
        self.check_nesting()
    }

    /// The name of the cache.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of a type, for a line of text: the schema chose it freely.
    pub(crate) fn type_name(&self, index: TypeIndex) -> String {
        let named = self.description.get(index);
        let name = named.map_or("unknown", |described| &described.name);
        let shown = name.chars().take(80).flat_map(char::escape_debug);
        shown.collect()
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn types(&self) -> &[Type] {
        &self.description.types
    }

    /// A type that this description mentions.
    #[inline]
    pub(crate) fn get(&self, index: TypeIndex) -> &Type {
        &self.description.types[index.0 as usize]
    }

    /// The layout of the nodes of a B-tree of this description.
    pub(crate) fn node(&self, key: TypeIndex, value: TypeIndex, entries: usize) -> NodeLayout {
        NodeLayout::new(self.get(key), self.get(value), entries)
    }

    fn resolve(&self, index: TypeIndex) -> Result<&Type, SchemaFault> {
        let types = self.types().len();
        let found = self.description.get(index);
        found.ok_or(SchemaFault::Index {
            index: index.0,
            types,
        })
    }

    fn check(&self, described: &Type) -> Result<(), SchemaFault> {
        let &Type { size, align, .. } = described;
        if !align.is_power_of_two() || align > ALIGNMENT_LIMIT {
            return Err(SchemaFault::Alignment { align });
        }
        if size > SIZE_LIMIT || !size.is_multiple_of(align) {
            return Err(SchemaFault::Size { size });
        }
        let exactly = |expected| match size {
            got if got == expected => Ok(()),
            got => Err(SchemaFault::ScalarSize { expected, got }),
        };
        let among = |possible: &[usize]| match possible.contains(&size) {
            true => Ok(()),
            false => exactly(possible[0]),
        };
        match &described.shape {
            Shape::Unit | Shape::Str => exactly(0),
            Shape::Bool => exactly(1),
            Shape::Char => exactly(4),
            Shape::Unsigned | Shape::Signed => among(&[1, 2, 4, 8, 16]),
            Shape::Float => among(&[4, 8]),
            Shape::String | Shape::CString => exactly(2 * WORD),
            Shape::Duration => among(&[16, 12]),
            Shape::IpAddr => among(&[4, 16]),
            Shape::SocketAddrV4 => among(&[6, 8]),
            Shape::SocketAddrV6 => among(&[28, 32]),
            Shape::Slice { item } => {
                self.check_items(*item)?;
                exactly(0)
            }
            Shape::Array { item, length } => {
                let item = self.check_items(*item)?;
                exactly(
                    item.size
                        .checked_mul(*length)
                        .ok_or(SchemaFault::Size { size })?,
                )
            }
            Shape::Vec { item } => {
                self.check_items(*item)?;
                exactly(2 * WORD)
            }
            Shape::Address { v4, v6 } => self.check_address(described, *v4, *v6),
            Shape::Tuple { parts } => self.check_fields(described, FieldStyle::Tuple, parts),
            Shape::Struct { style, fields } => self.check_fields(described, *style, fields),
            Shape::Enum { variants } => self.check_variants(described, variants),
            Shape::Option { some, offset, none } => {
                self.check_part(described, "some", *some, *offset)?;
                match none {
                    NoneMark::Tag | NoneMark::AboveOne if size == 0 => {
                        Err(SchemaFault::Size { size })
                    }
                    NoneMark::Nan if !matches!(size, 4 | 8) => Err(SchemaFault::Size { size }),
                    NoneMark::Nowhere if size < WORD => Err(SchemaFault::Size { size }),
                    _ => Ok(()),
                }
            }
            Shape::Box { target } | Shape::Shared { target } | Shape::Interned { target } => {
                let target = self.resolve(*target)?;
                exactly(if is_unsized(target) { 2 * WORD } else { WORD })
            }
            Shape::BTreeMap {
                key,
                value,
                node_entries,
            } => {
                self.check_tree(*key, *value, *node_entries)?;
                exactly(2 * WORD)
            }
            Shape::HashMap { entry } => {
                self.check_entry(*entry)?;
                exactly(3 * WORD)
            }
            Shape::IndexMap { entry } => {
                self.check_entry(*entry)?;
                exactly(4 * WORD)
            }
            Shape::Set { map } => self.check_set(described, *map),
            Shape::Map {
                key,
                value,
                key_offset,
                value_offset,
                layout,
            } => {
                // The header of an entry stands before the key, if it has one.
                let has_header = *layout == MapLayout::Lines;
                if has_header && (*key_offset < 4 || *value_offset < 4) {
                    return Err(SchemaFault::Entry);
                }
                if size == 0 {
                    return Err(SchemaFault::EmptyItems);
                }
                self.check_part(described, "key", *key, *key_offset)?;
                self.check_part(described, "value", *value, *value_offset)
            }
            Shape::SelfDescribing { integer, float } => {
                self.check_numbers(*integer, *float)?;
                exactly(WORD)
            }
            Shape::Roots { roots } => self.check_roots(described, roots),
        }
    }

    /// What a region alone can be, or one of its roots, does not lie in other types.
    fn check_mentioned(&self, described: &Type) -> Result<(), SchemaFault> {
        let has_roots = matches!(described.shape, Shape::Roots { .. });
        for index in described.shape.mentioned() {
            match self.resolve(index)?.shape {
                Shape::Map { .. } if !has_roots => return Err(SchemaFault::InnerMap),
                Shape::Roots { .. } => return Err(SchemaFault::InnerRoots),
                _ => {}
            }
        }
        Ok(())
    }

    /// The items of packed lists are numbers of eight bytes.
    fn check_numbers(&self, integer: TypeIndex, float: TypeIndex) -> Result<(), SchemaFault> {
        let (integer, float) = (self.sized("integer", integer)?, self.sized("float", float)?);
        let is_wide = |described: &Type| described.size == 8;
        match integer.shape == Shape::Signed && float.shape == Shape::Float {
            true if is_wide(integer) && is_wide(float) => Ok(()),
            _ => Err(SchemaFault::Entry),
        }
    }

    fn check_roots(&self, described: &Type, roots: &[NamedRoot]) -> Result<(), SchemaFault> {
        if roots.len() > MOST_ROOTS {
            let roots = roots.len();
            return Err(SchemaFault::Roots { roots });
        }
        let mut names = HashSet::new();
        for root in roots {
            if is_unsized(self.resolve(root.type_index)?) {
                let part = root.name.clone();
                return Err(SchemaFault::Unsized { part });
            }
            let end = root.offset.checked_add(ROW_LENGTH);
            if !names.insert(&root.name) || end.is_none_or(|end| end > described.size) {
                let name = root.name.clone();
                return Err(SchemaFault::Root { name });
            }
        }
        Ok(())
    }

    /// Items are sized, and have bytes: a forged length of others would be a loop without end.
    fn check_items(&self, item: TypeIndex) -> Result<&Type, SchemaFault> {
        let item = self.sized("item", item)?;
        if item.size == 0 {
            return Err(SchemaFault::EmptyItems);
        }
        Ok(item)
    }

    fn sized(&self, part: &str, index: TypeIndex) -> Result<&Type, SchemaFault> {
        let found = self.resolve(index)?;
        if is_unsized(found) {
            let part = part.to_owned();
            return Err(SchemaFault::Unsized { part });
        }
        Ok(found)
    }

    fn check_fields(
        &self,
        described: &Type,
        style: FieldStyle,
        fields: &[Field],
    ) -> Result<(), SchemaFault> {
        if style == FieldStyle::Unit && !fields.is_empty() {
            let fields = fields.len();
            return Err(SchemaFault::UnitFields { fields });
        }
        fields.iter().enumerate().try_for_each(|(position, field)| {
            if style == FieldStyle::Tuple && field.name != position.to_string() {
                let name = field.name.clone();
                return Err(SchemaFault::PartName { position, name });
            }
            self.check_part(described, &field.name, field.type_index, field.offset)
        })
    }

    /// Key and value of an entry of a table.
    fn check_entry(&self, entry: TypeIndex) -> Result<[TypeIndex; 2], SchemaFault> {
        match &self.check_items(entry)?.shape {
            Shape::Struct { fields, .. } => match &fields[..] {
                [key, value] => Ok([key.type_index, value.type_index]),
                _ => Err(SchemaFault::Entry),
            },
            _ => Err(SchemaFault::Entry),
        }
    }

    fn check_set(&self, described: &Type, map: TypeIndex) -> Result<(), SchemaFault> {
        let map = self.resolve(map)?;
        let no_map = || SchemaFault::SetMap {
            map: map.name.clone(),
        };
        if (map.size, map.align) != (described.size, described.align) {
            return Err(no_map());
        }
        let [key, value] = match &map.shape {
            Shape::BTreeMap { key, value, .. } => [*key, *value],
            Shape::HashMap { entry } | Shape::IndexMap { entry } => self.check_entry(*entry)?,
            _ => return Err(no_map()),
        };
        let (item, value) = (self.resolve(key)?, self.resolve(value)?);
        if value.shape != Shape::Unit {
            let value = value.name.clone();
            return Err(SchemaFault::SetValues { value });
        }
        if !self.is_comparable(key, &mut HashSet::new()) {
            let item = item.name.clone();
            return Err(SchemaFault::SetItems { item });
        }
        Ok(())
    }

    /// Whether values of a type can be told apart by an order or a hash; structs and enums may have
    /// ones of their own.
    fn is_comparable(&self, index: TypeIndex, visited: &mut HashSet<TypeIndex>) -> bool {
        let Some(described) = self.description.get(index) else {
            return true;
        };
        // Types may contain themselves, and a hostile schema shall take no time.
        if !visited.insert(index) || visited.len() > NESTING_LIMIT {
            return true;
        }
        let mut all =
            |parts: &[TypeIndex]| parts.iter().all(|part| self.is_comparable(*part, visited));
        match &described.shape {
            Shape::Float | Shape::HashMap { .. } | Shape::IndexMap { .. } | Shape::Map { .. } => {
                false
            }
            Shape::Vec { item } | Shape::Slice { item } | Shape::Array { item, .. } => {
                all(&[*item])
            }
            Shape::Box { target } | Shape::Shared { target } | Shape::Interned { target } => {
                all(&[*target])
            }
            Shape::Option { some, .. } => all(&[*some]),
            Shape::Set { map } => all(&[*map]),
            Shape::BTreeMap { key, value, .. } => all(&[*key, *value]),
            Shape::Tuple { parts } => {
                let mut parts = parts.iter().take(NESTING_LIMIT);
                parts.all(|part| all(&[part.type_index]))
            }
            _ => true,
        }
    }

    fn check_address(
        &self,
        described: &Type,
        v4: TypeIndex,
        v6: TypeIndex,
    ) -> Result<(), SchemaFault> {
        let (four, six) = (self.resolve(v4)?, self.resolve(v6)?);
        match (&four.shape, &six.shape) {
            (Shape::IpAddr, Shape::IpAddr) if (four.size, six.size) == (4, 16) => {}
            (Shape::SocketAddrV4, Shape::SocketAddrV6) => {}
            _ => return Err(SchemaFault::Address),
        }
        self.check_part(described, "v4", v4, address_offset(four))?;
        self.check_part(described, "v6", v6, address_offset(six))
    }

    fn check_variants(&self, described: &Type, variants: &[Variant]) -> Result<(), SchemaFault> {
        if described.size == 0 {
            return Err(SchemaFault::Size { size: 0 });
        }
        let mut seen = [false; 256];
        for variant in variants {
            if std::mem::replace(&mut seen[usize::from(variant.tag)], true) {
                return Err(SchemaFault::Tag { tag: variant.tag });
            }
            self.check_fields(described, variant.style, &variant.fields)?;
        }
        Ok(())
    }

    fn check_part(
        &self,
        whole: &Type,
        name: &str,
        part: TypeIndex,
        offset: usize,
    ) -> Result<(), SchemaFault> {
        let part = self.sized(name, part)?;
        let end = offset.checked_add(part.size);
        let fits = end.is_some_and(|end| end <= whole.size)
            && part.align <= whole.align
            && offset.is_multiple_of(part.align.max(1));
        if fits {
            return Ok(());
        }
        Err(SchemaFault::Part {
            part: name.to_owned(),
            offset,
        })
    }

    fn check_tree(
        &self,
        key: TypeIndex,
        value: TypeIndex,
        entries: usize,
    ) -> Result<(), SchemaFault> {
        let key = self.check_items(key)?;
        let value = self.sized("value", value)?;
        // The alignments are checked with their own types, perhaps later.
        let aligned = [key, value]
            .iter()
            .all(|part| part.align <= ALIGNMENT_LIMIT);
        let size = (key.size.saturating_add(value.size)).checked_mul(entries);
        if entries == 0 || !aligned || size.is_none_or(|size| size > SIZE_LIMIT) {
            return Err(SchemaFault::Node { entries });
        }
        Ok(())
    }

    /// Refuses types that contain themselves without a pointer, and those that expand into very
    /// many values without bytes.
    fn check_nesting(&self) -> Result<(), (TypeIndex, SchemaFault)> {
        let mut expansions = vec![None; self.types().len()];
        for number in 0..expansions.len() {
            self.expansion(TypeIndex(number as u32), 0, &mut expansions)?;
        }
        Ok(())
    }

    /// How many values fault in a value of a type, itself included, without following a pointer.
    fn expansion(
        &self,
        index: TypeIndex,
        level: usize,
        known: &mut [Option<(usize, usize)>],
    ) -> Result<(usize, usize), (TypeIndex, SchemaFault)> {
        if let Some(known) = known[index.0 as usize] {
            return Ok(known);
        }
        if level == NESTING_LIMIT {
            return Err((index, SchemaFault::Nesting));
        }
        let described = self.get(index);
        let (mut values, mut height) = (1_usize, 0);
        let mut add = |part: TypeIndex, times: usize| {
            let (inner, below) = self.expansion(part, level + 1, known)?;
            values = values.saturating_add(inner.saturating_mul(times));
            height = height.max(below + 1);
            Ok(())
        };
        match &described.shape {
            Shape::Array { item, length } => add(*item, *length)?,
            Shape::Struct { fields, .. } | Shape::Tuple { parts: fields } => {
                fields
                    .iter()
                    .try_for_each(|field| add(field.type_index, 1))?;
            }
            Shape::Enum { variants } => {
                let fields = variants.iter().flat_map(|variant| &variant.fields);
                fields
                    .into_iter()
                    .try_for_each(|field| add(field.type_index, 1))?;
            }
            Shape::Option { some, .. } => add(*some, 1)?,
            Shape::Map { key, value, .. } => {
                add(*key, 1)?;
                add(*value, 1)?;
            }
            _ => {}
        }
        if height >= NESTING_LIMIT {
            return Err((index, SchemaFault::Nesting));
        }
        if values > EMPTY_LIMIT.saturating_add(described.size.saturating_mul(NESTING_LIMIT)) {
            return Err((index, SchemaFault::Empty));
        }
        known[index.0 as usize] = Some((values, height));
        Ok((values, height))
    }
}

/// Where an address of one version stands in one of either.
pub(super) fn address_offset(version: &Type) -> usize {
    size_of::<u8>().next_multiple_of(version.align.max(1))
}

/// Whether the length of such a value stands beside the pointer to it.
pub(super) fn is_unsized(described: &Type) -> bool {
    matches!(described.shape, Shape::Str | Shape::Slice { .. })
}
