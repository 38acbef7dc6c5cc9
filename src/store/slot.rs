//! One cache of a store: its newest generation, and the work on the next.

mod adopting;
mod building;
mod judging;
mod keeping;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::build::Build;
use super::following::{Following, Standing};
use super::report::{CacheReport, Status};
use super::{Shared, Turns};
use crate::channel::Publisher;
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::store::inputs::Sets;
use crate::store::policy::Policy;
use crate::sys::clock::Moment;
use crate::sys::panics::catch;
use keeping::Keeping;

/// A cache of a store, whatever its type is.
pub(super) trait AnySlot: Send + Sync {
    fn name(&self) -> &str;
    fn refresh(&self, turns: &Turns<'_>) -> CacheReport;
    fn invalidate(&self, what: Invalid);
    fn status(&self) -> Status;
    /// The channel by which live workers follow it.
    fn publisher(&self) -> Result<Publisher>;
    /// The paths among its inputs.
    #[cfg(feature = "watch")]
    fn paths(&self) -> Vec<std::path::PathBuf>;
}

/// What somebody said is no longer valid.
pub(super) enum Invalid {
    Everything,
    /// The entry whose key has this hash.
    Key(u64),
}

/// One cache: readers see `current` without a lock, so that a child can read it whatever the
/// threads of its parent were doing.
pub(super) struct Slot<T: Content> {
    name: String,
    shared: Arc<Shared>,
    policy: Policy,
    build: Box<dyn Build<T>>,
    current: ArcSwapOption<Current<T>>,
    /// Held by whoever builds.
    work: Mutex<Work>,
    invalid: Mutex<Invalidated>,
    tally: Mutex<Tally>,
    following: Following,
}

/// What readers get. Replaced as a whole, by whoever holds the lock of `work`.
struct Current<T: Content> {
    frozen: Frozen<T>,
    /// Until when it is served: until either clock is there.
    served_until: Option<Moment>,
}

/// What is needed to build the next generation.
struct Work {
    known: Known,
    attempts: Attempts,
    draw: f64,
    /// Whether a verdict of the user's own has ended the serving of the current generation.
    revoked: bool,
    keeping: Keeping,
}

/// What is known of the current generation.
#[derive(Default)]
struct Known {
    sets: Sets,
    /// When all of it was last built.
    built: Option<Moment>,
    /// When all of its inputs were last found unchanged, or read.
    checked: Option<Moment>,
}

/// Attempts to build that failed, since the last that did not.
#[derive(Default)]
struct Attempts {
    failures: u32,
    last_failure: Option<Moment>,
    /// What the closures read that failed last.
    failed: Sets,
}

#[derive(Default)]
struct Invalidated {
    everything: bool,
    hashes: HashSet<u64>,
}

/// What a status tells beside the generation.
#[derive(Default)]
struct Tally {
    built: Option<Moment>,
    due_in: Option<Duration>,
    /// Why it could not be built.
    last_failure: Option<String>,
    /// What is wrong with the directory.
    trouble: Option<String>,
    refreshes: u64,
    published: u64,
    unchanged: u64,
    failures: u64,
    reasons: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn last_error(&self) -> Option<String> {
        self.last_failure
            .as_ref()
            .or(self.trouble.as_ref())
            .cloned()
    }
}

impl<T: Content> Slot<T> {
    pub(super) fn new(
        name: &str,
        shared: Arc<Shared>,
        policy: Policy,
        build: impl Build<T> + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            shared,
            policy,
            build: Box::new(build),
            current: ArcSwapOption::empty(),
            work: Mutex::new(Work {
                known: Known::default(),
                attempts: Attempts::default(),
                draw: draw(),
                revoked: false,
                keeping: Keeping::default(),
            }),
            invalid: Mutex::default(),
            tally: Mutex::default(),
            following: Following::default(),
        }
    }

    /// The current generation.
    pub(super) fn get(&self) -> Result<Frozen<T>> {
        let Some(current) = self.current.load_full() else {
            let name = self.name.clone();
            return Err(Error::NotBuilt { name });
        };
        let Some(until) = current.served_until else {
            return Ok(current.frozen.clone());
        };
        let now = self.shared.clock.now();
        if left(until, now).is_zero() {
            let created = current.frozen.region().header().created;
            return Err(Error::Expired {
                name: self.name.clone(),
                generation: current.frozen.region().generation(),
                age: now.since(&created).unwrap_or_default(),
            });
        }
        Ok(current.frozen.clone())
    }

    /// The number of the current generation; 0 if there is none.
    fn generation(&self) -> u64 {
        let current = self.current.load();
        current
            .as_ref()
            .map_or(0, |it| it.frozen.region().generation())
    }

