//! A region in the making: bytes are appended, then digested, sealed and mapped.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::{io, process};

use super::storage::{Backing, Storage, StorageView};
use super::{Region, failed};
use crate::error::{Error, Fingerprint, Result};
use crate::region::format::{
    self, Digesting, Digests, HEADER_LENGTH, Header, Lineage, Section, SectionKind, Spacing,
};
use crate::sys::clock::Moment;
use crate::sys::memfd::{UnclaimedFile, UnsealedFile};

/// From which length on a region is in pages, which generations can share: before, a copy of all of
/// it takes less than the mappings of a layout, and the rest of the last page of each section would
/// be more than 4 % of it.
pub(crate) const PAGES_FROM: u64 = 512 << 10;

/// What a region is called and which version of its cache it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub name: String,
    pub generation: u64,
    pub(crate) lineage: Lineage,
    /// The identity of the generation before, or zeros.
    pub(crate) base: [u8; 32],
    /// When all that it holds was built, if that was before it is sealed.
    pub built: Option<Moment>,
}

impl Label {
    /// Generation 1 of a cache, and of a lineage of its own.
    pub fn first(name: &str) -> Result<Self> {
        format::check_name(name)?;
        Ok(Self::new(name))
    }

    /// The same for a name that was checked.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            generation: 1,
            lineage: new_lineage(),
            base: [0; 32],
            built: None,
        }
    }

    /// A later generation of the cache of a region.
    pub fn after(region: &Region, generation: u64) -> Self {
        let header = region.header();
        Self {
            name: header.name.clone(),
            generation,
            lineage: header.lineage,
            base: header.identity(),
            built: None,
        }
    }

    pub(super) fn memfd_name(&self) -> String {
        memfd_name(&self.name, self.generation)
    }

    pub(super) fn not_written(&self, reason: io::Error) -> Error {
        let name = self.name.clone();
        Error::Write { name, reason }
    }

    /// A header of this label, without what it says of bytes.
    pub(super) fn header(&self, fingerprint: Fingerprint) -> Header {
        Header {
            name: self.name.clone(),
            generation: self.generation,
            lineage: self.lineage,
            base: self.base,
            fingerprint,
            created: self.built.unwrap_or_else(Moment::now),
            producer: format::producer(),
            length: 0,
            spacing: Spacing::Packed,
            sections: Vec::new(),
            content: 0,
            digests: Digests::default(),
            others: Vec::new(),
        }
    }
}

/// The name of the memfd of a generation, as /proc/PID/maps shows it.
pub(super) fn memfd_name(name: &str, generation: u64) -> String {
    format!("floe:{name}.{generation}")
}

/// A number that no other lineage has: the standard library seeds its hashers from the system.
fn new_lineage() -> Lineage {
    let half = || RandomState::new().hash_one(process::id());
    let number = u128::from(half()) << 64 | u128::from(half());
    number.to_le_bytes()
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
    spacing: Spacing,
    /// The last section is open.
    sections: Vec<Section>,
    /// Of what stands behind the header.
    digesting: Digesting,
    /// Of the sections before the inputs, once these or the schema have begun.
    content: Option<u128>,
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
            end: HEADER_LENGTH as u64,
            written: NonZeroUsize::MIN,
            spacing: Spacing::Packed,
            sections: Vec::new(),
            digesting: Digesting::both(),
            content: None,
        };
        unsealed.write_at(&[0; HEADER_LENGTH], 0)?;
        unsealed.begin(SectionKind::Archive)?;
        Ok(unsealed)
    }

    /// Bytes of the archive section so far.
    pub(crate) fn archive_length(&self) -> u64 {
        self.sections[0].length
    }

    /// Starts sections at pages if the archive will have so many bytes, or more; once something is
    /// appended, it is too late.
    pub(crate) fn expect_archive(&mut self, length: u64) -> Result<()> {
        let is_empty = self.end == HEADER_LENGTH as u64 && self.sections.len() == 1;
        if length < PAGES_FROM || !is_empty {
            return Ok(());
        }
        let page = rustix::param::page_size() as u64;
        self.spacing = Spacing::Pages(page);
        let zeros = vec![0; page as usize - HEADER_LENGTH];
        self.write_at(&zeros, HEADER_LENGTH as u64)?;
        (self.sections[0].offset, self.end) = (page, page);
        Ok(())
    }

    /// Creates an empty memfd of which a claim is [adopted](Self::adopt).
    pub(crate) fn unclaimed(label: &Label) -> Result<UnclaimedFile> {
        UnclaimedFile::create(&label.memfd_name()).map_err(failed(&label.name, "create"))
    }

    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Closes the open section and opens the next.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn begin(&mut self, kind: SectionKind) -> Result<()> {
        if let SectionKind::Inputs | SectionKind::Schema = kind {
            self.content.get_or_insert(self.digesting.quick());
        }
        let start = self.spacing.align(self.end);
        self.pad(start)?;
        self.sections.push(Section {
            kind,
            offset: start,
            length: 0,
        });
        Ok(())
    }

    /// Writes zeros up to an offset: a region has no holes.
    fn pad(&mut self, end: u64) -> Result<()> {
        let zeros = vec![0; (end - self.end) as usize];
        self.digesting.update(&zeros);
        self.write_at(&zeros, self.end)?;
        self.end = end;
        Ok(())
    }

    /// Writes at the end of the open section: all of the bytes or, after an error, none.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_owner()?;
        self.expect_archive(bytes.len() as u64)?;
        let (digesting, written) = (self.digesting.clone(), self.written);
        for (piece, offset) in bytes.chunks(PIECE).zip((self.end..).step_by(PIECE)) {
            self.digesting.update(piece);
            if let Err(error) = self.write_at(piece, offset) {
                self.digesting = digesting;
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

    /// The bytes written so far, for reading them back before the seal.
    pub fn view(&self) -> Result<View<'_>> {
        let bytes = self.storage.view();
        let bytes = bytes.map_err(failed(&self.label.name, "map"))?;
        let archive = self.sections[0].range();
        Ok(View { bytes, archive })
    }

    /// The same archive with sections at pages, if it has become so long that generations shall
    /// share them, but that was not known when it began. Copies it.
    pub(crate) fn in_pages(self) -> Result<Self> {
        let length = self.sections[0].length;
        if self.spacing != Spacing::Packed || length < PAGES_FROM || self.sections.len() > 1 {
            return Ok(self);
        }
        let mut copy = self.create_beside()?;
        copy.append(self.view()?.archive())?;
        Ok(copy)
    }

    /// Writes the header, seals and maps.
    pub fn seal(mut self, fingerprint: Fingerprint) -> Result<Region> {
        self.check_owner()?;
        self.pad(self.spacing.end(self.end))?;
        let header = Header {
            length: self.end,
            spacing: self.spacing,
            sections: std::mem::take(&mut self.sections),
            content: self.content.unwrap_or_else(|| self.digesting.quick()),
            digests: self.digesting.finish(),
            ..self.label.header(fingerprint)
        };
        self.write_at(&header.encode(), 0)?;
        let bytes = self.storage.seal(&self.label.name, header.digests)?;
        Ok(Region::trusted(bytes, header))
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = self.storage.write_at(bytes, offset);
        written.map_err(|source| self.label.not_written(source))?;
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
