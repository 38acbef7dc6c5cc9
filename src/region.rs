//! One immutable span of memory: header, archive, index, inputs and schema.
//!
//! A region begins as [`Unsealed`] bytes that only grow, is sealed once, and is never written
//! again. Readers never know whether a sealed memfd or a heap buffer holds it.
#![forbid(unsafe_code)]

mod digested;
mod file;
pub mod format;
mod heap;
mod held;
mod pages;
#[cfg(feature = "posix-shm")]
pub mod posix;
mod storage;
mod stream;
mod unsealed;

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use memmap2::Mmap;
use rkyv::util::AlignedVec;

use crate::error::{Advice, Error, Fingerprint, HeaderError, RegionPart, Result, SectionKind};
use format::{Digesting, Header, Spacing};
use pages::{Image, other_pages};

#[cfg(feature = "posix-shm")]
pub(crate) use file::read_opened;
pub(crate) use file::{TEMPORARY, generation_in_header, load, load_opened, open, where_known};
pub(crate) use pages::{PageFileStart, Run, Successor};
pub(crate) use storage::Backing;
pub(crate) use stream::read;
pub(crate) use unsealed::{Label, Unsealed, View};

/// One frozen generation as it lies in memory: bytes that nobody can change, in memfds with all
/// four seals or in a private heap buffer; or that somebody has promised not to, in a file that is
/// [mapped in place](crate::Frozen::map_file).
///
/// ```
/// use floe::Frozen;
///
/// let primes = Frozen::freeze("primes", &vec![2_u32, 3, 5, 7])?;
/// let region = primes.region();
/// assert_eq!((region.name(), region.generation()), ("primes", 1));
///
/// let copy = Frozen::<Vec<u32>>::from_fds(region.try_clone_fds()?)?;
/// assert_eq!(copy.region().bytes(), region.bytes());
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Region {
    bytes: Bytes,
    header: Header,
}

#[derive(Debug)]
enum Bytes {
    Image(Image),
    Heap(AlignedVec<64>),
    /// A file of which an unsafe function was promised that it stays as it is.
    InPlace(Mmap),
}

impl From<Image> for Bytes {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Image(image) => image.bytes(),
            Self::Heap(bytes) => bytes,
            Self::InPlace(map) => map,
        }
    }

    fn advise(&self, advice: Advice) -> io::Result<()> {
        match self {
            Self::Image(image) => image.mapping().map_or(Ok(()), |map| map.advise(advice)),
            Self::Heap(_) => Ok(()),
            Self::InPlace(map) => map.advise(match advice {
                Advice::WillNeed => memmap2::Advice::WillNeed,
                Advice::NoDump => memmap2::Advice::DontDump,
                Advice::Dump => memmap2::Advice::DoDump,
                Advice::Populate => memmap2::Advice::PopulateRead,
                Advice::HugePages => memmap2::Advice::HugePage,
            }),
        }
    }
}

impl Region {
    /// Takes over bytes whose header and digests this process has just written. What the sections
    /// mean is for the reader of their type to check here too.
    fn trusted(bytes: Bytes, header: Header) -> Self {
        Self { bytes, header }
    }

    /// Maps page files of unknown origin: first the seals, then header, layout, lengths, every
    /// digest and padding. What the sections mean is for the reader of their type to check.
    pub(crate) fn from_fds(fds: Vec<OwnedFd>) -> Result<Self> {
        let region = Self::open(fds, None)?;
        region.check_bytes()?;
        Ok(region)
    }

    /// The same, but for what [`check_bytes`](Self::check_bytes) looks at, which is left to the
    /// caller. Page files that an earlier region has are taken from that, and were compared with
    /// their digests there if they were.
    pub(crate) fn open(fds: Vec<OwnedFd>, earlier: Option<&Self>) -> Result<Self> {
        let (header, image) = Image::open(fds, earlier.and_then(Self::image))?;
        Ok(Self::trusted(image.into(), header))
    }

