//! What `memory` promises, on mappings of this very process.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::process::{self, Command};

use floe::usage::{MappedRegion, ProcError, Row, Table, Usage, frames};
use floe::{Error, Frozen};
use floe_testkit::generations::Generations;
use memmap2::{Mmap, MmapOptions};
use nix::sys::memfd::{MFdFlags, memfd_create};

const SIZE: usize = 1 << 20;

/// A memfd of `SIZE` bytes, none of which is zero.
fn memfd(name: &str) -> File {
    let mut file = File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap());
    file.write_all(&[7; SIZE]).unwrap();
    file
}

fn map(file: &File) -> Mmap {
    // SAFETY: nothing writes to the memfds of these tests once they are mapped.
    unsafe { Mmap::map(file) }.unwrap()
}

fn page() -> usize {
    procfs::page_size() as usize
}

/// Makes all pages present.
fn touch(bytes: &[u8]) {
    assert_eq!(
        bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>(),
        7 * SIZE as u64
    );
}

fn addresses(bytes: &[u8]) -> Range<usize> {
    let Range { start, end } = bytes.as_ptr_range();
    start as usize..end as usize
}

#[test]
fn a_shared_mapping_that_was_read_has_nothing_anonymous() {
    let file = memfd("floe:read.1");
    let (first, second) = (map(&file), map(&file));
    touch(&first);
    let one = Usage::of_mapping(process::id(), addresses(&first)).unwrap();
    assert_eq!(
        (one.mappings, one.vss, one.rss),
        (1, SIZE as u64, SIZE as u64)
    );
    assert_eq!((one.anonymous, one.swap), (0, 0));
    touch(&second);
    let both = Usage::of_named(process::id(), "floe:read").unwrap();
    assert_eq!(
        (both.mappings, both.rss, both.anonymous),
        (2, 2 * SIZE as u64, 0)
    );
    assert_eq!(both.pss, SIZE as u64);
    assert_eq!(both.uss, both.private_clean + both.private_dirty);
    let none = Usage::of_named(process::id(), "floe:read.2").unwrap();
    assert_eq!(none, Usage::default());
}

#[test]
fn each_region_is_told_apart() {
    let names = ["told", "told", "other told"];
    let files = ["floe:told.1", "floe:told.1", "floe:other told.12", "told.1"].map(memfd);
    let mappings: Vec<Mmap> = files.iter().chain([&files[0]]).map(map).collect();
    mappings.iter().for_each(|mapping| touch(mapping));
    let (all, mut regions) = Usage::with_regions(process::id()).unwrap();
    assert!(all.rss > 5 * SIZE as u64, "{all:?}");
    regions.retain(|region| names.contains(&region.name.as_str()));
    regions.sort_by_key(|region| (region.generation, region.memory.mappings));
    let told =
        |region: &MappedRegion| (region.generation, region.memory.mappings, region.memory.vss);
    let size = SIZE as u64;
    let expected = [(1, 1, size), (1, 2, 2 * size), (12, 1, size)];
    assert_eq!(regions.iter().map(told).collect::<Vec<_>>(), expected);
}

/// The second generation has a page file of its own, and most pages of the first one's.
#[test]
fn regions_tell_the_page_files_that_they_share() {
    let cache = Generations::new("page files", 400);
    let first = cache.newest();
    let second = cache.change((0..20).map(|number| 15 * number));
    let third = cache.change([200]);
    let (_, mut regions) = Usage::with_regions(process::id()).unwrap();
    regions.retain(|region| region.name == "page files");
    regions.sort_by_key(|region| region.generation);
    let lengths = |frozen: &Frozen<Vec<u64>>| -> Vec<u64> {
        let fds = frozen.region().try_clone_fds().unwrap();
        let lengths = fds
            .into_iter()
            .map(|fd| File::from(fd).metadata().unwrap().len());
        lengths.collect()
    };
    for (region, frozen) in regions.iter().zip([&first, &second, &third]) {
        let files: Vec<u64> = region.files.iter().map(|file| file.bytes).collect();
        let mut expected = lengths(frozen);
        // They come in the order of the image: the first page of the archive is of the second one.
        assert_eq!(files.len(), expected.len());
        expected.sort_unstable();
        let mut sorted = files.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(region.file_bytes(), files.iter().sum::<u64>());
        assert_eq!(region.memory.vss, frozen.region().size());
        assert_eq!(region.lineage, regions[0].lineage);
    }
    assert_eq!(regions.len(), 3);
    assert!(regions[0].lineage.is_some());
    let (first, second, third) = (&regions[0], &regions[1], &regions[2]);
    assert_eq!(first.bytes_beyond(third), 0, "the newest has its page file");
    assert_eq!(third.bytes_beyond(third), 0);
    assert_eq!(third.bytes_beyond(second), third.files[0].bytes);
    assert_eq!(second.bytes_beyond(first), second.files[0].bytes);
    assert!(
        second
            .files
            .iter()
            .all(|file| third.files.iter().any(|it| it.is(file)))
    );
}

/// Without a descriptor, a page file counts as far as it is mapped.
#[test]
fn page_files_without_a_descriptor_count_as_mapped() {
    let file = memfd("floe:closed.1");
    let mapping = map(&file);
    let of = || {
        let (_, mut regions) = Usage::with_regions(process::id()).unwrap();
        regions.retain(|region| region.name == "closed");
        regions.remove(0).files[0].bytes
    };
    let open = of();
    drop(file);
    assert_eq!((open, of()), (SIZE as u64, SIZE as u64));
    drop(mapping);
}

