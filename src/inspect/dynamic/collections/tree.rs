//! The walk over a B-tree.

use super::Pair;
use crate::archive::{NodeLayout, WORD};
use crate::inspect::dynamic::archive::Archive;
use crate::inspect::dynamic::fault::{Fault, FaultKind, Read};
use crate::schema::TypeIndex;

const WORD_LENGTH: u64 = WORD as u64;
/// No tree of 2^32 entries is higher.
const TREE_LIMIT: usize = 64;

/// The entries of a B-tree, in the order of their keys.
#[derive(Debug, Clone)]
pub(crate) struct Tree<'a> {
    archive: Archive<'a>,
    layout: NodeLayout,
    key_size: u64,
    value_size: u64,
    at: u64,
    length: u64,
    yielded: u64,
    node_bytes: u64,
    path: Vec<Node>,
}

/// A node on the way to the current entry.
#[derive(Debug, Clone, Copy)]
struct Node {
    at: u64,
    /// Entries in use.
    entries: u64,
    inner: bool,
    /// In inner nodes, children and entries take turns.
    step: u64,
}

impl<'a> Tree<'a> {
    /// The tree at an offset.
    pub(crate) fn new(
        archive: Archive<'a>,
        at: u64,
        key: TypeIndex,
        value: TypeIndex,
        node_entries: usize,
    ) -> Read<Self> {
        let types = archive.types;
        let length = archive.length_at(at + WORD_LENGTH)?;
        let mut tree = Self {
            archive,
            layout: types.node(key, value, node_entries),
            key_size: types.get(key).size as u64,
            value_size: types.get(value).size as u64,
            at,
            length,
            yielded: 0,
            node_bytes: 0,
            path: Vec::new(),
        };
        // Keys have bytes, so a length that lies costs no more than the archive is long.
        if length.saturating_mul(tree.key_size) > archive.length() {
            return Err(Fault::new(at, FaultKind::Items { length }));
        }
        if length > 0 {
            tree.enter(at)?;
        }
        Ok(tree)
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the nodes that the walk has come to so far.
    pub(crate) fn node_bytes(&self) -> u64 {
        self.node_bytes
    }

    /// Goes down to the node that a pointer leads to.
    fn enter(&mut self, pointer: u64) -> Read<()> {
        let (archive, layout) = (self.archive, self.layout);
        let at = archive.follow(pointer, layout.leaf_size() as u64, layout.align)?;
        if self.path.len() == TREE_LIMIT {
            return Err(self.miscounted());
        }
        let inner = archive.flag(at)?;
        self.node_bytes += match inner {
            true => layout.inner_size() as u64,
            false => layout.leaf_size() as u64,
        };
        let most = layout.entries as u64;
        let mut entries = most;
        if inner {
            archive.follow(pointer, layout.inner_size() as u64, layout.align)?;
        } else {
            entries = archive.length_at(at + layout.rest as u64)?;
            if entries == 0 || entries > most {
                let got = entries;
                return Err(Fault::new(at, FaultKind::Node { got, most }));
            }
        }
        self.path.push(Node {
            at,
            entries,
            inner,
            step: 0,
        });
        Ok(())
    }

    fn advance(&mut self) -> Read<Option<Pair>> {
        while let Some(node) = self.path.last_mut() {
            let Node { at, inner, .. } = *node;
            let steps = node.entries * (1 + u64::from(inner)) + u64::from(inner);
            if node.step == steps {
                self.path.pop();
                continue;
            }
            let step = node.step;
            node.step += 1;
            if inner && step.is_multiple_of(2) {
                let child = at + self.layout.rest as u64 + step / 2 * WORD_LENGTH;
                if !self.archive.is_nowhere(child)? {
                    self.enter(child)?;
                }
                continue;
            }
            let number = if inner { step / 2 } else { step };
            self.yielded += 1;
            if self.yielded > self.length {
                return Err(self.miscounted());
            }
            return Ok(Some(Pair {
                key: at + self.layout.keys as u64 + number * self.key_size,
                value: at + self.layout.values as u64 + number * self.value_size,
            }));
        }
        match self.yielded == self.length {
            true => Ok(None),
            false => Err(self.miscounted()),
        }
    }

    fn miscounted(&self) -> Box<Fault> {
        let (expected, got) = (self.length, self.yielded);
        Fault::new(self.at, FaultKind::Entries { expected, got })
    }
}

impl Iterator for Tree<'_> {
    type Item = Read<Pair>;

    fn next(&mut self) -> Option<Read<Pair>> {
        let next = self.advance();
        if next.is_err() {
            // A walk ends with its first error.
            self.path.clear();
            self.yielded = self.length;
        }
        next.transpose()
    }
}
