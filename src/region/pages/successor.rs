//! The next generation of a region: what changed is written, everything else is shared.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::layout::{self, MOST_RUNS};
use super::opening::Image;
use super::page_file::PageFile;
use super::plan::Plan;
#[cfg(doc)]
use crate::error::Error;
use crate::error::{Fingerprint, Result, SectionKind};
use crate::region::digested::{DigestedFile, MANY_BYTES};
use crate::region::format::{Header, MOST_FILES, Section, Spacing};
use crate::region::storage::{Sealed, Storage};
use crate::region::unsealed::{Label, PAGES_FROM, Unsealed};
use crate::region::{Backing, Region, failed};
use crate::sys::limits;
use crate::sys::memfd::UnsealedFile;
use crate::sys::threads;

/// A generation in the making that has pages of the one before.
///
/// Sections are told in their order, each as pieces: bytes to [`keep`](Self::keep), and bytes to
/// [`write`](Self::write). What cannot be shared is copied: where one of the two is too small for
/// pages, lies on the heap, or begins a piece elsewhere than at a page.
pub(crate) struct Successor<'a> {
    earlier: &'a Region,
    label: Label,
    /// The size of a page, if pages of the earlier generation can be shared.
    page: Option<u64>,
    sections: Vec<Planned<'a>>,
}

struct Planned<'a> {
    kind: SectionKind,
    length: u64,
    pieces: Vec<Piece<'a>>,
}

enum Piece<'a> {
    /// Whole pages of the image before.
    Kept(Range<u64>),
    Written(Cow<'a, [u8]>),
}

impl Piece<'_> {
    /// Its bytes; those of the region before, if it keeps them.
    fn bytes_in<'b>(&'b self, earlier: &'b Region) -> &'b [u8] {
        match self {
            Self::Kept(range) => &earlier.bytes()[range.start as usize..range.end as usize],
            Self::Written(bytes) => bytes,
        }
    }
}

impl<'a> Successor<'a> {
    pub(crate) fn new(label: Label, earlier: &'a Region) -> Self {
        let page = match (earlier.header().spacing, earlier.image()) {
            (Spacing::Pages(size), Some(_)) if size == rustix::param::page_size() as u64 => {
                Some(size)
            }
            _ => None,
        };
        Self {
            earlier,
            label,
            page,
            sections: Vec::new(),
        }
    }

    /// Opens the next section.
    pub(crate) fn begin(&mut self, kind: SectionKind) {
        self.sections.push(Planned {
            kind,
            length: 0,
            pieces: Vec::new(),
        });
    }

    /// The size of a page; one byte where nothing can be shared.
    pub(crate) fn page(&self) -> u64 {
        self.page.unwrap_or(1)
    }

    /// Appends bytes that the earlier generation has in the same section.
    ///
    /// # Panics
    /// If it has no such section.
    pub(crate) fn keep(&mut self, bytes: Range<u64>) {
        let Some(section) = self.sections.last_mut() else {
            return;
        };
        let earlier = self.earlier.header().section(section.kind);
        let earlier = earlier.expect("what is kept is in a section of the generation before");
        let (start, end) = (earlier.offset + bytes.start, earlier.offset + bytes.end);
        let mut written = start;
        if let Some(page) = self.page
            && start.is_multiple_of(page)
            && section.length.is_multiple_of(page)
        {
            written = end / page * page;
            if written > start {
                section.pieces.push(Piece::Kept(start..written));
            }
        }
        section.length += end - start;
        if end > written {
            let rest = &self.earlier.bytes()[written as usize..end as usize];
            section.pieces.push(Piece::Written(rest.into()));
        }
    }

    /// Appends other bytes.
    pub(crate) fn write(&mut self, bytes: impl Into<Cow<'a, [u8]>>) {
        let bytes = bytes.into();
        if let Some(section) = self.sections.last_mut()
            && !bytes.is_empty()
        {
            section.length += bytes.len() as u64;
            section.pieces.push(Piece::Written(bytes));
        }
    }

