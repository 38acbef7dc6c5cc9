//! A panic at any step of a refresh leaves a state that the next refresh goes on from.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use super::super::build::{Build, Built, Job};
use super::super::keyed::Keyed;
use super::super::report::{CacheReport, Outcome};
use super::super::{LOCK_TIMEOUT, Shared, Turns};
use super::{AnyCache, Invalid, ManagedCache, lock};
use crate::error::Result;
use crate::frozen::Frozen;
use crate::map::{Key, Map};
use crate::store::inputs::{Inputs, Sets, Values};
use crate::store::policy::{Policy, Verdict};
use crate::sys::clock::Clock;
use crate::sys::owner::Owner;

type Strings = Map<u32, String>;
type Model = BTreeMap<u32, String>;

/// Panics at one of the steps that it is told of.
#[derive(Default)]
struct Fuse(AtomicU32);

impl Fuse {
    /// Panics at a step, the first of which is 1; never for 0.
    fn light(&self, step: u32) {
        self.0.store(step, Relaxed);
    }

    fn has_burnt(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    fn step(&self) {
        let left = self
            .0
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        assert_ne!(left, Ok(1), "the fuse");
    }
}

/// A build that may panic wherever it is asked for anything.
struct Fused {
    fuse: Arc<Fuse>,
    keyed: Keyed<u32, String>,
}

impl Build<Strings> for Fused {
    fn build(&self, job: &Job<'_, Strings>) -> Result<Built<Strings>> {
        self.fuse.step();
        let built = self.keyed.build(job);
        self.fuse.step();
        built
    }

    fn check_sets(&self, frozen: &Frozen<Strings>, sets: &Sets) -> Result<(), &'static str> {
        self.fuse.step();
        self.keyed.check_sets(frozen, sets)
    }

    fn size(&self, frozen: &Frozen<Strings>) -> (u64, u64) {
        self.fuse.step();
        self.keyed.size(frozen)
    }
}

/// A cache of strings, each with an input of its own.
struct Fixture {
    cache: ManagedCache<Strings>,
    values: Values,
    model: Arc<Mutex<Model>>,
    built: Arc<Mutex<Vec<u32>>>,
    fuse: Arc<Fuse>,
}

impl Fixture {
    fn new() -> Self {
        let values = Values::default();
        let shared = Shared {
            owner: Owner::here(),
            clock: Clock::system(),
            values: values.clone(),
            directory: None,
            lock_timeout: LOCK_TIMEOUT,
        };
        let (fuse, model, built) = (Arc::<Fuse>::default(), Arc::default(), Arc::default());
        let backoff = Duration::from_nanos(1);
        let judged = Arc::clone(&fuse);
        let policy = Policy::new().revalidate_inputs().backoff(backoff, backoff);
        let policy = policy.custom(move |_, _| {
            judged.step();
            Verdict::Fresh
        });
        let fused = Fused {
            fuse: Arc::clone(&fuse),
            keyed: keyed(&fuse, &model, &built),
        };
        let fixture = Self {
            cache: ManagedCache::new("strings", Arc::new(shared), policy, fused),
            values,
            model,
            built,
            fuse,
        };
        (0..20).for_each(|key| fixture.set(key, "first"));
        fixture
    }

    fn set(&self, key: u32, value: &str) {
        let value = format!("{key}: {value}");
        self.values.set(&input(key), xxh3_128(value.as_bytes()));
        lock(&self.model).insert(key, value);
        self.note_keys();
    }

    fn remove(&self, key: u32) {
        lock(&self.model).remove(&key);
        self.note_keys();
    }

    fn note_keys(&self) {
        let keys: Vec<u32> = lock(&self.model).keys().copied().collect();
        let keys = format!("{keys:?}");
        self.values.set("keys", xxh3_128(keys.as_bytes()));
    }

    fn refresh(&self) -> CacheReport {
        let turns = Turns {
            waits: true,
            pause: &|_| false,
        };
        self.cache.refresh(&turns)
    }