    /// Makes a generation the one that readers get; those who follow it are told by
    /// [`hand_over`](Self::hand_over). What is known of it is to be assigned right behind.
    fn publish(&self, frozen: Frozen<T>, served_until: Option<Moment>) {
        self.shared
            .values
            .set(&value_name(&self.name), frozen.content_digest());
        let current = Current {
            frozen,
            served_until,
        };
        self.current.store(Some(Arc::new(current)));
    }

    /// Tells live workers of the newest generation.
    fn hand_over(&self) -> Result<()> {
        let Some(newest) = self.current.load_full() else {
            return Ok(());
        };
        let now = self.shared.clock.now();
        let tally = lock(&self.tally);
        let standing = Standing {
            // What seems to come from the future may be of any age.
            age: tally.built.map_or(Duration::ZERO, |built| {
                now.since(&built).unwrap_or(Duration::MAX)
            }),
            served_for: newest.served_until.map(|until| left(until, now)),
            due_in: tally.due_in,
            last_error: tally.last_error(),
        };
        drop(tally);
        self.following.hand_over(&newest.frozen, standing)
    }
}

/// How long it is until a moment, by the clock on which that is sooner.
fn left(until: Moment, now: Moment) -> Duration {
    let boot = until.boot_nanos.saturating_sub(now.boot_nanos);
    let wall = until.wall_nanos.saturating_sub(now.wall_nanos);
    Duration::from_nanos(boot.min(wall))
}

impl<T: Content> AnySlot for Slot<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn refresh(&self, turns: &Turns<'_>) -> CacheReport {
        let start = Instant::now();
        lock(&self.tally).refreshes += 1;
        let work = match turns.waits {
            true => Ok(lock(&self.work)),
            false => match self.work.try_lock() {
                Ok(work) => Ok(work),
                Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => Err(()),
            },
        };
        let report = match work {
            // A closure may also panic where a verdict is asked for.
            Ok(mut work) => match catch(|| self.refresh_now(&mut work, turns)) {
                Ok(report) => report,
                Err(message) => {
                    let why = "it was judged".to_owned();
                    self.failed(&mut work, why, self.panicked(message))
                }
            },
            Err(()) => self.busy(None),
        };
        let handed_over = self.hand_over().err().map(|error| error.to_string());
        CacheReport {
            seconds: start.elapsed().as_secs_f64(),
            error: report.error.or(handed_over),
            ..report
        }
    }

    fn publisher(&self) -> Result<Publisher> {
        let Some(newest) = self.current.load_full() else {
            let name = self.name.clone();
            return Err(Error::NotBuilt { name });
        };
        let publisher = self.following.publisher(&newest.frozen)?;
        self.hand_over()?;
        Ok(publisher)
    }

    fn invalidate(&self, what: Invalid) {
        let mut invalid = lock(&self.invalid);
        match what {
            Invalid::Everything => invalid.everything = true,
            Invalid::Key(hash) => {
                invalid.hashes.insert(hash);
            }
        }
    }

    fn status(&self) -> Status {
        let current = self.current.load_full();
        let current = current.as_deref().map(|it| &it.frozen);
        let (entries, garbage) = current.map_or((0, 0), |it| self.build.size(it));
        let counted = self.following.status();
        let directory = self.shared.directory.as_ref();
        let tally = lock(&self.tally);
        Status {
            name: self.name.clone(),
            generation: current.map_or(0, |it| it.region().generation()),
            age: tally
                .built
                .and_then(|built| self.shared.clock.now().since(&built)),
            entries,
            bytes: current.map_or(0, |it| it.region().size()),
            garbage,
            due_in: tally.due_in,
            last_error: tally.last_error(),
            directory: directory.and_then(|it| {
                let trouble = tally.trouble.iter().cloned();
                joined(trouble.chain(it.lacks().all()))
            }),
            refreshes: tally.refreshes,
            published: tally.published,
            unchanged: tally.unchanged,
            failures: tally.failures,
            reasons: tally.reasons.clone(),
            lookups: counted.as_ref().and_then(|it| it.lookups),
            misses: counted.as_ref().and_then(|it| it.misses),
        }
    }

    #[cfg(feature = "watch")]
    fn paths(&self) -> Vec<std::path::PathBuf> {
        let work = lock(&self.work);
        work.known.sets.paths().map(ToOwned::to_owned).collect()
    }
}

impl Invalidated {
    fn any(&self) -> bool {
        self.everything || !self.hashes.is_empty()
    }

    fn restore(&mut self, taken: Self) {
        self.everything |= taken.everything;
        self.hashes.extend(taken.hashes);
    }
}

/// The named value by which builds depend on another cache.
pub(super) fn value_name(cache: &str) -> String {
    format!("cache {cache}")
}

/// Several notes as one; none if there are none.
fn joined(notes: impl IntoIterator<Item = String>) -> Option<String> {
    let notes: Vec<String> = notes.into_iter().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// A panic while a lock was held changed nothing that the next holder relies on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from 0 to below 1.
fn draw() -> f64 {
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
