//! Many contributions of many workers at once, against a model of what must be there then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use floe::contribute::{Limits, Outcome, Quota};
use floe::error::{ChannelError, Error};
use floe::overlay::Contribution;
use floe::overlay::Rule;
use floe::{Live, Overlay, Policy, Store, prefork};
use floe_testkit::measure::Random;
use serde::Serialize;

use crate::data::{NAME, Texts, key, value};
use crate::visible::wait;

/// Entries of a contribution.
const EACH: u64 = 3;
/// Answers that a worker waits for at most before it contributes more.
const WAITING: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
pub(crate) struct Contributions {
    pub(crate) contributions: u64,
    pub(crate) workers: usize,
    /// In the end, and in the model.
    pub(crate) entries: u64,
    pub(crate) expected: u64,
    /// Keys of the model that are not there, or have another value.
    pub(crate) lost: u64,
    /// Keys that are there more than once, or that two workers were told to have brought.
    pub(crate) doubled: u64,
    pub(crate) generations: u64,
    pub(crate) seconds: f64,
}

/// What worker `index` contributes, of which others contribute some, too.
fn numbers(index: usize, contributions: u64) -> impl Iterator<Item = Vec<u64>> {
    let mut random = Random(index as u64);
    (0..contributions).map(move |_| (0..EACH).map(|_| random.below(8192)).collect())
}

pub(crate) fn measure(contributions: u64, workers: usize) -> Contributions {
    let store = Store::new();
    let cache = store.merged::<String, String>(NAME, Policy::new());
    let cache = cache.expect("a cache");
    let limits = Limits::new()
        .per_peer(Quota::UNLIMITED)
        .in_all(Quota::UNLIMITED);
    let accepted = store.accept::<String, String>(NAME, Rule::FirstWins, limits);
    accepted.expect("the owner accepts");
    store.refresh().expect("an empty map");
    let live = store.live::<Texts>(NAME).expect("a handle");

    let share = |index: usize| {
        let (count, rest) = (
            contributions / workers as u64,
            contributions % workers as u64,
        );
        count + u64::from((index as u64) < rest)
    };
    let start = Instant::now();
    let pool = prefork::spawn(workers, |worker| {
        let index = worker.index();
        contribute(live.clone(), numbers(index, share(index)))
    });
    // The thread waits for the workers while this one folds.
    let (done, pool) = (AtomicUsize::new(0), pool.expect("workers"));
    let taken: Vec<u64> = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let taken = pool.join();
            done.store(1, Ordering::Relaxed);
            taken
        });
        while done.load(Ordering::Relaxed) == 0 {
            wait(&store);
            store.fold().expect("the owner folds");
        }
        waiting.join().expect("no panic").expect("all workers")
    });
    let seconds = start.elapsed().as_secs_f64();

    let mut model = BTreeMap::new();
    for index in 0..workers {
        for number in numbers(index, share(index)).flatten() {
            model.insert(key(number), value(number));
        }
    }
    let map = cache.get().expect("a map");
    let is_there = |(key, value): (&String, &String)| {
        map.get(key.as_str()).is_some_and(|it| it.as_str() == value)
    };
    let lost = model.iter().filter(|pair| !is_there(*pair)).count() as u64;
    let mut counts = BTreeMap::new();
    for key in map.keys() {
        *counts.entry(key.as_str().to_owned()).or_insert(0_u64) += 1;
    }
    let twice = counts.values().map(|count| count - 1).sum::<u64>();
    let brought = taken.iter().sum::<u64>();
    Contributions {
        contributions,
        workers,
        entries: map.len() as u64,
        expected: model.len() as u64,
        lost,
        doubled: twice + brought.abs_diff(model.len() as u64),
        generations: map.region().generation(),
        seconds,
    }
}

type Waiting = VecDeque<Contribution<String, String>>;

/// Contributes everything; how many entries were taken.
fn contribute(live: Live<Texts>, all: impl Iterator<Item = Vec<u64>>) -> u64 {
    let (mut live, mut waiting, mut taken) = (live, Waiting::new(), 0);
    for numbers in all {
        let mut overlay = Overlay::over(&live.pin());
        for number in numbers {
            let inserted = overlay.insert(&key(number), &value(number));
            inserted.expect("an entry");
        }
        loop {
            match live.contribute(&overlay) {
                Ok(sent) => {
                    waiting.push_back(sent);
                    break;
                }
                // The owner has not come to what was sent before.
                Err(Error::Channel(ChannelError::NotContributed { .. })) if !waiting.is_empty() => {
                    taken += answer(&mut waiting);
                }
                Err(error) => panic!("{error}"),
            }
        }
        if waiting.len() == WAITING {
            taken += answer(&mut waiting);
        }
    }
    while !waiting.is_empty() {
        taken += answer(&mut waiting);
    }
    taken
}

/// How many entries were taken of the contribution that waits the longest.
fn answer(waiting: &mut Waiting) -> u64 {
    let sent = waiting.pop_front();
    let mut sent = sent.expect("something is on its way");
    match sent.wait(PATIENCE) {
        Some(Outcome::Merged(merged)) => merged.taken,
        other => panic!("a contribution was not merged: {other:?}"),
    }
}
