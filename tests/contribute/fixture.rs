//! An owner of a cache that grows by what workers contribute.

use std::time::Duration;

use floe::contribute::{Limits, Merged, NotTaken, Outcome, Quota};
use floe::overlay::{Contribution, MergeReport, Rule};
use floe::{Live, Map, Overlay, Policy, Store};

pub(crate) type Lengths = Map<String, u64>;

/// So long that a test which waits for it in vain has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn unlimited() -> Limits {
    let all = Limits::new().per_peer(Quota::UNLIMITED);
    all.in_all(Quota::UNLIMITED)
}

/// A store with the empty cache `lengths`, which accepts contributions.
pub(crate) fn owner(limits: Limits) -> Store {
    let store = Store::new();
    let policy = Policy::new();
    store.merged::<String, u64>("lengths", policy).unwrap();
    let rule = Rule::FirstWins;
    store
        .accept::<String, u64>("lengths", rule, limits)
        .unwrap();
    store.refresh().unwrap();
    store
}

pub(crate) fn live(store: &Store) -> Live<Lengths> {
    store.live("lengths").unwrap()
}

/// What an owner has.
pub(crate) fn entries(store: &Store) -> Vec<(String, u64)> {
    let map = live(store).pin();
    let entries = map.iter();
    let mut entries: Vec<_> = entries
        .map(|(key, value)| (key.as_str().to_owned(), value.to_native()))
        .collect();
    entries.sort();
    entries
}

/// Contributes one entry.
pub(crate) fn contribute(live: &Live<Lengths>, key: &str) -> Contribution<String, u64> {
    let mut overlay = Overlay::following(live.clone());
    let length = key.len() as u64;
    overlay.insert(&key.to_owned(), &length).unwrap();
    overlay.contribute().unwrap()
}

/// What became of a contribution.
pub(crate) fn told(mut contribution: Contribution<String, u64>) -> Outcome {
    let outcome = contribution.wait(LONG);
    outcome.expect("an answer").clone()
}

pub(crate) fn merged(contribution: Contribution<String, u64>) -> Merged {
    match told(contribution) {
        Outcome::Merged(merged) => merged,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(contribution: Contribution<String, u64>) -> NotTaken {
    match told(contribution) {
        Outcome::NotTaken(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Folds in until something has come.
pub(crate) fn fold(store: &Store) -> Vec<MergeReport> {
    loop {
        let reports = store.fold().unwrap();
        if !reports.is_empty() {
            return reports;
        }
        wait_for_arrivals(store);
    }
}

pub(crate) fn wait_for_arrivals(store: &Store) {
    use nix::poll::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd;
    let arrivals = store.arrivals().unwrap();
    let mut polled = [PollFd::new(arrivals[0].as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, 60_000_u16), Ok(1), "nothing has come");
}
