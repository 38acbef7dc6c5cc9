//! What a refresh did, and how caches stand.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::channel::contribute::Counts;
use crate::error::bytes;
use crate::overlay::MergeReport;

/// What a refresh of a store did. Prints one line for each cache, and some for each batch of
/// contributions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The caches in the order in which they were added.
    pub caches: Vec<CacheReport>,
    /// What was made of the [contributions](crate::Store::accept) that had come, in batches.
    pub merges: Vec<MergeReport>,
    /// How long the refresh took.
    pub seconds: f64,
}

impl Report {
    /// Whether a build failed, in this refresh or in an earlier one after which the cache still
    /// waits.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let mut caches = self.caches.iter();
        caches.any(|cache| matches!(cache.outcome, Outcome::Failed | Outcome::Waiting))
    }
}

/// What a refresh did with one cache.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CacheReport {
    /// The cache.
    pub name: String,
    /// What the refresh did with it.
    pub outcome: Outcome,
    /// Its generation after the refresh; 0 if it has none.
    pub generation: u64,
    /// Why it was due; `None` if it was not.
    pub why: Option<String>,
    /// Its entries after the refresh; 1 for a whole value.
    pub entries: u64,
    /// Entries of a generation that stays as it is.
    pub kept: u64,
    /// Entries whose bytes were carried over into the new generation.
    pub carried: u64,
    /// Entries that were built.
    pub rebuilt: u64,
    /// Entries that were dropped because their keys are no longer listed or their inputs are gone.
    pub dropped: u64,
    /// Entries that were evicted to keep within the bounds of the policy.
    pub evicted: u64,
    /// Length of the region in bytes.
    pub bytes: u64,
    /// Bytes in it that no longer belong to an entry.
    pub garbage: u64,
    /// How long the refresh of this cache took.
    pub seconds: f64,
    /// Why the build failed; otherwise what is wrong with the directory, if no earlier report said
    /// so.
    pub error: Option<String>,
}

/// What a refresh did with a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Hash)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing was due.
    Fresh,
    /// What was due was built, and equals what there was: nothing was published.
    Unchanged,
    /// A new generation was published.
    Published,
    /// A generation that another process had saved was loaded.
    Loaded,
    /// Another thread or process is building it.
    Busy,
    /// It waits before it is tried again after a failure.
    Waiting,
    /// Building failed; the last generation stays.
    Failed,
}

/// The status of a cache.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The cache.
    pub name: String,
    /// Its generation; 0 if there is none.
    pub generation: u64,
    /// How long ago it was built, or a rebuild gave the same value; `None` if there is no
    /// generation or its time stamp lies in the future.
    pub age: Option<Duration>,
    /// Its entries; 1 for a whole value.
    pub entries: u64,
    /// Length of its region in bytes.
    pub bytes: u64,
    /// Bytes in it that no longer belong to an entry.
    pub garbage: u64,
    /// Time until it is due by its age, or may be tried again after a failure; `None` if neither.
    pub due_in: Option<Duration>,
    /// Why the last build failed, with the key of the entry that failed: one such entry keeps the
    /// whole cache on its last generation. Otherwise why the last save failed. `None` after a
    /// success.
    pub last_error: Option<String>,
    /// What is wrong with the directory of the store: why the cache is not saved, and what the
    /// file system lacks. `None` if nothing is wrong.
    pub directory: Option<String>,
    /// Refreshes that judged it; those that found another thread building it do not count.
    pub refreshes: u64,
    /// Generations that were published.
    pub published: u64,
    /// Rebuilds that gave the same value.
    pub unchanged: u64,
    /// Rebuilds that failed.
    pub failures: u64,
    /// How often it was built, by the kind of reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Lookups of workers, if its publisher [reports](crate::Publisher::report) them.
    pub lookups: Option<u64>,
    /// Lookups that found nothing.
    pub misses: Option<u64>,
    /// What workers have [contributed](crate::Store::accept), if the cache accepts that.
    pub contributions: Option<Counts>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.caches.iter();
        if let Some(first) = lines.next() {
            write!(f, "{first}")?;
        }
        lines.try_for_each(|line| write!(f, "\n{line}"))?;
        let mut merges = self.merges.iter().enumerate();
        merges.try_for_each(|(number, merge)| match (number, self.caches.is_empty()) {
            (0, true) => write!(f, "{merge}"),
            _ => write!(f, "\n{merge}"),
        })
    }
}

impl fmt::Display for CacheReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.generation;
        write!(f, "{}: ", self.name)?;
        match self.outcome {
            Outcome::Fresh => write!(f, "fresh, generation {generation}")?,
            Outcome::Unchanged => write!(f, "unchanged, still generation {generation}")?,
            Outcome::Published => write!(f, "generation {generation}")?,
            Outcome::Loaded => write!(f, "loaded generation {generation}")?,
            Outcome::Busy => write!(f, "being built elsewhere, still generation {generation}")?,
            Outcome::Waiting => write!(f, "waiting after a failure, generation {generation}")?,
            Outcome::Failed => write!(f, "failed, still generation {generation}")?,
        }
        for (count, what) in [
            (self.rebuilt, "built"),
            (self.carried, "carried over"),
            (self.kept, "kept"),
            (self.dropped, "dropped"),
            (self.evicted, "evicted"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        write!(f, ", {} in {:.1} ms", bytes(self.bytes), 1e3 * self.seconds)?;
        if let Some(why) = &self.why {
            write!(f, "; {why}")?;
        }
        self.error
            .iter()
            .try_for_each(|error| write!(f, "; {error}"))
    }
}
