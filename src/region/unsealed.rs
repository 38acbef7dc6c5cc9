//! A region in the making: bytes are appended, then digested, sealed and mapped.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::{io, process};

use super::digested::DigestedFile;
use super::pages::Image;
use super::storage::{Backing, Sealed, Storage, StorageView};
use super::{Bytes, Region, failed};
use crate::error::{Error, Fingerprint, Result};
use crate::region::format::{
    self, Digests, HEADER_LENGTH, Header, Lineage, Section, SectionKind, Spacing,
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
    file: DigestedFile,
    spacing: Spacing,
    /// The last section is open.
    sections: Vec<Section>,
    /// Of the sections before the inputs, once these or the schema have begun.
    content: Option<u128>,
}

impl Unsealed {
    /// An empty region with its first section open.
    pub fn create(label: Label, backing: Backing) -> Result<Self> {
        let storage = Storage::create(backing, &label.memfd_name());
        let storage = storage.map_err(failed(&label.name, "create"))?;
        Self::from_storage(storage, label)
    }

    /// An empty region with the same label, over the same backing.
    pub(crate) fn create_beside(&self) -> Result<Self> {
        Self::create(self.label().clone(), self.file.backing())
    }

    /// The same in a memfd that was made before a fork, and that this process has claimed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn adopt(label: Label, file: UnsealedFile) -> Result<Self> {
        Self::from_storage(file.into(), label)
    }

    fn from_storage(storage: Storage, label: Label) -> Result<Self> {
        let mut unsealed = Self {
            file: DigestedFile::create(storage, label, HEADER_LENGTH)?,
            spacing: Spacing::Packed,
            sections: Vec::new(),
            content: None,
        };
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
        let is_empty = self.file.end() == HEADER_LENGTH as u64 && self.sections.len() == 1;
        if length < PAGES_FROM || !is_empty {
            return Ok(());
        }
        let page = rustix::param::page_size();
        self.spacing = Spacing::Pages(page as u64);
        self.file.make_room(page)?;
        self.sections[0].offset = self.file.end();
        Ok(())
    }

    /// Creates an empty memfd of which a claim is [adopted](Self::adopt).
    pub(crate) fn unclaimed(label: &Label) -> Result<UnclaimedFile> {
        UnclaimedFile::create(&label.memfd_name()).map_err(failed(&label.name, "create"))
    }

    pub fn label(&self) -> &Label {
        self.file.label()
    }

    /// Closes the open section and opens the next.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn begin(&mut self, kind: SectionKind) -> Result<()> {
        if let SectionKind::Inputs | SectionKind::Schema = kind {
            self.content.get_or_insert(self.file.quick_digest());
        }
        self.file.pad(self.spacing.align(self.file.end()))?;
        self.sections.push(Section {
            kind,
            offset: self.file.end(),
            length: 0,
        });
        Ok(())
    }

    /// Writes at the end of the open section: all of the bytes or, after an error, none.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.check_owner()?;
        self.expect_archive(bytes.len() as u64)?;
        self.file.append(bytes)?;
        if let Some(section) = self.sections.last_mut() {
            section.length += bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes pieces at the end of the open section, small ones together.
    pub(crate) fn append_all<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone + Sync,
    ) -> Result<()> {
        self.check_owner()?;
        let length = pieces.clone().map(|piece| piece.len() as u64).sum();
        self.expect_archive(length)?;
        self.file.append_all(pieces)?;
        if let Some(section) = self.sections.last_mut() {
            section.length += length;
        }
        Ok(())
    }

    /// The bytes written so far, for reading them back before the seal.
    pub fn view(&self) -> Result<View<'_>> {
        let bytes = self.file.storage().view();
        let bytes = bytes.map_err(failed(&self.label().name, "map"))?;
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
    pub fn seal(self, fingerprint: Fingerprint) -> Result<Region> {
        let (sealed, header) = self.seal_unmapped(fingerprint)?;
        let bytes = match sealed {
            Sealed::Memfd(file) => {
                let image = Image::whole(file, header.digests);
                image.map_err(failed(&header.name, "map"))?.into()
            }
            Sealed::Heap(bytes) => Bytes::Heap(bytes),
        };
        Ok(Region::trusted(bytes, header))
    }

    /// The same without a mapping, for others who have the memfd.
    pub(crate) fn seal_for_others(self, fingerprint: Fingerprint) -> Result<()> {
        self.seal_unmapped(fingerprint).map(drop)
    }

    fn seal_unmapped(mut self, fingerprint: Fingerprint) -> Result<(Sealed, Header)> {
        self.check_owner()?;
        self.file.pad(self.spacing.end(self.file.end()))?;
        let header = Header {
            length: self.file.end(),
            spacing: self.spacing,
            sections: self.sections,
            content: self.content.unwrap_or_else(|| self.file.quick_digest()),
            digests: self.file.digests(),
            ..self.file.label().header(fingerprint)
        };
        Ok((self.file.seal(&header)?, header))
    }

    /// A forked child shares the memfd with its parent; writes of both would mix.
    pub fn check_owner(&self) -> Result<()> {
        self.file.storage().check_owner()
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
