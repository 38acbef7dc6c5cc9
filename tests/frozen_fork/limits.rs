//! What is left when the system refuses a freeze.

use std::fs;
use std::num::NonZeroUsize;

use floe::usage::Usage;
use floe::{Content, Error, Frozen, Map, MapBuilder, Publisher, prefork};
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::fixture::{MIB, regions_held, try_large_map};
use crate::forking::{Resource, next_descriptor, set_limit};

/// Freezes in a worker that has less of a resource than it takes, then lifts the limit. Returns
/// what the errors of a value and of a map were, if nothing was left behind.
fn poor(resource: Resource, most: fn() -> u64) -> [String; 2] {
    let value = vec![7_u8; 32 * MIB];
    let worker = prefork::spawn(1, |_| {
        let freeze_both = || {
            let value = Frozen::freeze("poor", &value).map(drop);
            [value, try_large_map(32 * MIB).map(drop)]
        };
        let before = (next_descriptor(), regions_held());
        let lifted = set_limit(resource, most());
        let refused = freeze_both().map(Result::unwrap_err);
        set_limit(resource, lifted);
        assert_eq!((next_descriptor(), regions_held()), before);
        assert!(freeze_both().iter().all(Result::is_ok));
        assert_eq!((next_descriptor(), regions_held()), before);
        refused.map(|error| format!("{error:?}"))
    });
    worker.unwrap().join().unwrap().remove(0)
}

#[track_caller]
fn assert_refused(errors: [String; 2], variant: &str, source: i32) {
    for error in errors {
        let code = format!("code: {source}");
        assert!(
            error.starts_with(variant) && error.contains(&code),
            "{error}"
        );
    }
}

pub(crate) fn want_of_descriptors_leaves_nothing() {
    let errors = poor(Resource::RLIMIT_NOFILE, || next_descriptor() as u64);
    assert_refused(errors, "Memfd", libc::EMFILE);
}

/// There is room for the buffers of a freeze, not for the map of its result.
pub(crate) fn want_of_addresses_leaves_nothing() {
    let most = || Usage::of_self().unwrap().vss + 16 * MIB as u64;
    assert_refused(poor(Resource::RLIMIT_AS, most), "Memfd", libc::ENOMEM);
}

/// Writes beyond a limit of the length of files are errors meanwhile, and kill nobody.
fn ignoring_sigxfsz<R>(run: impl FnOnce() -> R) -> R {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal runs no code.
    let before = unsafe { sigaction(Signal::SIGXFSZ, &ignore) }.unwrap();
    let result = run();
    // SAFETY: the disposition was in force before.
    unsafe { sigaction(Signal::SIGXFSZ, &before) }.unwrap();
    result
}

pub(crate) fn a_file_size_limit_leaves_nothing() {
    let errors = ignoring_sigxfsz(|| poor(Resource::RLIMIT_FSIZE, || 5 * MIB as u64));
    assert_refused(errors, "Write", libc::EFBIG);
}

/// The memfd holds a part of the block when the system refuses the rest.
pub(crate) fn a_builder_goes_on_after_a_block_that_was_refused() {
    type Blocks = Map<u32, Vec<u8>>;
    let block = Blocks::freeze("block", [(1, vec![7; 8 * MIB])]).unwrap();
    let mut builder = MapBuilder::<u32, Vec<u8>>::new("blocks").unwrap();
    builder.insert(&2, &vec![7; MIB]).unwrap();
    let appended = ignoring_sigxfsz(|| {
        let lifted = set_limit(Resource::RLIMIT_FSIZE, 5 * MIB as u64);
        let appended = builder.append(&block);
        set_limit(Resource::RLIMIT_FSIZE, lifted);
        appended
    });
    assert!(matches!(appended, Err(Error::Write { .. })));
    let frozen = builder.finish().unwrap();
    let fd = frozen.region().try_clone_fd().unwrap();
    let opened = Frozen::<Blocks>::from_fd(fd).unwrap();
    assert!(opened.len() == 1 && opened.contains_key(&2));
}

