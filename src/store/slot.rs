//! One cache of a store: its newest generation, and the work on the next.

mod judging;

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::build::{Build, Built, Counts, Due, Job};
use super::directory::Identity;
use super::following::{Following, Standing};
use super::report::{CacheReport, Outcome, Status};
use super::{Shared, Turns};
use crate::channel::Publisher;
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::format::SectionKind;
use crate::region::{Label, generation_told};
use crate::store::inputs::{Sets, decode};
use crate::store::policy::Policy;
use crate::sys::clock::Moment;
use crate::sys::panics::catch;
use judging::Reason;

/// A cache of a store, whatever its type is.
pub(super) trait AnySlot: Send + Sync {
    fn name(&self) -> &str;
    fn refresh(&self, turns: Turns) -> CacheReport;
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
    current: ArcSwapOption<Frozen<T>>,
    /// Until when the current generation is served, in nanoseconds since boot.
    served_until: AtomicU64,
    /// Held by whoever builds.
    work: Mutex<Work>,
    invalid: Mutex<Invalidated>,
    tally: Mutex<Tally>,
    following: Following,
}

/// What is known of the current generation by those who build the next.
struct Work {
    sets: Sets,
    /// When all of it was last built.
    built: Option<Moment>,
    /// When all of its inputs were last found unchanged, or read.
    checked: Option<Moment>,
    failures: u32,
    last_failure: Option<Moment>,
    /// What the closures read that failed last.
    failed: Sets,
    draw: f64,
    /// Whether a verdict of the user's own has ended the serving of the current generation.
    revoked: bool,
    /// The saved file that was last read or written.
    saved: Option<Identity>,
    /// The highest number that a saved file told, which may have been refused: the next generation
    /// gets a higher one, since others may have that one already.
    told: u64,
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
    last_error: Option<String>,
    refreshes: u64,
    published: u64,
    unchanged: u64,
    failures: u64,
    reasons: BTreeMap<&'static str, u64>,
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
            served_until: AtomicU64::new(u64::MAX),
            work: Mutex::new(Work {
                sets: Sets::default(),
                built: None,
                checked: None,
                failures: 0,
                last_failure: None,
                failed: Sets::default(),
                draw: draw(),
                revoked: false,
                saved: None,
                told: 0,
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
        let until = self.served_until.load(Ordering::Relaxed);
        let now = self.shared.clock.now();
        if until != u64::MAX && now.boot_nanos >= until {
            let created = current.region().header().created;
            return Err(Error::Expired {
                name: self.name.clone(),
                generation: current.generation(),
                age: now.since(&created).unwrap_or_default(),
            });
        }
        Ok((*current).clone())
    }

    /// Takes over what an earlier process, or another one, has saved, if it is newer.
    fn adopt(&self, work: &mut Work) -> Result<bool> {
        let Some(directory) = &self.shared.directory else {
            return Ok(false);
        };
        let identity = directory.identity(&self.name);
        if identity.is_none() || identity == work.saved {
            return Ok(false);
        }
        let Some(saved) = directory.saved(&self.name)? else {
            return Ok(false);
        };
        work.saved = Some(saved.identity);
        let generation = self.current.load().as_ref().map_or(0, |it| it.generation());
        let told = generation_told(&saved.file).unwrap_or(0);
        work.told = work.told.max(told);
        let frozen = Frozen::<T>::load_opened(saved.file, &saved.path)?;
        if frozen.name() != self.name || frozen.generation() <= generation {
            return Ok(false);
        }
        work.sets = self.sets_of(&frozen)?;
        work.built = Some(frozen.region().header().created);
        work.checked = None;
        self.publish(frozen);
        Ok(true)
    }

    /// The inputs section of a generation that comes from a file.
    fn sets_of(&self, frozen: &Frozen<T>) -> Result<Sets> {
        let invalid = |reason: &str| Error::Invalid {
            name: self.name.clone(),
            section: SectionKind::Inputs,
            reason: reason.to_owned(),
        };
        let section = frozen.region().section(SectionKind::Inputs)?;
        let sets = decode(section).map_err(invalid)?;
        let checked = self.build.check_sets(frozen, &sets);
        checked.map(|()| sets).map_err(invalid)
    }

    /// Makes a generation the one that readers get; those who follow it are told by
    /// [`hand_over`](Self::hand_over), when it is known how long it is good for.
    fn publish(&self, frozen: Frozen<T>) {
        self.shared
            .values
            .set(&value_name(&self.name), frozen.content_digest());
        self.current.store(Some(Arc::new(frozen)));
    }

    fn refresh_now(&self, work: &mut Work, turns: Turns) -> CacheReport {
        let loaded = self.adopt(work);
        // A file that cannot be used is not worth more than a note: it will be written anew.
        let note = loaded.as_ref().err().map(ToString::to_string);
        let loaded = loaded.unwrap_or(false);
        let now = self.shared.clock.now();
        let Some(reason) = self.judge(work, now) else {
            let outcome = if loaded {
                Outcome::Loaded
            } else {
                Outcome::Fresh
            };
            return self.report(outcome, None, None, note);
        };
        let facts = self.facts(work, None, work.built.unwrap_or(now));
        let waits = !self.policy.wait(&facts, now).is_zero();
        if waits && !lock(&self.invalid).any() && !self.is_mended(work) {
            let error = lock(&self.tally).last_error.clone();
            return self.report(Outcome::Waiting, Some(reason.why), None, error);
        }
        let wait = turns == Turns::Wait || self.current.load().is_none();
        let turn = match self.shared.directory.as_ref() {
            Some(directory) => match directory.lock(&self.name, wait) {
                Ok(Some(turn)) => Some(turn),
                Ok(None) => return self.report(Outcome::Busy, Some(reason.why), None, None),
                Err(error) => return self.failed(work, reason.why, error),
            },
            None => None,
        };
        // Whoever had the turn before may have built what is due here.
        if turn.is_some() && matches!(self.adopt(work), Ok(true)) {
            return match self.judge(work, now) {
                None => self.report(Outcome::Loaded, None, None, None),
                Some(reason) => self.rebuild(work, reason, note),
            };
        }
        self.rebuild(work, reason, note)
    }

    fn rebuild(&self, work: &mut Work, reason: Reason, note: Option<String>) -> CacheReport {
        let Reason {
            why,
            kind,
            touched,
            checked,
        } = reason;
        // Taken once: what is said from here on is for the next build.
        let taken = std::mem::take(&mut *lock(&self.invalid));
        let due = touched.filter(|_| !taken.everything).map(|touched| Due {
            touched,
            hashes: taken.hashes.clone(),
        });
        let started = self.shared.clock.now();
        let current = self.current.load_full();
        let generation = current.as_ref().map_or(0, |it| it.generation());
        let generation = generation.max(work.told);
        // What is carried over was neither built nor, it may be, checked.
        let (since, checked) = match due {
            None => (Some(started), Some(started)),
            Some(_) => (work.built, checked.or(work.checked)),
        };
        let job = Job {
            label: Label {
                name: self.name.clone(),
                generation: generation.saturating_add(1),
                built: since.filter(|_| due.is_some()),
            },
            earlier: current.as_deref(),
            sets: &work.sets,
            due,
            policy: &self.policy,
            clock: &self.shared.clock,
            values: &self.shared.values,
            saves: self.shared.directory.is_some(),
            failed: Mutex::default(),
        };
        // A closure may also panic where keys are compared.
        let built = catch(|| self.build.build(&job));
        let failed = job.into_failed();
        match built.unwrap_or_else(|message| Err(self.panicked(message))) {
            Ok(built) => {
                *lock(&self.tally).reasons.entry(kind).or_default() += 1;
                (work.built, work.checked) = (since, checked);
                self.succeeded(work, why, built, note)
            }
            Err(error) => {
                lock(&self.invalid).restore(taken);
                let report = self.failed(work, why, error);
                work.failed = failed;
                report
            }
        }
    }

    fn succeeded(
        &self,
        work: &mut Work,
        why: String,
        built: Built<T>,
        mut note: Option<String>,
    ) -> CacheReport {
        work.sets = built.sets;
        (work.failures, work.last_failure, work.draw) = (0, None, draw());
        work.failed = Sets::default();
        work.revoked = false;
        let outcome = match built.frozen {
            None => Outcome::Unchanged,
            Some(frozen) => {
                if let Some(directory) = &self.shared.directory {
                    // What could not be saved is published all the same.
                    let saved = directory.save(&frozen);
                    note = saved.err().map(|error| error.to_string()).or(note);
                    work.saved = directory.identity(&self.name);
                }
                self.publish(frozen);
                Outcome::Published
            }
        };
        let current = self.current.load_full();
        let now = self.shared.clock.now();
        let facts = self.facts(work, current.as_deref(), work.built.unwrap_or(now));
        self.note_deadlines(work, &facts, now);
        let mut tally = lock(&self.tally);
        tally.published += u64::from(outcome == Outcome::Published);
        tally.unchanged += u64::from(outcome == Outcome::Unchanged);
        tally.last_error.clone_from(&note);
        drop(tally);
        self.report(outcome, Some(why), Some(built.counts), note)
    }

    fn failed(&self, work: &mut Work, why: String, error: Error) -> CacheReport {
        let now = self.shared.clock.now();
        work.failures = work.failures.saturating_add(1);
        work.last_failure = Some(now);
        work.failed = Sets::default();
        let message = error.to_string();
        let mut tally = lock(&self.tally);
        tally.failures += 1;
        tally.last_error = Some(message.clone());
        drop(tally);
        if let (Some(current), Some(built)) = (self.current.load_full(), work.built) {
            let facts = self.facts(work, Some(&current), built);
            self.note_deadlines(work, &facts, now);
        }
        self.report(Outcome::Failed, Some(why), None, Some(message))
    }

    /// Tells live workers of the newest generation.
    fn hand_over(&self) -> Result<()> {
        let Some(newest) = self.current.load_full() else {
            return Ok(());
        };
        let now = self.shared.clock.now();
        let until = self.served_until.load(Ordering::Relaxed);
        let left = Duration::from_nanos(until.saturating_sub(now.boot_nanos));
        let tally = lock(&self.tally);
        let standing = Standing {
            // What seems to come from the future may be of any age.
            age: tally.built.map_or(Duration::ZERO, |built| {
                now.since(&built).unwrap_or(Duration::MAX)
            }),
            served_for: (until != u64::MAX).then_some(left),
            due_in: tally.due_in,
            last_error: tally.last_error.clone(),
        };
        drop(tally);
        self.following.hand_over(&newest, standing)
    }

    fn panicked(&self, message: String) -> Error {
        Error::BuildPanicked {
            name: self.name.clone(),
            key: None,
            message,
        }
    }

    fn report(
        &self,
        outcome: Outcome,
        why: Option<String>,
        counts: Option<Counts>,
        error: Option<String>,
    ) -> CacheReport {
        let current = self.current.load();
        let current = current.as_deref();
        let (entries, garbage) = current.map_or((0, 0), |it| self.build.size(it));
        let counts = counts.unwrap_or_default();
        CacheReport {
            name: self.name.clone(),
            kept: if outcome == Outcome::Published {
                0
            } else {
                entries
            },
            outcome,
            generation: current.map_or(0, Frozen::generation),
            why,
            entries,
            carried: counts.carried,
            rebuilt: counts.rebuilt,
            dropped: counts.dropped,
            evicted: counts.evicted,
            bytes: current.map_or(0, Frozen::size),
            garbage,
            seconds: 0.0,
            error,
        }
    }
}

impl<T: Content> AnySlot for Slot<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn refresh(&self, turns: Turns) -> CacheReport {
        let start = Instant::now();
        lock(&self.tally).refreshes += 1;
        let work = match turns {
            Turns::Wait => Ok(lock(&self.work)),
            Turns::Skip => match self.work.try_lock() {
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
            Err(()) => self.report(Outcome::Busy, None, None, None),
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
        let publisher = self.following.publisher(&newest)?;
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
        let current = current.as_deref();
        let (entries, garbage) = current.map_or((0, 0), |it| self.build.size(it));
        let counted = self.following.status();
        let tally = lock(&self.tally);
        Status {
            name: self.name.clone(),
            generation: current.map_or(0, Frozen::generation),
            age: tally
                .built
                .and_then(|built| self.shared.clock.now().since(&built)),
            entries,
            bytes: current.map_or(0, Frozen::size),
            garbage,
            due_in: tally.due_in,
            last_error: tally.last_error.clone(),
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
        work.sets.paths().map(ToOwned::to_owned).collect()
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

/// A panic while a lock was held changed nothing that the next holder relies on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from 0 to below 1.
fn draw() -> f64 {
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
