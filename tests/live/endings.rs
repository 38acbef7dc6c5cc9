//! Workers and owners may end at any moment.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use floe::prefork::{self, WorkerError};
use floe::usage::Usage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{alarm, getpid, getppid};

use crate::fixture::{Numbers, channel, descriptors, publish_next, read};
use crate::forking::{Gate, next_descriptor, pid_of};

pub(crate) fn a_thousand_workers_leave_nothing() {
    const AT_ONCE: usize = 20;
    const KILLED: WorkerError = WorkerError::Killed {
        signal: Signal::SIGKILL as i32,
    };
    let (publisher, live) = channel();
    let attach = || {
        let workers = prefork::spawn(AT_ONCE, |worker| {
            let mut live = live.clone();
            live.wait_newer(Duration::ZERO);
            let watch = live.watch().unwrap();
            if worker.index() % 2 == 0 {
                // It does not come to drop anything.
                kill(getpid(), Signal::SIGKILL).unwrap();
            }
            drop(watch);
            read(&mut live)
        });
        let mut workers = workers.unwrap();
        let published = publish_next(&publisher);
        while let Some(exit) = workers.wait_one().unwrap() {
            match exit.worker % 2 {
                0 => assert_eq!(exit.result, Err(KILLED)),
                _ => assert!(exit.result.unwrap() <= published),
            }
        }
    };
    let held = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let maps = maps.lines().filter(|line| line.contains("memfd:floe"));
        (next_descriptor(), descriptors("").len(), maps.count())
    };
    attach();
    let (before, memory) = (held(), Usage::of_self().unwrap().rss);
    (1..1000 / AT_ONCE).for_each(|_| attach());
    assert_eq!(held(), before);
    let grown = Usage::of_self().unwrap().rss.saturating_sub(memory);
    assert!(grown < 1 << 20, "{grown} bytes");
}

pub(crate) fn the_owner_may_be_killed_at_any_moment() {
    for round in 0..50 {
        let (begun, read_on) = (Gate::new(), Gate::new());
        let mut owners = prefork::spawn(1, |_| {
            let (publisher, live) = channel();
            let owner = getpid();
            let readers = prefork::spawn(1, |_| {
                let mut live = live;
                let mut newest = 0;
                begun.open();
                while getppid() == owner {
                    let seen = read(&mut live);
                    assert!(seen >= newest);
                    newest = seen;
                }
                let mut late = live.clone();
                assert!(read(&mut live) >= newest && read(&mut late) >= newest);
                read_on.open();
            });
            while readers.is_ok() {
                publish_next(&publisher);
            }
        })
        .unwrap();
        begun.pass();
        // Another moment in each round.
        for step in 0..round * 10_000 {
            std::hint::black_box(step);
        }
        kill(pid_of(&owners, 0), Signal::SIGKILL).unwrap();
        read_on.pass();
        assert!(owners.wait_one().unwrap().unwrap().result.is_err());
    }
}

pub(crate) fn a_fork_beside_publishing_threads_reads() {
    const FORKS: usize = 200;
    let (publisher, live) = channel();
    let stop = AtomicBool::new(false);
    let publish = || {
        while !stop.load(Relaxed) {
            publish_next(&publisher);
        }
    };
    let follow = || {
        while !stop.load(Relaxed) {
            let mut live = publisher.subscribe::<Numbers>().unwrap();
            live.wait_newer(Duration::from_millis(1));
            read(&mut live);
        }
    };
    let read_in_child = || {
        // A worker that waits for a lock which nobody will open is killed.
        alarm::set(5);
        let mut live = live.clone();
        let first = read(&mut live);
        live.wait_newer(Duration::from_secs(1)) && read(&mut live) > first
    };
    thread::scope(|scope| {
        scope.spawn(publish);
        scope.spawn(follow);
        // SAFETY: the closure follows a channel, for which it allocates, as glibc allows; the other
        // threads hold no other lock than that of the publisher, which it does not touch.
        let may_fork = unsafe { prefork::MayFork::multithreaded() };
        let forks =
            (0..FORKS).map(|_| prefork::spawn_with(&may_fork, 1, |_| read_in_child())?.join());
        let results: Result<Vec<_>, _> = forks.collect();
        stop.store(true, Relaxed);
        assert_eq!(results.unwrap(), vec![[true]; FORKS]);
    });
}
