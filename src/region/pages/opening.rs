//! An image in memory, of page files from anywhere.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rkyv::util::AlignedVec;

use super::layout::{self, Run};
use super::origin::PageFileStart;
use super::page_file::PageFile;
use crate::error::{Error, HeaderError, Result, SectionKind};
use crate::region::format::{Digests, FileRow, HEADER_LENGTH, Header};
use crate::sys::mapping::{Mapping, Stretch};
use crate::sys::memfd::SealedFile;
use crate::sys::memfd_id::MemfdId;

/// The bytes of a region, and the page files that they come from.
#[derive(Debug)]
pub(in crate::region) struct Image {
    bytes: Bytes,
    /// The one that begins with the image's header, then those of its table.
    files: Vec<Arc<PageFile>>,
    /// None where the image is the file.
    runs: Vec<Run>,
}

#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(Mapping),
    /// Where the pages of this system are larger than those of the image, or the process may have
    /// no more mappings.
    Copied(AlignedVec<64>),
}

impl Image {
    /// A file that is an image.
    pub(in crate::region) fn whole(sealed: SealedFile, digests: Digests) -> io::Result<Self> {
        let map = Mapping::sealed(&sealed)?;
        Ok(Self::mapped(PageFile::written(sealed, digests), map))
    }

    fn mapped(file: PageFile, map: Mapping) -> Self {
        Self {
            bytes: Bytes::Mapped(map),
            files: vec![Arc::new(file)],
            runs: Vec::new(),
        }
    }

    /// An image of files that have its pages, as its layout says.
    pub(super) fn of_runs(
        files: Vec<Arc<PageFile>>,
        runs: Vec<Run>,
        page: u64,
    ) -> io::Result<Self> {
        let system = rustix::param::page_size() as u64;
        let bytes = Bytes::of(&stretches(&files, &runs, page), page, system)?;
        Ok(Self { bytes, files, runs })
    }

    /// The same; none if they cannot be mapped.
    pub(super) fn of_mapped_runs(
        files: Vec<Arc<PageFile>>,
        runs: Vec<Run>,
        page: u64,
    ) -> Option<Self> {
        let bytes = Bytes::map(&stretches(&files, &runs, page)).ok()?;
        Some(Self { bytes, files, runs })
    }

    /// Maps page files of unknown origin, in their order. Seals, header, layout and lengths are
    /// checked; digests are not, nor what the sections mean. Files that an earlier image has are
    /// taken from it.
    pub(in crate::region) fn open(
        fds: Vec<OwnedFd>,
        earlier: Option<&Self>,
    ) -> Result<(Header, Self)> {
        let got = fds.len();
        let mut fds = fds.into_iter();
        let refuse = |expected| Error::Header(HeaderError::Files { expected, got });
        let own = SealedFile::open(fds.next().ok_or_else(|| refuse(1))?)?;
        let unmappable = |source| Error::Descriptor { reason: source };
        if fds.len() == 0 {
            return Self::open_whole(own);
        }
        let PageFileStart { header, runs, .. } = PageFileStart::read(&own)?;
        let expected = 1 + header.others.len();
        if got != expected {
            return Err(refuse(expected));
        }
        let page = header.page_size();
        let own = PageFile::from_elsewhere(own, header.digests);
        let mut files = vec![Arc::new(own)];
        let known = KnownFiles::of(earlier);
        for (fd, row) in fds.zip(&header.others) {
            files.push(match known.find(&fd, row, page) {
                Some(file) => file,
                None => Arc::new(PageFile::of_row(fd, row, page)?),
            });
        }
        let image = Self::of_runs(files, runs, page).map_err(unmappable)?;
        Ok((header, image))
    }

    /// Maps a page file of unknown origin that shall be an image.
    fn open_whole(own: SealedFile) -> Result<(Header, Self)> {
        if own.length() == 0 {
            return Err(Error::Header(HeaderError::Length {
                expected: HEADER_LENGTH as u64,
                got: 0,
            }));
        }
        let map = Mapping::sealed(&own);
        let map = map.map_err(|source| Error::Descriptor { reason: source })?;
        let header = Header::decode(&map)?;
        if !header.others.is_empty() {
            let (expected, got) = (1 + header.others.len(), 1);
            return Err(Error::Header(HeaderError::Files { expected, got }));
        }
        check_length(&header, &own)?;
        let own = PageFile::from_elsewhere(own, header.digests);
        Ok((header, Self::mapped(own, map)))
    }

    /// Compares every file with its digest that was not before.
    pub(in crate::region) fn check(&self, header: &Header) -> Result<()> {
        let start = header.spacing.header_length() as usize;
        for (number, file) in self.files.iter().enumerate() {
            if file.is_compared() {
                continue;
            }
            if self.files.len() == 1 {
                file.digests.check(number, &self.bytes()[start..])?;
            } else {
                let bytes = Bytes::of_file(&file.sealed);
                let bytes = bytes.map_err(|source| Error::Descriptor { reason: source })?;
                file.digests.check(number, &bytes.as_slice()[start..])?;
            }
            file.note_compared();
        }
        Ok(())
    }

    /// Bytes that [`check`](Self::check) is going to read.
    pub(in crate::region) fn bytes_to_compare(&self) -> u64 {
        let files = self.files.iter().filter(|file| !file.is_compared());
        files.map(|file| file.sealed.length()).sum()
    }

    /// Whether the files beside the first are the very memfds that the header names.
    pub(in crate::region) fn has_the_files_of(&self, header: &Header) -> bool {
        let mut files = self.files[1..].iter().zip(&header.others);
        files.all(|(file, row)| file.sealed.id().is_ok_and(|id| id == row.id))
    }

