//! Which pages of a generation come from which page file, and which generation wrote each of them.
//!
//! The next generation of a cache writes a page file with the pages that differ; all others it
//! shares with the generations before. A page that was repacked, which means copied into a newer
//! page file so that there are not too many, counts as written by the generation that copied it.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//! use floe::dynamic::Described;
//! use floe::{Policy, Store};
//!
//! let changing = Arc::new(AtomicU64::new(0));
//! let read = Arc::clone(&changing);
//! let store = Store::new();
//! let cache = store.cache("numbers", Policy::new(), move |_| {
//!     let mut numbers: Vec<u64> = (0..1 << 18).collect();
//!     numbers[7] = read.load(Relaxed);
//!     Ok(numbers)
//! })?;
//! store.refresh()?;
//! changing.store(77, Relaxed);
//! store.invalidate("numbers")?;
//! store.refresh()?;
//!
//! let pages = Described::of(&cache.get()?)?.pages();
//! let generations: Vec<_> = pages.files.iter().map(|file| file.generation).collect();
//! assert_eq!(generations, [Some(2), Some(1)]);
//! assert!(pages.shared_bytes() * 100 > pages.bytes * 97);
//! # Ok::<(), floe::Error>(())
//! ```

mod descriptors;
mod history;

use std::ops::Range;

use serde::{Serialize, Serializer};

use crate::error::SectionKind;
use crate::region::format::{Header, Section};
use crate::region::{self, PageFileStart, Region};

pub(super) use descriptors::in_folder;
pub use descriptors::page_files;

/// Where the pages of one generation come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pages {
    /// The generation.
    pub generation: u64,
    /// Bytes of its image: header and sections.
    pub bytes: u64,
    /// Bytes of a page; of this system's, where the region is too small to share any.
    pub page_size: u64,
    /// The page files: first the generation's own, then those with which it shares pages.
    pub files: Vec<PageFile>,
    /// The runs, in the order of the image. All together they are the image.
    pub runs: Vec<Run>,
    /// What of each section is shared, in the order of the image.
    pub sections: Vec<SectionPages>,
}

/// A page file of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PageFile {
    /// The generation that wrote it. `None` if the file is gone, or does not begin with the header
    /// of what it holds.
    pub generation: Option<u64>,
    /// Pages that it has.
    pub pages: u64,
    /// Pages of it that the image uses.
    pub used: u64,
    /// Runs of them.
    pub runs: u64,
    /// BLAKE3 of the file behind its header. Serialised in hexadecimal digits.
    #[serde(serialize_with = "hexadecimal")]
    pub digest: [u8; 32],
}

/// Pages of an image that follow each other in one page file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// The first of them in the image.
    pub start: u64,
    /// How many they are.
    pub pages: u64,
    /// The page file, by its place in [`Pages::files`].
    pub file: usize,
    /// The first of them in the page file.
    pub first: u64,
}

/// What of a section is shared with earlier generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SectionPages {
    /// What the bytes are.
    #[serde(rename = "section", serialize_with = "by_name")]
    pub kind: SectionKind,
    /// Offset from the start of the image.
    pub offset: u64,
    /// Bytes of the section.
    pub bytes: u64,
    /// Those of them that stand in page files of earlier generations.
    pub shared_bytes: u64,
}

impl Pages {
    pub(super) fn of_region(region: &Region) -> Self {
        let (runs, writers) = (region.runs(), region.writers());
        Self::new(region.header(), &runs, region.own_pages(), &writers)
    }

    /// The pages of a file that is an image.
    pub(super) fn of_one_file(header: &Header) -> Self {
        let runs = header.whole_runs();
        let pages = header.length.div_ceil(header.page_size());
        Self::new(header, &runs, pages, &[Some(header.generation)])
    }

    /// The pages of the generation that wrote a page file; who wrote the others is to be found.
    fn of_page_file(file: &PageFileStart, writer: impl Fn([u8; 32]) -> Option<u64>) -> Self {
        let header = &file.header;
        let others = header.others.iter().map(|row| writer(row.digests.strong));
        let writers: Vec<_> = [Some(header.generation)]
            .into_iter()
            .chain(others)
            .collect();
        Self::new(header, &file.runs, file.pages, &writers)
    }

    fn new(
        header: &Header,
        layout: &[region::Run],
        own_pages: u64,
        writers: &[Option<u64>],
    ) -> Self {
        let own = (own_pages, header.digests.strong);
        let others = header
            .others
            .iter()
            .map(|row| (row.pages, row.digests.strong));
        let files = [own].into_iter().chain(others).enumerate();
        let mut files: Vec<PageFile> = files
            .map(|(number, (pages, digest))| PageFile {
                generation: writers.get(number).copied().flatten(),
                pages,
                used: 0,
                runs: 0,
                digest,
            })
            .collect();
        let (mut runs, mut start) = (Vec::with_capacity(layout.len()), 0);
        for run in layout {
            let (pages, file) = (u64::from(run.pages), run.file as usize);
            let first = run.first;
            runs.push(Run {
                start,
                pages,
                file,
                first,
            });
            files[file].used += pages;
            files[file].runs += 1;
            start += pages;
        }
        let mut pages = Self {
            generation: header.generation,
            bytes: header.length,
            page_size: header.page_size(),
            files,
            runs,
            sections: Vec::new(),
        };
        let section = |section: &Section| SectionPages {
            kind: section.kind,
            offset: section.offset,
            bytes: section.length,
            shared_bytes: pages.shared_in(section.offset..section.end()),
        };
        pages.sections = header.sections.iter().map(section).collect();
        pages
    }

    /// Bytes of the image that stand in page files of earlier generations.
    #[must_use]
    pub fn shared_bytes(&self) -> u64 {
        self.shared_in(0..self.bytes)
    }

    /// Bytes of memory that all page files take, with pages that the image does not use.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        let pages = self.files.iter().map(|file| file.pages);
        // Files that are gone have the lengths that a header gives them.
        let pages = pages.fold(0, u64::saturating_add);
        pages.saturating_mul(self.page_size)
    }

    /// The generation that wrote the pages of a run, if it is known.
    #[must_use]
    pub fn writer(&self, run: &Run) -> Option<u64> {
        self.files.get(run.file)?.generation
    }

    /// Bytes of a range of the image that stand in page files of earlier generations.
    fn shared_in(&self, bytes: Range<u64>) -> u64 {
        let shared = self.runs.iter().filter(|run| run.file > 0);
        let within = shared.map(|run| {
            let start = (run.start * self.page_size).max(bytes.start);
            let end = ((run.start + run.pages) * self.page_size).min(bytes.end);
            end.saturating_sub(start)
        });
        within.sum()
    }
}

fn hexadecimal<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&digits)
}

fn by_name<S: Serializer>(kind: &SectionKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}
