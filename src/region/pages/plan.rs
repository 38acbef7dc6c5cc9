//! Where the pages of the next image come from, within bounds.

use std::borrow::Cow;
use std::ops::Range;

use super::layout::{self, MOST_RUNS, Run};
use crate::error::Result;
use crate::region::digested::DigestedFile;

/// Pages between changed ones that are copied rather than shared: two more mappings cost about 5
/// microseconds in each process, and a page less than one to copy.
const GAP: u64 = 8;

/// How many runs an image may have before some of them are joined, and how many pages between two
/// are copied for that at most.
///
/// A join leaves about half of the runs, so that the next one comes after as many changes as made
/// that half: an image of few runs is not copied again for each change, and one that is long is not
/// copied for few runs.
const JOINS: [(usize, u64); 4] = [
    (64, 256),
    (256, 2_048),
    (1_024, 16_384),
    (MOST_RUNS, u64::MAX),
];

/// Pages of the next image that follow each other.
struct Segment<'a> {
    pages: u64,
    source: Source<'a>,
}

enum Source<'a> {
    /// Pages of the image before, from this one on; they lie in one of its files, from `first` on.
    Shared { page: u64, file: usize, first: u64 },
    /// Bytes that are written, so many together, and zeros up to the next page.
    Written(Vec<Cow<'a, [u8]>>, u64),
}

impl Segment<'_> {
    fn is_written(&self) -> bool {
        matches!(self.source, Source::Written(..))
    }
}

/// The pages of the next image between its header and its layout.
pub(super) struct Plan<'a> {
    earlier: &'a [u8],
    page: u64,
    /// Lengths of the files of the image before, in pages.
    files: Vec<u64>,
    segments: Vec<Segment<'a>>,
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

    /// Writes bytes, and zeros up to the next page.
    pub(super) fn write(&mut self, bytes: Vec<Cow<'a, [u8]>>) {
        let length: u64 = bytes.iter().map(|it| it.len() as u64).sum();
        if length > 0 {
            let (pages, source) = (length.div_ceil(self.page), Source::Written(bytes, length));
            self.segments.push(Segment { pages, source });
        }
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
    pub(super) fn settle(&mut self, most_files: usize) {
        self.copy_gaps();
        for (runs, gap) in JOINS {
            // The header's and the layout's are two more.
            if self.segments.len() + 2 > runs {
                self.join(runs / 4, gap);
            }
        }
        self.repack(most_files);
    }

    /// Copies what is shared in short stretches between written ones.
    fn copy_gaps(&mut self) {
        self.copy_between(|it| it.is_written(), |pages, _| pages <= GAP);
    }

    /// Copies what lies between the longest shared segments, of which so many stay, and those of
    /// more than `gap` pages.
    fn join(&mut self, longest: usize, gap: u64) {
        let shared = self.segments.iter().enumerate();
        let shared = shared.filter(|(_, segment)| !segment.is_written());
        let mut by_length: Vec<(u64, usize)> = shared.map(|(at, it)| (it.pages, at)).collect();
        by_length.sort_unstable();
        let short = by_length.len().saturating_sub(longest);
        let mut stays = vec![false; self.segments.len()];
        for (number, (pages, at)) in by_length.into_iter().enumerate() {
            stays[at] = number >= short || pages > gap;
        }
        let mut stays = stays.into_iter();
        // One segment between two that stay is one run, written or not.
        self.copy_between(|_| stays.next() == Some(true), |_, count| count > 1);
    }

    /// Copies the shared segments between those that `stays` tells of, if their pages and their
    /// number are for `copies`.
    fn copy_between(
        &mut self,
        mut stays: impl FnMut(&Segment<'_>) -> bool,
        copies: impl Fn(u64, usize) -> bool,
    ) {
        let ends: Vec<usize> = (0..self.segments.len())
            .filter(|at| stays(&self.segments[*at]))
            .collect();
        let mut start = 0;
        for end in ends.into_iter().chain([self.segments.len()]) {
            let between = &self.segments[start..end];
            let pages = between.iter().map(|it| it.pages).sum();
            if copies(pages, between.len()) {
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
    fn repack(&mut self, most_files: usize) {
        let mut used = vec![0; self.files.len()];
        let mut image = 0;
        let mut written = 0;
        for segment in &self.segments {
            image += segment.pages;
            match segment.source {
                Source::Shared { file, .. } => used[file] += segment.pages,
                Source::Written(..) => written += segment.pages,
            }
        }
        let mut kept: Vec<usize> = (0..used.len()).filter(|file| used[*file] > 0).collect();
        kept.sort_unstable_by_key(|file| std::cmp::Reverse(used[*file]));
        let mut copied = vec![false; used.len()];
        while let Some(file) = kept.pop_if(|file| used[*file] <= written) {
            (copied[file], written) = (true, written + used[file]);
        }
        while kept.len() + 1 > most_files
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
            segment.source = Source::Written(vec![Cow::Borrowed(bytes)], length);
        }
    }

    /// Makes one of written segments that follow each other.
    fn join_written(&mut self) {
        let page = self.page;
        self.segments.dedup_by(|next, last| {
            let (Source::Written(before, length), Source::Written(bytes, more)) =
                (&mut last.source, &mut next.source)
            else {
                return false;
            };
            let zeros = last.pages * page - *length;
            if zeros > 0 {
                before.push(Cow::Owned(vec![0; zeros as usize]));
            }
            before.append(bytes);
            *length += zeros + *more;
            last.pages += next.pages;
            true
        });
    }

    /// Appends the written pages to a file.
    pub(super) fn write_to(&self, file: &mut DigestedFile) -> Result<()> {
        for segment in &self.segments {
            if let Source::Written(bytes, _) = &segment.source {
                file.append_all(bytes.iter().map(|it| &**it))?;
                file.pad(file.end().next_multiple_of(self.page))?;
            }
        }
        Ok(())
    }

    /// The files of the image before that are still in use, in their order.
    pub(super) fn files_in_use(&self) -> Vec<usize> {
        let mut in_use: Vec<usize> = self
            .segments
            .iter()
            .filter_map(|it| match it.source {
                Source::Shared { file, .. } => Some(file),
                Source::Written(..) => None,
            })
            .collect();
        in_use.sort_unstable();
        in_use.dedup();
        in_use
    }

    /// The runs of the image, the header's and the layout's among them.
    pub(super) fn all_runs(&self, in_use: &[usize], page: u64) -> Vec<Run> {
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
                Source::Written(..) => {
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
