//! One changed entry of many, against copying the bytes of all of them once.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe::store::Outcome;
use floe::{Policy, Store};
use memmap2::MmapMut;
use serde::Serialize;

use crate::machine::best;

const ROUNDS: usize = 5;
/// Bytes of a value; with key and head an entry has 250.
const VALUE_LENGTH: usize = 208;

#[derive(Debug, Serialize)]
pub(crate) struct Carried {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) copy_seconds: f64,
    pub(crate) carry_seconds: f64,
}

pub(crate) fn measure(entries: u64) -> Carried {
    let store = Store::new();
    let version = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&version);
    let key = |number: u64| format!("recipe-{number:012}");
    let keys = move |_: &mut floe::Inputs| Ok((0..entries).map(key).collect());
    let build = move |key: &String, _: &mut floe::Inputs| {
        let version = now.load(Ordering::Relaxed);
        let mut value = format!("{key} {version} ");
        value.extend(std::iter::repeat_n('x', VALUE_LENGTH - value.len()));
        Ok(value)
    };
    let cache = store.keyed("carried", Policy::new(), keys, build);
    let cache = cache.expect("a cache");
    store.refresh().expect("the owner refreshes");

    let changed = key(entries / 2);
    let (carry_seconds, _) = best(ROUNDS, || {
        let version = version.fetch_add(1, Ordering::Relaxed) + 1;
        store
            .invalidate_key("carried", changed.as_str())
            .expect("the cache");
        let report = store.refresh().expect("the owner refreshes");
        let report = &report.caches[0];
        assert_eq!((report.outcome, report.rebuilt), (Outcome::Published, 1));
        assert_eq!(report.carried, entries - 1);
        let map = cache.get().expect("a map");
        let expected = format!("{changed} {version} ");
        assert!(map[changed.as_str()].starts_with(&expected));
        assert!(map[key(0).as_str()].starts_with("recipe-000000000000 0 "));
    });
    let map = cache.get().expect("a map");
    let bytes = map.region().bytes();
    let (copy_seconds, _) = best(ROUNDS, || {
        // Into memory that was not used before, as that of a new generation.
        let mut copy = MmapMut::map_anon(bytes.len()).expect("memory");
        copy.copy_from_slice(bytes);
        black_box(&copy).len()
    });
    Carried {
        entries,
        bytes: bytes.len() as u64,
        copy_seconds,
        carry_seconds,
    }
}
