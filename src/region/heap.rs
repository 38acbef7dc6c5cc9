//! Regions in a private heap buffer: for tests, and where the kernel has no memfds.
#![forbid(unsafe_code)]

use std::process;

use rkyv::util::AlignedVec;

use crate::error::{Error, Result};

/// A growing buffer on the heap: no descriptor and no mapping, so that an interpreter can run it.
#[derive(Debug)]
pub(super) struct HeapFile {
    pub(super) bytes: AlignedVec<64>,
    maker: u32,
}

impl HeapFile {
    /// An empty buffer.
    pub(super) fn create() -> Self {
        Self {
            bytes: AlignedVec::new(),
            maker: process::id(),
        }
    }

    /// Refuses in a child, as a memfd does. Numbers of processes tell enough: a child that has its
    /// parent's, as the first process of a pid namespace may, writes to its own copy and mixes
    /// nothing.
    pub(super) fn check_owner(&self) -> Result<()> {
        match process::id() {
            process if process == self.maker => Ok(()),
            process => Err(Error::NotOwner {
                what: "a builder",
                owner: self.maker,
                process,
            }),
        }
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) {
        let start = offset as usize;
        let end = start + bytes.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(bytes);
    }
}
