//! All that a store accepts contributions for, and the threads that these wake.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Accepting;
use crate::overlay::MergeReport;
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
        let mut all = lock(&self.accepting);
        all.retain(|it| it.name() != accepting.name());
        all.push(Arc::new(accepting));
        drop(all);
        self.wake();
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
    pub(in crate::store) fn fold_all(&self) -> Vec<MergeReport> {
        self.all().iter().flat_map(|it| it.fold_all()).collect()
    }

    /// Folds in the batches that are due; also tells when the next is, if one waits.
    pub(in crate::store) fn fold_due(&self) -> (Vec<MergeReport>, Option<Duration>) {
        let (mut reports, mut next) = (Vec::new(), None);
        for accepting in self.all() {
            let (report, left) = accepting.fold_due();
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
