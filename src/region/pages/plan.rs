//! Where the pages of the next image come from, within bounds.

use std::borrow::Cow;
use std::ops::Range;

use super::layout::{self, MOST_RUNS, Run};
use crate::region::format::MOST_FILES;

/// Pages between changed ones that are copied rather than shared: two more mappings cost about 5
/// microseconds in each process, and a page less than one to copy.
const GAP: u64 = 8;

/// Pages of the next image that follow each other.
pub(super) struct Segment<'a> {
    pub(super) pages: u64,
    pub(super) source: Source<'a>,
}

pub(super) enum Source<'a> {
    /// Pages of the image before, from this one on; they lie in one of its files, from `first` on.
    Shared { page: u64, file: usize, first: u64 },
    /// Bytes that are written, and zeros up to the next page.
    Written(Vec<Cow<'a, [u8]>>),
}

impl Segment<'_> {
    fn is_written(&self) -> bool {
        matches!(self.source, Source::Written(_))
    }
}

/// The pages of the next image between its header and its layout.
pub(super) struct Plan<'a> {
    earlier: &'a [u8],
    page: u64,
    /// Lengths of the files of the image before, in pages.
    files: Vec<u64>,
    pub(super) segments: Vec<Segment<'a>>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(earlier: &'a [u8], page: u64, files: Vec<u64>) -> Self {
        Self {
            earlier,
            page,
            files,
            segments: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, pages: u64, bytes: Vec<Cow<'a, [u8]>>) {
        let source = Source::Written(bytes);
        self.segments.push(Segment { pages, source });
    }

    /// Shares pages of the image before, which has these runs.
    pub(super) fn share(&mut self, runs: &[Run], pages: Range<u64>) {
        let mut start = 0;
        for run in runs {
            let end = start + u64::from(run.pages);
            let (from, to) = (pages.start.max(start), pages.end.min(end));
            if from < to {
                let source = Source::Shared {
                    page: from,
                    file: run.file as usize,
                    first: run.first + (from - start),
                };
                let pages = to - from;
                self.segments.push(Segment { pages, source });
            }
            start = end;
        }
    }

    /// Keeps the numbers of files, bytes and runs within their bounds, by copying pages.
    pub(super) fn settle(&mut self) {
        self.copy_gaps(GAP);
        self.repack();
        let mut gap = GAP;
        // The header's and the layout's are two more.
        while self.segments.len() + 2 > MOST_RUNS {
            gap *= 2;
            self.copy_gaps(gap);
        }
    }

    /// Copies what is shared in stretches of so few pages between written ones.
    fn copy_gaps(&mut self, most: u64) {
        let mut start = 0;
        while start < self.segments.len() {
            let shared = self.segments[start..]
                .iter()
                .take_while(|it| !it.is_written());
            let (count, pages) =
                shared.fold((0, 0), |(count, pages), it| (count + 1, pages + it.pages));
            let end = start + count;
            // The header's page stands before, and the layout's behind.
            if count > 0 && pages <= most {
                (start..end).for_each(|number| self.copy(number));
            }
            start = end + 1;
        }
        self.join_written();
    }

    /// Copies pages of small files into the new one, and of others as far as there are too many, or
    /// too many bytes that no page of the image uses.
    ///
    /// A file of no more pages in use than are written anyway is copied. So each page moves as
    /// often as the file that it lies in at least doubles: a logarithm of the number of
    /// generations.
    fn repack(&mut self) {
        let mut used = vec![0; self.files.len()];
        let mut image = 0;
        let mut written = 0;
        for segment in &self.segments {
            image += segment.pages;
            match segment.source {
                Source::Shared { file, .. } => used[file] += segment.pages,
                Source::Written(_) => written += segment.pages,
            }
        }
        let mut kept: Vec<usize> = (0..used.len()).filter(|file| used[*file] > 0).collect();
        kept.sort_unstable_by_key(|file| std::cmp::Reverse(used[*file]));
        let mut copied = vec![false; used.len()];
        while let Some(file) = kept.pop_if(|file| used[*file] <= written) {
            (copied[file], written) = (true, written + used[file]);
        }
        while kept.len() + 1 > MOST_FILES
            && let Some(file) = kept.pop()
        {
            (copied[file], written) = (true, written + used[file]);
        }
        kept.sort_unstable_by_key(|file| self.files[*file] - used[*file].min(self.files[*file]));
        let total = |kept: &[usize]| kept.iter().map(|file| self.files[*file]).sum::<u64>();
        while (total(&kept) + written) * 2 > image * 3
            && let Some(file) = kept.pop()
        {
            (copied[file], written) = (true, written + used[file]);
        }
        for number in 0..self.segments.len() {
            if let Source::Shared { file, .. } = self.segments[number].source
                && copied[file]
            {
                self.copy(number);
            }
        }
        self.join_written();
    }

    /// Writes what would be shared.
    fn copy(&mut self, number: usize) {
        let segment = &mut self.segments[number];
        if let Source::Shared { page, .. } = segment.source {
            let (start, length) = (page * self.page, segment.pages * self.page);
            let bytes = &self.earlier[start as usize..][..length as usize];
            segment.source = Source::Written(vec![Cow::Borrowed(bytes)]);
        }
    }

    /// Makes one of written segments that follow each other, if no zeros stand between.
    fn join_written(&mut self) {
        let page = self.page;
        self.segments.dedup_by(|next, last| {
            let (Source::Written(before), Source::Written(bytes)) =
                (&mut last.source, &mut next.source)
            else {
                return false;
            };
            let length: u64 = before.iter().map(|it| it.len() as u64).sum();
            if length != last.pages * page {
                // The zeros up to the page are written too.
                let zeros = last.pages * page - length;
                before.push(Cow::Owned(vec![0; zeros as usize]));
            }
            before.append(bytes);
            last.pages += next.pages;
            true
        });
    }

    /// The files of the image before that are still in use, in their order.
    pub(super) fn files_in_use(&self) -> Vec<usize> {
        let mut in_use: Vec<usize> = self
            .segments
            .iter()
            .filter_map(|it| match it.source {
                Source::Shared { file, .. } => Some(file),
                Source::Written(_) => None,
            })
            .collect();
        in_use.sort_unstable();
        in_use.dedup();
        in_use
    }

    /// The runs of the image, the header's and the layout's among them; none where no page is
    /// shared, so that the file is the image.
    pub(super) fn all_runs(&self, in_use: &[usize], page: u64) -> Vec<Run> {
        if in_use.is_empty() {
            return Vec::new();
        }
        let count = self.runs(in_use, 2).len();
        self.runs(in_use, 1 + layout::pages_of(count, page))
    }

    /// The same for an own file that begins with so many pages of header and layout. Their number
    /// does not change how many runs there are.
    fn runs(&self, in_use: &[usize], before: u64) -> Vec<Run> {
        let mut own = before;
        let mut runs = vec![Run {
            file: 0,
            pages: 1,
            first: 0,
        }];
        for segment in &self.segments {
            let (file, first) = match segment.source {
                Source::Shared { file, first, .. } => {
                    let number = in_use.binary_search(&file).map_or(0, |number| number + 1);
                    (number as u32, first)
                }
                Source::Written(_) => {
                    own += segment.pages;
                    (0, own - segment.pages)
                }
            };
            let pages = segment.pages as u32;
            match runs.last_mut() {
                Some(last) if last.file == file && last.in_file().end == first => {
                    last.pages += pages;
                }
                _ => runs.push(Run { file, pages, first }),
            }
        }
        runs.push(Run {
            file: 0,
            pages: (before - 1) as u32,
            first: 1,
        });
        runs
    }
}
