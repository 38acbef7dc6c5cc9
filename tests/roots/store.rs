//! Caches of several roots in a store.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use floe::error::PolicyError;
use floe::store::{BuildResult, Outcome};
use floe::{Cache, Error, Inputs, Map, Policy, Root, Roots, RootsBuilder, Store};

#[derive(Roots)]
struct Texts {
    long: Root<Map<u32, String>>,
    short: Root<Vec<u32>>,
}

/// A cache of 5,000 long texts, and behind them what `number` says.
fn texts(store: &Store, number: &Arc<AtomicU32>) -> Cache<Texts> {
    let number = Arc::clone(number);
    let build = move |inputs: &mut Inputs, roots: RootsBuilder| -> BuildResult<RootsBuilder> {
        let number = number.load(Relaxed);
        inputs.value("number", number.to_le_bytes());
        let long = (0..5_000).map(|key| (key, format!("{key} {}", "x".repeat(250))));
        Ok(roots
            .map(Texts::LONG, long)?
            .value(Texts::SHORT, &vec![number])?)
    };
    store
        .roots("texts", Policy::new().revalidate_inputs(), build)
        .unwrap()
}

#[test]
fn a_store_builds_keeps_and_shares_roots() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let number = Arc::new(AtomicU32::new(1));
    let refresh = |store: &Store| {
        let report = store.refresh().unwrap();
        assert!(!report.has_failures(), "{report:?}");
        report.caches[0].outcome
    };
    let set = |store: &Store, value: u32| {
        number.store(value, Relaxed);
        store.set_value("number", value.to_le_bytes()).unwrap();
    };
    let store = Store::open(&path).unwrap();
    let cache = texts(&store, &number);
    assert_eq!(refresh(&store), Outcome::Published);
    assert_eq!(refresh(&store), Outcome::Fresh);
    store.invalidate("texts").unwrap();
    assert_eq!(refresh(&store), Outcome::Unchanged);

    let first = cache.get().unwrap();
    set(&store, 2);
    assert_eq!(refresh(&store), Outcome::Published);
    let second = cache.get().unwrap();
    assert_eq!((first.short[0], second.short[0]), (1.into(), 2.into()));
    assert_eq!(second.long[&4_999_u32], first.long[&4_999_u32]);
    assert_eq!(
        (
            second.region().generation(),
            second.region().as_fds().unwrap().len()
        ),
        (2, 2)
    );
    let own = second
        .region()
        .as_fd()
        .unwrap()
        .try_clone_to_owned()
        .unwrap();
    let written = fs::File::from(own).metadata().unwrap().len();
    let whole = second.region().size();
    assert!(
        written < whole / 10,
        "{written} bytes of {whole} were written"
    );
    drop(store);

    let store = Store::open(&path).unwrap();
    store.set_value("number", 2_u32.to_le_bytes()).unwrap();
    let cache = texts(&store, &number);
    assert_eq!(refresh(&store), Outcome::Loaded);
    assert_eq!(cache.get().unwrap().short[0], 2);
}

#[derive(Roots)]
struct Grown {
    short: Root<Vec<u32>>,
    more: Root<u8>,
}

#[test]
fn a_saved_generation_without_a_declared_root_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    texts(&store, &Arc::new(AtomicU32::new(1)));
    assert_eq!(
        store.refresh().unwrap().caches[0].outcome,
        Outcome::Published
    );
    drop(store);

    let store = Store::open(&path).unwrap();
    let grown = store.roots::<Grown>("texts", Policy::new(), |_, roots| {
        Ok(roots
            .value(Grown::SHORT, &vec![2])?
            .value(Grown::MORE, &3)?)
    });
    let grown = grown.unwrap();
    let report = store.refresh().unwrap().caches.remove(0);
    assert_eq!((report.outcome, report.generation), (Outcome::Published, 2));
    let told = report.error.unwrap_or_default();
    assert!(told.contains("root \"more\""), "{told}");
    let grown = grown.get().unwrap();
    assert_eq!((grown.short[0].to_native(), *grown.more), (2, 3));
}

#[test]
fn a_build_without_a_root_fails_and_keeps_the_last_generation() {
    let store = Store::new();
    let complete = Arc::new(AtomicU32::new(1));
    let seen = Arc::clone(&complete);
    let cache = store.roots::<Texts>("texts", Policy::new(), move |_, roots| {
        let roots = roots.value(Texts::SHORT, &vec![1_u32])?;
        match seen.load(Relaxed) {
            0 => Ok(roots),
            _ => Ok(roots.map(Texts::LONG, [(1, String::new())])?),
        }
    });
    let cache = cache.unwrap();
    assert_eq!(
        store.refresh().unwrap().caches[0].outcome,
        Outcome::Published
    );
    complete.store(0, Relaxed);
    store.invalidate("texts").unwrap();
    let report = store.refresh().unwrap();
    assert_eq!(report.caches[0].outcome, Outcome::Failed);
    let told = report.caches[0].error.as_deref().unwrap_or_default();
    assert!(
        told.contains("root \"long\" of cache \"texts\": there is none"),
        "{told}"
    );
    assert_eq!(cache.get().unwrap().long.len(), 1);

    let bounded = Policy::new().max_entries(1);
    let refused = store
        .roots::<Texts>("other", bounded, |_, roots| Ok(roots))
        .map(drop);
    assert!(matches!(
        refused,
        Err(Error::Policy {
            reason: PolicyError::WholeValue,
            ..
        })
    ));
}
