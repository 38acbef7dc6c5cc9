//! What a [`Description`] is made of. It is data only: any process can read it back from JSON and
//! walk an archive whose Rust types it does not have.
#![forbid(unsafe_code)]

use crate::error::Fingerprint;

use serde::{Deserialize, Serialize};

use super::{Schema, Types};

/// The structure of an archived type and of every type it contains.
///
/// # What is not known is refused
/// A reader that meets a kind of shape, or a member of one, that it does not know refuses the whole
/// description and names it: what it skipped could change the meaning of what it reads. So a later
/// version may add kinds and members, and an earlier one reads nothing wrong.
///
/// A description read from elsewhere can say anything: whoever walks by it checks each index
/// ([`get`](Self::get)), offset and length against what is there, and limits the depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Description {
    /// The type of the archive's root.
    pub root: TypeIndex,
    /// Each type once, in the order of first visit.
    pub types: Vec<Type>,
}

impl Description {
    /// Describes the archived type `T`, such as `ArchivedRecipe` or `Archived<Recipe>`.
    ///
    /// Costs a visit and a few allocations for each type in `T`.
    #[must_use]
    pub fn of<T: Schema + ?Sized>() -> Self {
        Self::by(T::describe)
    }

    /// Describes the type that a function adds to the list.
    pub(crate) fn by(describe: impl FnOnce(&mut Types) -> TypeIndex) -> Self {
        let mut types = Types::default();
        let root = describe(&mut types);
        Self {
            root,
            types: types.list,
        }
    }

    /// The named roots, if the region has [several](crate::Roots).
    #[must_use]
    pub fn roots(&self) -> Option<&[NamedRoot]> {
        match &self.get(self.root)?.shape {
            Shape::Roots { roots } => Some(roots),
            _ => None,
        }
    }

    /// The type at `index`, or `None` where a description from elsewhere points beyond its own
    /// list.
    #[must_use]
    pub fn get(&self, index: TypeIndex) -> Option<&Type> {
        self.types.get(index.0 as usize)
    }

    /// The types that a value of a type leads to, its own among them, of a description in which
    /// every index is one of its types.
    pub(crate) fn reachable(&self, root: TypeIndex) -> impl Iterator<Item = &Type> {
        let (mut pending, mut seen) = (vec![root], vec![false; self.types.len()]);
        std::iter::from_fn(move || {
            while let Some(index) = pending.pop() {
                if !std::mem::replace(&mut seen[index.0 as usize], true) {
                    let found = &self.types[index.0 as usize];
                    pending.extend(found.shape.mentioned());
                    return Some(found);
                }
            }
            None
        })
    }

    /// The description as compact JSON. Equal descriptions give equal bytes.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it never happens")]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("structs of strings and numbers always have a JSON form")
    }

    /// The fingerprint of [`to_json`](Self::to_json).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_json(&self.to_json())
    }
}

/// The position of a type in [`Description::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypeIndex(pub(crate) u32);

/// One archived type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Type {
    /// The name the unarchived type has in Rust, without its path: `Recipe`, `Vec<String>`. The
    /// type arguments of user-defined types are left out: they are told by the types of the
    /// fields. It is for people: nothing is read by it.
    pub name: String,
    /// Bytes that a value occupies, padding included. 0 for [`Shape::Str`] and [`Shape::Slice`],
    /// whose length stands beside the pointer to them.
    pub size: usize,
    /// The address of a value is a multiple of this.
    pub align: usize,
    /// How the bytes of a value are read.
    pub shape: Shape,
}

