//! Walks over the entries of B-trees, hash tables and keyed maps.

mod keyed;
mod table;
mod tree;

pub(crate) use keyed::{EntryFrames, EntryLayout, Frame, FrameKind, LiveSlots};
pub(crate) use table::Table;
pub(crate) use tree::Tree;

/// Where a key and its value lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: u64,
    pub(crate) value: u64,
}
