//! What forked workers add to a cache, and what comes back.

use std::cell::RefCell;

use floe::overlay::{DeltaShard, Rule};
use floe::usage::Usage;
use floe::{Cache, Error, Frozen, Map, Overlay, Policy, Store, prefork};
use nix::libc;
use nix::sys::signal::{Signal, raise};

use crate::forking::{Resource, next_descriptor, set_limit};

type Texts = Map<u64, String>;

const MIB: u64 = 1 << 20;

/// A map of so many values of a KiB.
fn texts(count: u64) -> Frozen<Texts> {
    Map::freeze("texts", (0..count).map(|number| (number, text(number)))).unwrap()
}

fn text(number: u64) -> String {
    format!("{number:>1024}")
}

fn bodies() -> (Store, Cache<Texts>) {
    let store = Store::new();
    let cache = store.merged("texts", Policy::new()).unwrap();
    store.refresh().unwrap();
    (store, cache)
}

/// Private memory of this process.
fn uss() -> u64 {
    Usage::of_self().unwrap().uss
}

pub fn an_overlay_grows_by_its_additions_only() {
    const ADDED: u64 = 8 << 10;
    let map = texts(32 << 10);
    let read = |overlay: &Overlay<u64, String>| {
        let bytes = overlay.iter().map(|(_, value)| value.len() as u64);
        bytes.sum::<u64>()
    };
    // So the pages of the map are never those of a worker alone, whichever of them ends first.
    assert_eq!(read(&Overlay::over(&map)), 32 * MIB);
    let pool = prefork::spawn(2, |_| {
        let mut overlay = Overlay::over(&map);
        // What a first reading needs anyway.
        assert_eq!(read(&overlay), 32 * MIB);
        assert!((0..32 << 10).all(|number: u64| overlay.contains_key(&number)));
        let before = uss();
        assert_eq!(read(&overlay), 32 * MIB);
        assert!((0..32 << 10).all(|number: u64| overlay.contains_key(&number)));
        // It shrinks where the kernel takes pages back.
        let by_reading = uss().saturating_sub(before);
        for number in 0..ADDED {
            overlay
                .insert(&(1_000_000 + number), &text(number))
                .unwrap();
        }
        let by_adding = uss().saturating_sub(before);
        let shared = Usage::of_mapping(std::process::id(), map.region().address_range()).unwrap();
        assert_eq!((shared.anonymous, shared.swap), (0, 0), "{shared:?}");
        assert_eq!(read(&overlay), 40 * MIB);
        overlay.clear();
        (by_reading, by_adding)
    });
    for (by_reading, by_adding) in pool.unwrap().join().unwrap() {
        assert!(by_reading < MIB / 4, "{by_reading}");
        // The entries, and what tells where they are.
        assert!((8 * MIB..11 * MIB).contains(&by_adding), "{by_adding}");
    }
}

pub fn what_workers_add_comes_back_beside_their_results() {
    const WORKERS: usize = 4;
    let (store, cache) = bodies();
    let shards = [(); WORKERS].map(|()| DeltaShard::new("texts").unwrap());
    let map = cache.get().unwrap();
    let pool = prefork::spawn(WORKERS, |worker| {
        let mut overlay = Overlay::over(&map);
        // Half of it another one finds out too.
        for number in 0..100 {
            let number = worker.index() as u64 * 50 + number;
            overlay
                .get_or_insert_with(&number, || text(number))
                .unwrap();
        }
        let count = overlay.changes().count() as u64;
        shards[worker.index()].seal(overlay).unwrap();
        count
    });
    assert_eq!(pool.unwrap().join().unwrap(), [100; WORKERS]);
    let deltas = shards.map(|shard| shard.open::<u64, String>().unwrap());
    let report = store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
    let counts = report.deltas.iter().map(|it| (it.added, it.equal));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [(100, 0), (50, 50), (50, 50), (50, 50)]
    );
    let map = cache.get().unwrap();
    assert_eq!(map.len(), 250);
    assert!(
        map.iter()
            .all(|(key, value)| *value == text(key.to_native()))
    );
}

