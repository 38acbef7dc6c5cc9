//! Stretches of files as few mappings.
#![forbid(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::ptr;

use super::Stretch;

/// How long stretches are together.
///
/// # Errors
/// `InvalidInput` for no bytes, for those that a file does not have, and for stretches but the last
/// that do not end with a page.
pub(super) fn length_of(stretches: &[Stretch<'_>]) -> io::Result<NonZeroUsize> {
    let page = rustix::param::page_size() as u64;
    let last = stretches.len().saturating_sub(1);
    let mut length = 0_u64;
    for (number, stretch) in stretches.iter().enumerate() {
        let end = stretch.offset.checked_add(stretch.length);
        let is_there = end.is_some_and(|end| end <= stretch.file.length());
        let is_whole = stretch.length.is_multiple_of(page) || number == last;
        if stretch.length == 0 || !is_there || !is_whole {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        length = length.saturating_add(stretch.length);
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    NonZeroUsize::new(length).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A stretch, and its distance from the start of the range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover<'a> {
    pub(super) at: u64,
    pub(super) stretch: Stretch<'a>,
}

/// What to map, in this order and each over those before it, so that the range has these stretches
/// one behind the other: every byte of it is covered, and nothing behind its end is.
///
/// Pages that changed lie between others of one file, from which they have taken the place. That
/// file is mapped once, and they are mapped over it: half as many mappings as stretches, and a
/// third less time.
pub(super) fn covers<'a>(stretches: &[Stretch<'a>]) -> Vec<Cover<'a>> {
    let mut starts = Vec::with_capacity(stretches.len());
    let mut end = 0;
    for stretch in stretches {
        starts.push(end);
        end += stretch.length;
    }
    // Stretches with the same line can be mapped together: the file, and where it would begin.
    let line = |number: usize| {
        let Stretch { file, offset, .. } = stretches[number];
        (ptr::from_ref(file), offset.wrapping_sub(starts[number]))
    };
    let mut mapped = vec![None; stretches.len()];
    let mut covers = Vec::new();
    for (number, stretch) in stretches.iter().enumerate() {
        let own = line(number);
        if mapped[number] == Some(own) {
            continue;
        }
        // Nothing that is right already is mapped over.
        let behind = number + 1..stretches.len();
        let behind = behind.take_while(|it| mapped[*it] != Some(line(*it)));
        let last = behind.filter(|it| line(*it) == own).last();
        let last = last.unwrap_or(number);
        mapped[number..=last].fill(Some(own));
        covers.push(Cover {
            at: starts[number],
            stretch: Stretch {
                length: starts[last] - starts[number] + stretches[last].length,
                ..*stretch
            },
        });
    }
    covers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::mapping::Mapping;
    use crate::sys::memfd::{SealedFile, UnsealedFile};

    const PAGE: u64 = 4096;

    /// A file of so many pages, each of which has the name of the file and its number.
    fn file(name: u8, pages: u8) -> SealedFile {
        let mut file = UnsealedFile::create("covers").unwrap();
        for number in 0..pages {
            let bytes = [[name, number]; PAGE as usize / 2];
            file.write_all_at(bytes.as_flattened(), u64::from(number) * PAGE)
                .unwrap();
        }
        file.seal().unwrap()
    }

    /// Numbers of file, first page and pages.
    fn check(files: &[SealedFile], runs: &[(usize, u64, u64)], expected: usize) {
        let stretch = |(file, first, pages): &(usize, u64, u64)| Stretch {
            file: &files[*file],
            offset: first * PAGE,
            length: pages * PAGE,
        };
        let stretches: Vec<_> = runs.iter().map(stretch).collect();
        assert_eq!(covers(&stretches).len(), expected, "{runs:?}");
        let map = Mapping::joined(&stretches).unwrap();
        let mut pages = map.chunks_exact(PAGE as usize);
        for (file, first, count) in runs {
            for number in *first..first + count {
                let page = pages.next().unwrap();
                let is_its = |pair: &[u8]| pair == [*file as u8, number as u8];
                assert!(page.chunks_exact(2).all(is_its), "{runs:?}");
            }
        }
        assert_eq!(pages.len(), 0);
    }

    #[test]
    fn pages_that_changed_are_mapped_over_their_file() {
        if rustix::param::page_size() as u64 != PAGE {
            return;
        }
        let files = [file(0, 40), file(1, 40), file(2, 40)];
        let check = |runs: &[_], expected| check(&files, runs, expected);
        check(&[(0, 3, 20)], 1);
        check(&[(0, 0, 5), (1, 7, 1), (0, 6, 5), (2, 0, 2), (0, 13, 9)], 3);
        // Not where they would lie.
        check(&[(0, 0, 5), (1, 7, 1), (0, 7, 5)], 3);
        // One between others, which lie between others.
        check(&[(0, 0, 5), (1, 7, 1), (2, 0, 1), (1, 9, 1), (0, 8, 2)], 3);
        // Two files that take turns.
        check(&[(0, 0, 2), (1, 2, 2), (0, 4, 2), (1, 6, 2), (0, 8, 1)], 3);
        check(&[(0, 0, 2), (1, 2, 2), (0, 4, 2), (1, 6, 2)], 3);
        check(&[(1, 0, 1), (0, 1, 1), (1, 2, 1), (0, 3, 1), (2, 0, 9)], 4);
    }
}
