//! Where the bytes of a region come from that is read without its types.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::fault::{Fault, FaultKind, Read};
use crate::archive::VALUE_LIMIT;

const BLOCK: u64 = 16 << 10;
const BLOCKS: usize = 64;

/// A file that is read a block at a time. It is never mapped: another process could cut it short
/// under the map, which would end this one.
#[derive(Debug)]
pub(super) struct BlockFile {
    file: File,
    length: u64,
    /// The blocks read last, each in the place that its number gives.
    blocks: Mutex<Vec<Option<Block>>>,
}

#[derive(Debug, Clone)]
struct Block {
    number: u64,
    bytes: Arc<[u8]>,
}

impl BlockFile {
    pub(super) fn new(file: File, length: u64) -> Self {
        Self {
            file,
            length,
            blocks: Mutex::new(vec![None; BLOCKS]),
        }
    }

    /// Fills `out` with the bytes from an offset on.
    pub(super) fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        if out.len() as u64 >= BLOCK {
            return self.file.read_exact_at(out, at);
        }
        let (mut at, mut out) = (at, out);
        while !out.is_empty() {
            let block = self.block(at / BLOCK)?;
            let rest = block.get((at % BLOCK) as usize..).unwrap_or_default();
            let length = rest.len().min(out.len());
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (filled, left) = out.split_at_mut(length);
            filled.copy_from_slice(&rest[..length]);
            (at, out) = (at + length as u64, left);
        }
        Ok(())
    }

    fn block(&self, number: u64) -> io::Result<Arc<[u8]>> {
        let place = (number % BLOCKS as u64) as usize;
        let blocks = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks()[place].clone()
            && block.number == number
        {
            return Ok(block.bytes);
        }
        let start = number * BLOCK;
        let mut bytes = vec![0; self.length.saturating_sub(start).min(BLOCK) as usize];
        self.file.read_exact_at(&mut bytes, start)?;
        let bytes = Arc::<[u8]>::from(bytes);
        blocks()[place] = Some(Block {
            number,
            bytes: Arc::clone(&bytes),
        });
        Ok(bytes)
    }
}

/// The bytes of one section.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bytes<'a> {
    Memory(&'a [u8]),
    File {
        file: &'a BlockFile,
        start: u64,
        length: u64,
    },
}

impl<'a> Bytes<'a> {
    #[inline]
    pub(super) fn length(self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => length,
        }
    }

    /// Refuses a range that leaves the section.
    #[inline]
    pub(super) fn check(self, at: u64, length: u64) -> Read<()> {
        match at.checked_add(length) {
            Some(end) if end <= self.length() => Ok(()),
            _ => Err(self.outside(at, length)),
        }
    }

    /// The bytes of a range; borrowed from memory, copied from a file.
    ///
    /// A file that has holes may be of any length, so no more is read of it at once than a value
    /// may take, and only if there is memory for that.
    #[inline]
    pub(super) fn get(self, at: u64, length: u64) -> Read<Cow<'a, [u8]>> {
        self.check(at, length)?;
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(&bytes[at as usize..][..length as usize])),
            Self::File { file, start, .. } => {
                if length > VALUE_LIMIT {
                    let most = VALUE_LIMIT;
                    return Err(Fault::new(at, FaultKind::TooLong { length, most }));
                }
                let mut out = Vec::new();
                out.try_reserve_exact(length as usize)
                    .map_err(|error| Fault::new(at, FaultKind::File(error.into())))?;
                out.resize(length as usize, 0);
                read(file, start, at, &mut out)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    /// The `N` bytes from an offset on.
    #[inline]
    pub(super) fn array<const N: usize>(self, at: u64) -> Read<[u8; N]> {
        self.check(at, N as u64)?;
        match self {
            Self::Memory(bytes) => {
                let bytes = bytes.get(at as usize..).and_then(<[u8]>::first_chunk);
                bytes.copied().ok_or_else(|| self.outside(at, N as u64))
            }
            Self::File { file, start, .. } => {
                let mut out = [0; N];
                read(file, start, at, &mut out)?;
                Ok(out)
            }
        }
    }

    #[cold]
    pub(super) fn outside(self, at: u64, length: u64) -> Box<Fault> {
        let archive = self.length();
        Fault::new(at, FaultKind::Bounds { length, archive })
    }
}

fn read(file: &BlockFile, start: u64, at: u64, out: &mut [u8]) -> Read<()> {
    file.read(start + at, out)
        .map_err(|error| Fault::new(at, FaultKind::File(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_holes_is_not_read_at_its_word() {
        const HOLE: u64 = 64 << 30;
        let file = tempfile::tempfile().unwrap();
        file.set_len(HOLE).unwrap();
        let file = BlockFile::new(file, HOLE);
        let bytes = Bytes::File {
            file: &file,
            start: 0,
            length: HOLE,
        };
        let refused = bytes.get(0, HOLE).unwrap_err();
        assert!(matches!(refused.problem, FaultKind::TooLong { .. }));
        assert_eq!(*bytes.get(HOLE - 3, 3).unwrap(), [0; 3]);
    }
}
