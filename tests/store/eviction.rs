//! Bounds of caches keyed by content.

use std::sync::{Arc, Mutex};

use floe::store::Outcome;
use floe::{Cache, Map, Policy, Store};

use crate::fixture::refresh;

/// A cache of numbers; which are asked for is set by `ask`.
struct Numbers {
    store: Store,
    cache: Cache<Map<u32, String>>,
    asked: Arc<Mutex<Vec<u32>>>,
}

impl Numbers {
    fn new(policy: Policy) -> Self {
        let store = Store::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        let cache = store.keyed(
            "numbers",
            policy.revalidate_inputs(),
            move |inputs| {
                let list = list.lock().unwrap().clone();
                inputs.value("list", format!("{list:?}"));
                Ok(list)
            },
            |number: &u32, _| Ok(format!("{number:0>200}")),
        );
        Self {
            cache: cache.unwrap(),
            store,
            asked,
        }
    }

    /// Asks for numbers; returns those that are there afterwards, and how many were evicted.
    fn ask(&self, numbers: &[u32]) -> (Vec<u32>, u64) {
        *self.asked.lock().unwrap() = numbers.to_vec();
        self.store
            .set_value("list", format!("{numbers:?}"))
            .unwrap();
        let report = refresh(&self.store);
        assert_eq!(report.error, None);
        let mut keys: Vec<u32> = self
            .cache
            .get()
            .unwrap()
            .keys()
            .map(|key| key.to_native())
            .collect();
        keys.sort_unstable();
        (keys, report.evicted)
    }
}

#[test]
fn idle_entries_stay_for_the_stated_generations() {
    let numbers = Numbers::new(Policy::new().max_idle_generations(2));
    assert_eq!(numbers.ask(&[1, 2, 3]).0, [1, 2, 3]);
    assert_eq!(numbers.ask(&[1, 4]).0, [1, 2, 3, 4]);
    // 3 is asked for again before it is gone.
    assert_eq!(numbers.ask(&[1, 3, 5]).0, [1, 2, 3, 4, 5]);
    assert_eq!(numbers.ask(&[1, 3, 6]).0, [1, 3, 4, 5, 6]);
    assert_eq!(numbers.ask(&[1, 7]).0, [1, 3, 5, 6, 7]);
}

#[test]
fn without_a_statement_entries_go_when_nobody_asks() {
    let numbers = Numbers::new(Policy::new());
    assert_eq!(numbers.ask(&[1, 2, 3]).0, [1, 2, 3]);
    assert_eq!(numbers.ask(&[2]).0, [2]);
    assert_eq!(numbers.ask(&[]).0, [0; 0]);
    assert_eq!(numbers.ask(&[1]).0, [1]);
}

#[test]
fn the_least_recently_asked_for_are_evicted_first() {
    let numbers = Numbers::new(Policy::new().max_idle_generations(100).max_entries(4));
    assert_eq!(numbers.ask(&[1, 2]), (vec![1, 2], 0));
    assert_eq!(numbers.ask(&[3]), (vec![1, 2, 3], 0));
    // 1 and 2 were last asked for in the same generation: the last by key goes.
    assert_eq!(numbers.ask(&[4, 5]), (vec![1, 3, 4, 5], 1));
    assert_eq!(numbers.ask(&[1, 6]), (vec![1, 4, 5, 6], 1));
    assert_eq!(
        numbers.ask(&[10, 11, 12, 13, 14]),
        (vec![10, 11, 12, 13], 5)
    );
}

#[test]
fn evicting_what_was_evicted_before_publishes_nothing() {
    let bounds = [Policy::new().max_entries(2), Policy::new().max_bytes(500)];
    for (policy, builds) in bounds.into_iter().zip([2, 3]) {
        let store = Store::new();
        let cache = store.keyed(
            "numbers",
            policy.revalidate_inputs(),
            |_| Ok(vec![1, 2, 3]),
            |number: &u64, inputs| {
                inputs.value(&number.to_string(), "");
                Ok(format!("{number:0>200}"))
            },
        );
        cache.unwrap();
        let report = refresh(&store);
        // What is too much by number is not even built.
        assert_eq!((report.entries, report.rebuilt), (2, builds));
        store.invalidate("numbers").unwrap();
        let report = refresh(&store);
        assert_eq!((report.outcome, report.evicted), (Outcome::Unchanged, 1));
        // The inputs are those of the entries that stayed.
        store.set_value("3", "another").unwrap();
        assert_eq!(refresh(&store).outcome, Outcome::Fresh);
        store.set_value("2", "another").unwrap();
        assert_eq!(refresh(&store).rebuilt, 1);
    }
}

#[test]
fn bytes_are_bounded_too() {
    let numbers = Numbers::new(Policy::new().max_idle_generations(100).max_bytes(700));
    assert_eq!(numbers.ask(&[1, 2]).0, [1, 2]);
    assert_eq!(numbers.ask(&[3]).0, [1, 2, 3]);
    assert_eq!(numbers.ask(&[4]), (vec![1, 3, 4], 1));
}
