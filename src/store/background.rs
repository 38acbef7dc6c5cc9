//! Refreshing on a thread of its own.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::accept::Arrivals;
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

pub(super) struct Signal {
    wish: Mutex<Wish>,
    changed: Condvar,
    /// Readable when the thread is asked for something, for a thread that also waits for what
    /// workers contribute; without a descriptor for that, it looks from time to time.
    asked: Option<OwnedFd>,
}

/// What the thread is asked to do.
#[derive(Default)]
struct Wish {
    stop: bool,
    refresh: bool,
    listen: bool,
}

/// Why the thread has woken.
#[derive(PartialEq, Eq)]
enum Woken {
    Stop,
    Refresh,
    /// Workers may have contributed something, or the time has passed.
    Listen,
}

/// How often a thread looks for contributions that nothing can wake.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Background {
    pub(super) fn start(
        caches: Arc<Mutex<Vec<Arc<dyn AnyCache>>>>,
        arrivals: Arc<Arrivals>,
        interval: Duration,
        mut on_report: impl FnMut(&Report) + Send + 'static,
        owner: Owner,
    ) -> Result<Self> {
        let signal = Arc::new(Signal::new());
        arrivals.tell(&signal);
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
                let mut tell = |report: &Report| {
                    #[cfg(feature = "tracing")]
                    trace(report);
                    // Refreshing goes on whatever the listener does.
                    let _ = catch(|| on_report(report));
                };
                // What was contributed comes in batches.
                tell(&refresh(&caches, None, &turns));
                #[cfg(feature = "watch")]
                watch.follow(&caches);
                if seen.wait(interval, &arrivals, &mut tell) {
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
    fn new() -> Self {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Self {
            wish: Mutex::default(),
            changed: Condvar::new(),
            asked: eventfd(0, flags).ok(),
        }
    }

    pub(super) fn wake(&self) {
        self.ask(|wish| wish.refresh = true);
    }

    /// Makes the thread see for which caches workers may contribute.
    pub(super) fn listen(&self) {
        self.ask(|wish| wish.listen = true);
    }

    fn stop(&self) {
        self.ask(|wish| wish.stop = true);
    }

    fn ask(&self, ask: impl FnOnce(&mut Wish)) {
        ask(&mut self.lock());
        self.changed.notify_all();
        if let Some(asked) = &self.asked {
            // Full, it is readable as well.
            let _ = rustix::io::write(asked, &1_u64.to_ne_bytes());
        }
    }

    /// Folds in what workers contribute until the time has passed or the thread is asked for
    /// something; true if it is to stop.
    fn wait(&self, time: Duration, arrivals: &Arrivals, tell: &mut dyn FnMut(&Report)) -> bool {
        let start = Instant::now();
        loop {
            let folding = Instant::now();
            let (merges, next) = arrivals.fold_due();
            if !merges.is_empty() {
                tell(&Report {
                    caches: Vec::new(),
                    merges,
                    seconds: folding.elapsed().as_secs_f64(),
                });
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return self.lock().stop;
            }
            let left = next.map_or(left, |next| left.min(next));
            match self.sleep(left, &arrivals.wakers()) {
                Woken::Stop => return true,
                Woken::Refresh => return false,
                Woken::Listen => {}
            }
        }
    }

    fn sleep(&self, time: Duration, wakers: &[Arc<OwnedFd>]) -> Woken {
        let Some(asked) = self.asked.as_ref().filter(|_| !wakers.is_empty()) else {
            let time = match wakers.is_empty() {
                true => time,
                false => time.min(LOOK_EVERY),
            };
            let nothing = |wish: &mut Wish| !wish.stop && !wish.refresh && !wish.listen;
            let waited = self.changed.wait_timeout_while(self.lock(), time, nothing);
            let (mut wish, _) = waited.unwrap_or_else(PoisonError::into_inner);
            return wish.take();
        };
        let all = std::iter::once(asked).chain(wakers.iter().map(|waker| &**waker));
        let mut polled: Vec<PollFd> = all.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(time).ok();
        if poll(&mut polled, timeout.as_ref()).is_err_and(|errno| errno != Errno::INTR) {
            // It may poll no descriptor.
            return self.sleep(time.min(LOOK_EVERY), &[]);
        }
        let _ = rustix::io::read(asked, &mut [0; 8]);
        self.lock().take()
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

impl Wish {
    fn take(&mut self) -> Woken {
        self.listen = false;
        match (self.stop, std::mem::take(&mut self.refresh)) {
            (true, _) => Woken::Stop,
            (false, true) => Woken::Refresh,
            (false, false) => Woken::Listen,
        }
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
