//! Why a description was refused.

use super::{NESTING_LIMIT, SIZE_LIMIT};
use crate::archive::parts::MOST_ROOTS;
use crate::schema::ALIGNMENT_LIMIT;

/// Why a schema was refused, and at which of its types.
#[derive(Debug, thiserror::Error)]
#[error("type {number} ({name}): {fault}")]
pub(crate) struct SchemaError {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) fault: SchemaFault,
}

/// What a schema says that cannot be true.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaFault {
    #[error("it has no type {index}, which it mentions; it has {types} types")]
    Index { index: u32, types: usize },
    #[error("the alignment is {align}: a power of two up to {ALIGNMENT_LIMIT} is possible")]
    Alignment { align: usize },
    #[error(
        "the size of {size} bytes is not a multiple of the alignment, or more than {SIZE_LIMIT}"
    )]
    Size { size: usize },
    #[error("the size is {got} bytes, where such a type has {expected}")]
    ScalarSize { expected: usize, got: usize },
    #[error("the part {part:?} lies at offset {offset}, which is not in it or not aligned")]
    Part { part: String, offset: usize },
    #[error("the part {part:?} has no size of its own")]
    Unsized { part: String },
    #[error("its items have no bytes")]
    EmptyItems,
    #[error("two variants have the tag {tag}")]
    Tag { tag: u8 },
    #[error("its entries are not structs of a key and a value")]
    Entry,
    #[error("its part {position} has the name {name:?}: parts of a tuple are named by position")]
    PartName { position: usize, name: String },
    #[error("it has {fields} fields, but the style of a type without any")]
    UnitFields { fields: usize },
    #[error("it is the set of keys of {map:?}, which is no map of its size and alignment")]
    SetMap { map: String },
    #[error("it is a set, but its map has values of {value:?}")]
    SetValues { value: String },
    #[error("it is a set of {item:?}, of which no two can be compared")]
    SetItems { item: String },
    #[error("it is an address, but not of one kind in both versions")]
    Address,
    #[error("a node of it has room for {entries} entries")]
    Node { entries: usize },
    #[error("a keyed map lies in another type")]
    InnerMap,
    #[error("the roots of a region lie in another type")]
    InnerRoots,
    #[error("it has {roots} roots, where {MOST_ROOTS} are the most")]
    Roots { roots: usize },
    #[error("its root {name:?} is there twice, or has no row in the table")]
    Root { name: String },
    #[error("it contains itself without a pointer, or is nested deeper than {NESTING_LIMIT} types")]
    Nesting,
    #[error("it contains too many values that have no bytes")]
    Empty,
}
