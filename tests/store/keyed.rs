//! A change costs what it touches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use floe::store::Outcome;
use floe::{Frozen, Intern, Map, Policy, Schema, Store, Verdict};
use proptest::prelude::*;

use crate::fixture::{Sources, contents, pairs, refresh};

#[test]
fn one_changed_file_builds_one_entry() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B"), ("c.txt", "C")]);
    let store = Store::new();
    let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    let first = refresh(&store);
    assert_eq!((first.generation, first.rebuilt), (1, 3));
    assert_eq!(built.take(), ["a.txt", "b.txt", "c.txt"]);
    let before = cache.get().unwrap();

    sources.write("b.txt", "B2");
    let second = refresh(&store);
    assert_eq!(second.outcome, Outcome::Published);
    assert_eq!(
        (second.generation, second.rebuilt, second.carried),
        (2, 1, 2)
    );
    assert!(second.why.unwrap().ends_with("b.txt: content changed"));
    assert_eq!(built.take(), ["b.txt"]);
    let expected = [("a.txt", "A"), ("b.txt", "B2"), ("c.txt", "C")];
    assert_eq!(
        pairs(&cache),
        expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
    );
    assert_eq!(before["b.txt"].as_str(), "B");

    // What was carried over and what was built are the region of any other process.
    let bytes = cache.get().unwrap().region().bytes().to_vec();
    let opened: Frozen<Map<String, String>> = Frozen::from_bytes(&bytes).unwrap();
    assert_eq!(opened["b.txt"].as_str(), "B2");
    assert_eq!(opened.region().generation(), 2);
}

#[test]
fn files_that_come_and_go_are_entries_that_come_and_go() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let store = Store::new();
    let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    refresh(&store);
    built.take();

    sources.write("c.txt", "C");
    sources.write("unrelated", "");
    let report = refresh(&store);
    assert_eq!((report.rebuilt, report.carried, report.dropped), (1, 2, 0));
    assert!(report.why.unwrap().ends_with("directory gained c.txt"));
    assert_eq!(built.take(), ["c.txt"]);

    sources.remove("a.txt");
    let report = refresh(&store);
    assert_eq!((report.rebuilt, report.carried, report.dropped), (0, 2, 1));
    assert!(built.take().is_empty());
    let map = cache.get().unwrap();
    assert_eq!((map.len(), map.get("a.txt")), (2, None));
    let opened: Frozen<Map<String, String>> = Frozen::from_bytes(map.region().bytes()).unwrap();
    assert_eq!(opened.len(), 2);
}

#[test]
fn an_unchanged_rebuild_publishes_nothing() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let store = Store::new();
    let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    refresh(&store);
    let before = cache.get().unwrap().region().address_range();
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    built.take();

    store.invalidate("contents").unwrap();
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Unchanged, 1));
    assert_eq!(built.take().len(), 2);
    store.invalidate_key("contents", "a.txt").unwrap();
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Unchanged, 1));
    assert_eq!(built.take(), ["a.txt"]);
    assert_eq!(cache.get().unwrap().region().address_range(), before);
    assert_eq!(store.status().unwrap()[0].unchanged, 2);

    // The inputs were recorded anew, at the places of the generation that stayed.
    sources.write("b.txt", "B2");
    assert_eq!(
        (refresh(&store).rebuilt, built.take()),
        (1, vec!["b.txt".to_owned()])
    );
}

#[test]
fn what_is_invalidated_while_a_cache_is_judged_is_built() {
    let store: Arc<OnceLock<Store>> = Arc::default();
    let (judge, number) = (Arc::clone(&store), Arc::new(AtomicU64::new(1)));
    let policy = Policy::new().custom(move |facts, _| {
        if facts.invalidated {
            let store = judge.get().unwrap();
            store.invalidate("numbers").unwrap();
        }
        Verdict::Fresh
    });
    let read = Arc::clone(&number);
    let store = store.get_or_init(Store::new);
    let cache = store.keyed(
        "numbers",
        policy,
        |_| Ok(vec![0, 1]),
        move |_: &u64, _| Ok(read.load(Ordering::Relaxed)),
    );
    let cache = cache.unwrap();
    refresh(store);
    number.store(2, Ordering::Relaxed);
    store.invalidate_key("numbers", &0_u64).unwrap();
    assert_eq!(refresh(store).rebuilt, 2);
    assert_eq!(cache.get().unwrap()[&1], 2);
    assert_eq!(refresh(store).outcome, Outcome::Fresh);
}

#[test]
fn a_touched_file_builds_nothing() {
    let sources = Sources::new(&[("a.txt", "A")]);
    let store = Store::new();
    let (_cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
    refresh(&store);
    built.take();
    sources.write("a.txt", "A");
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    assert!(built.take().is_empty());
}

/// What equal lists share lies in one entry; others point to it.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Shares {
    #[rkyv(with = Intern)]
    words: Vec<String>,
    number: u64,
}

