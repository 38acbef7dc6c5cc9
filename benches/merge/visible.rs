//! From the moment at which the owner takes a contribution until all workers have read it.

use std::io::{self, PipeReader, Read, Write};
use std::thread;
use std::time::Duration;

use floe::contribute::Limits;
use floe::overlay::Rule;
use floe::prefork::{self, Worker};
use floe::{Live, Overlay, Policy, Store};
use floe_testkit::measure::median;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::data::{NAME, Texts, delta, key, value};

/// Entries of a contribution.
const ADDED: u64 = 10;
/// Between contributions: long enough for all workers to have read it, and to be idle again. They say
/// nothing of it, since whoever listened would take processor time from those that have not.
const GAP: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
pub(crate) struct Visible {
    pub(crate) entries: u64,
    pub(crate) workers: usize,
    pub(crate) contributions: u64,
    /// Medians of the time until the last worker has read it: from when the owner takes it,
    pub(crate) micros_median: f64,
    /// and from when its contributor begins to seal it.
    pub(crate) contributed_micros_median: f64,
    /// Of the merge alone, as the report says.
    pub(crate) merge_micros_median: f64,
    /// Until the first worker has read it.
    pub(crate) first_micros_median: f64,
    /// Until the last one has, for each contribution: the runs of pages become more.
    pub(crate) micros: Vec<f64>,
}

pub(crate) fn measure(entries: u64, workers: usize, rounds: u64) -> Visible {
    let store = Store::new();
    let cache = store.merged::<String, String>(NAME, Policy::new());
    let cache = cache.expect("a cache");
    store.refresh().expect("an empty map");
    let all = delta(&cache.get().expect("a map"), 0..entries);
    let merged = store.merge(NAME, &[all], &Rule::FirstWins);
    assert_eq!(merged.expect("all entries").entries, entries);
    let accepted =
        store.accept::<String, String>(NAME, Rule::FirstWins, Limits::new().without_batches());
    accepted.expect("the owner accepts");

    let live = store.live::<Texts>(NAME).expect("a handle");
    let (taken, tell_taken) = io::pipe().expect("a pipe");
    // The last one contributes.
    let pool = prefork::spawn(workers + 1, |worker: Worker| {
        match worker.index() == workers {
            true => contribute(live.clone(), &taken, (entries, rounds)),
            false => read(live.clone(), (entries, rounds)),
        }
    });
    let pool = pool.expect("workers");
    let (mut began, mut merges) = (Vec::new(), Vec::new());
    while (began.len() as u64) < rounds {
        wait(&store);
        let start = now();
        for report in store.fold().expect("the owner folds") {
            assert_eq!(report.deltas[0].added, ADDED);
            began.push(start);
            merges.push(1e6 * report.seconds);
            (&tell_taken).write_all(b".").expect("a contributor");
        }
    }
    let mut moments = pool.join().expect("what the workers saw");
    let contributed = moments.pop().expect("the contributor");
    let micros = |from: &[u64], pick: fn(u64, u64) -> u64| {
        let of = |(round, from): (usize, &u64)| {
            let seen = moments.iter().map(|moments| moments[round]);
            let seen = seen.reduce(pick).expect("a worker");
            (seen - from) as f64 / 1e3
        };
        from.iter().enumerate().map(of).collect::<Vec<f64>>()
    };
    Visible {
        entries,
        workers,
        contributions: rounds,
        micros_median: median(micros(&began, u64::max)),
        contributed_micros_median: median(micros(&contributed, u64::max)),
        merge_micros_median: median(merges),
        first_micros_median: median(micros(&began, u64::min)),
        micros: micros(&began, u64::max),
    }
}

/// Sleeps until something may have come.
pub(crate) fn wait(store: &Store) {
    let arrivals = store.arrivals().expect("descriptors");
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let fds = arrivals
        .iter()
        .map(|fd| readable(std::os::fd::AsFd::as_fd(&**fd)));
    let mut fds: Vec<PollFd> = fds.collect();
    poll(&mut fds, PollTimeout::from(100_u8)).expect("poll");
}

/// The first number of a contribution.
fn first(entries: u64, round: u64) -> u64 {
    entries + round * ADDED
}

/// When each contribution was there.
fn read(mut live: Live<Texts>, (entries, rounds): (u64, u64)) -> Vec<u64> {
    let mut moments = Vec::new();
    for round in 0..rounds {
        let number = first(entries, round);
        while live.get_stale().get(key(number).as_str()).is_none() {
            assert!(live.wait_newer(PATIENCE), "nobody publishes");
        }
        moments.push(now());
    }
    let map = live.get_stale();
    for number in entries..first(entries, rounds) {
        assert_eq!(map[key(number).as_str()].as_str(), value(number));
    }
    moments
}

/// When each contribution was begun.
fn contribute(
    live: Live<Texts>,
    mut taken: &PipeReader,
    (entries, rounds): (u64, u64),
) -> Vec<u64> {
    let mut overlay = Overlay::following(live);
    let mut moments = Vec::new();
    for round in 0..rounds {
        let first = first(entries, round);
        for number in first..first + ADDED {
            let inserted = overlay.insert(&key(number), &value(number));
            inserted.expect("an entry");
        }
        moments.push(now());
        drop(overlay.contribute().expect("the owner accepts"));
        taken.read_exact(&mut [0]).expect("the owner");
        thread::sleep(GAP);
        overlay.advance();
        assert_eq!(overlay.changes().count(), 0);
    }
    moments
}

/// Nanoseconds of a clock that is the same in all processes.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    Duration::from(time).as_nanos() as u64
}
