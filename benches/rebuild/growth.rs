//! What many rebuilds leave behind: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe::{Policy, Store};

use crate::machine::{descriptors, shmem};

/// Entries of 1 KiB each.
const ENTRIES: u64 = 1024;

pub(crate) struct Growth {
    pub(crate) shmem_bytes: i64,
    pub(crate) descriptors: i64,
}

pub(crate) fn measure(rebuilds: u64) -> Growth {
    let store = Store::new();
    let version = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&version);
    let cache = store.keyed(
        "growth",
        Policy::new(),
        |_| Ok((0..ENTRIES).collect()),
        move |key: &u64, _| Ok(vec![now.load(Ordering::Relaxed) + key; 128]),
    );
    let cache = cache.expect("a cache");
    store.refresh().expect("the owner refreshes");
    let (memory, files) = (shmem(), descriptors());
    for rebuild in 1..=rebuilds {
        version.store(rebuild, Ordering::Relaxed);
        let key = rebuild % ENTRIES;
        store.invalidate_key("growth", &key).expect("the cache");
        let report = store.refresh().expect("the owner refreshes");
        assert_eq!(report.caches[0].generation, rebuild + 1);
        assert_eq!(cache.get().expect("a map")[&key][0], rebuild + key);
    }
    // The last generation has garbage, which is no leak: a build of everything has none.
    version.fetch_add(1, Ordering::Relaxed);
    store.invalidate("growth").expect("the cache");
    store.refresh().expect("the owner refreshes");
    Growth {
        shmem_bytes: shmem().cast_signed() - memory.cast_signed(),
        descriptors: descriptors() - files,
    }
}