#[test]
fn entries_that_point_into_dropped_ones_still_read() {
    let store = Store::new();
    let asked = Arc::new(AtomicU64::new(100));
    let most = Arc::clone(&asked);
    let words = || vec!["a list that".to_owned(), "all entries share".to_owned()];
    let cache = store.keyed(
        "shares",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let most = most.load(Ordering::Relaxed);
            inputs.value("most", most.to_le_bytes());
            // The first entry, which has the list, goes first.
            Ok((100 - most..100).collect())
        },
        move |number: &u64, _| {
            Ok(Shares {
                words: words(),
                number: *number,
            })
        },
    );
    let cache = cache.unwrap();
    refresh(&store);
    for most in [99, 98, 60, 20, 10] {
        asked.store(most, Ordering::Relaxed);
        store.set_value("most", most.to_le_bytes()).unwrap();
        let report = refresh(&store);
        assert_eq!((report.entries, report.error), (most, None));
        let map = cache.get().unwrap();
        let opened: Frozen<Map<u64, Shares>> = Frozen::from_bytes(map.region().bytes()).unwrap();
        for map in [&map, &opened] {
            for (key, shares) in map.iter() {
                assert_eq!(shares.number, *key);
                assert!(shares.words.iter().eq(words().iter()));
            }
            assert!(map.get(&(99 - most)).is_none() && map.get(&99).is_some());
        }
    }
}

#[test]
fn equal_bytes_that_point_elsewhere_are_another_value() {
    let truth = Arc::new(Mutex::new(["old words"; 2].map(str::to_owned)));
    for all in [true, false] {
        *truth.lock().unwrap() = ["old words"; 2].map(str::to_owned);
        let store = Store::new();
        let read = Arc::clone(&truth);
        let cache = store.keyed(
            "shares",
            Policy::new(),
            |_| Ok(vec![0, 1]),
            move |number: &u64, _| {
                let words = vec![read.lock().unwrap()[*number as usize].clone()];
                let number = *number;
                Ok(Shares { words, number })
            },
        );
        let cache = cache.unwrap();
        refresh(&store);
        // Now the second entry points into what the first one has left behind.
        truth.lock().unwrap()[0] = "new words".to_owned();
        store.invalidate_key("shares", &0_u64).unwrap();
        refresh(&store);
        truth.lock().unwrap()[1] = "new words".to_owned();
        if all {
            store.invalidate("shares").unwrap();
        } else {
            store.invalidate_key("shares", &0_u64).unwrap();
            store.invalidate_key("shares", &1_u64).unwrap();
        }
        assert_eq!(refresh(&store).outcome, Outcome::Published);
        let map = cache.get().unwrap();
        for number in [0, 1] {
            assert_eq!(map[&number].words[0].as_str(), "new words", "{number}");
        }
    }
}

#[test]
fn keys_that_go_and_come_one_by_one_keep_the_index_valid() {
    // Texts, since numbers fill the lines of an index too evenly for any to overflow.
    let name = |number: u64| format!("recipe {number}");
    let store = Store::new();
    let range = Arc::new(AtomicU64::new(0));
    let first = Arc::clone(&range);
    let cache = store.keyed(
        "window",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let first = first.load(Ordering::Relaxed);
            inputs.value("first", first.to_le_bytes());
            // Every other step only takes a key away.
            Ok((first..first / 2 + 1000).map(name).collect())
        },
        |name: &String, _| Ok(name.len() as u64),
    );
    let cache = cache.unwrap();
    refresh(&store);
    for first in 1..150_u64 {
        range.store(first, Ordering::Relaxed);
        store.set_value("first", first.to_le_bytes()).unwrap();
        let report = refresh(&store);
        assert_eq!(
            (report.dropped, report.rebuilt),
            (1, u64::from(first % 2 == 0))
        );
        let map = cache.get().unwrap();
        let opened: Frozen<Map<String, u64>> = Frozen::from_bytes(map.region().bytes()).unwrap();
        assert_eq!(opened.len() as u64, 1000 + first / 2 - first);
        assert!(!opened.contains_key(&*name(first - 1)) && opened.contains_key(&*name(first)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever changes, the cache is what a build from nothing gives, and its region is valid.
    #[test]
    fn a_history_of_changes_ends_as_a_build_from_nothing(
        history in prop::collection::vec(prop::collection::btree_map(0_u32..200, 0_u64..4, 0..200), 1..8)
    ) {
        let model = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
        let store = Store::new();
        let (listed, read) = (Arc::clone(&model), Arc::clone(&model));
        let cache = store.keyed(
            "history",
            Policy::new().revalidate_inputs(),
            move |inputs| {
                let keys: Vec<u32> = listed.lock().unwrap().keys().copied().collect();
                inputs.value("keys", format!("{keys:?}"));
                Ok(keys)
            },
            move |key: &u32, inputs| {
                let value: u64 = read.lock().unwrap()[key];
                inputs.value(&format!("value {key}"), value.to_le_bytes());
                Ok("x".repeat(100 * value as usize))
            },
        ).unwrap();
        for state in history {
            *model.lock().unwrap() = state.clone();
            let keys: Vec<u32> = state.keys().copied().collect();
            store.set_value("keys", format!("{keys:?}")).unwrap();
            for (key, value) in &state {
                store.set_value(&format!("value {key}"), value.to_le_bytes()).unwrap();
            }
            let report = refresh(&store);
            prop_assert_eq!(report.error, None);
            let map = cache.get().unwrap();
            let opened: Frozen<Map<u32, String>> = Frozen::from_bytes(map.region().bytes()).unwrap();
            prop_assert_eq!(map.len(), state.len());
            for (key, value) in &state {
                prop_assert_eq!(opened[key].len() as u64, 100 * value);
            }
            prop_assert!(map.garbage() * 3 < map.region().size());
            prop_assert_eq!(refresh(&store).outcome, Outcome::Fresh);
        }
    }
}