    pub(in crate::region) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// None where the bytes are a copy.
    pub(in crate::region) fn mapping(&self) -> Option<&Mapping> {
        match &self.bytes {
            Bytes::Mapped(map) => Some(map),
            Bytes::Copied(_) => None,
        }
    }

    pub(in crate::region) fn files(&self) -> &[Arc<PageFile>] {
        &self.files
    }

    /// Where its pages come from.
    pub(super) fn runs(&self, page: u64) -> Vec<Run> {
        if !self.runs.is_empty() {
            return self.runs.clone();
        }
        let pages = self.bytes().len() as u64 / page;
        whole_runs(pages)
    }
}

/// The files of an earlier image.
struct KnownFiles<'a>(Vec<(MemfdId, &'a Arc<PageFile>)>);

impl<'a> KnownFiles<'a> {
    fn of(earlier: Option<&'a Image>) -> Self {
        let files = earlier.map_or(&[][..], Image::files).iter();
        let with_id = files.filter_map(|file| Some((file.sealed.id().ok()?, file)));
        Self(with_id.collect())
    }

    /// The file of a descriptor, if it is known to be the one of a row. While one descriptor of a
    /// memfd is open, no other memfd has its number.
    fn find(&self, fd: &OwnedFd, row: &FileRow, page: u64) -> Option<Arc<PageFile>> {
        let id = MemfdId::of(fd).ok()?;
        let (_, file) = self.0.iter().find(|(known, _)| *known == id)?;
        let is_of_row = file.digests == row.digests
            && row.pages.checked_mul(page) == Some(file.sealed.length());
        is_of_row.then(|| Arc::clone(file))
    }
}

/// The runs of an image that is a file.
pub(super) fn whole_runs(pages: u64) -> Vec<Run> {
    let starts = (0..pages).step_by(u32::MAX as usize);
    let run = |first: u64| Run {
        file: 0,
        pages: (pages - first).min(u64::from(u32::MAX)) as u32,
        first,
    };
    starts.map(run).collect()
}

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Copied(bytes) => bytes,
        }
    }

    #[cfg(test)]
    pub(super) fn is_a_copy(&self) -> bool {
        matches!(self, Self::Copied(_))
    }

    /// Maps stretches, of so large pages; where that cannot be, copies them.
    pub(super) fn of(stretches: &[Stretch<'_>], page: u64, system: u64) -> io::Result<Self> {
        match page.is_multiple_of(system) {
            true => Self::map_or_copy(stretches),
            false => Self::copy(stretches),
        }
    }

    fn of_file(file: &SealedFile) -> io::Result<Self> {
        Self::map_or_copy(&[Stretch::whole(file)])
    }

    fn map_or_copy(stretches: &[Stretch<'_>]) -> io::Result<Self> {
        Self::map(stretches).or_else(|_| Self::copy(stretches))
    }

    fn map(stretches: &[Stretch<'_>]) -> io::Result<Self> {
        Mapping::joined(stretches).map(Self::Mapped)
    }

    /// Reads stretches, which takes no mapping. There are as many bytes as the files have: no page
    /// comes twice.
    fn copy(stretches: &[Stretch<'_>]) -> io::Result<Self> {
        let total: u64 = stretches.iter().map(|it| it.length).sum();
        let mut bytes = AlignedVec::new();
        bytes.resize(usize::try_from(total).map_err(io::Error::other)?, 0);
        let mut rest = &mut bytes[..];
        for stretch in stretches {
            let (into, behind) = rest.split_at_mut(stretch.length as usize);
            stretch.file.read_exact_at(into, stretch.offset)?;
            rest = behind;
        }
        Ok(Self::Copied(bytes))
    }
}

/// Where the bytes of an image lie in its files.
pub(super) fn stretches<'a>(
    files: &'a [Arc<PageFile>],
    runs: &[Run],
    page: u64,
) -> Vec<Stretch<'a>> {
    let stretch = |run: &Run| Stretch {
        file: &files[run.file as usize].sealed,
        offset: run.first * page,
        length: u64::from(run.pages) * page,
    };
    runs.iter().map(stretch).collect()
}

pub(super) fn check_length(header: &Header, file: &SealedFile) -> Result<()> {
    let (expected, got) = (header.length, file.length());
    match expected == got {
        true => Ok(()),
        false => Err(Error::Header(HeaderError::Length { expected, got })),
    }
}

/// The runs of an image of several files, from the start of the first of them, which has a length.
pub(super) fn read_layout(
    header: &Header,
    own: &[u8],
    own_length: u64,
    page: u64,
) -> Result<Vec<Run>> {
    let refuse = |problem| Error::Header(HeaderError::Layout { problem });
    let kind = SectionKind::Layout;
    let section = header.section(kind);
    let section = section.ok_or(Error::Header(HeaderError::MissingSection { section: kind }))?;
    let most = layout::MOST_RUNS * layout::RUN_LENGTH;
    if section.length > most as u64 {
        return Err(refuse("its length is not that of up to 4,096 runs"));
    }
    let own_pages = own_length / page;
    let bytes = own.get(page as usize..(page + section.length) as usize);
    let (Some(bytes), true) = (bytes, own_length == own_pages * page) else {
        return Err(refuse(
            "the file is too short for it, or has not whole pages",
        ));
    };
    let mut files = vec![own_pages];
    files.extend(header.others.iter().map(|row| row.pages));
    let runs = layout::decode(bytes, header.length / page, &files)?;
    let last = Run {
        file: 0,
        pages: layout::pages_of(runs.len(), page) as u32,
        first: 1,
    };
    if runs.last() != Some(&last) || header.sections.last() != Some(section) {
        return Err(refuse("it does not end with its own pages"));
    }
    Ok(runs)
}
