//! A section of the next generation that differs in few places from the one before.
#![forbid(unsafe_code)]

use crate::region::Successor;

/// Bytes that are copied when one of them changes: those of the least page.
pub(super) const BLOCK: usize = 4096;

/// Puts a section of `length` bytes into the next generation: pages with a block that `changed` are
/// written, of which `bytes` gives each block, and the others are kept.
pub(super) fn put_section(
    next: &mut Successor<'_>,
    length: usize,
    changed: impl Fn(usize) -> bool,
    bytes: impl Fn(usize) -> Vec<u8>,
) {
    let blocks_of_page = (next.page() as usize / BLOCK).max(1);
    let blocks = length.div_ceil(BLOCK);
    let mut unchanged = 0;
    for first in (0..blocks).step_by(blocks_of_page) {
        let page = first..(first + blocks_of_page).min(blocks);
        if !page.clone().any(&changed) {
            continue;
        }
        let start = first * BLOCK;
        if unchanged < start {
            next.keep(unchanged as u64..start as u64);
        }
        unchanged = (page.end * BLOCK).min(length);
        page.for_each(|block| next.write(bytes(block)));
    }
    if unchanged < length {
        next.keep(unchanged as u64..length as u64);
    }
}

/// The bytes of an earlier section, of which the blocks are copied that change.
pub(super) struct ChangedBytes<'a> {
    earlier: &'a [u8],
    blocks: Vec<Option<Box<[u8]>>>,
}

impl<'a> ChangedBytes<'a> {
    pub(super) fn new(earlier: &'a [u8]) -> Self {
        let blocks = earlier.chunks(BLOCK).map(|_| None).collect();
        Self { earlier, blocks }
    }

    /// Writes bytes at an offset, so far as they differ.
    pub(super) fn write(&mut self, mut at: usize, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (block, place) = (at / BLOCK, at % BLOCK);
            let (here, rest) = bytes.split_at(bytes.len().min(BLOCK - place));
            let earlier = &self.earlier[block * BLOCK..];
            let earlier = &earlier[..earlier.len().min(BLOCK)];
            let changed = &mut self.blocks[block];
            let now = changed.as_deref().unwrap_or(earlier);
            if now[place..][..here.len()] != *here {
                let block = changed.get_or_insert_with(|| earlier.into());
                block[place..][..here.len()].copy_from_slice(here);
            }
            (at, bytes) = (at + here.len(), rest);
        }
    }

    /// Puts the section into the next generation: the pages that changed are written.
    pub(super) fn put(&self, next: &mut Successor<'_>) {
        let earlier = |block: usize| {
            let rest = &self.earlier[block * BLOCK..];
            &rest[..rest.len().min(BLOCK)]
        };
        let changed = |block: usize| self.blocks[block].is_some();
        put_section(next, self.earlier.len(), changed, |block| {
            let bytes = self.blocks[block].as_deref();
            bytes.unwrap_or_else(|| earlier(block)).to_vec()
        });
    }
}
