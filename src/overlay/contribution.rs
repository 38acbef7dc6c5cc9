//! Handing deltas over to an owner that accepts them.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::{Delta, Overlay, OverlayKey, OverlayValue};
use crate::channel::Live;
use crate::channel::contribute::{Outcome, Sent};
use crate::error::{ChannelError, Error, Result};
use crate::map::Map;

/// A delta on its way to the owner of a cache.
///
/// Whoever wants to know what became of it asks; whoever does not drops this, and the delta is
/// merged all the same. An overlay that was contributed keeps its additions until it
/// [advances](Overlay::advance) to a generation that has them, so nothing is lost if they are not
/// taken.
///
/// As a descriptor it becomes readable when the answer is there, for event loops. It does so also
/// when the owner ends, but not always at once; [`wait`](Self::wait) knows.
///
/// ```
/// use std::time::Duration;
/// use floe::contribute::{Limits, Outcome};
/// use floe::overlay::Rule;
/// use floe::{Overlay, Policy, Store, prefork};
///
/// let store = Store::new();
/// store.merged::<String, u64>("lengths", Policy::new())?;
/// store.accept::<String, u64>("lengths", Rule::FirstWins, Limits::new())?;
/// store.refresh()?;
///
/// let live = store.live("lengths")?;
/// let workers = prefork::spawn_try(2, |worker| {
///     let mut overlay = Overlay::following(live.clone());
///     let word = format!("word {}", worker.index());
///     overlay.insert(&word, &(word.len() as u64))?;
///     let mut contribution = overlay.contribute()?;
///     Ok::<_, floe::Error>(matches!(
///         contribution.wait(Duration::from_secs(60)),
///         Some(Outcome::Merged(_))
///     ))
/// })?;
/// while store.live::<floe::Map<String, u64>>("lengths")?.pin().len() < 2 {
///     store.refresh()?;
/// }
/// assert_eq!(workers.join()?, [true, true]);
/// # Ok::<(), floe::Error>(())
/// ```
#[must_use = "only this tells what became of the delta"]
pub struct Contribution<K: OverlayKey, V: OverlayValue> {
    delta: Delta<K, V>,
    sent: Sent,
}

impl<K: OverlayKey, V: OverlayValue> Contribution<K, V> {
    /// What has become of the delta, once that is known. Does not wait.
    pub fn try_outcome(&mut self) -> Option<&Outcome> {
        self.sent.outcome()
    }

    /// The same, for which it waits, but no longer than `timeout`. It ends also when the owner does.
    pub fn wait(&mut self, timeout: Duration) -> Option<&Outcome> {
        self.sent.wait(timeout)
    }

    /// The delta, to contribute it again or to save it.
    #[must_use]
    pub fn delta(&self) -> &Delta<K, V> {
        &self.delta
    }

    /// The same, without waiting for an answer any more.
    #[must_use]
    pub fn into_delta(self) -> Delta<K, V> {
        self.delta
    }
}

impl<K: OverlayKey, V: OverlayValue> Live<Map<K, V>> {
    /// Hands what an overlay has changed over to the owner of the cache, without waiting. The
    /// overlay goes on with its changes.
    ///
    /// Costs the sealing of a [delta](Overlay::to_delta), and some ten system calls; the first time
    /// for each handle some more, for a connection of its own. The owner has to
    /// [accept](crate::Store::accept) contributions, and to have done so before this handle was
    /// made.
    ///
    /// # Errors
    /// [`ChannelError::NotAccepting`]; [`ChannelError::NotContributed`] if the owner has ended, has
    /// cut this process off, or has not looked at what came before, for which there is no more
    /// room; [`ChannelError::Step`]; those of [`Overlay::to_delta`].
    pub fn contribute(&mut self, overlay: &Overlay<K, V>) -> Result<Contribution<K, V>> {
        let (delta, used) = overlay.seal()?;
        let contribution = self.contribute_delta(&delta)?;
        overlay.note_told(&used);
        Ok(contribution)
    }

    /// The same with a delta that is there already.
    ///
    /// # Errors
    /// As [`contribute`](Self::contribute).
    pub fn contribute_delta(&mut self, delta: &Delta<K, V>) -> Result<Contribution<K, V>> {
        let sent = self.send_files(&delta.region().as_fds()?)?;
        let delta = delta.clone();
        Ok(Contribution { delta, sent })
    }
}

impl<K: OverlayKey, V: OverlayValue> Overlay<K, V> {
    /// Hands the changes over to the owner of the cache that this overlay
    /// [follows](Self::following), as [`Live::contribute`].
    ///
    /// # Errors
    /// As [`Live::contribute`]; [`ChannelError::NotAccepting`] also for an overlay that follows
    /// nothing.
    pub fn contribute(&mut self) -> Result<Contribution<K, V>> {
        let (delta, used) = self.seal()?;
        let Some(live) = &mut self.live else {
            let name = delta.name().to_owned();
            return Err(Error::Channel(ChannelError::NotAccepting { name }));
        };
        let contribution = live.contribute_delta(&delta)?;
        self.note_told(&used);
        Ok(contribution)
    }
}

impl<K: OverlayKey, V: OverlayValue> AsFd for Contribution<K, V> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sent.as_fd()
    }
}

impl<K: OverlayKey, V: OverlayValue> fmt::Debug for Contribution<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contribution")
            .field("name", &self.delta.name())
            .finish_non_exhaustive()
    }
}