#[test]
fn a_copied_page_is_anonymous() {
    let file = memfd("floe:copied.1");
    // SAFETY: nothing else writes to this memfd.
    let mut private = unsafe { MmapOptions::new().map_copy(&file) }.unwrap();
    touch(&private);
    private[3 * page()] = 8;
    let memory = Usage::of_named(process::id(), "floe:copied").unwrap();
    assert_eq!(memory.anonymous, page() as u64);
}

#[test]
fn a_part_of_a_mapping_finds_all_of_it() {
    let file = memfd("floe:part.1");
    let mapping = map(&file);
    let Range { start, end } = addresses(&mapping);
    let vss = |range| Usage::of_mapping(process::id(), range).unwrap().vss;
    assert_eq!(vss(start + 5..start + 6), SIZE as u64);
    assert_eq!(vss(end - 1..end), SIZE as u64);
    assert_eq!(vss(start..start), 0);
}

#[test]
fn the_whole_process_is_more_than_a_part() {
    let file = memfd("floe:whole.1");
    let mapping = map(&file);
    touch(&mapping);
    let whole = Usage::of_self().unwrap();
    assert!(
        whole.rss > SIZE as u64 && whole.vss >= whole.rss,
        "{whole:?}"
    );
    assert!(
        whole.rss >= whole.pss && whole.pss >= whole.uss,
        "{whole:?}"
    );
    assert!(whole.mappings > 5 && whole.anonymous > 0, "{whole:?}");
}

#[test]
fn equal_frames_are_shared_memory() {
    let file = memfd("floe:frames.1");
    let (first, second) = (map(&file), map(&file));
    touch(&first);
    touch(&second);
    let Some(shown) = frames(std::process::id(), addresses(&first)).unwrap() else {
        assert!(
            fs::metadata("/proc/self").unwrap().uid() != 0,
            "frames are hidden from root"
        );
        return;
    };
    assert_eq!(shown.len(), SIZE / page());
    assert!(shown.iter().all(|&frame| frame != 0));
    assert_eq!(
        frames(std::process::id(), addresses(&second)).unwrap(),
        Some(shown.clone())
    );
    let other = memfd("floe:frames.2");
    let other = map(&other);
    touch(&other);
    assert!(
        frames(std::process::id(), addresses(&other))
            .unwrap()
            .unwrap()
            .iter()
            .all(|one| !shown.contains(one))
    );
}

#[test]
fn an_absent_page_has_no_frame() {
    let untouched = MmapOptions::new().len(4 * page()).map_anon().unwrap();
    let range = addresses(&untouched);
    assert_eq!(
        frames(std::process::id(), range.clone()).unwrap(),
        Some(vec![0; 4])
    );
    assert_eq!(
        frames(std::process::id(), range.start + 1..range.start + 2).unwrap(),
        Some(vec![0])
    );
    assert_eq!(
        frames(std::process::id(), range.start..range.start).unwrap(),
        Some(vec![])
    );
}

fn reason(error: &Error) -> &ProcError {
    match error {
        Error::ReadProcess { reason: source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_that_no_process_has_are_an_error() {
    let end = usize::MAX - page();
    for range in [end - page()..end, 0..usize::MAX] {
        let error = frames(std::process::id(), range).unwrap_err();
        assert!(
            matches!(reason(&error), ProcError::Addresses { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_process_that_is_gone_is_named() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let error = Usage::of(child.id()).unwrap_err();
    let Error::ReadProcess {
        pid,
        path,
        reason: source,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(pid, child.id());
    assert_eq!(path, format!("/proc/{pid}/smaps"));
    assert!(matches!(source, ProcError::Gone), "{source:?}");
    let error = Table::of([pid]).unwrap_err();
    assert!(matches!(reason(&error), ProcError::Gone), "{error:?}");
}

fn row(pid: u32, name: &str, mebibytes: u64) -> Row {
    let mut row = Row::of(process::id()).unwrap();
    row.pid = pid;
    row.name = name.to_owned();
    row.memory = Usage::default();
    row.memory.uss = mebibytes << 20;
    row.memory.rss = 3 << 30;
    row
}

#[test]
fn the_table_is_aligned_and_totalled() {
    let rows = vec![row(7, "owner", 1), row(12345, "evil\x1b[2J", 20)];
    let table = Table { rows };
    let expected =
        "    PID  NAME             USS         PSS         RSS         VSS   ANONYMOUS        SWAP
      7  owner        1.0 MiB         0 B     3.0 GiB         0 B         0 B         0 B
  12345  evil?[2J    20.0 MiB         0 B     3.0 GiB         0 B         0 B         0 B
         total       21.0 MiB         0 B     6.0 GiB         0 B         0 B         0 B
";
    assert_eq!(table.to_string(), expected);
}

#[test]
fn rows_are_flat_objects_in_json() {
    let table = Table::of([process::id()]).unwrap();
    let json = serde_json::to_value(&table).unwrap();
    let fields = json[0].as_object().unwrap();
    assert_eq!(fields["pid"], process::id());
    assert_eq!(fields["rss"], table.rows[0].memory.rss);
    assert_eq!(fields.len(), 13);
    assert!(table.rows[0].name.starts_with("usage"));
}
