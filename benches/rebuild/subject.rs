//! A cache of many entries in a store, some of which are built anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use floe::store::{CacheReport, Outcome};
use floe::{Cache, Frozen, Map, Policy, Store};

pub(crate) const NAME: &str = "subject";
/// Bytes of a value; with key and head an entry has 250.
const VALUE_LENGTH: usize = 208;

pub(crate) type Texts = Map<String, String>;

pub(crate) struct Subject {
    pub(crate) store: Store,
    cache: Cache<Texts>,
    version: Arc<AtomicU64>,
    pub(crate) entries: u64,
}

impl Subject {
    /// Builds all entries, in version 0.
    pub(crate) fn new(entries: u64) -> Self {
        let store = Store::new();
        let version = Arc::new(AtomicU64::new(0));
        let now = Arc::clone(&version);
        let keys = move |_: &mut floe::Inputs| Ok((0..entries).map(key).collect());
        let build =
            move |key: &String, _: &mut floe::Inputs| Ok(value(key, now.load(Ordering::Relaxed)));
        let cache = store.keyed(NAME, Policy::new(), keys, build);
        let cache = cache.expect("a cache");
        store.refresh().expect("the owner refreshes");
        Self {
            store,
            cache,
            version,
            entries,
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    pub(crate) fn map(&self) -> Frozen<Texts> {
        self.cache.get().expect("a map")
    }

    /// Builds all entries in a new version: a generation that shares nothing with an earlier one.
    pub(crate) fn build_all(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
        self.store.invalidate(NAME).expect("the cache");
        let report = self.refresh();
        assert_eq!(report.rebuilt, self.entries);
    }

    /// Builds the entries of these keys in a new version; the seconds that it takes.
    pub(crate) fn change(&self, keys: &[String]) -> f64 {
        self.version.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        for key in keys {
            let invalidated = self.store.invalidate_key(NAME, key.as_str());
            invalidated.expect("the cache");
        }
        let report = self.refresh();
        let seconds = start.elapsed().as_secs_f64();
        let changed = keys.len() as u64;
        assert_eq!(report.rebuilt, changed);
        assert_eq!(report.carried, self.entries - changed);
        seconds
    }

    fn refresh(&self) -> CacheReport {
        let mut report = self.store.refresh().expect("the owner refreshes");
        let report = report.caches.remove(0);
        assert_eq!(report.outcome, Outcome::Published);
        report
    }

    /// Reads every entry: those of the changed numbers have this version, all others the one before
    /// that they had.
    pub(crate) fn check(&self, changed: &BTreeSet<u64>, version: u64, before: u64) {
        let map = self.map();
        assert_eq!(map.len() as u64, self.entries);
        for number in 0..self.entries {
            let key = key(number);
            let expected = if changed.contains(&number) {
                version
            } else {
                before
            };
            assert_eq!(map[key.as_str()].as_str(), value(&key, expected));
        }
    }
}

pub(crate) fn key(number: u64) -> String {
    format!("recipe-{number:012}")
}

pub(crate) fn value(key: &str, version: u64) -> String {
    let mut value = format!("{key} {version} ");
    value.extend(std::iter::repeat_n('x', VALUE_LENGTH - value.len()));
    value
}
