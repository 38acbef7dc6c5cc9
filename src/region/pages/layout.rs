//! Which pages of an image come from which page file.
//!
//! ```text
//! layout section = run run ...        in the order of the image, whose pages they are
//! run = file (u32) | pages (u32) | number of the first of them in the file (u64)
//! ```
//!
//! File 0 is the one that the image's header begins; the others have the order of its table. The
//! first run is the header's page, the last one is that of the layout itself, which stands in file
//! 0 right behind the header, so that it can be read before anything is mapped.

use std::ops::Range;

use crate::error::{Error, HeaderError, Result};

/// Most runs of an image: a process may have 65,530 mappings.
pub(super) const MOST_RUNS: usize = 4096;
/// Bytes of a run.
pub(super) const RUN_LENGTH: usize = 16;

/// Pages of an image that follow each other in one page file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The file, as the header counts them.
    pub(crate) file: u32,
    pub(crate) pages: u32,
    /// The first of them in the file.
    pub(crate) first: u64,
}

impl Run {
    /// The pages in the file.
    pub(crate) fn in_file(&self) -> Range<u64> {
        self.first..self.first + u64::from(self.pages)
    }
}

/// Pages that a layout of so many runs takes.
pub(super) fn pages_of(runs: usize, page: u64) -> u64 {
    ((runs * RUN_LENGTH) as u64).div_ceil(page)
}

pub(super) fn encode(runs: &[Run]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(runs.len() * RUN_LENGTH);
    for run in runs {
        bytes.extend(run.file.to_le_bytes());
        bytes.extend(run.pages.to_le_bytes());
        bytes.extend(run.first.to_le_bytes());
    }
    bytes
}

/// Reads the layout of an image of `pages`, from files that have so many pages each.
///
/// # Errors
/// [`HeaderError::Layout`] unless each page of the image comes from one page of a file, and no page
/// of a file comes twice.
pub(super) fn decode(bytes: &[u8], pages: u64, files: &[u64]) -> Result<Vec<Run>> {
    let refuse = |problem| Err(Error::Header(HeaderError::Layout { problem }));
    let (rows, rest) = bytes.as_chunks::<RUN_LENGTH>();
    if !rest.is_empty() || rows.len() > MOST_RUNS {
        return refuse("its length is not that of up to 4,096 runs");
    }
    let mut runs = Vec::with_capacity(rows.len());
    let mut total = 0_u64;
    for row in rows {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| row[at + i]));
        let run = Run {
            file: word(0),
            pages: word(4),
            first: u64::from_le_bytes(std::array::from_fn(|i| row[8 + i])),
        };
        let Some(has) = files.get(run.file as usize) else {
            return refuse("a run comes from a file that the header does not list");
        };
        let end = run.first.checked_add(u64::from(run.pages));
        if run.pages == 0 || end.is_none_or(|end| end > *has) {
            return refuse("a run has no pages, or pages that its file has not");
        }
        if run.file > 0 && run.first == 0 {
            return refuse("a run has the header of an earlier file");
        }
        total += u64::from(run.pages);
        runs.push(run);
    }
    if total != pages {
        return refuse("its runs have not as many pages as the region");
    }
    let header = Run {
        file: 0,
        pages: 1,
        first: 0,
    };
    if runs.first() != Some(&header) {
        return refuse("it does not begin with the page of the header");
    }
    if !are_apart(&runs) {
        return refuse("a page of a file comes twice");
    }
    Ok(runs)
}

fn are_apart(runs: &[Run]) -> bool {
    let mut sorted: Vec<(u32, Range<u64>)> =
        runs.iter().map(|run| (run.file, run.in_file())).collect();
    sorted.sort_unstable_by_key(|(file, pages)| (*file, pages.start));
    let overlap =
        |pair: &[(u32, Range<u64>)]| pair[0].0 == pair[1].0 && pair[0].1.end > pair[1].1.start;
    !sorted.windows(2).any(overlap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(file: u32, pages: u32, first: u64) -> Run {
        Run { file, pages, first }
    }

    fn problem(runs: &[Run]) -> &'static str {
        match decode(&encode(runs), 10, &[5, 100]) {
            Err(Error::Header(HeaderError::Layout { problem })) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_layout_reads_as_it_was_written() {
        let runs = [run(0, 1, 0), run(1, 7, 9), run(0, 2, 3)];
        assert_eq!(decode(&encode(&runs), 10, &[5, 100]).unwrap(), runs);
    }

    #[test]
    fn each_lie_has_its_own_answer() {
        let header = run(0, 1, 0);
        assert!(problem(&[header, run(1, 8, 9)]).contains("as many pages"));
        assert!(problem(&[header, run(2, 9, 9)]).contains("does not list"));
        assert!(problem(&[header, run(1, 9, 92)]).contains("has not"));
        assert!(problem(&[header, run(1, 9, u64::MAX)]).contains("has not"));
        assert!(problem(&[header, run(1, 0, 9), run(1, 9, 9)]).contains("no pages"));
        assert!(problem(&[header, run(1, 9, 0)]).contains("header of an earlier"));
        assert!(problem(&[run(1, 10, 9)]).contains("does not begin"));
        assert!(problem(&[header, run(1, 5, 9), run(1, 4, 13)]).contains("twice"));
        assert!(problem(&[header, run(1, 5, 9), run(0, 4, 0)]).contains("twice"));
        let many = vec![run(1, 1, 1); MOST_RUNS + 1];
        assert!(problem(&many).contains("4,096"));
        let torn = &encode(&[header])[1..];
        assert!(decode(torn, 10, &[5]).is_err());
    }
}
