//! Forks from a process of several threads.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

use floe::{Map, prefork};
use nix::unistd::alarm;

use crate::fixture::{MIB, digest, large_map};

pub(crate) fn a_fork_beside_freezing_threads_reads() {
    const FORKS: usize = 200;
    let map = large_map(MIB / 4);
    let expected = digest(map.region().bytes());
    let stop = AtomicBool::new(false);
    let frozen = AtomicUsize::new(0);
    let freeze = || {
        while !stop.load(Relaxed) {
            let entries = (0..50_u32).map(|number| (number, format!("entry {number}")));
            let other = Map::freeze("other", entries).unwrap();
            assert_eq!(other.clone().len(), 50);
            frozen.fetch_add(1, Relaxed);
        }
    };
    let read = || {
        // A worker that waits for a lock which nobody will open is killed.
        alarm::set(5);
        let lengths = map.clone().iter().map(|(_, value)| value.len()).sum();
        (lengths, digest(map.region().bytes()))
    };
    thread::scope(|scope| {
        scope.spawn(freeze);
        scope.spawn(freeze);
        // SAFETY: the closure reads a frozen map and allocates, which glibc allows; the other
        // threads hold no other lock, since freezing takes none.
        let may_fork = unsafe { prefork::MayFork::multithreaded() };
        let forks = (0..FORKS).map(|_| prefork::spawn_with(&may_fork, 1, |_| read())?.join());
        let results: Result<Vec<_>, _> = forks.collect();
        stop.store(true, Relaxed);
        assert_eq!(results.unwrap(), vec![[(MIB / 4, expected)]; FORKS]);
    });
    assert!(frozen.into_inner() > 0);
}
