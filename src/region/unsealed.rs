//! A region in the making: bytes are appended, then digested, sealed and mapped.

use std::num::NonZeroUsize;
use std::ops::Range;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use super::storage::{Backing, Storage, StorageView};
use super::{Region, failed};
use crate::error::Fingerprint;
use crate::error::{Error, Result};
use crate::region::format::{self, HEADER_LENGTH, Header, Section, SectionKind};
use crate::sys::clock::Moment;
use crate::sys::memfd::{UnclaimedFile, UnsealedFile};

/// What a region is called and which version of its cache it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub name: String,
    pub generation: u64,
    /// When all that it holds was built, if that was before it is sealed.
    pub built: Option<Moment>,
}

impl Label {
    /// Generation 1 of a cache.
    pub fn first(name: &str) -> Result<Self> {
        format::check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            generation: 1,
            built: None,
        })
    }

    /// The name of the memfd, as /proc/PID/maps shows it.
    pub(super) fn memfd_name(&self) -> String {
        format!("floe:{}.{}", self.name, self.generation)
    }
}

/// Bytes that only their maker can write, until [`seal`](Unsealed::seal).
///
/// In a forked child of its maker it refuses to write.
pub struct Unsealed {
    storage: Storage,
    label: Label,
    end: u64,
    /// Bytes that the storage has: the header's, from the start.
    written: NonZeroUsize,
    /// The last section is open, and has no digest yet.
    sections: Vec<Section>,
    /// What was appended to the open section.
    hasher: Xxh3Default,
    /// The digest of the archive section no longer holds.
    is_patched: bool,
}

/// Bytes that are digested and written together: they stay in the processor's caches in between.
const PIECE: usize = 1 << 18;

impl Unsealed {
    /// An empty region with its first section open.
    pub fn create(label: Label, backing: Backing) -> Result<Self> {
        let storage = Storage::create(backing, &label.memfd_name());
        let storage = storage.map_err(failed(&label.name, "create"))?;
        Self::from_storage(storage, label)
    }

    /// An empty region with the same label, over the same backing.
    pub(crate) fn create_beside(&self) -> Result<Self> {
        Self::create(self.label.clone(), self.storage.backing())
    }

    /// The same in a memfd that was made before a fork, and that this process has claimed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn adopt(label: Label, file: UnsealedFile) -> Result<Self> {
        Self::from_storage(Storage::Memfd(file), label)
    }

    /// The space of the header is written at once, so that there is always something to map.
    fn from_storage(storage: Storage, label: Label) -> Result<Self> {
        let mut unsealed = Self {
            storage,
            label,
            end: 0,
            written: NonZeroUsize::MIN,
            sections: Vec::new(),
            hasher: Xxh3Default::new(),
            is_patched: false,
        };
        unsealed.write_at(&[0; HEADER_LENGTH], 0)?;
        unsealed.begin(SectionKind::Archive);
        Ok(unsealed)
    }

    /// Creates an empty memfd of which a claim is [adopted](Self::adopt).
    pub(crate) fn unclaimed(label: &Label) -> Result<UnclaimedFile> {
        UnclaimedFile::create(&label.memfd_name()).map_err(failed(&label.name, "create"))
    }

    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Closes the open section and opens the next.
    pub fn begin(&mut self, kind: SectionKind) {
        self.close();
        let start = format::align_section(self.end.max(HEADER_LENGTH as u64));
        self.sections.push(Section {
            kind,
            offset: start,
            length: 0,
            digest: 0,
        });
        self.end = start;
    }

    /// Gives the open section its digest.
    fn close(&mut self) {
        if let Some(section) = self.sections.last_mut() {
            section.digest = self.hasher.digest128();
            self.hasher.reset();
        }
    }

    /// Writes at the end of the open section: all of the bytes or, after an error, none.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_owner()?;
        let (hasher, written) = (self.hasher.clone(), self.written);
        for (piece, offset) in bytes.chunks(PIECE).zip((self.end..).step_by(PIECE)) {
            self.hasher.update(piece);
            if let Err(error) = self.write_at(piece, offset) {
                self.hasher = hasher;
                self.cut(written);
                return Err(error);
            }
        }
        self.end += bytes.len() as u64;
        if let Some(section) = self.sections.last_mut() {
            section.length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Drops what stands behind the first bytes: a seal would find it.
    fn cut(&mut self, written: NonZeroUsize) {
        self.written = written;
        // That a memfd cannot be cut before its seal does not happen.
        let _ = self.storage.cut(written.get());
    }

    /// Overwrites bytes of the archive section that were written before.
    pub fn patch_archive(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        self.check_owner()?;
        self.is_patched = true;
        let start = self.sections[0].offset + offset;
        debug_assert!(start + bytes.len() as u64 <= self.end);
        self.write_at(bytes, start)
    }

    /// The bytes written so far, for reading them back before the seal.
    pub fn view(&self) -> Result<View<'_>> {
        let bytes = self.storage.view();
        let bytes = bytes.map_err(failed(&self.label.name, "map"))?;
        let archive = self.sections[0].range();
        Ok(View { bytes, archive })
    }

    /// Writes the header, seals and maps.
    pub fn seal(mut self, fingerprint: Fingerprint) -> Result<Region> {
        self.check_owner()?;
        self.close();
        if self.is_patched {
            self.sections[0].digest = xxh3_128(self.view()?.archive());
        }
        let header = self.header(fingerprint);
        self.write_at(&header.encode(), 0)?;
        let bytes = self.storage.seal(&self.label.name)?;
        Ok(Region::trusted(bytes, header))
    }

    fn header(&self, fingerprint: Fingerprint) -> Header {
        Header {
            name: self.label.name.clone(),
            generation: self.label.generation,
            fingerprint,
            created: self.label.built.unwrap_or_else(Moment::now),
            producer: format::producer(),
            length: self.end,
            sections: self.sections.clone(),
        }
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = self.storage.write_at(bytes, offset);
        written.map_err(|source| Error::Write {
            name: self.label.name.clone(),
            reason: source,
        })?;
        let end = NonZeroUsize::new((offset + bytes.len() as u64) as usize);
        self.written = end.map_or(self.written, |end| end.max(self.written));
        Ok(())
    }

    /// A forked child shares the memfd with its parent; writes of both would mix.
    pub fn check_owner(&self) -> Result<()> {
        self.storage.check_owner()
    }
}

/// Bytes of an unsealed region, borrowed from its only writer.
pub struct View<'a> {
    bytes: StorageView<'a>,
    archive: Range<usize>,
}

impl View<'_> {
    /// The bytes of the archive section.
    pub fn archive(&self) -> &[u8] {
        &self.bytes[self.archive.clone()]
    }
}
