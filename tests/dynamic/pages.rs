//! Which pages come from which page file, and where the page files are found.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use floe::dynamic::Described;
use floe::error::{HeaderError, SectionKind};
use floe::pages::{Pages, page_files};
use floe::{Error, Frozen};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::generations::Generations;

const PAGE: u64 = 4096;
const PAGES: usize = 400;

/// Pages that are too far apart to be copied together.
fn apart(from: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| from + 15 * number)
}

fn path_of(frozen: &Frozen<Vec<u64>>) -> String {
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    format!("/proc/{}/fd/{fd}", std::process::id())
}

fn writers(pages: &Pages) -> Vec<Option<u64>> {
    pages.files.iter().map(|file| file.generation).collect()
}

#[test]
fn a_generation_tells_who_wrote_its_pages() {
    let cache = Generations::new("told", PAGES);
    let first = cache.newest();
    let second = cache.change(apart(0, 20));
    let third = cache.change([200, 100]);
    let pages = Described::of(&third).unwrap().pages();

    assert_eq!((pages.generation, pages.page_size), (3, PAGE));
    assert_eq!(pages.bytes, third.region().size());
    assert_eq!(writers(&pages), [Some(3), Some(2), Some(1)]);
    let sizes: Vec<u64> = pages.files.iter().map(|file| file.pages * PAGE).collect();
    let fds = third.region().as_fds().unwrap();
    let length = |fd| {
        let path = format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(fd));
        fs::metadata(path).unwrap().len()
    };
    assert_eq!(sizes, fds.iter().map(length).collect::<Vec<_>>());
    assert_eq!(pages.file_bytes(), sizes.iter().sum::<u64>());

    // Each byte of the image is that of the page file that the run names.
    let mut start = 0;
    for run in &pages.runs {
        assert_eq!(run.start, start);
        start += run.pages;
        let path = format!("/proc/self/fd/{}", fds[run.file].as_raw_fd());
        let file = fs::read(path).unwrap();
        let range = |first: u64| (first * PAGE) as usize..((first + run.pages) * PAGE) as usize;
        assert!(third.region().bytes()[range(run.start)] == file[range(run.first)]);
        assert_eq!(pages.writer(run), pages.files[run.file].generation);
    }
    assert_eq!(start * PAGE, pages.bytes);
    for (number, file) in pages.files.iter().enumerate() {
        let runs = pages.runs.iter().filter(|run| run.file == number);
        let used: Vec<u64> = runs.map(|run| run.pages).collect();
        assert_eq!(
            (used.iter().sum(), used.len() as u64),
            (file.used, file.runs)
        );
    }
    assert_eq!(pages.files[1].used, 20);
    let own = pages.files[0].used * PAGE;
    assert_eq!(pages.shared_bytes(), pages.bytes - own);

    let archive = &pages.sections[0];
    assert_eq!(archive.kind, SectionKind::Archive);
    // Two pages, and the one of the vector behind all numbers.
    let rest = archive.bytes % PAGE;
    assert_eq!(archive.bytes - archive.shared_bytes, 2 * PAGE + rest);
    let layout = pages.sections.last().unwrap();
    assert_eq!((layout.kind, layout.shared_bytes), (SectionKind::Layout, 0));

    assert_eq!(
        writers(&Described::of(&second).unwrap().pages()),
        [Some(2), Some(1)]
    );
    let alone = Described::of(&first).unwrap().pages();
    assert_eq!((writers(&alone), alone.shared_bytes()), (vec![Some(1)], 0));
    assert_eq!(alone.file_bytes(), first.region().size());
}