pub fn a_child_adds_to_what_its_parent_added_and_cannot_merge() {
    let (store, cache) = bodies();
    let mut overlay = Overlay::over(&cache.get().unwrap());
    overlay.insert(&1, &text(1)).unwrap();
    let overlay = RefCell::new(Some(overlay));
    let store = RefCell::new(Some(store));
    let pool = prefork::spawn(2, |worker| {
        let mut overlay = overlay.take().unwrap();
        overlay.insert(&2, &text(worker.index() as u64)).unwrap();
        let delta = overlay.to_delta().unwrap();
        let store = store.take().unwrap();
        let merged = store.merge("texts", &[delta], &Rule::FirstWins);
        let declared = store.merged::<u64, String>("others", Policy::new());
        let refused = [merged.err(), declared.err()];
        let refused = refused
            .iter()
            .filter(|it| matches!(it, Some(Error::NotOwner { .. })));
        (refused.count() as u64, overlay.len() as u64)
    });
    assert_eq!(pool.unwrap().join().unwrap(), [(2, 2); 2]);
    let overlay = overlay.take().unwrap();
    assert_eq!(overlay.len(), 1);
    let deltas = [overlay.into_delta().unwrap()];
    let store = store.take().unwrap();
    let report = store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
    assert_eq!(report.deltas[0].added, 1);
}

pub fn a_worker_killed_half_way_loses_its_own_delta_only() {
    let (store, cache) = bodies();
    let shards = [(); 2].map(|()| DeltaShard::new("texts").unwrap());
    let map = cache.get().unwrap();
    let pool = prefork::spawn(2, |worker| {
        let mut overlay = Overlay::over(&map);
        for number in 0..1000 {
            overlay.insert(&number, &text(number)).unwrap();
        }
        if worker.index() == 0 {
            // Every write fails, and the process ends before it could tell of that.
            // SAFETY: the default of a signal runs no code.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
            set_limit(Resource::RLIMIT_FSIZE, 700 << 10);
            let _ = shards[0].seal(overlay);
            raise(Signal::SIGKILL).unwrap();
        } else {
            shards[1].seal(overlay).unwrap();
        }
    });
    let exits = pool.unwrap().wait().unwrap();
    assert!(exits[0].result.is_err() && exits[1].result.is_ok());
    let [killed, whole] = shards.map(|shard| shard.open::<u64, String>());
    assert!(matches!(killed, Err(Error::Unsealed { .. })), "{killed:?}");
    let report = store.merge("texts", &[whole.unwrap()], &Rule::FirstWins);
    assert_eq!(report.unwrap().entries, 1000);
}

pub fn a_merge_without_memory_changes_nothing() {
    let (store, cache) = bodies();
    let delta = |first: u64| {
        let mut overlay = Overlay::over(&cache.get().unwrap());
        for number in first..first + 1000 {
            overlay.insert(&number, &text(number)).unwrap();
        }
        overlay.into_delta().unwrap()
    };
    store.merge("texts", &[delta(0)], &Rule::FirstWins).unwrap();
    let deltas = [delta(1000)];
    let before = next_descriptor();
    // SAFETY: ignoring a signal runs no code.
    let handler = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limits = [
        (Resource::RLIMIT_FSIZE, 500_000),
        (Resource::RLIMIT_NOFILE, before as u64),
    ];
    for (resource, most) in limits {
        let limit = set_limit(resource, most);
        let merged = store.merge("texts", &deltas, &Rule::FirstWins);
        set_limit(resource, limit);
        assert!(
            matches!(merged, Err(Error::Memfd { .. } | Error::Write { .. })),
            "{merged:?}"
        );
        assert_eq!(next_descriptor(), before);
        let map = cache.get().unwrap();
        assert_eq!((map.region().generation(), map.len()), (2, 1000));
    }
    // SAFETY: the handler is the one that was there before.
    unsafe { libc::signal(libc::SIGXFSZ, handler) };
    let report = store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
    assert_eq!((report.generation, report.entries), (3, 2000));
}
