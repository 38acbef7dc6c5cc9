//! The lines of an index in the making.
#![forbid(unsafe_code)]

use super::changed::{BLOCK, put_section};
use super::index::{INDEX_HEADER_LENGTH, IndexHeader, Line};
use crate::region::Successor;

/// Lines that can be changed.
pub(super) trait Lines {
    fn count(&self) -> u64;
    fn line(&self, number: u64) -> &Line;
    fn line_mut(&mut self, number: u64) -> &mut Line;
}

impl Lines for Vec<Line> {
    fn count(&self) -> u64 {
        self.len() as u64
    }

    #[inline]
    fn line(&self, number: u64) -> &Line {
        &self[number as usize]
    }

    #[inline]
    fn line_mut(&mut self, number: u64) -> &mut Line {
        &mut self[number as usize]
    }
}

const BLOCK_LINES: usize = BLOCK / size_of::<Line>();
/// The header takes the place of so many lines.
const HEADER_LINES: usize = INDEX_HEADER_LENGTH / size_of::<Line>();

/// The lines of an earlier index, of which the blocks are copied that change.
pub(super) struct ChangedLines<'a> {
    earlier: &'a [Line],
    /// Blocks of the section: the header stands in the first.
    blocks: Vec<Option<Box<[Line]>>>,
}

impl<'a> ChangedLines<'a> {
    pub(super) fn new(earlier: &'a [Line]) -> Self {
        let blocks = (earlier.len() + HEADER_LINES).div_ceil(BLOCK_LINES);
        let blocks = (0..blocks).map(|_| None).collect();
        Self { earlier, blocks }
    }

    /// The lines of a block as they were.
    fn earlier(&self, block: usize) -> &'a [Line] {
        let start = (block * BLOCK_LINES).saturating_sub(HEADER_LINES);
        let end = (block + 1) * BLOCK_LINES - HEADER_LINES;
        &self.earlier[start..end.min(self.earlier.len())]
    }

    /// The block of a line, and its place there.
    fn place(number: u64) -> (usize, usize) {
        let slot = number as usize + HEADER_LINES;
        let header = if slot < BLOCK_LINES { HEADER_LINES } else { 0 };
        (slot / BLOCK_LINES, slot % BLOCK_LINES - header)
    }

    /// Puts the index section into the next generation: the pages that changed are written.
    pub(super) fn put(&self, header: &IndexHeader, next: &mut Successor<'_>) {
        let length = INDEX_HEADER_LENGTH + size_of_val(self.earlier);
        let changed = |block: usize| block == 0 || self.blocks[block].is_some();
        put_section(next, length, changed, |block| {
            let lines = self.blocks[block].as_deref();
            let lines = lines.unwrap_or_else(|| self.earlier(block));
            let mut bytes = match block {
                0 => header.encode().to_vec(),
                _ => Vec::new(),
            };
            bytes.extend(lines.iter().flat_map(|line| line.to_bytes()));
            bytes
        });
    }
}

impl Lines for ChangedLines<'_> {
    fn count(&self) -> u64 {
        self.earlier.len() as u64
    }

    fn line(&self, number: u64) -> &Line {
        let (block, place) = Self::place(number);
        match &self.blocks[block] {
            Some(lines) => &lines[place],
            None => &self.earlier[number as usize],
        }
    }

    fn line_mut(&mut self, number: u64) -> &mut Line {
        let (block, place) = Self::place(number);
        let earlier = self.earlier(block);
        let lines = self.blocks[block].get_or_insert_with(|| earlier.into());
        &mut lines[place]
    }
}
