//! The list in which types describe themselves.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::collections::HashMap;

use super::{Description, Field, FieldStyle, NamedRoot, Schema, Shape, Type, TypeIndex, Variant};

/// What archives, and the buffers that they are written through, are aligned to.
pub(crate) const ALIGNMENT_LIMIT: usize = 16;

/// The list of types described so far.
#[derive(Debug, Default)]
pub struct Types {
    pub(super) list: Vec<Type>,
    known: HashMap<TypeId, TypeIndex>,
}

impl Types {
    /// Describes `T`. The position is reserved before `shape` runs, so that `T` may contain itself.
    ///
    /// If `T` was described before, `shape` does not run.
    pub fn define<T: Schema>(
        &mut self,
        name: impl Into<String>,
        shape: impl FnOnce(&mut Self) -> Shape,
    ) -> TypeIndex {
        const {
            assert!(
                align_of::<T>() <= ALIGNMENT_LIMIT,
                "archived types may be aligned to 16 at most"
            )
        }
        self.insert::<T>(name.into(), size_of::<T>(), align_of::<T>(), shape)
    }

    /// A variant of a `#[repr(u8)]` enum, each field given by its name and type.
    ///
    /// The language lays such an enum out as a union of C structs, one a variant, that each start
    /// with the tag.
    ///
    /// # Panics
    ///
    /// If a type is not of this list.
    #[must_use]
    pub fn variant(
        &self,
        name: &str,
        tag: u8,
        style: FieldStyle,
        fields: Vec<(&str, TypeIndex)>,
    ) -> Variant {
        let mut end = size_of::<u8>();
        let place = |(name, type_index): (&str, TypeIndex)| {
            let field_type = &self[type_index];
            let offset = end.next_multiple_of(field_type.align);
            end = offset + field_type.size;
            Field {
                name: name.to_owned(),
                offset,
                type_index,
            }
        };
        Variant {
            name: name.to_owned(),
            tag,
            style,
            fields: fields.into_iter().map(place).collect(),
        }
    }

    /// Describes the generic type `T`, named `base` with its arguments: `Vec<u32>`.
    ///
    /// For types that contain themselves only through an argument; others reserve their position
    /// with [`define`](Self::define).
    ///
    /// # Panics
    ///
    /// If an argument is not of this list.
    pub fn define_generic<T: Schema>(
        &mut self,
        base: &str,
        arguments: &[TypeIndex],
        shape: Shape,
    ) -> TypeIndex {
        let name = format!("{base}<{}>", self.names(arguments));
        self.define::<T>(name, |_| shape)
    }

    /// Describes a type whose length stands beside the pointer to it.
    pub(super) fn define_unsized<T: Schema + ?Sized>(
        &mut self,
        name: String,
        align: usize,
        shape: Shape,
    ) -> TypeIndex {
        self.insert::<T>(name, 0, align, |_| shape)
    }

    /// Describes several values of one region: the names and types of the values, and functions
    /// that describe each. A row of the table that leads to them has `row` bytes.
    pub(crate) fn define_roots<'a>(
        &mut self,
        row: usize,
        named: impl Iterator<Item = (&'a str, fn(&mut Self) -> TypeIndex)>,
    ) -> TypeIndex {
        let mut roots = Vec::new();
        for (name, describe) in named {
            roots.push(NamedRoot {
                name: name.to_owned(),
                offset: roots.len() * row,
                type_index: describe(self),
                fingerprint: Description::by(describe).fingerprint(),
            });
        }
        let index = self.push("Roots".to_owned(), roots.len() * row, align_of::<u64>());
        self.list[index.0 as usize].shape = Shape::Roots { roots };
        index
    }

    /// The names of `types`, separated by commas.
    pub(super) fn names(&self, types: &[TypeIndex]) -> String {
        let names: Vec<_> = types
            .iter()
            .map(|&index| self[index].name.as_str())
            .collect();
        names.join(", ")
    }

    fn insert<T: Schema + ?Sized>(
        &mut self,
        name: String,
        size: usize,
        align: usize,
        shape: impl FnOnce(&mut Self) -> Shape,
    ) -> TypeIndex {
        if let Some(&known) = self.known.get(&TypeId::of::<T>()) {
            return known;
        }
        let index = self.push(name, size, align);
        self.known.insert(TypeId::of::<T>(), index);
        self.list[index.0 as usize].shape = shape(self);
        index
    }

    /// Reserves a position. The shape stands in until the true one is known; nothing reads it
    /// meanwhile.
    fn push(&mut self, name: String, size: usize, align: usize) -> TypeIndex {
        let position = u32::try_from(self.list.len()).expect("a program has fewer than 2^32 types");
        self.list.push(Type {
            name,
            size,
            align,
            shape: Shape::Unit,
        });
        TypeIndex(position)
    }
}

impl std::ops::Index<TypeIndex> for Types {
    type Output = Type;

    /// # Panics
    ///
    /// If the type is not of this list.
    fn index(&self, index: TypeIndex) -> &Type {
        &self.list[index.0 as usize]
    }
}
