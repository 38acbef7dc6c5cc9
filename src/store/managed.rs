//! One cache of a store: its newest generation, and the work on the next.
//!
//! Its state, the [`Work`], changes under one lock, a generation in one assignment with all that is
//! known of it. What others see of it is [shown](ManagedCache::show) after each change, as a whole,
//! and read without a lock. So a panic at any step leaves the state before that step or behind it,
//! and what is shown is that of one moment.

mod adopting;
mod building;
mod invalid;
mod judging;
mod keeping;
mod merging;
mod showing;
mod state;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::build::Build;
use super::following::Following;
use super::report::{CacheReport, Status};
use super::{Shared, Turns};
use crate::channel::Publisher;
use crate::channel::contribute::Door;
use crate::error::{Fingerprint, Result};
use crate::frozen::Content;
use crate::store::inputs::Sets;
use crate::store::policy::Policy;
use crate::sys::panics::catch;
pub(super) use invalid::Invalid;
use invalid::Invalidated;
pub(super) use merging::Join;
use showing::Shown;
use state::Work;

/// A cache of a store, whatever its type.
pub(super) trait AnyCache: Send + Sync {
    fn name(&self) -> &str;
    fn refresh(&self, turns: &Turns<'_>) -> CacheReport;
    fn invalidate(&self, what: Invalid);
    fn status(&self) -> Status;
    /// The channel by which live workers follow it.
    fn publisher(&self) -> Result<Publisher>;
    /// Gives those who follow it from now on a door to contribute through, or none.
    fn set_door(&self, door: Option<Door>) -> Result<()>;
    /// The same in the place of one that somebody has shut.
    fn replace_door(&self, door: Door) -> Result<()>;
    /// The paths among its inputs.
    #[cfg(feature = "watch")]
    fn paths(&self) -> Vec<std::path::PathBuf>;
    /// The fingerprint of its type.
    fn fingerprint(&self) -> Fingerprint;
    /// Itself, for whoever knows its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A cache that a store builds, keeps and publishes; [`Cache`](crate::Cache) is the handle on it.
pub(super) struct ManagedCache<T: Content> {
    name: String,
    shared: Arc<Shared>,
    policy: Policy,
    build: Box<dyn Build<T>>,
    /// Held by whoever judges and builds.
    work: Mutex<Work<T>>,
    /// What follows from `work`. Read without a lock, so that a child can read it whatever the
    /// threads of its parent were doing.
    shown: ArcSwap<Shown<T>>,
    /// Said by anybody, also while somebody builds.
    invalid: Mutex<Invalidated>,
    following: Following,
}

impl<T: Content> ManagedCache<T> {
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
            work: Mutex::new(Work::new()),
            shown: ArcSwap::from_pointee(Shown::nothing()),
            invalid: Mutex::default(),
            following: Following::default(),
        }
    }

    /// Whether it grows by what is merged into it, and not by closures.
    pub(super) fn grows_by_merges(&self) -> bool {
        self.build.grows_by_merges()
    }
}

impl<T: Content> AnyCache for ManagedCache<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn refresh(&self, turns: &Turns<'_>) -> CacheReport {
        let start = Instant::now();
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
                    self.failed(&mut work, why, &self.panicked(message), Sets::default())
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
        self.open_channel()
    }

    fn set_door(&self, door: Option<Door>) -> Result<()> {
        self.following.set_door(door)
    }

    fn replace_door(&self, door: Door) -> Result<()> {
        self.following.replace_door(door)
    }

    fn invalidate(&self, what: Invalid) {
        lock(&self.invalid).say(&what);
    }

    fn status(&self) -> Status {
        self.standing()
    }

    #[cfg(feature = "watch")]
    fn paths(&self) -> Vec<std::path::PathBuf> {
        let work = lock(&self.work);
        let newest = work.newest.iter();
        let paths = newest.flat_map(|it| it.known().sets.paths());
        paths.map(ToOwned::to_owned).collect()
    }

    fn fingerprint(&self) -> Fingerprint {
        T::describe().fingerprint()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
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
