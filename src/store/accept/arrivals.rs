//! All that a store accepts contributions for, and the threads that these wake.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Accepting;
use crate::overlay::MergeReport;
use crate::store::Turns;
use crate::store::background::Signal;

/// Only the owner of the store locks what is in here, so no fork finds it locked.
#[derive(Default)]
pub(in crate::store) struct Arrivals {
    accepting: Mutex<Vec<Arc<Accepting>>>,
    woken: Mutex<Vec<Weak<Signal>>>,
}

impl Arrivals {
    /// Accepts contributions for one more cache, or others for the same.
    pub(super) fn add(&self, accepting: Accepting) {
        let replaced = {
            let mut all = lock(&self.accepting);
            let place = all.iter().position(|it| it.name() == accepting.name());
            let replaced = place.map(|place| all.remove(place));
            all.push(Arc::new(accepting));
            replaced
        };
        self.wake();
        // Without the lock: closures of the user's go with it.
        drop(replaced);
    }

    /// Accepts none any more for a cache.
    pub(super) fn remove(&self, name: &str) -> Option<Arc<Accepting>> {
        let mut all = lock(&self.accepting);
        let place = all.iter().position(|it| it.name() == name)?;
        let removed = all.remove(place);
        drop(all);
        self.wake();
        Some(removed)
    }

    /// Lets a thread know when there is one more cache to listen for.
    pub(in crate::store) fn tell(&self, signal: &Arc<Signal>) {
        let mut woken = lock(&self.woken);
        woken.retain(|it| it.strong_count() > 0);
        woken.push(Arc::downgrade(signal));
    }

    /// Descriptors that become readable when something may have come.
    pub(in crate::store) fn wakers(&self) -> Vec<Arc<OwnedFd>> {
        self.all().iter().map(|it| it.waker()).collect()
    }

    /// Folds in all that has come.
    pub(in crate::store) fn fold_all(&self, turns: &Turns<'_>) -> Vec<MergeReport> {
        let all = self.all();
        all.iter().flat_map(|it| it.fold_all(turns)).collect()
    }

    /// Folds in the batches that are due; also tells when the next is, if one waits.
    pub(in crate::store) fn fold_due(
        &self,
        turns: &Turns<'_>,
    ) -> (Vec<MergeReport>, Option<Duration>) {
        let (mut reports, mut next) = (Vec::new(), None);
        for accepting in self.all() {
            let (report, left) = accepting.fold_due(turns);
            reports.extend(report);
            next = next.into_iter().chain(left).min();
        }
        (reports, next)
    }

    fn all(&self) -> Vec<Arc<Accepting>> {
        lock(&self.accepting).clone()
    }

    fn wake(&self) {
        let woken = lock(&self.woken);
        woken
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|it| it.listen());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
