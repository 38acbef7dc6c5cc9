//! Changes of files as a hint to refresh early.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::background::Signal;
use super::managed::AnyCache;

/// Watches the directories of the inputs, and wakes the background thread when something in them
/// changes. Where the kernel gives no watch, the interval of the thread has to do.
pub(super) struct InputWatcher {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl InputWatcher {
    pub(super) fn new(signal: Arc<Signal>) -> Self {
        let wake = move |event: notify::Result<notify::Event>| {
            // The store's own reading is no change.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                signal.wake();
            }
        };
        Self {
            watcher: notify::recommended_watcher(wake).ok(),
            watched: BTreeSet::new(),
        }
    }

    /// Watches what the caches have read by now: the parent of each path, since files are often
    /// replaced by others of their name, and directories themselves for what appears in them.
    pub(super) fn follow(&mut self, caches: &Mutex<Vec<Arc<dyn AnyCache>>>) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let caches = caches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let paths = caches.iter().flat_map(|cache| cache.paths());
        let directories = paths.filter_map(|path| match path.is_dir() {
            true => Some(path),
            false => path.parent().map(ToOwned::to_owned),
        });
        let wanted: BTreeSet<PathBuf> = directories.collect();
        for gone in self.watched.difference(&wanted) {
            // It may have gone with its directory.
            let _ = watcher.unwatch(gone);
        }
        let watched = |path: &&PathBuf| {
            self.watched.contains(*path) || watcher.watch(path, RecursiveMode::NonRecursive).is_ok()
        };
        self.watched = wanted.iter().filter(watched).cloned().collect();
    }
}
