//! Folding what workers contribute into caches.

mod arrivals;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rkyv::Archive;

use super::Store;
use crate::channel::contribute::{Acceptor, Counts, Limits, Merged, Offer};
use crate::error::{ChannelError, Error, NotTaken, Result};
use crate::overlay::{Delta, DeltaReport, MergeReport, OverlayKey, OverlayValue, Rule};
use crate::sys::panics::catch;

pub use crate::channel::contribute::Contributor;
pub(super) use arrivals::Arrivals;

/// Deltas that one refresh folds in, so that who floods does not keep it from its end.
const MOST_FOLDED: usize = 4096;

/// What is accepted for one cache.
pub(super) struct Accepting {
    name: String,
    acceptor: Acceptor,
    fold: Box<Fold>,
    /// Held while a batch is folded in, so that batches keep their order.
    batch: Mutex<Batch>,
}

type Fold = dyn Fn(&Acceptor, Vec<Offer>) -> Option<MergeReport> + Send + Sync;

/// Deltas that wait for others.
#[derive(Default)]
struct Batch {
    offers: Vec<Offer>,
    bytes: u64,
    since: Option<Instant>,
}

impl Accepting {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn waker(&self) -> Arc<OwnedFd> {
        self.acceptor.waker()
    }

    pub(super) fn counts(&self) -> Counts {
        self.acceptor.counts()
    }

    /// Folds in all that has come.
    fn fold_all(&self) -> Vec<MergeReport> {
        let mut batch = self.lock();
        let (mut reports, mut folded) = (Vec::new(), 0);
        while folded < MOST_FOLDED {
            self.fill(&mut batch, false);
            if batch.offers.is_empty() {
                break;
            }
            folded += batch.offers.len();
            reports.extend(self.fold(&mut batch));
        }
        reports
    }

    /// Folds in a batch that is full, or has waited for long enough; also tells how long the next
    /// one waits.
    fn fold_due(&self) -> (Option<MergeReport>, Option<Duration>) {
        let limits = self.acceptor.limits();
        let mut batch = self.lock();
        let is_full = self.fill(&mut batch, true);
        let Some(since) = batch.since else {
            return (None, None);
        };
        match limits.gather.saturating_sub(since.elapsed()) {
            left if !left.is_zero() && !is_full => (None, Some(left)),
            // More may have come that nothing tells of any more.
            _ => (self.fold(&mut batch), Some(Duration::ZERO)),
        }
    }

    /// Takes what has come, as far as the batch has room; true if it has no more.
    fn fill(&self, batch: &mut Batch, woken: bool) -> bool {
        let limits = self.acceptor.limits();
        let room = limits.batch.saturating_sub(batch.offers.len());
        let most = limits.batch_bytes.saturating_sub(batch.bytes);
        let offers = self.acceptor.receive(room, most, woken);
        batch.bytes += offers.iter().map(Offer::length).sum::<u64>();
        batch.offers.extend(offers);
        if batch.since.is_none() && !batch.offers.is_empty() {
            batch.since = Some(Instant::now());
        }
        batch.offers.len() >= limits.batch || batch.bytes >= limits.batch_bytes
    }

    fn fold(&self, batch: &mut Batch) -> Option<MergeReport> {
        let Batch { offers, .. } = std::mem::take(batch);
        // Who is left without an answer learns that nobody has it any more.
        catch(|| (self.fold)(&self.acceptor, offers)).ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a contributor may write under a key.
type Allows<K> = dyn Fn(Contributor, &<K as Archive>::Archived) -> bool + Send + Sync;

/// Opens offers, merges them by `merge`, and answers.
fn fold<K: OverlayKey, V: OverlayValue>(
    acceptor: &Acceptor,
    offers: Vec<Offer>,
    allows: &Allows<K>,
    merge: impl FnOnce(&[Delta<K, V>]) -> Result<MergeReport>,
) -> Option<MergeReport> {
    let (mut from, mut deltas) = (Vec::new(), Vec::new());
    for mut offer in offers {
        match open(acceptor, &mut offer, allows) {
            Ok(delta) => {
                from.push(offer);
                deltas.push(delta);
            }
            Err(why) => acceptor.refuse(offer, why),
        }
    }
    if deltas.is_empty() {
        return None;
    }
    match merge(&deltas) {
        Ok(report) => {
            for (offer, delta) in from.into_iter().zip(&report.deltas) {
                answer(acceptor, offer, report.generation, delta);
            }
            Some(report)
        }
        Err(error) => {
            let reason = error.to_string();
            for offer in from {
                let reason = reason.clone();
                acceptor.refuse(offer, NotTaken::Failed { reason });
            }
            None
        }
    }
}

/// A delta of which every byte was checked, and that its contributor may hand over.
fn open<K: OverlayKey, V: OverlayValue>(
    acceptor: &Acceptor,
    offer: &mut Offer,
    allows: &Allows<K>,
) -> Result<Delta<K, V>, NotTaken> {
    let files = std::mem::take(&mut offer.files);
    let delta = Delta::<K, V>::from_fds(files).map_err(|error| {
        let reason = error.to_string();
        match error.tells_of_content() {
            true => NotTaken::Invalid { reason },
            false => NotTaken::Failed { reason },
        }
    })?;
    acceptor.count_entries(offer, delta.len() as u64)?;
    let contributor = offer.contributor();
    let mut keys = delta.added().keys().chain(delta.removed());
    match keys.find(|key| !allows(contributor, key)) {
        Some(key) => Err(NotTaken::Forbidden {
            key: format!("{key:?}"),
        }),
        None => Ok(delta),
    }
}

fn answer(acceptor: &Acceptor, offer: Offer, generation: u64, delta: &DeltaReport) {
    match &delta.refused {
        Some(reason) => {
            let reason = reason.to_string();
            acceptor.refuse(offer, NotTaken::Invalid { reason });
        }
        None => acceptor.merged(
            offer,
            Merged {
                generation,
                taken: delta.added + delta.replaced + delta.removed,
                kept: delta.kept,
                equal: delta.equal,
            },
        ),
    }
}