    fn read(&self) -> Model {
        let map = self.cache.get().unwrap();
        let pair = |(key, value): (&rkyv::rend::u32_le, &rkyv::string::ArchivedString)| {
            (key.to_native(), value.as_str().to_owned())
        };
        map.iter().map(pair).collect()
    }

    fn model(&self) -> Model {
        lock(&self.model).clone()
    }

    fn take_built(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.built))
    }
}

/// Lists and copies what a model holds, with a step before each.
fn keyed(
    fuse: &Arc<Fuse>,
    model: &Arc<Mutex<Model>>,
    built: &Arc<Mutex<Vec<u32>>>,
) -> Keyed<u32, String> {
    let (listed, listing) = (Arc::clone(model), Arc::clone(fuse));
    let (copied, copying) = (Arc::clone(model), Arc::clone(fuse));
    let built = Arc::clone(built);
    Keyed {
        keys: Box::new(move |inputs: &mut Inputs| {
            listing.step();
            let keys: Vec<u32> = lock(&listed).keys().copied().collect();
            inputs.value("keys", format!("{keys:?}"));
            Ok(keys)
        }),
        build: Box::new(move |key: &u32, inputs: &mut Inputs| {
            copying.step();
            let value = lock(&copied)[key].clone();
            inputs.value(&input(*key), &value);
            lock(&built).push(*key);
            Ok(value)
        }),
    }
}

/// The named value that an entry is made from.
fn input(key: u32) -> String {
    format!("entry {key}")
}

#[test]
fn a_panic_at_any_step_leaves_each_entry_with_its_own_inputs() {
    let mut step = 0;
    loop {
        step += 1;
        let fixture = Fixture::new();
        assert_eq!(fixture.refresh().outcome, Outcome::Published);
        let first = fixture.model();
        // So much garbage that all entries move, and no place is what it was.
        (0..8).for_each(|key| fixture.set(key, "a second one that is much longer"));
        fixture.remove(8);
        fixture.set(20, "first");
        fixture.cache.invalidate(Invalid::Key(9_u32.key_hash()));
        fixture.take_built();
        fixture.fuse.light(step);
        let report = fixture.refresh();
        let is_done = !fixture.fuse.has_burnt();
        fixture.fuse.light(0);
        // One or the other, and whole.
        let read = fixture.read();
        let expected = match report.generation {
            1 => first,
            _ => fixture.model(),
        };
        assert_eq!(read, expected, "step {step}");
        if report.generation == 1 {
            fixture.take_built();
        }
        fixture.refresh();
        assert_eq!(fixture.read(), fixture.model(), "step {step}");
        assert!(
            fixture.take_built().contains(&9),
            "step {step}: what was said is forgotten"
        );
        // Each entry is built from its own input still, and from no other.
        let keys: Vec<u32> = fixture.model().into_keys().collect();
        for key in keys {
            fixture.set(key, "last");
            assert_eq!(fixture.refresh().rebuilt, 1, "step {step}, {key}");
            assert_eq!(fixture.take_built(), [key], "step {step}");
            assert_eq!(fixture.read(), fixture.model(), "step {step}, {key}");
        }
        if is_done {
            assert_eq!(report.outcome, Outcome::Published);
            break;
        }
        assert_eq!(report.outcome, Outcome::Failed, "step {step}");
        assert!(report.error.unwrap().contains("the fuse"));
    }
    // Every closure, verdict and question counts.
    assert!(step > 15, "{step}");
}

#[test]
fn what_is_said_while_a_cache_is_built_is_for_the_next_build() {
    let mut invalid = super::invalid::Invalidated::default();
    for key in [1, 2] {
        invalid.say(&Invalid::Key(key));
    }
    let said = invalid.said();
    assert_eq!((said.everything, said.hashes.len()), (false, 2));
    for what in [Invalid::Key(2), Invalid::Everything] {
        invalid.say(&what);
    }
    invalid.settle(&said);
    let later = invalid.said();
    assert!(later.everything && later.hashes.into_iter().eq([2]));
    invalid.settle(&invalid.said());
    assert!(!invalid.any());
}