    /// The same for a copy of bytes on the heap.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let header = Header::decode(bytes)?;
        header.check_one_file()?;
        check_length(header.length, bytes.len() as u64)?;
        let behind = &bytes[header.spacing.header_length() as usize..];
        header.digests.check(0, behind)?;
        check_padding(&header, bytes)?;
        let mut aligned = AlignedVec::with_capacity(bytes.len());
        aligned.extend_from_slice(bytes);
        Ok(Self::trusted(Bytes::Heap(aligned), header))
    }

    /// Takes over a file that is mapped in place and has the length of its header. What is in it is
    /// for those to answer for who mapped it.
    pub(crate) fn in_place(map: Mmap, header: Header) -> Self {
        Self::trusted(Bytes::InPlace(map), header)
    }

    /// Maps page files that their owner vouches for: the seals are checked, and header and layout
    /// are read; digests and what the sections mean were checked when it was frozen. Beside it,
    /// whether they are the ones that the header names: nothing else is vouched for.
    pub(crate) fn from_fds_by_header(fds: Vec<OwnedFd>) -> Result<(Self, bool)> {
        let (header, image) = Image::open(fds, None)?;
        let is_named = image.has_the_files_of(&header);
        Ok((Self::trusted(image.into(), header), is_named))
    }

    /// Compares the files with their digests that were not before, and looks at the padding.
    pub(crate) fn check_bytes(&self) -> Result<()> {
        if let Some(image) = self.image() {
            image.check(&self.header)?;
        }
        check_padding(&self.header, self.bytes())
    }

    /// Bytes that [`check_bytes`](Self::check_bytes) is going to read.
    pub(crate) fn bytes_to_check(&self) -> u64 {
        self.image().map_or(0, Image::bytes_to_compare)
    }

    /// Where the bytes of a section may differ from those that an earlier region has there, as far
    /// as both go: everywhere but in pages of the same file.
    pub(crate) fn differing(&self, kind: SectionKind, earlier: &Self) -> Vec<Range<usize>> {
        let sections = self.header.section(kind).zip(earlier.header.section(kind));
        let Some((own, other)) = sections else {
            return Vec::new();
        };
        let length = own.length.min(other.length);
        let images = self.image().zip(earlier.image());
        match (images, self.header.spacing) {
            (Some((image, earlier_image)), Spacing::Pages(page))
                if earlier.header.spacing == self.header.spacing =>
            {
                let (from, earlier_from) = (own.offset / page, other.offset / page);
                let count = length.div_ceil(page);
                let pages = other_pages((image, from), (earlier_image, earlier_from), count, page);
                let bytes = |it: Range<u64>| it.start * page..(it.end * page).min(length);
                let bytes = pages.into_iter().map(bytes);
                bytes.map(|it| it.start as usize..it.end as usize).collect()
            }
            _ => std::iter::once(0..length as usize).collect(),
        }
    }

    /// Whether a section begins with all bytes that an earlier region has in it.
    pub(crate) fn begins_as(&self, kind: SectionKind, earlier: &Self) -> bool {
        let sections = self.section(kind).ok().zip(earlier.section(kind).ok());
        sections.is_some_and(|(own, other)| {
            let mut differing = self.differing(kind, earlier).into_iter();
            own.len() >= other.len() && differing.all(|range| own[range.clone()] == other[range])
        })
    }

    /// The same sections, byte for byte, in a region that has the pages of another one which are
    /// equal. None if none is shared.
    pub(crate) fn sharing(&self, earlier: &Self) -> Result<Option<Self>> {
        let label = Label {
            built: Some(self.header.created),
            ..Label::after(earlier, self.generation())
        };
        let mut next = Successor::new(label, earlier);
        for section in &self.header.sections {
            next.begin(section.kind);
            next.keep_equal_pages(&self.bytes()[section.range()]);
        }
        next.seal_shared(Some(self.header.content), self.fingerprint())
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// The number of this version of the cache, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// When the cache was frozen, on the wall clock; where a store has carried entries over, when
    /// it last built all of them.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.header.created.wall()
    }

    /// What froze the cache: a name and a version.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.header.producer
    }

    /// The structural fingerprint of the frozen type.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.header.fingerprint
    }

    /// Length of the whole region in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.length
    }

    /// The bytes of the whole region: header and sections.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The bytes of a section.
    pub(crate) fn section(&self, kind: SectionKind) -> Result<&[u8]> {
        let section = self
            .header
            .section(kind)
            .ok_or(Error::Header(HeaderError::MissingSection { section: kind }))?;
        Ok(&self.bytes()[section.range()])
    }

    /// The digest of the value that the cache is keyed by, 0 if it is by none; `None` for what no store
    /// has made.
    pub(crate) fn keyed_by(&self) -> Option<u128> {
        format::inputs_head::keyed_by(self.section(SectionKind::Inputs).ok()?)
    }

    /// Where the region lies in this process's memory, for the feature `inspect`.
    #[must_use]
    pub fn address_range(&self) -> Range<usize> {
        let range = self.bytes().as_ptr_range();
        range.start as usize..range.end as usize
    }

    /// Tells the kernel how the region will be read.
    ///
    /// # Errors
    /// [`Error::Advise`] if the kernel does not know the advice or cannot follow it now, for
    /// want of contiguous memory for huge pages. Nothing is lost then but speed. A region on the
    /// heap takes any advice and does nothing.
    pub fn advise(&self, advice: Advice) -> Result<()> {
        self.bytes.advise(advice).map_err(|source| Error::Advise {
            name: self.header.name.clone(),
            advice,
            reason: source,
        })
    }

    /// The sealed memfd of this generation: the only one of most regions, and the first of
    /// [`as_fds`](Self::as_fds).
    ///
    /// # Errors
    /// [`Error::NoDescriptor`] if the region lies in no memfd.
    pub fn as_fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.as_fds()?[0])
    }

    /// The sealed memfds that the pages come from, for handing them to another process while this
    /// one keeps them: first the one of this generation, then those of earlier ones with which
    /// it shares pages. Most regions have one.
    ///
    /// # Errors
    /// [`Error::NoDescriptor`] if the region lies in no memfd.
    pub fn as_fds(&self) -> Result<Vec<BorrowedFd<'_>>> {
        self.fds().ok_or_else(|| Error::NoDescriptor {
            name: self.header.name.clone(),
        })
    }

    /// Other descriptors of [the same memfds](Self::as_fds), closed on exec, for
    /// [`Frozen::from_fds`](crate::Frozen::from_fds).
    ///
    /// # Errors
    /// [`Error::NoDescriptor`] if the region lies in no memfd; [`Error::Descriptor`] if this
    /// process may open no more.
    pub fn try_clone_fds(&self) -> Result<Vec<OwnedFd>> {
        let fds = self.as_fds()?.into_iter();
        let cloned = fds.map(|fd| fd.try_clone_to_owned());
        let cloned = cloned.collect::<io::Result<_>>();
        cloned.map_err(|source| Error::Descriptor { reason: source })
    }

    /// Another descriptor of the memfd of a region that has one, closed on exec.
    ///
    /// # Errors
    /// Those of [`try_clone_fds`](Self::try_clone_fds), and [`HeaderError::Files`] if there are
    /// more.
    pub fn try_clone_fd(&self) -> Result<OwnedFd> {
        let fds = self.try_clone_fds()?;
        let (expected, got) = (fds.len(), 1);
        let [fd] = <[OwnedFd; 1]>::try_from(fds)
            .map_err(|_| Error::Header(HeaderError::Files { expected, got }))?;
        Ok(fd)
    }

    /// Writes the region to a file, atomically: a crash or power loss at any moment leaves the
    /// old file or the new one. The file has mode 0600, where the file system knows modes; without
    /// an fsync of directories (some network and FUSE file systems) a power loss may undo it.
    ///
    /// Only a regular file is replaced. A device, a named pipe, a socket, a directory and a
    /// symbolic link, wherever it leads, are refused.
    ///
    /// # Errors
    /// [`Error::Save`]: the old file is still there. [`Error::PublishedNotDurable`]: the new one
    /// is there, but a power loss may undo it.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(self, path.as_ref())
    }

    /// Copies the region into a POSIX shared memory object, a file in `/dev/shm` of mode 0600, that
    /// appears under its name whole: [`Frozen::open_posix`](crate::Frozen::open_posix) and
    /// [`Frozen::map_posix`](crate::Frozen::map_posix) open it. It goes with the
    /// [`Publication`](posix::Publication).
    ///
    /// A name is not taken from an owner that runs, nor from anything else that has it; from one
    /// that has died it is. The name has no slash, also not the one that POSIX begins it with.
    ///
    /// # Errors
    /// [`PosixError`](crate::error::PosixError), whichever; nothing is left behind then.
    #[cfg(feature = "posix-shm")]
    pub fn publish_posix(&self, name: &str) -> Result<posix::Publication> {
        posix::publish(self, name)
    }

    /// Writes the region as one file, as [`save`](Self::save) does, to a pipe, a socket or a
    /// compressor; [`Frozen::from_reader`](crate::Frozen::from_reader) takes it from there.
    ///
    /// Files are written by [`save`](Self::save), which leaves none half written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, mut writer: impl Write) -> io::Result<()> {
        match self.as_one_file() {
            None => writer.write_all(self.bytes()),
            Some(header) => {
                writer.write_all(&header.encode())?;
                let behind = header.spacing.header_length() as usize..header.length as usize;
                writer.write_all(&self.bytes()[behind])
            }
        }
    }

    /// The header of the same generation as one file, if it has several: without the layout, which
    /// is the last section.
    fn as_one_file(&self) -> Option<Header> {
        if self.header.others.is_empty() {
            return None;
        }
        let layout = self.header.section(SectionKind::Layout)?;
        let mut header = Header {
            length: layout.offset,
            others: Vec::new(),
            ..self.header.clone()
        };
        header.sections.pop();
        let mut digesting = Digesting::both();
        let start = header.spacing.header_length() as usize;
        digesting.update(&self.bytes()[start..header.length as usize]);
        header.digests = digesting.finish();
        Some(header)
    }

    pub(crate) fn fds(&self) -> Option<Vec<BorrowedFd<'_>>> {
        let files = self.image()?.files().iter();
        Some(files.map(|file| file.sealed.as_fd()).collect())
    }

    /// None if it lies on the heap or in place.
    fn image(&self) -> Option<&Image> {
        match &self.bytes {
            Bytes::Image(image) => Some(image),
            Bytes::Heap(_) | Bytes::InPlace(_) => None,
        }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Compares the length in a header with the bytes that are there.
fn check_length(expected: u64, got: u64) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Header(HeaderError::Length { expected, got }))
    }
}

/// What stands between sections, and behind the last one in its page, is zero.
fn check_padding(header: &Header, bytes: &[u8]) -> Result<()> {
    let starts = header.sections.iter().skip(1).map(|it| it.offset);
    let ends = starts.chain([header.length]);
    for (section, end) in header.sections.iter().zip(ends) {
        if bytes[section.end() as usize..end as usize]
            .iter()
            .any(|&byte| byte != 0)
        {
            let part = RegionPart::PaddingBehind(section.kind);
            return Err(Error::Header(HeaderError::Damaged { part }));
        }
    }
    Ok(())
}

/// Adds the cache, and the step, to what the kernel said of its memfd.
fn failed(name: &str, step: &'static str) -> impl FnOnce(io::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Memfd {
        name,
        step,
        reason: source,
    }
}

#[cfg(test)]
mod tests;
