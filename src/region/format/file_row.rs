//! Rows of the table of page files.

use blake3::Hasher;
use xxhash_rust::xxh3::Xxh3Default;

use super::{array_at, u64_at};
use crate::error::{Error, HeaderError, RegionPart, Result};
use crate::sys::memfd_id::MemfdId;

/// Length of a row.
pub(super) const ROW_LENGTH: usize = 80;

/// What is known of a page file that an image uses beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileRow {
    /// Length in pages, with its header.
    pub(crate) pages: u64,
    /// Which memfd it is. Holds on the machine, and since the boot, on which the image was made.
    pub(crate) id: MemfdId,
    pub(crate) digests: Digests,
}

impl FileRow {
    pub(super) fn encode(&self) -> [u8; ROW_LENGTH] {
        let mut row = [0; ROW_LENGTH];
        row[..8].copy_from_slice(&self.pages.to_le_bytes());
        row[8..16].copy_from_slice(&self.id.device.to_le_bytes());
        row[16..24].copy_from_slice(&self.id.inode.to_le_bytes());
        row[24..32].copy_from_slice(&self.id.changed.to_le_bytes());
        row[32..].copy_from_slice(&self.digests.encode());
        row
    }

    pub(super) fn decode(row: &[u8]) -> Self {
        Self {
            pages: u64_at(row, 0),
            id: MemfdId {
                device: u64_at(row, 8),
                inode: u64_at(row, 16),
                changed: i64::from_le_bytes(array_at(row, 24)),
            },
            digests: Digests::decode(row, 32),
        }
    }
}

/// Digests of a page file behind its header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    /// xxh3-128: finds damage at 15 GB/s.
    pub(crate) quick: u128,
    /// BLAKE3: nobody finds other bytes with the same.
    pub(crate) strong: [u8; 32],
}

/// Bytes of the digests in a header.
pub(super) const DIGESTS_LENGTH: usize = 48;

impl Digests {
    pub(super) fn encode(&self) -> [u8; DIGESTS_LENGTH] {
        let mut bytes = [0; DIGESTS_LENGTH];
        bytes[..16].copy_from_slice(&self.quick.to_le_bytes());
        bytes[16..].copy_from_slice(&self.strong);
        bytes
    }

    /// Compares the bytes behind the header of a file; its number is for the error.
    pub(in crate::region) fn check(&self, number: usize, behind: &[u8]) -> Result<()> {
        let mut digesting = Digesting::quick_only();
        digesting.update(behind);
        match digesting.quick() == self.quick {
            true => Ok(()),
            false => Err(Error::Header(HeaderError::Damaged {
                part: RegionPart::File(number),
            })),
        }
    }

    pub(super) fn decode(bytes: &[u8], at: usize) -> Self {
        Self {
            quick: u128::from_le_bytes(array_at(bytes, at)),
            strong: array_at(bytes, at + 16),
        }
    }
}

/// Digests bytes while they are written.
#[derive(Clone)]
pub(crate) struct Digesting {
    quick: Xxh3Default,
    strong: Option<Hasher>,
}

impl Digesting {
    /// Makes both digests.
    pub(crate) fn both() -> Self {
        Self {
            quick: Xxh3Default::new(),
            strong: Some(Hasher::new()),
        }
    }

    /// Makes the one that finds damage.
    pub(crate) fn quick_only() -> Self {
        Self {
            quick: Xxh3Default::new(),
            strong: None,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.quick.update(bytes);
        if let Some(strong) = &mut self.strong {
            strong.update(bytes);
        }
    }

    /// xxh3-128 of what was digested so far.
    pub(crate) fn quick(&self) -> u128 {
        self.quick.digest128()
    }

    pub(crate) fn finish(&self) -> Digests {
        Digests {
            quick: self.quick(),
            strong: self
                .strong
                .as_ref()
                .map_or([0; 32], |it| *it.finalize().as_bytes()),
        }
    }
}