    /// Appends the bytes of a whole section; those of pages that the earlier generation has at the
    /// same place are kept.
    pub(crate) fn keep_equal_pages(&mut self, bytes: &'a [u8]) {
        let kind = self.sections.last().map(|it| it.kind);
        let earlier = kind.and_then(|kind| self.earlier.section(kind).ok());
        let (earlier, page) = (earlier.unwrap_or_default(), self.page() as usize);
        let mut pages = bytes.chunks(page).zip(earlier.chunks(page));
        let is_kept = |it: Option<(&[u8], &[u8])>| it.is_some_and(|(one, other)| one == other);
        let mut start = 0;
        while start < bytes.len() && page > 1 {
            let kept = is_kept(pages.next());
            let mut end = start + page;
            while end < bytes.len() && is_kept(pages.clone().next()) == kept {
                pages.next();
                end += page;
            }
            let end = end.min(bytes.len());
            match kept {
                true => self.keep(start as u64..end as u64),
                false => self.write(&bytes[start..end]),
            }
            start = end;
        }
        self.write(&bytes[start..]);
    }

    /// Whether pages are kept.
    fn shares(&self) -> bool {
        let mut pieces = self.sections.iter().flat_map(|it| &it.pieces);
        pieces.any(|it| matches!(it, Piece::Kept(_)))
    }

    /// Appends bytes to an empty section, which the earlier generation may have as its own.
    pub(crate) fn keep_or_write(&mut self, bytes: Vec<u8>) {
        let kind = self.sections.last().map(|it| it.kind);
        let earlier = kind.and_then(|kind| self.earlier.section(kind).ok());
        match earlier == Some(&bytes) {
            true => self.keep(0..bytes.len() as u64),
            false => self.write(bytes),
        }
    }

    /// Writes, seals and maps.
    ///
    /// # Errors
    /// [`Error::Memfd`] and [`Error::Write`].
    pub(crate) fn seal(self, fingerprint: Fingerprint) -> Result<Region> {
        match self.seal_shared(None, fingerprint)? {
            Some(region) => Ok(region),
            None => self.copy(fingerprint),
        }
    }

    /// The same, with a digest of the content if one is known; none where no page is shared within the
    /// bounds, or this process cannot map so many runs.
    pub(crate) fn seal_shared(
        &self,
        content: Option<u128>,
        fingerprint: Fingerprint,
    ) -> Result<Option<Region>> {
        let length: u64 = self.sections.iter().map(|it| it.length).sum();
        match (self.page, self.earlier.image()) {
            (Some(page), Some(image)) if self.shares() && length >= PAGES_FROM => {
                self.write_pages(image, page, content, fingerprint)
            }
            _ => Ok(None),
        }
    }

    /// Writes a region of its own, where the earlier one lies too.
    fn copy(self, fingerprint: Fingerprint) -> Result<Region> {
        let backing = match self.earlier.image() {
            Some(_) => Backing::Memfd,
            None => Backing::Heap,
        };
        let mut unsealed = Unsealed::create(self.label, backing)?;
        let length: u64 = self.sections.iter().map(|it| it.length).sum();
        unsealed.expect_archive(length)?;
        for section in &self.sections {
            if section.kind != SectionKind::Archive {
                unsealed.begin(section.kind)?;
            }
            let pieces = section.pieces.iter();
            unsealed.append_all(pieces.map(|piece| piece.bytes_in(self.earlier)))?;
        }
        unsealed.seal(fingerprint)
    }

    fn bytes_to_write(&self) -> usize {
        let pieces = self.sections.iter().flat_map(|it| &it.pieces);
        let written = pieces.map(|it| match it {
            Piece::Kept(_) => 0,
            Piece::Written(bytes) => bytes.len(),
        });
        written.sum()
    }

    /// A digest of what changes in the content, and of the content that it changes.
    fn content(&self) -> u128 {
        let mut hasher = Xxh3Default::new();
        hasher.update(&self.earlier.header().content.to_le_bytes());
        for section in &self.sections {
            if section.kind == SectionKind::Inputs {
                continue;
            }
            hasher.update(&(section.kind as u32).to_le_bytes());
            for piece in &section.pieces {
                match piece {
                    Piece::Kept(range) => hasher.update(&(range.end - range.start).to_le_bytes()),
                    Piece::Written(bytes) => hasher.update(bytes),
                }
            }
        }
        hasher.digest128()
    }

