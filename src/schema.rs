//! The structure of archived types, told by themselves.
//!
//! A region records the [`Description`] of its root type as JSON and the [`Fingerprint`] of that
//! JSON in its header. A reader with the Rust types compares fingerprints; a tool without them
//! reads the description and walks the bytes.
//!
//! The fingerprint changes with the name, size or alignment of any type inside the root type, with
//! the name, type, position or offset of any field, and with the name, tag or order of any variant.

mod collections;
mod compounds;
mod description;
#[cfg(feature = "uuid-1")]
mod external;
mod niches;
mod pointers;
mod scalars;
#[cfg(test)]
mod tests;

use std::{any::TypeId, collections::HashMap};

pub use crate::error::Fingerprint;
pub use description::{Description, Field, FieldStyle, NoneMark, Shape, Type, TypeIndex, Variant};

/// An archived type that can describe itself.
///
/// It is derived on the *archived* type, whose fields have their final types. rkyv passes the
/// derive on:
///
/// ```
/// use floe::Schema;
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct License(String);
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Recipe {
///     licenses: Vec<License>,
/// }
///
/// let description = floe::schema::Description::of::<ArchivedRecipe>();
/// println!("{}", description.fingerprint());
/// ```
///
/// Every field needs a `Schema` of its own:
///
/// ```compile_fail,E0277
/// use floe::Schema;
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// struct License(String);
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Recipe {
///     licenses: Vec<License>, // `License` lacks `#[rkyv(derive(Schema))]`
/// }
/// ```
///
/// A vector or slice of zero-sized items, and a hash or tree map with zero-sized keys, is refused
/// when the program is built, since a forged length of billions would cost nothing to store:
///
/// ```compile_fail,E0080
/// floe::schema::Description::of::<rkyv::vec::ArchivedVec<()>>();
/// ```
/// ```
/// floe::schema::Description::of::<rkyv::vec::ArchivedVec<u8>>();
/// ```
///
/// So is a type that is aligned to more than 16, as archives are:
///
/// ```compile_fail,E0080
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(derive(floe::Schema), attr(repr(align(32))))]
/// struct Wide(u8);
///
/// floe::schema::Description::of::<ArchivedWide>();
/// ```
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(derive(floe::Schema), attr(repr(align(16))))]
/// struct Wide(u8);
///
/// floe::schema::Description::of::<ArchivedWide>();
/// ```
///
/// Numbers have a `Schema` in rkyv's own byte order and alignment, as all fields of plain number
/// types are archived, and hash tables with rkyv's own hasher.
///
/// Types of other crates that rkyv archives behind its features have a `Schema` too: what archives as
/// a vector, a string or a shared pointer (`arrayvec-0_7`, `bytes-1`, `hashbrown-0_14` to `0_17`,
/// `smallvec-1`, `smol_str-0_2` and `0_3`, `thin-vec-0_2`, `tinyvec-1`, `triomphe-0_1`), `IndexMap` and
/// `IndexSet` (`indexmap-2`), and `Uuid` (`uuid-1`, a feature of this crate as well). Options under
/// `NicheInto` and `DefaultNiche` have one for the niches that rkyv brings. Atomics have none: bytes
/// that change cannot be shared.
///
/// Generic types work. A field under rkyv's `omit_bounds` gets no bound here either, so types may
/// contain themselves.
///
/// # Safety
///
/// A region whose fingerprint matches is read as `Self` on the strength of that alone, if its owner
/// is trusted. So the description must be true of `Self`: size, alignment, and each field's or
/// item's offset and type. No byte of `Self` or of what it points to may be changed through a
/// shared reference (no `Cell`, no atomics).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `Schema`",
    label = "needs a `Schema` to be stored in a region",
    note = "if `{Self}` is a type of yours in archived form, add `#[rkyv(derive(floe::Schema))]`",
    note = "if it comes from another crate, wrap the field with one of rkyv's `with` adapters"
)]
#[allow(unsafe_code)]
pub unsafe trait Schema: rkyv::Portable + 'static {
    /// Adds `Self` and all types in it to `types`, if they are not there yet, and returns its
    /// position.
    fn describe(types: &mut Types) -> TypeIndex;
}

/// What archives, and the buffers that they are written through, are aligned to.
pub(crate) const ALIGNMENT_LIMIT: usize = 16;

/// The list of types described so far.
#[derive(Debug, Default)]
pub struct Types {
    list: Vec<Type>,
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
    fn define_unsized<T: Schema + ?Sized>(
        &mut self,
        name: String,
        align: usize,
        shape: Shape,
    ) -> TypeIndex {
        self.insert::<T>(name, 0, align, |_| shape)
    }

    /// The names of `types`, separated by commas.
    fn names(&self, types: &[TypeIndex]) -> String {
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
