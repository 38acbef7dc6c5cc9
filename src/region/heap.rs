//! Regions in a private heap buffer: for tests, and where the kernel has no memfds.

use std::io;

use rkyv::util::AlignedVec;

/// A growing buffer on the heap.
#[derive(Debug, Default)]
pub(super) struct HeapFile {
    pub(super) bytes: AlignedVec<64>,
}

impl HeapFile {
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = offset as usize;
        let end = start + bytes.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }
}
