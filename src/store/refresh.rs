//! Refreshing the caches of a store, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::accept::Arrivals;
use super::directory::Patience;
use super::managed::AnyCache;
use super::report::Report;

/// How a refresh treats a cache that another thread or process is building.
pub(super) struct Turns<'a> {
    /// Whether it waits even if the cache has a generation.
    pub(super) waits: bool,
    /// Pauses for this time at most; true if the refresh is to end.
    pub(super) pause: &'a dyn Fn(Duration) -> bool,
}

impl Turns<'_> {
    pub(super) fn patience(&self, most: Duration) -> Patience<'_> {
        Patience {
            most,
            pause: self.pause,
        }
    }

    fn end(&self) -> bool {
        (self.pause)(Duration::ZERO)
    }
}

/// Judges caches and builds what is due; then folds in all that was contributed, if it is to.
pub(super) fn refresh(
    caches: &Mutex<Vec<Arc<dyn AnyCache>>>,
    arrivals: Option<&Arrivals>,
    turns: &Turns<'_>,
) -> Report {
    let start = Instant::now();
    let caches = caches
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let caches = caches
        .iter()
        .map_while(|cache| (!turns.end()).then(|| cache.refresh(turns)))
        .collect();
    Report {
        caches,
        // Behind that, since a cache may have its first generation by now.
        merges: arrivals.map(Arrivals::fold_all).unwrap_or_default(),
        seconds: start.elapsed().as_secs_f64(),
    }
}
