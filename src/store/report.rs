//! What a refresh did, and how caches stand.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::error::bytes;

/// What a refresh of a store did, cache by cache; prints as one line for each.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The caches in the order in which they were added.
    pub caches: Vec<CacheReport>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether a cache could not be built, now or at an earlier refresh after which it still waits.
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
    /// What came of it.
    pub outcome: Outcome,
    /// The generation that there is now; 0 if there is none.
    pub generation: u64,
    /// Why the cache was due, if it was.
    pub why: Option<String>,
    /// Entries that there are now; 1 for a whole value.
    pub entries: u64,
    /// Entries in a generation that stays as it is.
    pub kept: u64,
    /// Entries whose bytes were carried over into the new generation.
    pub carried: u64,
    /// Entries that were built.
    pub rebuilt: u64,
    /// Entries that were dropped, since nobody asks for them any more or their inputs are gone.
    pub dropped: u64,
    /// Entries that were evicted, since there was no room for them.
    pub evicted: u64,
    /// Length of the region in bytes.
    pub bytes: u64,
    /// Bytes in it that belong to no entry any more.
    pub garbage: u64,
    /// How long it took.
    pub seconds: f64,
    /// What failed: building; otherwise what was found wrong with the directory and was not told
    /// before.
    pub error: Option<String>,
}

/// What came of the refresh of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Hash)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing was due.
    Fresh,
    /// What was due was built, and is what there was: nothing was published.
    Unchanged,
    /// A new generation was published.
    Published,
    /// A generation that another process has saved was taken over.
    Loaded,
    /// Somebody else is building it.
    Busy,
    /// It waits after a failure.
    Waiting,
    /// Building failed; the last generation stays.
    Failed,
}

/// How a cache stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The cache.
    pub name: String,
    /// Its generation; 0 if there is none.
    pub generation: u64,
    /// How long ago it was built, or found to be what a build gives; none if there is none, or if
    /// its time stamp lies in the future.
    pub age: Option<Duration>,
    /// Its entries; 1 for a whole value.
    pub entries: u64,
    /// Length of its region in bytes.
    pub bytes: u64,
    /// Bytes in it that belong to no entry any more.
    pub garbage: u64,
    /// In how long it is due by its age, or may be tried again after a failure; none if neither.
    pub due_in: Option<Duration>,
    /// The last failure, if none has succeeded since: of a build, with the key of the entry that
    /// failed, which keeps the whole cache on its last generation; otherwise of saving what was
    /// built.
    pub last_error: Option<String>,
    /// What is wrong with the directory of the store, if something is: why the cache is not saved,
    /// and what the file system lacks that is done without.
    pub directory: Option<String>,
    /// Refreshes that looked at it, without those that found another thread building it.
    pub refreshes: u64,
    /// Generations that were published.
    pub published: u64,
    /// Rebuilds that gave what there was.
    pub unchanged: u64,
    /// Rebuilds that failed.
    pub failures: u64,
    /// How often it was built for which kind of reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Lookups of workers, if its publisher was told to [report](crate::Publisher::report) them.
    pub lookups: Option<u64>,
    /// Those of them that found nothing.
    pub misses: Option<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.caches.iter();
        if let Some(first) = lines.next() {
            write!(f, "{first}")?;
        }
        lines.try_for_each(|line| write!(f, "\n{line}"))
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