#[test]
fn a_region_of_one_file_is_one_run() {
    let cache = Generations::new("one file", PAGES);
    let second = cache.change([9]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("second.floe");
    second.region().save(&path).unwrap();
    let small = Frozen::freeze("small", &vec![1_u8, 2]).unwrap();
    let small_size = small.region().size();
    for (described, generation, size) in [
        (
            Described::open(&path).unwrap(),
            2,
            fs::metadata(&path).unwrap().len(),
        ),
        (
            Described::load(&path).unwrap(),
            2,
            fs::metadata(&path).unwrap().len(),
        ),
        (Described::of(&small).unwrap(), 1, small_size),
        (
            Described::from_bytes(small.region().bytes()).unwrap(),
            1,
            small_size,
        ),
    ] {
        let pages = described.pages();
        assert_eq!(writers(&pages), [Some(generation)]);
        assert_eq!((pages.bytes, pages.shared_bytes()), (size, 0));
        assert_eq!(pages.runs.len(), 1);
        assert_eq!(pages.files[0].used, size.div_ceil(PAGE));
    }
}

/// A process has them among its descriptors.
#[test]
fn other_page_files_are_found_beside_the_own_one() {
    let cache = Generations::new("beside", PAGES);
    let second = cache.change(apart(0, 20));
    let third = cache.change([200]);
    let path = path_of(&third);
    let fds = page_files(&path).unwrap().unwrap();
    assert_eq!(fds.len(), 3);
    let again = Frozen::<Vec<u64>>::from_fds(fds).unwrap();
    assert_eq!(again.region().bytes(), third.region().bytes());
    for described in [
        Described::open(&path).unwrap(),
        Described::load(&path).unwrap(),
    ] {
        assert_eq!(
            (described.generation(), described.size()),
            (3, third.region().size())
        );
        assert_eq!(writers(&described.pages()), [Some(3), Some(2), Some(1)]);
        described.check().unwrap();
    }
    let fds = second.region().try_clone_fds().unwrap();
    assert_eq!(Described::open_fds(fds).unwrap().generation(), 2);
    assert!(page_files("/dev/null").unwrap().is_none());
}

#[track_caller]
fn missing(error: &Error) -> (u64, Vec<u64>) {
    match error {
        Error::Load { reason, .. } => missing(reason),
        Error::Header(HeaderError::Incomplete {
            generation,
            missing,
        }) => (*generation, missing.iter().map(|it| it.bytes).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_file_alone_tells_what_is_missing() {
    let cache = Generations::new("alone", PAGES);
    let first = cache.newest().region().size();
    let second = cache.change(apart(0, 20));
    let length = fs::read(path_of(&second)).unwrap().len() as u64;
    let third = cache.change([200]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.floe");
    fs::copy(path_of(&third), &path).unwrap();
    let expected = (3, vec![length, first]);
    for refused in [Described::open(&path), Described::load(&path)] {
        assert_eq!(missing(&refused.unwrap_err()), expected);
    }
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        missing(&Described::from_bytes(&bytes).unwrap_err()),
        expected
    );
    let read = Frozen::<Vec<u64>>::from_reader(&bytes[..]).unwrap_err();
    assert_eq!(missing(&read), expected);

    // In a process that has but one of the others.
    let own = third.region().try_clone_fds().unwrap().swap_remove(0);
    let base = cache
        .newest()
        .region()
        .try_clone_fds()
        .unwrap()
        .pop()
        .unwrap();
    drop((second, third, cache));
    let path = format!("/proc/self/fd/{}", own.as_raw_fd());
    let expected = (3, vec![length]);
    assert_eq!(missing(&page_files(&path).unwrap_err()), expected);
    assert_eq!(missing(&Described::open(&path).unwrap_err()), expected);
    drop(base);
}

#[test]
fn generations_are_found_by_the_page_files_that_are_left() {
    let cache = Generations::new("history", PAGES);
    cache.change(apart(0, 20));
    let third = cache.change([200]);
    let own = third.region().try_clone_fds().unwrap().swap_remove(0);
    drop(third);
    let newest = cache.change(apart(0, 20));
    let of_newest = Described::of(&newest).unwrap();
    let listed = |of: &Described| -> Vec<(u64, Vec<Option<u64>>)> {
        let all = Pages::in_memory(of);
        all.iter().map(|it| (it.generation, writers(it))).collect()
    };
    // The second one has gone with its page file, and the third one is not whole any more.
    let expected = [
        (4, vec![Some(4), Some(1)]),
        (3, vec![Some(3), None, Some(1)]),
        (1, vec![Some(1)]),
    ];
    assert_eq!(listed(&of_newest), expected);

    // From a saved file, which is one: the generation in memory tells more.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.floe");
    newest.region().save(&path).unwrap();
    let saved = Described::open(&path).unwrap();
    assert_eq!(listed(&saved), expected);
    drop((own, newest, of_newest, cache));
    assert_eq!(listed(&saved), [(4, vec![Some(4)])]);
}

/// A sealed memfd of these bytes.
fn sealed(bytes: &[u8]) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create("forged", flags).unwrap());
    file.write_all(bytes).unwrap();
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

/// The page files of a generation, of which the first one's other bytes are forged.
fn with_base(frozen: &Frozen<Vec<u64>>, forge: impl FnOnce(&mut Vec<u8>)) -> Vec<OwnedFd> {
    let mut fds = frozen.region().try_clone_fds().unwrap();
    let base = fds.pop().unwrap();
    let mut bytes = fs::read(format!("/proc/self/fd/{}", base.as_raw_fd())).unwrap();
    forge(&mut bytes);
    fds.push(sealed(&bytes));
    fds
}

/// The digest of a page file is of what stands behind its header: that may be any other one's.
#[test]
fn a_page_file_with_the_header_of_another_tells_no_generation() {
    let cache = Generations::new("forged header", PAGES);
    let second = cache.change([7]);
    let header = fs::read(path_of(&second)).unwrap()[..PAGE as usize].to_vec();
    let fds = with_base(&second, |base| {
        base[..PAGE as usize].copy_from_slice(&header)
    });
    let described = Described::from_fds(fds).unwrap();
    assert_eq!(writers(&described.pages()), [Some(2), None]);
}

/// Only who asks for all of it pays for all of it.
#[test]
fn opened_descriptors_are_not_read_as_a_whole() {
    let cache = Generations::new("opened", PAGES);
    let second = cache.change([7]);
    let damaged = || with_base(&second, |base| base[(PAGE * 300) as usize] ^= 1);
    let described = Described::open_fds(damaged()).unwrap();
    assert_eq!(described.generation(), 2);
    let refused = Described::from_fds(damaged()).unwrap_err();
    assert!(
        matches!(refused, Error::Header(HeaderError::Damaged { .. })),
        "{refused}"
    );
}
