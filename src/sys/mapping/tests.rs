//! Stretches of files as one range, wherever it comes to lie.

use std::thread;

use super::*;
use crate::sys::memfd::{SealedFile, UnsealedFile};

const PAGE: u64 = 4096;

/// A file of so many pages, each of which has the name of the file and its number.
fn file(name: u8, pages: u8) -> SealedFile {
    let mut file = UnsealedFile::create("stretches").unwrap();
    for number in 0..pages {
        let bytes = [[name, number]; PAGE as usize / 2];
        file.write_all_at(bytes.as_flattened(), u64::from(number) * PAGE)
            .unwrap();
    }
    file.seal().unwrap()
}

/// Numbers of file, first page and pages.
type Run = (usize, u64, u64);

fn stretches<'a>(files: &'a [SealedFile], runs: &[Run]) -> Vec<Stretch<'a>> {
    let stretch = |(file, first, pages): &Run| Stretch {
        file: &files[*file],
        offset: first * PAGE,
        length: pages * PAGE,
    };
    runs.iter().map(stretch).collect()
}

fn check(map: &[u8], runs: &[Run]) {
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

fn has_other_pages() -> bool {
    rustix::param::page_size() as u64 != PAGE
}

const RUNS: [Run; 5] = [(0, 0, 5), (1, 7, 1), (0, 6, 5), (2, 0, 2), (0, 13, 9)];

#[test]
fn stretches_lie_one_behind_the_other() {
    if has_other_pages() {
        return;
    }
    let files = [file(0, 40), file(1, 40), file(2, 40)];
    for runs in [&RUNS[..], &RUNS[..1], &[(2, 39, 1), (2, 38, 1), (2, 3, 20)]] {
        let map = Mapping::joined(&stretches(&files, runs)).unwrap();
        check(&map, runs);
        let length: u64 = runs.iter().map(|(.., pages)| pages * PAGE).sum();
        let length = NonZeroUsize::new(length as usize).unwrap();
        let reservation = Reservation::new(length).unwrap();
        let start = reservation.fill_over(&stretches(&files, runs), MapFlags::MAP_PRIVATE);
        let start = start.unwrap();
        check(&Mapping { start, length }, runs);
    }
}

/// Another thread may map something to addresses that were given back.
#[test]
fn what_others_map_meanwhile_stays() {
    if has_other_pages() {
        return;
    }
    let files = [file(0, 40), file(1, 40), file(2, 40)];
    let taken = Mapping::joined(&stretches(&files, &[(2, 3, 8)])).unwrap();
    let refused = map_free(
        taken.start.cast(),
        &stretches(&files, &RUNS),
        MapFlags::MAP_PRIVATE,
    );
    assert_eq!(refused, Err(Errno::EEXIST));
    check(&taken, &[(2, 3, 8)]);

    // Each takes what the others give back, whenever it can.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let stretches = stretches(&files, &RUNS);
                for _ in 0..500 {
                    check(&Mapping::joined(&stretches).unwrap(), &RUNS);
                }
            });
        }
    });
}
