//! Generations that share pages: what a store builds from random changes, beside a `HashMap`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use floe::dynamic::Described;
use floe::store::{Cache, Outcome};
use floe::{Frozen, Inputs, Map, Policy, Publisher, Region, Store};
use proptest::prelude::*;

type Texts = Map<String, String>;
type Content = Arc<Mutex<HashMap<u32, u32>>>;

/// Entries of about 250 bytes: 2,500 of them are in pages, 1,000 are not.
fn text(number: u32, version: u32) -> String {
    let mut text = format!("{number} {version} ");
    text.extend(std::iter::repeat_n('x', 200));
    text
}

fn key(number: u32) -> String {
    format!("key-{number:08}")
}

/// A cache of what `content` says.
fn open(content: &Content, folder: Option<&Path>) -> (Store, Cache<Texts>) {
    let store = match folder {
        Some(folder) => Store::open(folder).unwrap(),
        None => Store::new(),
    };
    let (listed, built) = (Arc::clone(content), Arc::clone(content));
    let lock = |content: &Content| {
        content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let keys = move |inputs: &mut Inputs| {
        let content = lock(&listed);
        inputs.value("keys", listed_by(&content));
        Ok(content.into_keys().map(key).collect())
    };
    let build = move |key: &String, _: &mut Inputs| {
        let number: u32 = key["key-".len()..].parse().expect("a number");
        Ok(text(number, lock(&built)[&number]))
    };
    let policy = Policy::new().revalidate_inputs().max_idle_generations(0);
    let cache = store.keyed("pages", policy, keys, build).unwrap();
    (store, cache)
}

/// Tells one list of keys from another.
fn listed_by(content: &HashMap<u32, u32>) -> [u8; 8] {
    let mix = |number: &u32| {
        u64::from(number + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    let sum = content.keys().map(mix).fold(0, u64::wrapping_add);
    sum.to_le_bytes()
}

/// Everything that can be asked of a generation has the model's answer, and the image is a valid
/// one for those who believe nothing.
fn check(map: &Frozen<Texts>, content: &HashMap<u32, u32>) {
    assert_eq!(map.len(), content.len());
    for (number, version) in content {
        assert_eq!(map[key(*number).as_str()], text(*number, *version));
    }
    assert!(map.get("key-99999999").is_none());
    let mut walked: Vec<String> = map.keys().map(ToString::to_string).collect();
    walked.sort_unstable();
    let mut expected: Vec<String> = content.keys().copied().map(key).collect();
    expected.sort_unstable();
    assert_eq!(walked, expected);

    let again = Frozen::<Texts>::from_fds(map.region().try_clone_fds().unwrap()).unwrap();
    assert_eq!(again.region().bytes(), map.region().bytes());
    let described = Described::from_fds(map.region().try_clone_fds().unwrap()).unwrap();
    described.check().unwrap();
    let census = floe::census::Census::of(&described, &Default::default()).unwrap();
    assert_eq!(census.entries, Some(content.len() as u64));

    let mut file = Vec::new();
    map.region().write_to(&mut file).unwrap();
    let one = Frozen::<Texts>::from_bytes(&file).unwrap();
    assert!(one.iter().eq(map.iter()));
}

#[derive(Debug, Clone)]
enum Step {
    /// Changes entries, of which there are so many, from one on.
    Change {
        from: u32,
        count: u32,
        apart: u32,
    },
    Insert {
        count: u32,
    },
    Remove {
        from: u32,
        count: u32,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = prop_oneof![1_u32..4, 10_u32..200];
    let step = prop_oneof![
        4 => (0..5000_u32, some.clone(), 1..40_u32).prop_map(|(from, count, apart)| Step::Change { from, count, apart }),
        2 => some.clone().prop_map(|count| Step::Insert { count }),
        2 => (0..5000_u32, some).prop_map(|(from, count)| Step::Remove { from, count }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..12)
}

/// Applies a step; tells the store which keys changed.
fn apply(step: &Step, content: &Content, next: &mut u32) -> Vec<u32> {
    let mut content = content.lock().unwrap();
    let mut numbers: Vec<u32> = content.keys().copied().collect();
    numbers.sort_unstable();
    let at = |index: u32| numbers.get(index as usize % numbers.len().max(1)).copied();
    match *step {
        Step::Change { from, count, apart } => {
            let changed: Vec<u32> = (0..count).filter_map(|it| at(from + it * apart)).collect();
            for number in &changed {
                *content.entry(*number).or_default() += 1;
            }
            changed
        }
        Step::Insert { count } => {
            content.extend((*next..*next + count).map(|number| (number, 0)));
            *next += count;
            Vec::new()
        }
        Step::Remove { from, count } => {
            for number in (0..count).filter_map(|it| at(from + it)) {
                content.remove(&number);
            }
            Vec::new()
        }
        Step::Restart => Vec::new(),
    }
}

fn run(steps: &[Step], first: u32) {
    let folder = tempfile::tempdir().unwrap();
    let content: Content = Arc::new(Mutex::new((0..first).map(|number| (number, 0)).collect()));
    let mut next = first;
    let (mut store, mut cache) = open(&content, Some(&folder.path().join("caches")));
    let refresh = |store: &Store| {
        let report = store.refresh().unwrap();
        assert_ne!(report.caches[0].outcome, Outcome::Failed, "{report:?}");
    };
    refresh(&store);
    let mut generation = cache.get().unwrap().region().generation();
    for step in steps {
        let changed = apply(step, &content, &mut next);
        if let Step::Restart = step {
            (store, cache) = open(&content, Some(&folder.path().join("caches")));
        }
        for number in changed {
            store.invalidate_key("pages", key(number).as_str()).unwrap();
        }
        store
            .set_value("keys", listed_by(&content.lock().unwrap()))
            .unwrap();
        refresh(&store);
        let map = cache.get().unwrap();
        check(&map, &content.lock().unwrap());
        assert!(map.region().generation() >= generation);
        generation = map.region().generation();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generations_hold_what_a_hash_map_holds(steps in steps(), first in prop_oneof![Just(900_u32), Just(3000), Just(5000)]) {
        run(&steps, first);
    }
}

/// How many page files a generation has, and bytes of its own.
fn files(map: &Frozen<Texts>) -> usize {
    map.region().as_fds().unwrap().len()
}

/// Entries of 16 bytes, in slots: a changed one fills its part anew, and a new one does.
#[test]
fn one_changed_small_entry_writes_a_few_pages() {
    let content = Arc::new(Mutex::new(
        (0..100_000_u64)
            .map(|it| (it, it))
            .collect::<HashMap<_, _>>(),
    ));
    let (listed, built) = (Arc::clone(&content), Arc::clone(&content));
    let keys = move |inputs: &mut Inputs| {
        let content = listed.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.value("keys", (content.len() as u64).to_le_bytes());
        Ok(content.keys().copied().collect())
    };
    let build = move |key: &u64, _: &mut Inputs| {
        Ok(built.lock().unwrap_or_else(PoisonError::into_inner)[key])
    };
    let store = Store::new();
    let policy = Policy::new().revalidate_inputs().max_idle_generations(0);
    let cache: Cache<Map<u64, u64>> = store.keyed("small", policy, keys, build).unwrap();
    store.set_value("keys", 100_000_u64.to_le_bytes()).unwrap();
    store.refresh().unwrap();
    let first = cache.get().unwrap();
    assert_eq!(first.region().as_fds().unwrap().len(), 1);
    for (number, value) in [(777_u64, 5_u64), (200_000, 6)] {
        content.lock().unwrap().insert(number, value);
        store.invalidate_key("small", &number).unwrap();
        let count = content.lock().unwrap().len() as u64;
        store.set_value("keys", count.to_le_bytes()).unwrap();
        let report = store.refresh().unwrap();
        assert_eq!(report.caches[0].rebuilt, 1);
        let next = cache.get().unwrap();
        assert_eq!(
            (next.len() as u64, next[&number].to_native()),
            (count, value)
        );
        let own = next.region().as_fd().unwrap().try_clone_to_owned();
        let own = std::fs::File::from(own.unwrap()).metadata().unwrap().len();
        assert!(own <= 128 << 10, "{own} bytes were written");
        let again = Frozen::<Map<u64, u64>>::from_fds(next.region().try_clone_fds().unwrap());
        let again = again.unwrap();
        let content = content.lock().unwrap();
        assert!(content.iter().all(|(key, value)| again[key] == *value));
        let described = Described::from_fds(next.region().try_clone_fds().unwrap()).unwrap();
        described.check().unwrap();
    }
}

#[test]
fn one_changed_entry_writes_a_few_pages() {
    let content: Content = Arc::new(Mutex::new((0..20_000).map(|number| (number, 0)).collect()));
    let (store, cache) = open(&content, None);
    store.refresh().unwrap();
    let first = cache.get().unwrap();
    assert_eq!(files(&first), 1);
    *content.lock().unwrap().get_mut(&777).unwrap() = 5;
    store.invalidate_key("pages", key(777).as_str()).unwrap();
    store.refresh().unwrap();
    let second = cache.get().unwrap();
    check(&second, &content.lock().unwrap());
    assert_eq!(files(&second), 2);
    let own = own_bytes(second.region());
    assert!(own <= 1 << 20, "{own} bytes were written");
}

/// Bytes that a generation has written itself.
fn own_bytes(region: &Region) -> u64 {
    let own = region.as_fd().unwrap().try_clone_to_owned();
    std::fs::File::from(own.unwrap()).metadata().unwrap().len()
}

#[test]
fn what_a_publisher_freezes_shares_pages_with_the_newest() {
    let mut numbers: Vec<u64> = (0..100_000).collect();
    let first = Frozen::freeze("numbers", &numbers).unwrap();
    let publisher = Publisher::new(&first).unwrap();
    let mut live = publisher.subscribe::<Vec<u64>>().unwrap();
    for place in [7, 50_000] {
        numbers[place] = 0;
        let next = publisher.freeze(&numbers).unwrap();
        assert!(own_bytes(next.region()) < 10 * 4096 && next.region().as_fds().unwrap().len() == 2);
        publisher.publish(&next).unwrap();
        assert!(
            live.get()
                .unwrap()
                .iter()
                .map(|it| it.to_native())
                .eq(numbers.iter().copied())
        );
    }
    // Where most of it is new, it is a file of its own.
    numbers.iter_mut().for_each(|number| *number += 1);
    let other = publisher.freeze(&numbers).unwrap();
    assert_eq!(other.region().as_fds().unwrap().len(), 1);
    assert_eq!(own_bytes(other.region()), other.region().size());
    // A value of another type has no pages of the newest one.
    let other = publisher.freeze(&"x".repeat(1 << 20)).unwrap();
    assert_eq!(other.region().as_fds().unwrap().len(), 1);
}

#[test]
fn maps_of_a_publisher_share_pages_with_the_newest() {
    let entries = |changed: u32| {
        (0..4000_u32).map(move |number| (key(number), text(number, u32::from(number == changed))))
    };
    let first = Texts::freeze("texts", entries(4000)).unwrap();
    let publisher = Publisher::new(&first).unwrap();
    let mut next = publisher.builder::<String, String>().unwrap();
    for (key, text) in entries(3000) {
        next.insert(&key, &text).unwrap();
    }
    let next = next.finish().unwrap();
    assert!(own_bytes(next.region()) < 20 * 4096 && next.region().as_fds().unwrap().len() == 2);
    publisher.publish(&next).unwrap();
    let content = (0..4000).map(|number| (number, u32::from(number == 3000)));
    check(&next, &content.collect());
}
