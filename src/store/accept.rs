//! Folding what workers contribute into caches.

mod arrivals;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rkyv::Archive;

use super::keyed::StoreKey;
use super::managed::AnyCache;
use super::refresh::sleep;
use super::{Store, Turns};
use crate::channel::contribute::{Acceptor, Door, Limits, Merged, Offer};
use crate::error::{ChannelError, DeltaError, Error, NotTaken, Result, shown};
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
    give_door: Box<GiveDoor>,
    /// Held while a batch is folded in, so that batches keep their order.
    batch: Mutex<Batch>,
}

type Fold = dyn Fn(&Acceptor, Vec<Offer>, &Turns<'_>) -> Vec<MergeReport> + Send + Sync;

/// Gives those who follow the cache another door.
type GiveDoor = dyn Fn(Door) -> Result<()> + Send + Sync;

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

    /// Folds in all that has come.
    fn fold_all(&self, turns: &Turns<'_>) -> Vec<MergeReport> {
        let mut batch = self.lock();
        let (mut reports, mut folded) = (Vec::new(), 0);
        while folded < MOST_FOLDED {
            self.fill(&mut batch, false);
            if batch.offers.is_empty() {
                break;
            }
            folded += batch.offers.len();
            reports.extend(self.fold(&mut batch, turns));
        }
        reports
    }

    /// Folds in a batch that is full, or has waited for long enough; also tells how long the next
    /// one waits.
    fn fold_due(&self, turns: &Turns<'_>) -> (Vec<MergeReport>, Option<Duration>) {
        let limits = self.acceptor.limits();
        let mut batch = self.lock();
        let is_full = self.fill(&mut batch, true);
        let Some(since) = batch.since else {
            return (Vec::new(), None);
        };
        match limits.gather.saturating_sub(since.elapsed()) {
            left if !left.is_zero() && !is_full => (Vec::new(), Some(left)),
            // More may have come that nothing tells of any more.
            _ => (self.fold(&mut batch, turns), Some(Duration::ZERO)),
        }
    }

    /// Takes what has come, as far as the batch has room; true if it has no more.
    fn fill(&self, batch: &mut Batch, woken: bool) -> bool {
        let limits = self.acceptor.limits();
        let room = limits.batch.saturating_sub(batch.offers.len());
        let most = limits.batch_bytes.saturating_sub(batch.bytes);
        let offers = self.acceptor.receive(room, most, woken);
        self.acceptor.give_replaced_door(&self.give_door);
        batch.bytes += offers.iter().map(Offer::length).sum::<u64>();
        batch.offers.extend(offers);
        if batch.since.is_none() && !batch.offers.is_empty() {
            batch.since = Some(Instant::now());
        }
        batch.offers.len() >= limits.batch || batch.bytes >= limits.batch_bytes
    }

    fn fold(&self, batch: &mut Batch, turns: &Turns<'_>) -> Vec<MergeReport> {
        let Batch { offers, .. } = std::mem::take(batch);
        // Who is left without an answer learns that nobody has it any more.
        catch(|| (self.fold)(&self.acceptor, offers, turns)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        // Those of the owner, which in a child it still has.
        let batch = self.batch.get_mut().unwrap_or_else(PoisonError::into_inner);
        let offers = std::mem::take(&mut batch.offers);
        if self.acceptor.is_own() {
            for offer in offers {
                self.acceptor.refuse(offer, NotTaken::Closed);
            }
        }
    }
}

/// Whether a contributor may write under a key.
type Allows<K> = dyn Fn(Contributor, &<K as Archive>::Archived) -> bool + Send + Sync;

/// Opens offers, merges them by `merge`, and answers. If they cannot be merged together, fewer are
/// at a time: who offers what cannot be merged does not keep others from it.
fn fold<K: OverlayKey, V: OverlayValue>(
    acceptor: &Acceptor,
    offers: Vec<Offer>,
    allows: &Allows<K>,
    merge: impl Fn(&[Delta<K, V>]) -> Result<MergeReport>,
) -> Vec<MergeReport> {
    let (mut from, mut deltas) = (Vec::new(), Vec::new());
    for mut offer in offers {
        // Keys that users compare and print, and who decides who may write them, may panic.
        let opened = catch(|| open(acceptor, &mut offer, allows));
        match opened.unwrap_or_else(|reason| Err(NotTaken::Failed { reason })) {
            Ok(delta) => {
                from.push(offer);
                deltas.push(delta);
            }
            Err(why) => acceptor.refuse(offer, why),
        }
    }
    let mut reports = Vec::new();
    if !deltas.is_empty() {
        merge_or_split(acceptor, from, &deltas, &merge, &mut reports);
    }
    reports
}

/// Merges deltas together, failing that the halves of them.
fn merge_or_split<K: OverlayKey, V: OverlayValue>(
    acceptor: &Acceptor,
    mut from: Vec<Offer>,
    deltas: &[Delta<K, V>],
    merge: &impl Fn(&[Delta<K, V>]) -> Result<MergeReport>,
    reports: &mut Vec<MergeReport>,
) {
    match merge(deltas) {
        Ok(report) => {
            for (offer, delta) in from.into_iter().zip(&report.deltas) {
                answer(acceptor, offer, &report, delta);
            }
            reports.push(report);
        }
        Err(error) if deltas.len() == 1 => {
            for offer in from {
                let reason = error.to_string();
                acceptor.refuse(offer, NotTaken::Failed { reason });
            }
        }
        Err(_) => {
            let (first, second) = deltas.split_at(deltas.len() / 2);
            let behind = from.split_off(first.len());
            merge_or_split(acceptor, from, first, merge, reports);
            merge_or_split(acceptor, behind, second, merge, reports);
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
    acceptor.count_content(offer, delta.len() as u64, delta.expanded())?;
    let contributor = offer.contributor();
    let forbidden = delta.added().keys().chain(delta.removed());
    let forbidden = forbidden.filter(|key| !allows(contributor, key));
    let forbidden = forbidden.map(shown).next();
    match forbidden {
        Some(key) => Err(NotTaken::Forbidden { key }),
        None => Ok(delta),
    }
}

fn answer(acceptor: &Acceptor, offer: Offer, report: &MergeReport, delta: &DeltaReport) {
    match &delta.refused {
        Some(refused) => {
            let reason = refused.to_string();
            // What the rule of the owner does is no fault of its contributors, nor what it has begun anew
            // since they looked.
            let why = match refused {
                DeltaError::Panicked { .. }
                | DeltaError::Value { .. }
                | DeltaError::OtherKey { .. } => NotTaken::Failed { reason },
                _ => NotTaken::Invalid { reason },
            };
            acceptor.refuse(offer, why);
        }
        None => acceptor.merged(
            offer,
            Merged {
                generation: report.generation,
                saved: report.saved,
                taken: delta.added + delta.replaced + delta.removed,
                kept: delta.kept,
                equal: delta.equal,
                outdated: delta.outdated,
            },
        ),
    }
}

impl Store {
    /// Lets workers hand deltas over for a cache that was declared by [`merged`](Self::merged),
    /// whether they were forked, started by [`pass_to`](Self::pass_to), or came by a
    /// [broker](Self::serve): all who follow the cache by a handle that is made from now on. Without
    /// this, no cache takes anything from anybody.
    ///
    /// Workers call [`Live::contribute`](crate::Live::contribute) or
    /// [`Overlay::contribute`](crate::Overlay::contribute), and go on. This process folds in what
    /// has come with each [`refresh`](Self::refresh), and with [`fold`](Self::fold), which looks
    /// for nothing else. A [background thread](Self::refresh_in_background) wakes when something
    /// comes, and folds in [batches](Limits::batches). Each contributor is told what became of its
    /// delta.
    ///
    /// Who contributes is believed: it may put any well-formed value under any key, where the rule
    /// does not keep what is there. [`accept_where`](Self::accept_where) restricts the keys.
    /// It can cause neither undefined behaviour nor, beyond the [limits](Limits), cost; nor can it
    /// change another cache, or hold up whoever reads.
    ///
    /// The rule runs while caches are folded in: it must not call its own store.
    ///
    /// A second call for the same cache replaces rule and limits, and closes the connections of the
    /// first: handles that were made before cannot contribute any more.
    ///
    /// ```
    /// use floe::contribute::{Limits, Outcome};
    /// use floe::overlay::Rule;
    /// use floe::{Overlay, Policy, Store};
    ///
    /// let store = Store::new();
    /// let lengths = store.merged::<String, u64>("lengths", Policy::new())?;
    /// store.accept::<String, u64>("lengths", Rule::FirstWins, Limits::new())?;
    /// store.refresh()?;
    ///
    /// // In any worker.
    /// let mut overlay = Overlay::<String, u64>::following(store.live("lengths")?);
    /// overlay.insert(&"bash".to_owned(), &4)?;
    /// let mut contribution = overlay.contribute()?;
    /// assert!(contribution.try_outcome().is_none());
    ///
    /// // In the owner.
    /// let reports = store.fold()?;
    /// assert_eq!(reports[0].deltas[0].added, 1);
    /// assert_eq!(lengths.get()?["bash"], 4);
    ///
    /// // In the worker.
    /// assert!(matches!(contribution.try_outcome(), Some(Outcome::Merged(_))));
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`merge`](Self::merge) for a cache that cannot be merged into, and
    /// [`ChannelError::Step`] if the kernel gives no sockets.
    pub fn accept<K: StoreKey, V: OverlayValue>(
        &self,
        name: &str,
        rule: Rule<K, V>,
        limits: Limits,
    ) -> Result<()> {
        self.accept_where(name, rule, limits, |_, _| true)
    }

    /// As [`accept`](Self::accept), of keys alone that a contributor may write under, also to remove
    /// them. A delta with any other key is refused as a whole.
    ///
    /// The user of a [`Contributor`] is known for certain, its process where pid namespaces are not
    /// mixed.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_where<K: StoreKey, V: OverlayValue>(
        &self,
        name: &str,
        rule: Rule<K, V>,
        limits: Limits,
        allows: impl Fn(Contributor, &K::Archived) -> bool + Send + Sync + 'static,
    ) -> Result<()> {
        let cache = self.mergeable::<K, V>(name)?;
        let acceptor = Acceptor::new(limits).map_err(|source| {
            Error::Channel(ChannelError::Step {
                name: name.to_owned(),
                step: "accept contributions",
                reason: source,
            })
        })?;
        cache.set_door(Some(acceptor.door()))?;
        let followed = Arc::clone(&cache);
        let allows: Box<Allows<K>> = Box::new(allows);
        self.arrivals.add(Accepting {
            name: name.to_owned(),
            acceptor,
            fold: Box::new(move |acceptor, offers, turns| {
                fold(acceptor, offers, &*allows, |deltas| {
                    cache.merge(deltas, &rule, turns)
                })
            }),
            give_door: Box::new(move |door| followed.replace_door(door)),
            batch: Mutex::default(),
        });
        Ok(())
    }

    /// Stops accepting contributions for a cache. What has come but was not folded in is refused;
    /// all contributors are told, and keep what they have.
    ///
    /// # Errors
    /// [`Error::UnknownCache`] and [`Error::NotOwner`].
    pub fn stop_accepting(&self, name: &str) -> Result<()> {
        self.find(name)?.set_door(None)?;
        drop(self.arrivals.remove(name));
        Ok(())
    }

    /// Folds in what has been contributed to all caches, and looks for nothing else. Returns at once
    /// if there is nothing, for the price of a system call for each cache.
    ///
    /// # Errors
    /// [`Error::NotOwner`]. What could not be merged, its contributors are told.
    pub fn fold(&self) -> Result<Vec<MergeReport>> {
        self.check_owner()?;
        Ok(self.arrivals.fold_all(&Turns::waiting(&sleep)))
    }

    /// Descriptors of which one becomes readable when something may have been contributed, for an
    /// event loop that then calls [`fold`](Self::fold): one for each cache that accepts
    /// contributions. To be asked for again after each fold.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn arrivals(&self) -> Result<Vec<Arc<OwnedFd>>> {
        self.check_owner()?;
        Ok(self.arrivals.wakers())
    }
}
