//! A store belongs to the process that made it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use floe::store::Outcome;
use floe::{Cache, Error, Map, Policy, Store, prefork};
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, fork};

use crate::forking::{next_descriptor, set_limit};
use floe_testkit::forking::Resource;

/// A cache of a number of entries that all have the value of a counter.
pub fn counted(store: &Store, entries: u64) -> (Cache<Map<u64, u64>>, Arc<AtomicU64>) {
    let value = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&value);
    let cache = store.keyed(
        "counted",
        Policy::new().backoff(Duration::from_nanos(1), Duration::from_nanos(1)),
        move |_| Ok((0..entries).collect()),
        move |_: &u64, _| Ok(now.load(Ordering::Relaxed)),
    );
    (cache.unwrap(), value)
}

pub fn a_child_cannot_change_a_store_but_reads_it() {
    let store = Store::new();
    let (cache, _) = counted(&store, 10);
    store.refresh().unwrap();
    let store = RefCell::new(Some(store));
    let pool = prefork::spawn(2, |_| {
        let store = store.take().unwrap();
        let refused = [
            store.refresh().err(),
            store.refresh_idle().err(),
            store.invalidate("counted").err(),
            store.invalidate_key("counted", &1_u64).err(),
            store.set_value("x", "y").err(),
            store.status().err(),
            store
                .refresh_in_background(Duration::from_secs(1), |_| {})
                .err(),
            store.cache("other", Policy::new(), |_| Ok(1_u32)).err(),
        ];
        let refused = refused
            .iter()
            .filter(|it| matches!(it, Some(Error::NotOwner { .. })));
        let refused = refused.count() as u64;
        drop(store);
        (refused, cache.get().unwrap()[&9].to_native())
    });
    assert_eq!(pool.unwrap().join().unwrap(), [(8, 1), (8, 1)]);
    store.take().unwrap().refresh().unwrap();
}

pub fn a_refresh_leaves_no_thread() {
    let store = Store::new();
    let (cache, value) = counted(&store, 5000);
    for round in 1..5 {
        value.store(round, Ordering::Relaxed);
        store.invalidate("counted").unwrap();
        store.refresh().unwrap();
        let read = prefork::spawn(1, |_| cache.get().unwrap()[&7].to_native());
        assert_eq!(read.unwrap().join().unwrap(), [round]);
    }
}

pub fn a_fork_in_the_middle_of_refreshes_reads() {
    let store = Store::new();
    let (cache, value) = counted(&store, 100);
    store.refresh().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                value.fetch_add(1, Ordering::Relaxed);
                store.invalidate("counted").unwrap();
                store.refresh().unwrap();
            }
        });
        for _ in 0..200 {
            // SAFETY: the child reads a handle, which takes no lock, and leaves without unwinding.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    alarm::set(10);
                    let map = cache.get();
                    let sound = map.is_ok_and(|map| map.len() == 100 && map[&0] == map[&99]);
                    // SAFETY: it ends the child and returns to nobody.
                    unsafe { libc::_exit(if sound { 0 } else { 1 }) }
                }
                ForkResult::Parent { child } => {
                    let ended = waitpid(child, None);
                    assert_eq!(ended, Ok(WaitStatus::Exited(child, 0)));
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

pub fn rebuilds_leave_nothing_behind() {
    let store = Store::new();
    let (cache, value) = counted(&store, 4096);
    store.refresh().unwrap();
    let first = cache.get().unwrap();
    let before = next_descriptor();
    for round in 2..200_u64 {
        value.store(round, Ordering::Relaxed);
        store.invalidate_key("counted", &(round % 4096)).unwrap();
        assert_eq!(store.refresh().unwrap().caches[0].generation, round);
    }
    assert_eq!(next_descriptor(), before);
    assert!(first.values().all(|value| *value == 1));
    // Two generations are mapped: the first, which is held, and the newest.
    let mapped = floe::usage::Usage::of_named(std::process::id(), "floe:counted").unwrap();
    assert_eq!(mapped.mappings, 2);
}

pub fn nothing_is_published_without_memory() {
    let store = Store::new();
    let (cache, value) = counted(&store, 4096);
    store.refresh().unwrap();
    let before = next_descriptor();
    // SAFETY: ignoring a signal runs no code.
    let handler = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let limits = [
        (Resource::RLIMIT_FSIZE, 50_000),
        (Resource::RLIMIT_NOFILE, before as u64),
    ];
    for (resource, most) in limits {
        value.fetch_add(1, Ordering::Relaxed);
        store.invalidate("counted").unwrap();
        let limit = set_limit(resource, most);
        let report = store.refresh();
        set_limit(resource, limit);
        let report = report.unwrap().caches.remove(0);
        assert_eq!((report.outcome, report.generation), (Outcome::Failed, 1));
        assert!(report.error.is_some());
        assert_eq!(next_descriptor(), before);
        assert_eq!(cache.get().unwrap()[&5], 1);
    }
    // SAFETY: the handler is the one that was there before.
    unsafe { libc::signal(libc::SIGXFSZ, handler) };
    assert_eq!(store.refresh().unwrap().caches[0].generation, 2);
    assert_eq!(cache.get().unwrap()[&5], 3);
}

pub fn what_may_not_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "").unwrap();
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, closed).unwrap();
    let told = prefork::spawn(1, |_| {
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65_534)).unwrap();
        let store = Store::new();
        let secret = path.clone();
        let cache = store.cache("secret", Policy::new(), move |inputs| {
            Ok(inputs.read_to_string(&secret)?.unwrap_or_default())
        });
        cache.unwrap();
        store.refresh().unwrap().caches.remove(0).error.unwrap()
    });
    let told = told.unwrap().join().unwrap().remove(0);
    assert!(
        told.contains(path.to_str().unwrap()) && told.contains("ermission denied"),
        "{told}"
    );
}
