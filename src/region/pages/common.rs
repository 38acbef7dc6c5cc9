//! What two images have in common: pages of the same files.

use std::ops::Range;
use std::sync::Arc;

use super::layout::Run;
use super::opening::Image;
use super::page_file::PageFile;

/// The pages of an image from one on, as they lie in its files.
struct Pages<'a> {
    files: &'a [Arc<PageFile>],
    runs: &'a [Run],
    /// Pages of the first run that were passed.
    passed: u64,
}

impl<'a> Pages<'a> {
    fn from(image: &'a Image, runs: &'a [Run], first: u64) -> Self {
        let files = image.files();
        let (runs, passed) = (runs, 0);
        let mut pages = Self {
            files,
            runs,
            passed,
        };
        pages.pass(first);
        pages
    }

    fn pass(&mut self, mut pages: u64) {
        while let Some(run) = self.runs.first() {
            let left = u64::from(run.pages) - self.passed;
            if pages < left {
                self.passed += pages;
                return;
            }
            pages -= left;
            (self.runs, self.passed) = (&self.runs[1..], 0);
        }
    }

    /// The file of the next page, its number there, and how many follow it there.
    fn next(&self) -> Option<(&'a Arc<PageFile>, u64, u64)> {
        let run = self.runs.first()?;
        let file = self.files.get(run.file as usize)?;
        let left = u64::from(run.pages) - self.passed;
        Some((file, run.first + self.passed, left))
    }
}

/// Of so many pages from one on in each of two images, those that are not the same page of the same
/// file in both. They may have equal bytes all the same.
pub(in crate::region) fn other_pages(
    (one, from): (&Image, u64),
    (other, other_from): (&Image, u64),
    count: u64,
    page: u64,
) -> Vec<Range<u64>> {
    let (runs, other_runs) = (one.runs(page), other.runs(page));
    let mut left = Pages::from(one, &runs, from);
    let mut right = Pages::from(other, &other_runs, other_from);
    let mut others: Vec<Range<u64>> = Vec::new();
    let mut at = 0;
    while at < count {
        let (Some((file, first, length)), Some((other_file, other_first, other_length))) =
            (left.next(), right.next())
        else {
            others.push(at..count);
            break;
        };
        let end = count.min(at + length.min(other_length));
        if !(Arc::ptr_eq(file, other_file) && first == other_first) {
            match others.last_mut() {
                Some(last) if last.end == at => last.end = end,
                _ => others.push(at..end),
            }
        }
        left.pass(end - at);
        right.pass(end - at);
        at = end;
    }
    others
}
