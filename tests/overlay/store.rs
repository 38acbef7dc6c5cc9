//! Caches of a store that grow by merges.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use floe::error::DeltaError;
use floe::overlay::{Rule, merge};
use floe::store::Outcome;
use floe::{Cache, Error, Overlay, Policy, Publisher, Store, Verdict};

use crate::fixture::{Texts, counts, delta, texts, told};

const FIRST: Rule<String, String> = Rule::FirstWins;

fn declared(store: &Store) -> Cache<Texts> {
    store.merged("texts", Policy::new()).unwrap()
}

fn merge_into(store: &Store, cache: &Cache<Texts>, changes: &[&str]) -> floe::overlay::MergeReport {
    let map = cache.get().unwrap();
    let deltas: Vec<_> = changes.iter().map(|it| delta(&map, it)).collect();
    store.merge("texts", &deltas, &FIRST).unwrap()
}

#[test]
fn it_begins_empty_and_grows_by_merges() {
    let store = Store::new();
    let cache = declared(&store);
    assert!(matches!(cache.get(), Err(Error::NotBuilt { .. })));
    let report = store.refresh().unwrap().caches.remove(0);
    assert_eq!(
        (report.outcome, report.generation, report.entries),
        (Outcome::Published, 1, 0)
    );

    let mut live = store.live::<Texts>("texts").unwrap();
    let report = merge_into(&store, &cache, &["a=1", "a=2 b=1"]);
    assert_eq!(
        (report.generation, report.entries, report.changed),
        (2, 2, true)
    );
    assert_eq!(
        report.deltas.iter().map(counts).collect::<Vec<_>>(),
        [[1, 0, 0, 0, 0], [1, 0, 0, 0, 1]]
    );
    assert_eq!((live.get().unwrap().len(), live.generation()), (2, 2));

    let again = merge_into(&store, &cache, &["a=1"]);
    assert_eq!((again.generation, again.changed), (2, false));
    assert_eq!(store.refresh().unwrap().caches[0].outcome, Outcome::Fresh);
    assert_eq!(told(&cache.get().unwrap()), "a=1 b=1");
    let status = store.status().unwrap().remove(0);
    assert_eq!(
        (status.published, status.reasons["merge"], status.entries),
        (2, 2, 2)
    );
    assert!(
        again
            .to_string()
            .starts_with("texts: still generation 2, 2 entries")
    );
}

#[test]
fn a_merge_before_the_first_refresh_begins_empty() {
    let store = Store::new();
    let cache = declared(&store);
    let report = store
        .merge("texts", &[delta(&texts(""), "a=1")], &FIRST)
        .unwrap();
    assert_eq!((report.generation, report.deltas[0].added), (2, 1));
    assert_eq!(told(&cache.get().unwrap()), "a=1");
}

#[test]
fn what_is_no_longer_valid_is_dropped() {
    let store = Store::new();
    let cache = declared(&store);
    store.refresh().unwrap();
    merge_into(&store, &cache, &["a=1 b=2 c=3"]);
    store.invalidate_key("texts", "b").unwrap();
    let report = store.refresh().unwrap().caches.remove(0);
    assert_eq!(
        (report.outcome, report.dropped, report.carried),
        (Outcome::Published, 1, 2)
    );
    assert_eq!(told(&cache.get().unwrap()), "a=1 c=3");
    store.invalidate("texts").unwrap();
    let report = store.refresh().unwrap().caches.remove(0);
    assert_eq!(
        (report.dropped, report.entries, report.generation),
        (2, 0, 4)
    );
    merge_into(&store, &cache, &["d=4"]);
    assert_eq!(told(&cache.get().unwrap()), "d=4");
}

/// A verdict ends the serving of a generation, and what takes its place cannot be built.
#[test]
fn a_merge_serves_nothing_that_is_no_longer_served() {
    let asked = Arc::new(AtomicU32::new(0));
    let judge = Arc::clone(&asked);
    let policy = Policy::new().custom(move |_, _| match judge.load(Relaxed) {
        0 => Verdict::Fresh,
        _ if judge.fetch_add(1, Relaxed) < 3 => Verdict::Expired("of the test".to_owned()),
        _ => panic!("no more verdicts"),
    });
    let store = Store::new();
    let cache: Cache<Texts> = store.merged("texts", policy).unwrap();
    store.refresh().unwrap();
    merge_into(&store, &cache, &["a=1"]);
    asked.store(1, Relaxed);
    let refreshed = store.refresh().unwrap().caches.remove(0);
    assert_eq!(refreshed.outcome, Outcome::Failed);
    let is_ended = || matches!(cache.get(), Err(Error::Expired { .. }));
    assert!(is_ended());
    let deltas = [delta(&texts(""), "b=1")];
    let report = store.merge("texts", &deltas, &FIRST).unwrap();
    assert_eq!((report.changed, report.entries), (true, 2));
    assert!(is_ended());
    assert!(store.status().unwrap()[0].last_error.is_some());
    asked.store(0, Relaxed);
    store.refresh().unwrap();
    assert_eq!(told(&cache.get().unwrap()), "a=1 b=1");
}

