//! The next generation of a region: what changed is written, everything else is shared.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::layout::{self, MOST_RUNS};
use super::opening::Image;
use super::page_file::PageFile;
use super::plan::{Plan, Source};
use crate::error::{Error, Fingerprint, Result, SectionKind};
use crate::region::format::{Digesting, Header, Section, Spacing};
use crate::region::unsealed::{Label, PAGES_FROM, Unsealed};
use crate::region::{Backing, Region, failed};
use crate::sys::memfd::{SealedFile, UnsealedFile};

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
    pub(crate) fn shares(&self) -> bool {
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
        let content = self.content();
        self.seal_as(content, fingerprint)
    }

    /// The same with a known digest of the content.
    pub(crate) fn seal_as(mut self, content: u128, fingerprint: Fingerprint) -> Result<Region> {
        let length: u64 = self.sections.iter().map(|it| it.length).sum();
        match self.page {
            Some(page) if self.shares() && length >= PAGES_FROM => {
                let (plan, sections) = self.plan(page)?;
                self.write_pages(&plan, sections, content, page, fingerprint)
            }
            _ => self.copy(fingerprint),
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
            for piece in &section.pieces {
                match piece {
                    Piece::Kept(range) => unsealed.append(bytes_in(self.earlier, range))?,
                    Piece::Written(bytes) => unsealed.append(bytes)?,
                }
            }
        }
        unsealed.seal(fingerprint)
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
    fn plan(&mut self, page: u64) -> Result<(Plan<'a>, Vec<Section>)> {
        let earlier = self.earlier;
        let image = earlier.image().ok_or_else(|| Error::NoDescriptor {
            name: self.label.name.clone(),
        })?;
        let runs = image.runs(page);
        let lengths = image.files().iter().map(|it| it.sealed.length() / page);
        let mut plan = Plan::new(earlier.bytes(), page, lengths.collect());
        let mut sections = Vec::new();
        let mut offset = page;
        for section in self.sections.drain(..) {
            sections.push(Section {
                kind: section.kind,
                offset,
                length: section.length,
            });
            offset = (offset + section.length).next_multiple_of(page);
            let mut bytes: Vec<Cow<'a, [u8]>> = Vec::new();
            let write = |plan: &mut Plan<'a>, bytes: &mut Vec<Cow<'a, [u8]>>| {
                let length: u64 = bytes.iter().map(|it| it.len() as u64).sum();
                if length > 0 {
                    plan.write(length.div_ceil(page), std::mem::take(bytes));
                }
            };
            for piece in section.pieces {
                match piece {
                    Piece::Written(piece) => bytes.push(piece),
                    Piece::Kept(range) => {
                        write(&mut plan, &mut bytes);
                        plan.share(&runs, range.start / page..range.end / page);
                    }
                }
            }
            write(&mut plan, &mut bytes);
        }
        plan.settle();
        Ok((plan, sections))
    }

    fn write_pages(
        &self,
        plan: &Plan<'a>,
        mut sections: Vec<Section>,
        content: u128,
        page: u64,
        fingerprint: Fingerprint,
    ) -> Result<Region> {
        let name = self.label.name.as_str();
        let in_use = plan.files_in_use();
        let runs = plan.all_runs(&in_use, page);
        debug_assert!(runs.len() <= MOST_RUNS);
        let mut end = sections
            .last()
            .map_or(page, |it| it.end().next_multiple_of(page));
        let mut file = PageWriter::create(&self.label, page)?;
        if !runs.is_empty() {
            sections.push(Section {
                kind: SectionKind::Layout,
                offset: end,
                length: (runs.len() * layout::RUN_LENGTH) as u64,
            });
            end += layout::pages_of(runs.len(), page) * page;
            file.write(&[Cow::Owned(layout::encode(&runs))])?;
        }
        for segment in &plan.segments {
            if let Source::Written(bytes) = &segment.source {
                file.write(bytes)?;
            }
        }
        let earlier = self.earlier.image().map_or(&[][..], Image::files);
        let others: Vec<Arc<PageFile>> =
            in_use.iter().map(|it| Arc::clone(&earlier[*it])).collect();
        let rows = others.iter().map(|it| it.row(page));
        let rows = rows.collect::<io::Result<_>>();
        let header = Header {
            length: end,
            spacing: Spacing::Pages(page),
            sections,
            content,
            digests: file.digesting.finish(),
            others: rows.map_err(failed(name, "share"))?,
            ..self.label.header(fingerprint)
        };
        let own = file.seal(&header)?;
        let image = match runs.is_empty() {
            true => Image::whole(own, header.digests),
            false => {
                let own = Arc::new(PageFile::written(own, header.digests));
                let files = [own].into_iter().chain(others).collect();
                Image::of_runs(files, runs, page)
            }
        };
        Ok(Region::trusted(
            image.map_err(failed(name, "map"))?.into(),
            header,
        ))
    }
}

/// Bytes of the image of a region.
fn bytes_in<'a>(region: &'a Region, range: &Range<u64>) -> &'a [u8] {
    &region.bytes()[range.start as usize..range.end as usize]
}

/// A page file in the making.
struct PageWriter<'a> {
    label: &'a Label,
    file: UnsealedFile,
    page: u64,
    digesting: Digesting,
    end: u64,
}

impl<'a> PageWriter<'a> {
    /// A file with room for the header.
    fn create(label: &'a Label, page: u64) -> Result<Self> {
        let file = UnsealedFile::create(&label.memfd_name());
        Ok(Self {
            label,
            file: file.map_err(failed(&label.name, "create"))?,
            page,
            digesting: Digesting::both(),
            end: page,
        })
    }

    /// Appends bytes, and zeros up to the next page.
    fn write(&mut self, pieces: &[Cow<'_, [u8]>]) -> Result<()> {
        const PIECE: usize = 1 << 18;
        for bytes in pieces.iter().flat_map(|it| it.chunks(PIECE)) {
            self.digesting.update(bytes);
            self.put(bytes)?;
        }
        let zeros = vec![0; (self.end.next_multiple_of(self.page) - self.end) as usize];
        self.digesting.update(&zeros);
        self.put(&zeros)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, self.end);
        written.map_err(|source| self.label.not_written(source))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn seal(mut self, header: &Header) -> Result<SealedFile> {
        let written = self.file.write_all_at(&header.encode(), 0);
        written.map_err(|source| self.label.not_written(source))?;
        self.file.seal().map_err(failed(&self.label.name, "seal"))
    }
}
