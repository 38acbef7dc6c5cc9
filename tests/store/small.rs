//! Small entries: they move when others come and go, and what they were built from goes with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use floe::store::{BuildResult, CacheReport};
use floe::{Cache, Frozen, Inputs, Map, Policy, Store};

use crate::fixture::{Sources, names, refresh};

type Numbers = Map<u32, u64>;

fn name(number: u32) -> String {
    format!("{number}.txt")
}

/// A cache of the numbers that stand in files, by the numbers in their names; it notes which were
/// built.
fn numbers(
    store: &Store,
    sources: &Sources,
    policy: Policy,
) -> (Cache<Numbers>, Arc<Mutex<Vec<u32>>>) {
    let built = Arc::new(Mutex::new(Vec::new()));
    let (folder, noted) = (sources.folder.path().to_owned(), Arc::clone(&built));
    let listed = folder.clone();
    let keys = move |inputs: &mut Inputs| -> BuildResult<Vec<u32>> {
        let names = names(&listed, inputs)?;
        let stem = |name: &String| Path::new(name).file_stem()?.to_str()?.parse().ok();
        Ok(names.iter().filter_map(stem).collect())
    };
    let build = move |key: &u32, inputs: &mut Inputs| -> BuildResult<u64> {
        noted.lock().unwrap().push(*key);
        let text = inputs.read_to_string(folder.join(name(*key)))?;
        Ok(text.unwrap_or_default().parse()?)
    };
    (store.keyed("numbers", policy, keys, build).unwrap(), built)
}

/// Refreshes, and says which entries were built.
fn built(store: &Store, built: &Mutex<Vec<u32>>) -> (CacheReport, Vec<u32>) {
    let report = refresh(store);
    let mut built = std::mem::take(&mut *built.lock().unwrap());
    built.sort_unstable();
    (report, built)
}

fn holds(cache: &Cache<Numbers>, model: &BTreeMap<u32, u64>) {
    let map = cache.get().unwrap();
    assert_eq!(map.len(), model.len());
    assert!(model.iter().all(|(key, value)| map[key] == *value));
    let again = Frozen::<Numbers>::from_bytes(map.region().bytes()).unwrap();
    assert_eq!(again.len(), model.len());
}

#[test]
fn a_change_builds_the_entry_that_it_touches_wherever_that_stands() {
    let sources = Sources::new(&[]);
    let mut model = BTreeMap::new();
    let write = |model: &mut BTreeMap<u32, u64>, key: u32, value: u64| {
        sources.write(&name(key), &value.to_string());
        model.insert(key, value);
    };
    (0..300).for_each(|key| write(&mut model, key * 7, u64::from(key)));
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(folder.path().join("caches")).unwrap();
    let policy = || Policy::new().revalidate_inputs().max_idle_generations(0);
    let mut store = open();
    let (mut cache, mut log) = numbers(&store, &sources, policy());
    assert_eq!(built(&store, &log).1.len(), 300);
    holds(&cache, &model);
    for round in 0..12_u32 {
        let (changed, new, gone) = (round * 21, 10_000 + round, round * 21 + 7);
        write(&mut model, changed, 1_000_000 + u64::from(round));
        write(&mut model, new, u64::from(round));
        sources.remove(&name(gone));
        model.remove(&gone);
        if round % 4 == 3 {
            drop((store, cache));
            store = open();
            (cache, log) = numbers(&store, &sources, policy());
        }
        let (report, names) = built(&store, &log);
        assert_eq!(names, [changed, new], "{report:?}");
        assert_eq!((report.rebuilt, report.dropped), (2, 1));
        holds(&cache, &model);
        assert!(built(&store, &log).1.is_empty());
    }
}

#[test]
fn a_bound_leaves_the_first_keys() {
    let sources = Sources::new(&[]);
    (0..100).for_each(|key| sources.write(&name(key), &(key * 2).to_string()));
    let store = Store::new();
    let policy = Policy::new().revalidate_inputs().max_bytes(16 * 60);
    let (cache, log) = numbers(&store, &sources, policy);
    let report = built(&store, &log).0;
    assert_eq!((report.rebuilt, report.evicted), (100, 40));
    holds(
        &cache,
        &(0..60).map(|key| (key, u64::from(key) * 2)).collect(),
    );
    sources.write(&name(5), "77");
    assert!(built(&store, &log).1.contains(&5));
    assert_eq!(cache.get().unwrap()[&5], 77);
}