/// Four MiB of numbers, of which those that each change tells have its number.
fn numbers(changes: &[Change]) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..(4 * MIB / 8) as u64).collect();
    for (change, pages) in (1..).zip(changes) {
        for page in pages.clone() {
            numbers[page * 512] = change;
        }
    }
    numbers
}

/// Pages that change.
type Change = std::iter::StepBy<std::ops::Range<usize>>;

fn files<T: Content>(frozen: &Frozen<T>) -> usize {
    frozen.region().as_fds().unwrap().len()
}

/// Leaves this process about so many mappings.
fn crowd_mappings(left: usize) {
    let most = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let used = fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count();
    let pairs = (most - used - left) / 2;
    let page = 4096;
    let length = NonZeroUsize::new(2 * pairs * page).unwrap();
    // SAFETY: without an address, a new mapping touches no memory in use; it stays for as long as
    // the process lives.
    let crowd =
        unsafe { mmap_anonymous(None, length, ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE) };
    let crowd = crowd.unwrap();
    for pair in 0..pairs {
        // SAFETY: the page is one of those that were just mapped.
        unsafe { mprotect(crowd.byte_add(2 * pair * page), page, ProtFlags::PROT_READ).unwrap() };
    }
}

/// An image of many runs is copied where they cannot be mapped: by who takes it into memory of its
/// own, by who makes it into one file.
pub(crate) fn want_of_mappings_takes_one() {
    let worker = prefork::spawn(1, |_| {
        let change = || (0..1000).step_by(40);
        let first = Frozen::freeze("runs", &numbers(&[])).unwrap();
        let publisher = Publisher::new(&first).unwrap();
        let second = publisher.freeze(&numbers(&[change()])).unwrap();
        assert_eq!(files(&second), 2);
        publisher.publish(&second).unwrap();
        let content = numbers(&[change(), change()]);
        assert_eq!(files(&publisher.freeze(&content).unwrap()), 2);
        let again = second.region().try_clone_fds().unwrap();
        crowd_mappings(40);
        let again = Frozen::<Vec<u64>>::from_fds(again).unwrap();
        assert!(again.region().bytes() == second.region().bytes());
        let third = publisher.freeze(&content).unwrap();
        assert_eq!(files(&third), 1);
        assert!(third.iter().map(|number| number.to_native()).eq(content));
        publisher.publish(&third).unwrap();
    });
    worker.unwrap().join().unwrap();
}

/// A generation has fewer files where those who take it may open few.
pub(crate) fn want_of_descriptors_takes_few() {
    let sizes = [256, 100, 40, 16, 6, 2];
    let files_after = |left: Option<u64>| {
        let worker = prefork::spawn(1, |_| {
            let first = Frozen::freeze("files", &numbers(&[])).unwrap();
            let publisher = Publisher::new(&first).unwrap();
            drop(first);
            if let Some(left) = left {
                set_limit(Resource::RLIMIT_NOFILE, next_descriptor() as u64 + left);
            }
            let (mut changes, mut start) = (Vec::new(), 0);
            let mut most = 0;
            for size in sizes {
                changes.push((start..start + size).step_by(1));
                start += size + 20;
                let content = numbers(&changes);
                let next = publisher.freeze(&content).unwrap();
                publisher.publish(&next).unwrap();
                let again = next.region().try_clone_fds().unwrap();
                let again = Frozen::<Vec<u64>>::from_fds(again).unwrap();
                assert!(again.iter().map(|number| number.to_native()).eq(content));
                most = most.max(files(&next));
            }
            most as u32
        });
        worker.unwrap().join().unwrap().remove(0)
    };
    assert_eq!(files_after(None), sizes.len() as u32 + 1);
    assert!((2..=3).contains(&files_after(Some(12))));
}
