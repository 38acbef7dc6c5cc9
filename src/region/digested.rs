//! What stands behind a header, digested while it is written.
#![forbid(unsafe_code)]

use super::failed;
use super::storage::{Backing, Sealed, Storage};
use super::unsealed::Label;
use crate::error::Result;
use crate::region::format::{Digesting, Digests, Header};
use crate::sys::threads;

/// Bytes that are digested and written together: they stay in the processor's caches in between.
const PIECE: usize = 1 << 18;
/// Small pieces are joined to about so many bytes, in memory that stays in the caches.
const JOINED: usize = 1 << 16;
/// From so many bytes on they are digested beside the writing.
pub(super) const MANY_BYTES: usize = 4 << 20;

/// Bytes behind the room of a header: those of a region, or the pages of one file of it.
pub(super) struct DigestedFile {
    storage: Storage,
    label: Label,
    /// Behind the last byte. The room of the header is there from the start, so that there is
    /// always something to map.
    end: usize,
    digesting: Digesting,
}

impl DigestedFile {
    /// An empty one, with room for a header of so many bytes.
    pub(super) fn create(storage: Storage, label: Label, header: usize) -> Result<Self> {
        let mut file = Self {
            storage,
            label,
            end: 0,
            digesting: Digesting::both(),
        };
        file.make_room(header)?;
        Ok(file)
    }

    /// Makes the room for the header larger, which is in vain once anything was appended.
    pub(super) fn make_room(&mut self, header: usize) -> Result<()> {
        let more = header.saturating_sub(self.end);
        self.write_at(&vec![0; more], self.end())?;
        self.end += more;
        Ok(())
    }

    pub(super) fn label(&self) -> &Label {
        &self.label
    }

    pub(super) fn backing(&self) -> Backing {
        self.storage.backing()
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.end as u64
    }

    /// Digests of what was appended so far.
    pub(super) fn digests(&self) -> Digests {
        self.digesting.finish()
    }

    /// The one that is made fast.
    pub(super) fn quick_digest(&self) -> u128 {
        self.digesting.quick()
    }

    /// Writes all of the bytes or, after an error, none.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let digesting = self.digesting.clone();
        for (piece, offset) in bytes.chunks(PIECE).zip((self.end()..).step_by(PIECE)) {
            self.digesting.update(piece);
            if let Err(error) = self.write_at(piece, offset) {
                self.digesting = digesting;
                // A seal would find what is behind. That a memfd cannot be cut before its seal does
                // not happen.
                let _ = self.storage.cut(self.end);
                return Err(error);
            }
        }
        self.end += bytes.len();
        Ok(())
    }

    /// Appends many pieces, of which small ones are written together. Many bytes are digested on one
    /// processor while another writes them.
    pub(super) fn append_all<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone + Sync,
    ) -> Result<()> {
        let length: usize = pieces.clone().map(<[u8]>::len).sum();
        if length < MANY_BYTES {
            return self.append_each(pieces);
        }
        let digest = || {
            let mut digesting = self.digesting.clone();
            pieces.clone().for_each(|piece| digesting.update(piece));
            digesting
        };
        let (storage, start) = (&mut self.storage, self.end as u64);
        let write = || {
            let mut end = start;
            together(pieces.clone(), |piece| {
                storage.write_at(piece, end)?;
                end += piece.len() as u64;
                Ok(())
            })
        };
        let (digesting, written) = threads::both(digest, write);
        if let Err(error) = written {
            let _ = self.storage.cut(self.end);
            return Err(self.label.not_written(error));
        }
        self.digesting = digesting;
        self.end += length;
        Ok(())
    }

    fn append_each<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        together(pieces, |piece| self.append(piece))
    }

    /// Appends zeros up to an offset: there are no holes.
    pub(super) fn pad(&mut self, end: u64) -> Result<()> {
        self.append(&vec![0; (end - self.end()) as usize])
    }

    /// Puts the header into its room and seals.
    pub(super) fn seal(mut self, header: &Header) -> Result<Sealed> {
        self.write_at(&header.encode(), 0)?;
        let released = self.storage.release();
        released.map_err(|source| self.label.not_written(source))?;
        self.storage
            .seal()
            .map_err(failed(&self.label.name, "seal"))
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = self.storage.write_at(bytes, offset);
        written.map_err(|source| self.label.not_written(source))
    }
}

/// Hands pieces over in their order, of which small ones are joined.
fn together<'a, E>(
    pieces: impl Iterator<Item = &'a [u8]>,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting: Vec<u8> = Vec::with_capacity(JOINED);
    for piece in pieces {
        if waiting.len() + piece.len() > JOINED {
            take(&waiting)?;
            waiting.clear();
        }
        match piece.len() < JOINED {
            true => waiting.extend_from_slice(piece),
            false => take(piece)?,
        }
    }
    take(&waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(backing: Backing) -> DigestedFile {
        let storage = Storage::create(backing, "floe:pieces.1").unwrap();
        DigestedFile::create(storage, Label::first("pieces").unwrap(), 64).unwrap()
    }

    #[test]
    fn many_bytes_are_digested_and_written_as_few_are() {
        let bytes: Vec<u8> = (0..MANY_BYTES as u32 + 999)
            .map(|it| (it / 7) as u8)
            .collect();
        for backing in [Backing::Heap, Backing::Memfd] {
            let (mut few, mut many) = (file(backing), file(backing));
            for part in bytes.chunks(PIECE / 3) {
                few.append_all([part].into_iter()).unwrap();
            }
            // Small ones before, between and behind large ones.
            let (start, rest) = bytes.split_at(100);
            let (large, rest) = rest.split_at(3 * PIECE);
            let pieces = [start, large].into_iter().chain(rest.chunks(1000));
            many.append_all(pieces).unwrap();
            for file in [&mut few, &mut many] {
                // Both go on behind.
                file.append(b"behind").unwrap();
                assert_eq!(file.end(), 64 + bytes.len() as u64 + 6);
                let view = file.storage().view().unwrap();
                assert!(view[64..].starts_with(&bytes) && view.ends_with(b"behind"));
            }
            assert_eq!(few.digests(), many.digests());
        }
    }
}
