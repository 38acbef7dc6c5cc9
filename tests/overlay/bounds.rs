//! What goes from a merged cache that has become too large.

use floe::overlay::Rule;
use floe::{Cache, Counters, Overlay, Policy, Store};

use crate::fixture::{Texts, delta, texts, told};

struct Bounded {
    store: Store,
    cache: Cache<Texts>,
}

impl Bounded {
    fn by(policy: Policy) -> Self {
        let store = Store::new();
        let cache = store.merged("texts", policy).unwrap();
        store.refresh().unwrap();
        Self { store, cache }
    }

    /// Merges changes, and gives what went.
    fn merge(&self, changes: &str) -> u64 {
        // By a worker that had none of it before.
        let delta = delta(&texts(""), changes);
        let report = self.store.merge("texts", &[delta], &Rule::FirstWins);
        report.unwrap().evicted
    }

    fn told(&self) -> String {
        told(&self.cache.get().unwrap())
    }
}

#[test]
fn what_was_not_used_the_longest_goes() {
    let bounded = Bounded::by(Policy::new().max_entries(3));
    assert_eq!(bounded.merge("a=1 b=1 c=1"), 0);
    // Bringing what is there uses it.
    assert_eq!(bounded.merge("a=1 d=1"), 1);
    assert_eq!(bounded.told(), "a=1 c=1 d=1");
    assert_eq!(bounded.merge("e=1 f=1"), 2);
    assert_eq!(bounded.told(), "d=1 e=1 f=1");
    assert_eq!(bounded.merge("1=1 2=1 3=1 4=1 5=1"), 5);
    assert_eq!(bounded.told(), "3=1 4=1 5=1");
}

#[test]
fn bytes_are_bounded() {
    let bounded = Bounded::by(Policy::new().max_bytes(10_000));
    let text = "x".repeat(900);
    for number in 0..30 {
        bounded.merge(&format!("{number}={text}"));
    }
    let map = bounded.cache.get().unwrap();
    assert_eq!(map.len(), 10);
    assert!(map.contains_key("29") && map.contains_key("20"));
    assert!(map.region().size() < 40_000);
}

#[test]
fn what_is_idle_for_too_long_goes() {
    let bounded = Bounded::by(Policy::new().max_idle_generations(2));
    bounded.merge("a=1 b=1");
    assert_eq!(bounded.merge("c=1"), 0);
    assert_eq!(bounded.merge("d=1 b=1"), 0);
    assert_eq!(bounded.merge("e=1"), 1);
    assert_eq!(bounded.told(), "b=1 c=1 d=1 e=1");
}

#[test]
fn reading_in_workers_is_use_where_it_is_counted() {
    let bounded = Bounded::by(Policy::new().max_entries(2));
    bounded.merge("a=1 b=1");
    let counters = Counters::for_workers(1).unwrap();
    let reader = Overlay::over(&bounded.cache.get().unwrap()).counted_by(&counters, 0);
    assert!(reader.get("a").is_some());
    let used = reader.into_delta().unwrap();
    assert!(used.is_empty());
    let brought = delta(&bounded.cache.get().unwrap(), "c=1");
    let deltas = [used, brought];
    let report = bounded
        .store
        .merge("texts", &deltas, &Rule::FirstWins)
        .unwrap();
    assert_eq!(report.evicted, 1);
    assert_eq!(bounded.told(), "a=1 c=1");
}

#[test]
fn uses_are_remembered_without_a_new_generation_and_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store = Store::open(folder.path().join("store")).unwrap();
        let cache = store.merged("texts", Policy::new().max_entries(2)).unwrap();
        store.refresh().unwrap();
        Bounded { store, cache }
    };
    let bounded = open();
    bounded.merge("a=1 b=1");
    bounded.merge("b=1 c=1");
    assert_eq!(bounded.told(), "b=1 c=1");
    // Nothing but b is used, and nothing changes.
    assert_eq!(bounded.merge("b=1"), 0);
    assert_eq!(bounded.cache.get().unwrap().region().generation(), 3);
    let bounded = open();
    bounded.merge("d=1");
    assert_eq!(bounded.told(), "b=1 d=1");
}

#[test]
fn a_bound_holds_for_small_entries_too() {
    let store = Store::new();
    let cache = store
        .merged::<u64, u64>("small", Policy::new().max_entries(100))
        .unwrap();
    store.refresh().unwrap();
    for batch in 0..10_u64 {
        let mut overlay = Overlay::over(&cache.get().unwrap());
        for number in 0..60 {
            overlay.insert(&(batch * 60 + number), &batch).unwrap();
        }
        let deltas = [overlay.into_delta().unwrap()];
        store.merge("small", &deltas, &Rule::FirstWins).unwrap();
    }
    let map = cache.get().unwrap();
    assert_eq!(map.len(), 100);
    assert!((540..600).all(|number: u64| map.contains_key(&number)));
    assert!(map.keys().all(|number| *number >= 480));
}