#[test]
fn other_caches_are_refused() {
    let store = Store::new();
    store
        .merged::<String, u64>("numbers", Policy::new())
        .unwrap();
    let keys = |_: &mut floe::Inputs| Ok(vec!["a".to_owned()]);
    store
        .keyed("built", Policy::new(), keys, |key: &String, _| {
            Ok(key.clone())
        })
        .unwrap();
    let deltas = [delta(&texts(""), "a=1")];
    let refused = |name| store.merge(name, &deltas, &FIRST).unwrap_err();
    assert!(matches!(refused("nowhere"), Error::UnknownCache { .. }));
    let other = refused("numbers");
    assert!(
        matches!(&other, Error::SchemaMismatch { expected, got, .. } if expected != got),
        "{other}"
    );
    let built = refused("built");
    assert!(
        matches!(
            built,
            Error::Delta {
                reason: DeltaError::Built,
                ..
            }
        ),
        "{built}"
    );
}

#[test]
fn a_start_takes_over_what_was_merged() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    {
        let store = Store::open(&directory).unwrap();
        let cache = declared(&store);
        store.refresh().unwrap();
        merge_into(&store, &cache, &["a=1 b=2"]);
    }
    let store = Store::open(&directory).unwrap();
    let cache = declared(&store);
    assert_eq!(store.refresh().unwrap().caches[0].outcome, Outcome::Loaded);
    assert_eq!(told(&cache.get().unwrap()), "a=1 b=2");
    let report = merge_into(&store, &cache, &["c=3"]);
    assert_eq!((report.generation, report.trouble), (3, None));
}

#[test]
fn a_merge_tells_whether_the_directory_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    let store = Store::open(&directory).unwrap();
    let store = store.with_lock_timeout(Duration::from_millis(1));
    let cache = declared(&store);
    store.refresh().unwrap();
    assert!(merge_into(&store, &cache, &["a=1"]).saved);
    let turn = File::open(directory.join("texts.lock")).unwrap();
    rustix::fs::flock(&turn, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let report = merge_into(&store, &cache, &["b=2"]);
    assert!(report.changed && !report.saved && report.trouble.is_some());
    drop(turn);
    assert!(merge_into(&store, &cache, &["b=2"]).saved);
    let in_memory = Store::new();
    let cache = declared(&in_memory);
    in_memory.refresh().unwrap();
    assert!(!merge_into(&in_memory, &cache, &["a=1"]).saved);
}

#[test]
fn what_was_merged_under_another_configuration_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    for (configuration, expected) in [("one", "a=1"), ("two", "b=1"), ("two", "b=1 c=1")] {
        let store = Store::open(&directory).unwrap();
        let policy = Policy::new().keyed_by(configuration);
        let cache: Cache<Texts> = store.merged("texts", policy).unwrap();
        let changes = expected.split(' ').next_back().unwrap();
        // Before the first refresh, too.
        let report = store
            .merge("texts", &[delta(&texts(""), changes)], &FIRST)
            .unwrap();
        assert_eq!(report.deltas[0].added, 1);
        assert_eq!(told(&cache.get().unwrap()), expected);
    }
}

#[test]
fn what_two_owners_merge_is_in_both() {
    let folder = tempfile::tempdir().unwrap();
    let stores: Vec<_> = (0..2)
        .map(|_| {
            let store = Store::open(folder.path().join("store")).unwrap();
            let cache = declared(&store);
            store.refresh().unwrap();
            (store, cache)
        })
        .collect();
    thread::scope(|scope| {
        for (number, (store, cache)) in stores.iter().enumerate() {
            scope.spawn(move || {
                for change in 0..20 {
                    let report = merge_into(store, cache, &[&format!("{number}.{change}=1")]);
                    assert_eq!((report.trouble, report.deltas[0].added), (None, 1));
                }
            });
        }
    });
    let mut told_by = Vec::new();
    for (store, cache) in &stores {
        store.refresh().unwrap();
        assert_eq!(cache.get().unwrap().len(), 40);
        told_by.push((
            told(&cache.get().unwrap()),
            cache.get().unwrap().region().generation(),
        ));
    }
    assert_eq!(told_by[0], told_by[1]);
    assert_eq!(told_by[0].1, 41);
}

#[test]
fn a_rule_that_panics_leaves_the_store_as_it_is() {
    let store = Store::new();
    let cache = declared(&store);
    store.refresh().unwrap();
    merge_into(&store, &cache, &["a=1"]);
    let rule = Rule::<String, String>::by(|_, _, _: Option<&_>| panic!("no"));
    let deltas = [delta(&texts(""), "a=2 b=1")];
    let report = store.merge("texts", &deltas, &rule).unwrap();
    assert!(report.deltas[0].refused.is_some() && !report.changed);
    merge_into(&store, &cache, &["c=1"]);
    assert_eq!(told(&cache.get().unwrap()), "a=1 c=1");
}

#[test]
fn a_publisher_goes_on_from_a_merge() {
    let first = texts("a=1");
    let publisher = Publisher::new(&first).unwrap();
    let mut overlay = Overlay::following(publisher.subscribe::<Texts>().unwrap());
    overlay.insert(&"b".to_owned(), &"2".to_owned()).unwrap();
    let (next, _) = merge(&first, &[overlay.to_delta().unwrap()], &FIRST).unwrap();
    publisher.publish(&next).unwrap();
    assert!(overlay.advance());
    assert_eq!(
        (
            overlay.changes().count(),
            overlay.get("b").unwrap().as_str()
        ),
        (0, "2")
    );
}
