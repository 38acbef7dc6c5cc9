//! How long a region lives, and that its memory comes back.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use floe::prefork::{self, Pool};
use floe::usage::Usage;
use floe::{Content, Frozen};
use floe_testkit::text;
use nix::sys::signal::{Signal, kill};

use crate::fixture::{Large, MIB, Meeting, digest, large_map, regions_held, shmem};
use crate::forking::{Gate, forever, next_descriptor, pid_of};

/// Drops what may be the last handle in this process. Returns how far the memory of this process
/// and that of the system's memfds fell.
fn drop_measured<T: Content>(frozen: Frozen<T>) -> (u64, u64) {
    let look = || (Usage::of_self().unwrap().rss, shmem());
    let before = look();
    drop(frozen);
    let after = look();
    (
        before.0.saturating_sub(after.0),
        before.1.saturating_sub(after.1),
    )
}

pub(crate) fn dropping_handles_gives_memory_back() {
    let map = large_map(64 * MIB);
    let size = map.region().size();
    let expected = digest(map.region().bytes());
    let handle = RefCell::new(Some(map));
    let (first, last) = (Meeting::new(), Meeting::new());
    let pool = prefork::spawn(2, |worker| {
        let map = handle.take().unwrap();
        let mut read = vec![digest(map.region().bytes())];
        let fallen = if worker.index() == 0 {
            let fallen = drop_measured(map);
            first.attend();
            fallen
        } else {
            last.attend();
            read.push(digest(map.region().bytes()));
            drop_measured(map)
        };
        (read, fallen, regions_held())
    })
    .unwrap();
    let map = handle.take().unwrap();
    let read_on = first.hold(1, || digest(map.region().bytes()));
    let owner = last.hold(1, || drop_measured(map));
    let [one, other] = pool.join().unwrap().try_into().unwrap();

    assert_eq!(read_on, expected, "the owner reads on");
    assert_eq!(one.0, [expected]);
    assert_eq!(other.0, [expected; 2], "the last one reads on");
    assert_eq!((one.2, other.2), ((0, 0), (0, 0)));
    for (rss, _) in [one.1, owner, other.1] {
        assert!(rss.abs_diff(size) < MIB as u64, "{rss} of {size}");
    }
    // Other processes may free memory at the same moment, but hardly this much.
    for (_, shmem) in [one.1, owner] {
        assert!(shmem < size / 2, "it is still in use: {shmem} of {size}");
    }
    let (_, shmem) = other.1;
    assert!(shmem > size / 4 * 3, "{shmem} of {size} came back");
}

pub(crate) fn the_owners_death_leaves_the_readers_reading() {
    const WORKERS: usize = 3;
    let (ready, go) = (Gate::new(), Gate::new());
    let (mut reader, writer) = io::pipe().unwrap();
    let tell = |sum: u64| (&writer).write_all(&sum.to_ne_bytes()).unwrap();
    let owner: Pool<()> = prefork::spawn(1, |_| {
        let map = large_map(8 * MIB);
        tell(digest(map.region().bytes()));
        let _workers = prefork::spawn(WORKERS, |_| {
            digest(&map.region().bytes()[..4 * MIB]);
            ready.open();
            go.pass();
            let again = map.region().try_clone_fd().unwrap();
            let again = Large::from_fd(again).unwrap();
            assert_eq!(again.len(), map.len());
            tell(digest(map.region().bytes()));
        });
        forever()
    })
    .unwrap();
    (0..WORKERS).for_each(|_| ready.pass());
    kill(pid_of(&owner, 0), Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    (0..WORKERS).for_each(|_| go.open());
    drop(writer);
    let mut told = Vec::new();
    reader.read_to_end(&mut told).unwrap();
    let (sums, rest) = told.as_chunks::<8>();
    assert_eq!((sums.len(), rest.len()), (1 + WORKERS, 0));
    assert!(sums.iter().all(|sum| *sum == sums[0]));
}

pub(crate) fn a_thousand_freezes_leave_the_first_one_alone() {
    let content = |number| text::long(number, MIB / 2);
    let freeze = |number: usize| Frozen::freeze("again", &content(number)).unwrap();
    let first = freeze(0);
    let expected = digest(first.region().bytes());
    let first = RefCell::new(Some(first));
    let gate = Gate::new();
    let reader = prefork::spawn(1, |_| {
        let first = first.take().unwrap();
        gate.pass();
        let intact = *first == *content(0);
        (intact, digest(first.region().bytes()))
    })
    .unwrap();
    drop(first.take());
    let before = (next_descriptor(), regions_held());
    let memory = shmem();
    let mut newest = freeze(1);
    for number in 2..=1000 {
        newest = freeze(number);
    }
    assert!(*newest == *content(1000));
    drop(newest);
    assert_eq!((next_descriptor(), regions_held()), before);
    // Other processes may have taken some of this meanwhile; a thousand would be 500 MiB.
    let grown = shmem().saturating_sub(memory);
    assert!(grown < 250 * MIB as u64, "grown by {grown}");
    gate.open();
    assert_eq!(reader.join().unwrap(), [(true, expected)]);
}