    /// Where all pages come from, and where the sections lie in the image.
    fn plan(&self, image: &Image, page: u64, most_files: usize) -> (Plan<'_>, Vec<Section>) {
        let runs = image.runs(page);
        let lengths = image.files().iter().map(|it| it.sealed.length() / page);
        let mut plan = Plan::new(self.earlier.bytes(), page, lengths.collect());
        let mut sections = Vec::new();
        let mut offset = page;
        for section in &self.sections {
            sections.push(Section {
                kind: section.kind,
                offset,
                length: section.length,
            });
            offset = (offset + section.length).next_multiple_of(page);
            let mut bytes: Vec<Cow<'_, [u8]>> = Vec::new();
            for piece in &section.pieces {
                match piece {
                    Piece::Written(piece) => bytes.push(Cow::Borrowed(piece)),
                    Piece::Kept(range) => {
                        plan.write(std::mem::take(&mut bytes));
                        plan.share(&runs, range.start / page..range.end / page);
                    }
                }
            }
            plan.write(bytes);
        }
        plan.settle(most_files);
        (plan, sections)
    }

    fn write_pages(
        &self,
        earlier: &Image,
        page: u64,
        content: Option<u128>,
        fingerprint: Fingerprint,
    ) -> Result<Option<Region>> {
        let name = self.label.name.as_str();
        let own = UnsealedFile::create(&self.label.memfd_name());
        let own = own.map_err(failed(name, "create"))?;
        let (plan, mut sections) = self.plan(earlier, page, most_files(&own));
        let in_use = plan.files_in_use();
        if in_use.is_empty() {
            return Ok(None);
        }
        let runs = plan.all_runs(&in_use, page);
        debug_assert!(runs.len() <= MOST_RUNS);
        let layout = Section {
            kind: SectionKind::Layout,
            offset: sections
                .last()
                .map_or(page, |it| it.end().next_multiple_of(page)),
            length: (runs.len() * layout::RUN_LENGTH) as u64,
        };
        sections.push(layout);
        let (storage, label) = (Storage::from(own), self.label.clone());
        let write = || -> Result<DigestedFile> {
            let mut file = DigestedFile::create(storage, label, page as usize)?;
            file.append(&layout::encode(&runs))?;
            file.pad(file.end().next_multiple_of(page))?;
            plan.write_to(&mut file)?;
            Ok(file)
        };
        let content = || content.unwrap_or_else(|| self.content());
        let (content, file) = match self.bytes_to_write() {
            MANY_BYTES.. => threads::both(content, write),
            _ => (content(), write()),
        };
        let file = file?;
        let others: Vec<Arc<PageFile>> = in_use
            .iter()
            .map(|it| Arc::clone(&earlier.files()[*it]))
            .collect();
        let rows = others.iter().map(|it| it.row(page));
        let rows = rows.collect::<io::Result<_>>();
        let header = Header {
            length: layout.end().next_multiple_of(page),
            spacing: Spacing::Pages(page),
            sections,
            content,
            digests: file.digests(),
            others: rows.map_err(failed(name, "share"))?,
            ..self.label.header(fingerprint)
        };
        let Sealed::Memfd(own) = file.seal(&header)? else {
            return Ok(None);
        };
        let own = Arc::new(PageFile::written(own, header.digests));
        let files = [own].into_iter().chain(others).collect();
        let image = Image::of_mapped_runs(files, runs, page);
        Ok(image.map(|image| Region::trusted(image.into(), header)))
    }
}

/// How many page files a generation may have if its own is the last that was opened.
///
/// Whoever takes a generation needs a descriptor for each, while it has those of the one before;
/// and the children of this process have its descriptors and its limit. The number of a new
/// descriptor, which is the lowest that is free, tells about how many there are.
fn most_files(own: impl AsFd) -> usize {
    let open = own.as_fd().as_raw_fd().unsigned_abs();
    let left = limits::most_descriptors().saturating_sub(open.into());
    usize::try_from(left / 4)
        .unwrap_or(MOST_FILES)
        .clamp(1, MOST_FILES)
}
