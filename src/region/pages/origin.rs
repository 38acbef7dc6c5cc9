//! Which generation wrote a page file, and where the pages of a region come from.
//!
//! Nothing is mapped, and digests of pages are not compared: this is for those who only look.

use super::layout::{MOST_RUNS, RUN_LENGTH, Run};
use super::opening::{check_length, read_layout, whole_runs};
use crate::error::{Error, Result, SectionKind};
use crate::region::Region;
use crate::region::format::{HEADER_LENGTH, Header, Spacing};
use crate::sys::memfd::SealedFile;

/// What stands at the start of a page file: the header of the generation that wrote it, and where
/// the pages of that one come from.
#[derive(Debug)]
pub(crate) struct PageFileStart {
    pub(crate) header: Header,
    /// Pages of the file.
    pub(crate) pages: u64,
    pub(crate) runs: Vec<Run>,
}

/// Most headers, and the layouts behind them, take no more bytes.
const AT_ONCE: u64 = 8192;

impl PageFileStart {
    /// Reads header and layout, and nothing behind them.
    ///
    /// # Errors
    /// Those of the header, of its layout, and of the length; [`Error::Descriptor`].
    pub(crate) fn read(file: &SealedFile) -> Result<Self> {
        let mut start = start_of(file, AT_ONCE)?;
        let spacing = Spacing::of(&start)?;
        let end = spacing.header_length();
        if end > AT_ONCE {
            start = start_of(file, end)?;
        }
        let header = Header::decode(&start)?;
        let layout = header.section(SectionKind::Layout);
        let layout = layout.map_or(0, |it| it.length.min((MOST_RUNS * RUN_LENGTH) as u64));
        if end + layout > AT_ONCE {
            start = start_of(file, end + layout)?;
        }
        let runs = match spacing {
            Spacing::Pages(page) if !header.others.is_empty() => {
                read_layout(&header, &start, file.length(), page)?
            }
            _ => {
                check_length(&header, file)?;
                header.whole_runs()
            }
        };
        Ok(Self {
            pages: file.length().div_ceil(header.page_size()),
            header,
            runs,
        })
    }

    /// Reads the header alone.
    pub(crate) fn header(file: &SealedFile) -> Result<Header> {
        let start = start_of(file, HEADER_LENGTH as u64)?;
        let length = Spacing::of(&start)?.header_length();
        Header::decode(&start_of(file, length)?)
    }
}

fn start_of(file: &SealedFile, most: u64) -> Result<Vec<u8>> {
    let start = file.start(most);
    start.map_err(|source| Error::Descriptor { reason: source })
}

impl Header {
    /// Bytes of a page: of the region's, or of this system's where sections are packed.
    pub(crate) fn page_size(&self) -> u64 {
        match self.spacing {
            Spacing::Pages(size) => size,
            Spacing::Packed => rustix::param::page_size() as u64,
        }
    }

    /// The runs of an image that is a file.
    pub(crate) fn whole_runs(&self) -> Vec<Run> {
        whole_runs(self.length.div_ceil(self.page_size()))
    }
}

impl Region {
    /// Where its pages come from, in the order of the image.
    pub(crate) fn runs(&self) -> Vec<Run> {
        match self.image() {
            Some(image) if image.files().len() > 1 => image.runs(self.header().page_size()),
            _ => self.header().whole_runs(),
        }
    }

    /// The generation that wrote each of its page files, in their order; none for a file that does
    /// not begin with the header of what it holds.
    pub(crate) fn writers(&self) -> Vec<Option<u64>> {
        let others = self.image().map_or(&[][..], |image| &image.files()[1..]);
        let written = others.iter().map(|file| {
            let header = PageFileStart::header(&file.sealed).ok()?;
            (header.digests == file.digests).then_some(header.generation)
        });
        [Some(self.generation())]
            .into_iter()
            .chain(written)
            .collect()
    }

    /// Pages of the file that its header begins.
    pub(crate) fn own_pages(&self) -> u64 {
        let page = self.header().page_size();
        match self.image() {
            Some(image) => image.files()[0].sealed.length().div_ceil(page),
            None => self.size().div_ceil(page),
        }
    }
}
