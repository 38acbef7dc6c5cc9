//! What the tests publish.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use floe::{Frozen, Live, Publisher};
use nix::unistd::getpid;

/// A value that shows whether it is whole: equal numbers.
pub(crate) type Numbers = Vec<u64>;

const COUNT: usize = 1000;

pub(crate) fn numbers(generation: u64) -> Numbers {
    vec![generation; COUNT]
}

/// A publisher of the first generation, and a handle for its workers.
pub(crate) fn channel() -> (Publisher, Live<Numbers>) {
    let first = Frozen::freeze("numbers", &numbers(1)).unwrap();
    let publisher = Publisher::new(&first, None).unwrap();
    let live = publisher.subscribe().unwrap();
    (publisher, live)
}

pub(crate) fn publish_next(publisher: &Publisher) -> u64 {
    let generation = publisher.freeze(&Numbers::new()).unwrap().generation();
    let next = publisher.freeze(&numbers(generation)).unwrap();
    publisher.publish(&next, None).unwrap();
    generation
}

/// The generation that a handle reads, all of whose numbers agree.
pub(crate) fn read(live: &mut Live<Numbers>) -> u64 {
    let values = live.get();
    let first = values[0];
    assert_eq!(values.len(), COUNT);
    assert!(values.iter().all(|value| *value == first), "torn");
    assert_eq!(live.generation(), first);
    first.to_native()
}

/// The descriptors of this process that lead to files of such names, in their order.
pub(crate) fn descriptors(name: &str) -> Vec<RawFd> {
    let entries = fs::read_dir(format!("/proc/{}/fd", getpid())).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let leads = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|link| link.to_string_lossy().contains(name))
    };
    let number = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
    let mut found: Vec<RawFd> = paths.filter(leads).filter_map(number).collect();
    found.sort_unstable();
    found
}

/// What a hostile worker gets hold of: the owner's end of the mailbox and the readers' end.
pub(crate) fn mailbox() -> [BorrowedFd<'static>; 2] {
    let sockets = descriptors("socket:");
    assert_eq!(sockets.len(), 2, "there is one mailbox in this process");
    // SAFETY: the channel of the test, which is inherited, keeps them open.
    [sockets[0], sockets[1]].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}