/// How the bytes of a value are read.
///
/// All offsets, sizes and alignments are in bytes. Numbers, lengths and relative pointers have the
/// byte order and pointer width that the header of the region states. A *relative pointer* is a
/// signed number as wide as a pointer; its target is that many bytes away from the pointer's own
/// address. The relative pointer 1 points nowhere. A *length* is an unsigned number as wide as a
/// pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Shape {
    /// No bytes, one value: `()`, `PhantomData`, `RangeFull`.
    Unit,
    /// One byte: 0 is false, 1 is true.
    Bool,
    /// A Unicode scalar value in four bytes.
    Char,
    /// An unsigned integer as wide as the type's size. The name tells a `NonZero` one.
    Unsigned,
    /// A two's complement integer as wide as the type's size. The name tells a `NonZero` one.
    Signed,
    /// An IEEE 754 number as wide as the type's size.
    Float,
    /// UTF-8 text in two words of pointer width. Where the two highest bits of the first byte are
    /// not `10`, the text is inline: it ends before the first byte `0xff` or after both words.
    /// Otherwise the first word is the length, the second a pointer relative to the *start of the
    /// string*. In little-endian archives the length is `(word & 0x3f) | (word & !0xff) >> 2`; in
    /// big-endian ones the word without its two highest bits.
    String,
    /// A relative pointer to the bytes of a C string, then their number, the final NUL included.
    CString,
    /// UTF-8 text that a pointer leads to; the number of bytes stands beside the pointer.
    Str,
    /// Values one after the other that a pointer leads to; their number stands beside the pointer.
    Slice {
        /// The type of a value.
        item: TypeIndex,
    },
    /// Whole seconds as a `u64` at offset 0, nanoseconds below 1,000,000,000 as a `u32` at offset
    /// 8.
    Duration,
    /// The 4 octets of an IPv4 address or the 16 of an IPv6 address, in network order.
    IpAddr,
    /// The octets of an IPv4 address at offset 0, the port as a `u16` at offset 4.
    SocketAddrV4,
    /// The octets of an IPv6 address at offset 0, the port as a `u16` at 16, flow information as a
    /// `u32` at 20, the scope as a `u32` at 24.
    SocketAddrV6,
    /// An address of either version of the protocol. The byte at offset 0 is 0 for one of IPv4 and
    /// 1 for one of IPv6; the address follows at the next multiple of its alignment.
    Address {
        /// The type of an address of IPv4.
        v4: TypeIndex,
        /// The type of an address of IPv6.
        v6: TypeIndex,
    },
    /// Values of one type, one after the other.
    Array {
        /// The type of a value.
        item: TypeIndex,
        /// How many there are.
        length: usize,
    },
    /// A tuple.
    Tuple {
        /// Its parts, in their order; each is named by its position: `0`, `1`, ...
        parts: Vec<Field>,
    },
    /// A struct.
    Struct {
        /// How its fields are written in Rust.
        style: FieldStyle,
        /// Its fields, in the order of declaration.
        fields: Vec<Field>,
    },
    /// The byte at offset 0 is the tag of the variant that the value has.
    Enum {
        /// The variants, in the order of declaration.
        variants: Vec<Variant>,
    },
    /// A value or none.
    Option {
        /// The type of the value.
        some: TypeIndex,
        /// Where the value is.
        offset: usize,
        /// How to see that there is none.
        none: NoneMark,
    },
    /// A relative pointer to the only owner's value. If the target is a [`Shape::Str`] or
    /// [`Shape::Slice`], a length follows.
    Box {
        /// The type of the value.
        target: TypeIndex,
    },
    /// Like [`Shape::Box`], but several pointers of this type may lead to the same value.
    Shared {
        /// The type of the value.
        target: TypeIndex,
    },
    /// Like [`Shape::Shared`], for a value that the archive holds once however often it is used.
    Interned {
        /// The type of the value.
        target: TypeIndex,
    },
    /// A relative pointer to values one after the other, then their number.
    Vec {
        /// The type of a value.
        item: TypeIndex,
    },
    /// A relative pointer to the root node, then the number of entries. Without entries there is no
    /// root.
    ///
    /// A node is laid out by the rule of C: a byte that is 0 in leaves and 1 in inner nodes, an
    /// array of `node_entries` keys, an array of as many values; then leaves have a length, the
    /// number of entries in use. In inner nodes, all in use, follow `node_entries` relative
    /// pointers to the nodes before each entry and one to the node after the last. A pointer to
    /// nowhere stands for an empty node. Keys, values and length or pointers are aligned each for
    /// themselves, the first part (byte, keys, values) is padded to its own alignment.
    BTreeMap {
        /// The type of the keys, in ascending order.
        key: TypeIndex,
        /// The type of the values.
        value: TypeIndex,
        /// How many entries a node has room for.
        node_entries: usize,
    },
    /// A relative pointer, the number of entries, the capacity. The pointer leads to one control
    /// byte for each slot; a slot is in use if the highest bit of its control byte is 0. The slots
    /// themselves lie *before* the control bytes, in descending order: slot `i` starts `(i + 1) *
    /// size` bytes before the pointer's target.
    HashMap {
        /// The type of a slot: a struct of `key` and `value`.
        entry: TypeIndex,
    },
    /// As [`Shape::HashMap`], with slots that are the positions of entries as numbers as wide as a
    /// pointer; behind it, a relative pointer to the entries, one after the other, in their order.
    IndexMap {
        /// The type of an entry: a struct of `key` and `value`.
        entry: TypeIndex,
    },
    /// The keys of a map in which each value is `()`. The bytes are those of the map.
    Set {
        /// The type of the map: a [`Shape::BTreeMap`], [`Shape::HashMap`] or [`Shape::IndexMap`]
        /// whose keys can be compared.
        map: TypeIndex,
    },
    /// This library's frozen keyed map. Its root holds no entries: they are found through the index
    /// section.
    Map {
        /// The type of the keys.
        key: TypeIndex,
        /// The type of the values.
        value: TypeIndex,
        /// Where the key is in an entry.
        key_offset: usize,
        /// Where the value is in an entry.
        value_offset: usize,
        /// How entries lie, and are found.
        layout: MapLayout,
    },
    /// A value that tells itself what it is: a word of four bytes, as
    /// [`value::Value`](crate::value::Value) is archived.
    SelfDescribing {
        /// The type of the items of packed lists of integers.
        integer: TypeIndex,
        /// The type of the items of packed lists of floats.
        float: TypeIndex,
    },
    /// Several values of one region, each by its name. The bytes are the table of where each of
    /// them lies: a row of six `u64`, little-endian in every archive. They are, in this order, the
    /// offset in the archive section at which the value begins, and the one behind its end; offset
    /// and length of its index in the index section; offset and length of its list in the garbage
    /// section. The root of a value ends where the value does; a [`Shape::Map`] is the run of its
    /// entries.
    Roots {
        /// The values, in the order of declaration.
        roots: Vec<NamedRoot>,
    },
}

