//! Which entries a worker has found.

use std::collections::HashSet;
use std::sync::Mutex;

#[cfg(feature = "channel")]
use crate::channel::Counters;

/// Notes of the lookups of a worker, in its own memory.
pub(super) struct Uses {
    #[cfg(feature = "channel")]
    counters: Counters,
    #[cfg(feature = "channel")]
    worker: usize,
    /// Hashes of the keys that were found. Never waited for: a child that is forked while another
    /// thread notes something would wait for ever.
    found: Mutex<HashSet<u64>>,
}

impl Uses {
    #[cfg(feature = "channel")]
    pub(super) fn counted_by(counters: &Counters, worker: usize) -> Self {
        assert!(worker < counters.workers(), "there is no such worker");
        Self {
            counters: counters.clone(),
            worker,
            found: Mutex::default(),
        }
    }

    pub(super) fn note(&self, hash: u64, is_found: bool) {
        #[cfg(feature = "channel")]
        self.counters.of(self.worker).count(is_found.then_some(()));
        if is_found && let Ok(mut found) = self.found.try_lock() {
            found.insert(hash);
        }
    }

    /// What was noted so far, in order.
    pub(super) fn noted(&self) -> Vec<u64> {
        let found = self.found.try_lock();
        let mut noted: Vec<u64> = found
            .map(|it| it.iter().copied().collect())
            .unwrap_or_default();
        noted.sort_unstable();
        noted
    }
}
