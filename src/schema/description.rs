//! What a [`Description`] is made of. It is data only: any process can read it back from JSON and
//! walk an archive whose Rust types it does not have.
#![forbid(unsafe_code)]

use crate::error::Fingerprint;

use serde::{Deserialize, Serialize};

use super::{Schema, Types};

/// The structure of an archived type and of every type it contains.
///
/// A description read from elsewhere can say anything: whoever walks by it checks each index
/// ([`get`](Self::get)), offset and length against what is there, and limits the depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        let mut types = Types::default();
        let root = T::describe(&mut types);
        Self {
            root,
            types: types.list,
        }
    }

    /// The type at `index`, or `None` where a description from elsewhere points beyond its own
    /// list.
    #[must_use]
    pub fn get(&self, index: TypeIndex) -> Option<&Type> {
        self.types.get(index.0 as usize)
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
#[non_exhaustive]
pub struct Type {
    /// The name the unarchived type has in Rust, without its path: `Recipe`, `Vec<String>`. The
    /// type arguments of user-defined types are left out: they are told by the types of the
    /// fields.
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
#[serde(rename_all = "snake_case")]
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
    /// Values of one type, one after the other.
    Array {
        /// The type of a value.
        item: TypeIndex,
        /// How many there are.
        length: usize,
    },
    /// A struct or a tuple.
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
        /// The type of the values; `()` in sets.
        value: TypeIndex,
        /// How many entries a node has room for.
        node_entries: usize,
    },
    /// A relative pointer, the number of entries, the capacity. The pointer leads to one control
    /// byte for each slot; a slot is in use if the highest bit of its control byte is 0. The slots
    /// themselves lie *before* the control bytes, in descending order: slot `i` starts `(i + 1) *
    /// size` bytes before the pointer's target.
    HashMap {
        /// The type of a slot: a struct of `key` and `value`; the value is `()` in sets.
        entry: TypeIndex,
    },
    /// As [`Shape::HashMap`], with slots that are the positions of entries as numbers as wide as a
    /// pointer; behind it, a relative pointer to the entries, one after the other, in their order.
    IndexMap {
        /// The type of an entry: a struct of `key` and `value`; the value is `()` in sets.
        entry: TypeIndex,
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