impl Shape {
    /// The types that it mentions.
    pub(crate) fn mentioned(&self) -> Vec<TypeIndex> {
        let types = |fields: &[Field]| fields.iter().map(|it| it.type_index).collect();
        match self {
            Self::Unit | Self::Bool | Self::Char | Self::Unsigned | Self::Signed | Self::Float => {
                Vec::new()
            }
            Self::String | Self::CString | Self::Str | Self::Duration | Self::IpAddr => Vec::new(),
            Self::SocketAddrV4 | Self::SocketAddrV6 => Vec::new(),
            Self::Address { v4, v6 } => vec![*v4, *v6],
            Self::SelfDescribing { integer, float } => vec![*integer, *float],
            Self::Slice { item } | Self::Array { item, .. } | Self::Vec { item } => vec![*item],
            Self::Tuple { parts } => types(parts),
            Self::Struct { fields, .. } => types(fields),
            Self::Enum { variants } => {
                let fields = variants.iter().flat_map(|variant| &variant.fields);
                fields.map(|field| field.type_index).collect()
            }
            Self::Option { some, .. } => vec![*some],
            Self::Box { target } | Self::Shared { target } | Self::Interned { target } => {
                vec![*target]
            }
            Self::BTreeMap { key, value, .. } | Self::Map { key, value, .. } => vec![*key, *value],
            Self::HashMap { entry } | Self::IndexMap { entry } => vec![*entry],
            Self::Set { map } => vec![*map],
            Self::Roots { roots } => roots.iter().map(|root| root.type_index).collect(),
        }
    }
}

/// One of several values of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedRoot {
    /// The name.
    pub name: String,
    /// Where its row is in the table.
    pub offset: usize,
    /// The type of the value.
    #[serde(rename = "type")]
    pub type_index: TypeIndex,
    /// The fingerprint of the description that the value would have alone: a reader that asks for
    /// this root compares it.
    pub fingerprint: Fingerprint,
}

/// How the entries of a [`Shape::Map`] lie in the archive section, and how they are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MapLayout {
    /// One after the other, each with a header of four bytes that tells its length. The index
    /// section has lines that lead to them.
    Lines,
    /// In slots as large as the type, which follow from the hash of the key and the pilots of the
    /// index section: entries that are small and have all their bytes in themselves.
    Slots,
}

/// How the fields of a struct or a variant are written in Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
pub enum FieldStyle {
    /// `Name`, without fields.
    Unit,
    /// `Name(A, B)`; the fields are named `0`, `1`, ...
    Tuple,
    /// `Name { a: A, b: B }`.
    Named,
}

/// A field of a struct, a tuple or a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Field {
    /// The name, or the position in a tuple.
    pub name: String,
    /// From the start of the struct, or of the whole enum.
    pub offset: usize,
    /// The type of the field.
    #[serde(rename = "type")]
    pub type_index: TypeIndex,
}

impl Field {
    /// A field `offset` bytes into its struct.
    pub fn new(name: impl Into<String>, offset: usize, type_index: TypeIndex) -> Self {
        Self {
            name: name.into(),
            offset,
            type_index,
        }
    }
}

/// A variant of an enum. [`Types::variant`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Variant {
    /// The name.
    pub name: String,
    /// The value of the enum's first byte.
    pub tag: u8,
    /// How its fields are written in Rust.
    pub style: FieldStyle,
    /// Its fields, in the order of declaration.
    pub fields: Vec<Field>,
}

/// How to see that a [`Shape::Option`] holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoneMark {
    /// The byte at offset 0 is 0; it is 1 if there is a value.
    Tag,
    /// All bytes are 0.
    Zero,
    /// The relative pointer at offset 0 points nowhere.
    Nowhere,
    /// The byte at offset 0, which is 0 or 1 in a value, is above 1.
    AboveOne,
    /// The number is none: an IEEE 754 NaN.
    Nan,
}
