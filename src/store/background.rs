//! Refreshing on a thread of its own.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::managed::AnyCache;
#[cfg(feature = "tracing")]
use super::report::Outcome;
use super::report::Report;
use super::{Turns, refresh};
use crate::error::{Error, Result};
use crate::sys::owner::Owner;
use crate::sys::panics::catch;

/// The thread that refreshes a store. Dropping this ends the thread once its current build is done;
/// it stops waiting for another process at once.
///
/// In a forked child dropping it does nothing: the thread is the parent's.
#[must_use = "dropping it ends the thread"]
pub struct Background {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
    owner: Owner,
}

#[derive(Default)]
pub(super) struct Signal {
    wish: Mutex<Wish>,
    changed: Condvar,
}

/// What the thread is asked to do.
#[derive(Default)]
struct Wish {
    stop: bool,
    refresh: bool,
}

impl Background {
    pub(super) fn start(
        caches: Arc<Mutex<Vec<Arc<dyn AnyCache>>>>,
        interval: Duration,
        mut on_report: impl FnMut(&Report) + Send + 'static,
        owner: Owner,
    ) -> Result<Self> {
        let signal = Arc::new(Signal::default());
        let seen = Arc::clone(&signal);
        let run = move || {
            #[cfg(feature = "watch")]
            let mut watch = super::watch::InputWatcher::new(Arc::clone(&seen));
            loop {
                let pause = |time| seen.pause(time);
                let turns = Turns {
                    waits: false,
                    pause: &pause,
                };
                let report = refresh(&caches, &turns);
                #[cfg(feature = "tracing")]
                trace(&report);
                // Refreshing goes on whatever the listener does.
                let _ = catch(|| on_report(&report));
                #[cfg(feature = "watch")]
                watch.follow(&caches);
                if seen.wait(interval) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("floe-refresh".to_owned());
        let thread = thread.spawn(run).map_err(|source| Error::Thread {
            what: "refreshes the store",
            reason: source,
        })?;
        Ok(Self {
            signal,
            thread: Some(thread),
            owner,
        })
    }

    /// Makes the thread refresh now, and does not wait for it.
    pub fn wake(&self) {
        if self.owner.check("a background thread").is_ok() {
            self.signal.wake();
        }
    }
}

/// Failures as warnings, new generations as information.
#[cfg(feature = "tracing")]
fn trace(report: &Report) {
    for cache in &report.caches {
        if let Some(error) = &cache.error {
            tracing::warn!(cache = cache.name, generation = cache.generation, %error, "refresh failed");
        } else if matches!(cache.outcome, Outcome::Published | Outcome::Loaded) {
            tracing::info!(cache = cache.name, "{cache}");
        }
    }
}

impl Signal {
    pub(super) fn wake(&self) {
        self.lock().refresh = true;
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_all();
    }

    /// Waits until the time has passed or the thread is asked for something; true if it is to stop.
    fn wait(&self, time: Duration) -> bool {
        let start = Instant::now();
        let mut wish = self.lock();
        while !wish.stop && !wish.refresh {
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(wish, left);
            (wish, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        wish.refresh = false;
        wish.stop
    }

    /// Pauses for this time, or until the thread is asked to stop; true if it is.
    fn pause(&self, time: Duration) -> bool {
        let stops = |wish: &mut Wish| !wish.stop;
        let waited = self.changed.wait_timeout_while(self.lock(), time, stops);
        let (wish, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wish.stop
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.owner.check("a background thread").is_err() {
            return;
        }
        self.signal.stop();
        if let Some(thread) = self.thread.take() {
            // The thread catches what panics in closures; another panic was printed.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
