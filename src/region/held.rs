//! A memfd in the making whose first bytes are written together.
#![forbid(unsafe_code)]

use std::io;

use rkyv::util::AlignedVec;

use crate::error::Result;
use crate::sys::mapping;
use crate::sys::memfd::{SealedFile, UnsealedFile};

/// Most bytes that are held back.
const MOST_HELD: usize = 64 << 10;

/// A memfd that gets its first bytes once there are more than can be held back, or at the seal. So
/// a small region costs one write, and is read back without a mapping.
#[derive(Debug)]
pub(super) struct HeldFile {
    file: UnsealedFile,
    /// All bytes, while none of them is written.
    held: Option<AlignedVec<64>>,
}

/// Bytes that were read back.
pub(super) enum View<'a> {
    Held(&'a [u8]),
    Written(mapping::View<'a>),
}

impl HeldFile {
    /// Takes over a file in which nothing counts that stands there.
    pub(super) fn new(file: UnsealedFile) -> Self {
        // Memory that is not touched costs nothing, and growing would copy.
        let held = Some(AlignedVec::with_capacity(MOST_HELD));
        Self { file, held }
    }

    pub(super) fn check_owner(&self) -> Result<()> {
        self.file.check_owner()
    }

    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > MOST_HELD as u64 {
            self.release()?;
        }
        let Some(held) = &mut self.held else {
            return self.file.write_all_at(bytes, offset);
        };
        self.file.check_owner().map_err(io::Error::other)?;
        let range = offset as usize..end as usize;
        held.resize(held.len().max(range.end), 0);
        held[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Writes what was held back; after an error it still is, and nothing of it is in the file.
    pub(super) fn release(&mut self) -> io::Result<()> {
        let Some(held) = &self.held else {
            return Ok(());
        };
        // A file that was claimed keeps the first byte, which tells others so.
        let before = self.file.length();
        if let Err(error) = self.file.write_all_at(held, 0) {
            // That a memfd cannot be cut before its seal does not happen.
            let _ = self.file.cut(before);
            return Err(error);
        }
        self.held = None;
        Ok(())
    }

    /// Drops what stands behind the first bytes.
    pub(super) fn cut(&mut self, length: usize) -> io::Result<()> {
        match &mut self.held {
            Some(held) => held.resize(length, 0),
            None => self.file.cut(length as u64)?,
        }
        Ok(())
    }

    /// The bytes so far.
    pub(super) fn view(&self) -> io::Result<View<'_>> {
        Ok(match &self.held {
            Some(held) => View::Held(held),
            None => View::Written(mapping::View::of(&self.file)?),
        })
    }

    /// Writes what was held back, and makes all immutable.
    pub(super) fn seal(mut self) -> io::Result<SealedFile> {
        self.release()?;
        self.file.seal()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::{SealFlags, fcntl_add_seals, fstat, ftruncate};

    use super::*;
    use crate::sys::memfd::UnclaimedFile;

    fn held() -> HeldFile {
        HeldFile::new(UnsealedFile::create("held").unwrap())
    }

    fn bytes(file: &HeldFile) -> Vec<u8> {
        match file.view().unwrap() {
            View::Held(bytes) => bytes.to_vec(),
            View::Written(map) => map.to_vec(),
        }
    }

    fn written(file: &HeldFile) -> u64 {
        fstat(file.file.as_fd()).unwrap().st_size as u64
    }

    #[test]
    fn few_bytes_are_written_at_the_seal() {
        let mut file = held();
        file.write_at(&[0; 4], 0).unwrap();
        file.write_at(b"behind", 4).unwrap();
        file.write_at(b"more", 10).unwrap();
        file.cut(10).unwrap();
        file.write_at(b"head", 0).unwrap();
        assert_eq!((bytes(&file), written(&file)), (b"headbehind".to_vec(), 0));
        let sealed = file.seal().unwrap();
        assert_eq!(sealed.start(u64::MAX).unwrap(), b"headbehind");
    }

    #[test]
    fn more_than_is_held_back_is_written_at_once() {
        let mut file = held();
        let (first, last) = (vec![1; MOST_HELD], [2; 3]);
        file.write_at(&first, 0).unwrap();
        assert_eq!(written(&file), 0);
        file.write_at(&last, MOST_HELD as u64).unwrap();
        let all = [&first[..], &last].concat();
        assert_eq!(
            (bytes(&file), written(&file)),
            (all.clone(), all.len() as u64)
        );
        file.write_at(&[3], 0).unwrap();
        file.cut(all.len() - 1).unwrap();
        let sealed = file.seal().unwrap().start(u64::MAX).unwrap();
        assert_eq!(
            (sealed.len(), sealed[..2].to_vec()),
            (all.len() - 1, vec![3, 1])
        );
    }

    #[test]
    fn what_cannot_be_written_is_held_back_still() {
        let mut file = held();
        file.write_at(b"first", 0).unwrap();
        fcntl_add_seals(file.file.as_fd(), SealFlags::WRITE).unwrap();
        file.write_at(&[2; MOST_HELD], 5).unwrap_err();
        assert_eq!(bytes(&file), b"first");
        file.seal().unwrap_err();
    }

    #[test]
    fn a_write_that_stops_half_way_leaves_nothing_behind() {
        const PAGE: usize = 4096;
        let unclaimed = UnclaimedFile::create("claimed").unwrap();
        let claimed = unclaimed.claim().unwrap().unwrap();
        for (file, before) in [(UnsealedFile::create("held").unwrap(), 0), (claimed, 1)] {
            let mut file = HeldFile::new(file);
            file.write_at(&[1; 3 * PAGE], 0).unwrap();
            // The kernel takes page by page.
            ftruncate(file.file.as_fd(), PAGE as u64).unwrap();
            fcntl_add_seals(file.file.as_fd(), SealFlags::GROW).unwrap();
            file.release().unwrap_err();
            assert_eq!((bytes(&file).len(), written(&file)), (3 * PAGE, before));
        }
    }
}
