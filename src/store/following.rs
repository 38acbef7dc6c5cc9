//! Handing the generations of a cache to workers that run.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::{ChannelStatus, Publisher};
use crate::error::Result;
use crate::frozen::{Content, Frozen};

/// The channel of a cache, which is opened for the first one who follows it.
///
/// Only the owner of the store locks it, so no fork finds it locked.
#[derive(Default)]
pub(super) struct Following(Mutex<Option<Publisher>>);

/// What is known of the newest generation.
pub(super) struct Standing {
    /// How long ago it was built, or found to be what a build gives.
    pub(super) age: Duration,
    /// How long it may still be served; none if it never expires.
    pub(super) served_for: Option<Duration>,
    pub(super) due_in: Option<Duration>,
    pub(super) last_error: Option<String>,
}

impl Following {
    /// The channel, over the newest generation if it was not open yet.
    ///
    /// # Errors
    /// As [`Publisher::new`].
    pub(super) fn publisher<T: Content>(&self, newest: &Frozen<T>) -> Result<Publisher> {
        let mut publisher = self.lock();
        match &*publisher {
            Some(open) => Ok(open.clone()),
            None => Ok(publisher.insert(Publisher::new(newest)?).clone()),
        }
    }

    /// Brings those who follow the newest generation, if they do not have it, and what is known of
    /// it. `newest` is asked while no other thread hands over, and only if somebody follows.
    ///
    /// # Errors
    /// [`ChannelError::Step`](crate::Error::Channel). They keep what they have; the next call tries
    /// again.
    pub(super) fn hand_over<T: Content>(
        &self,
        newest: impl FnOnce() -> Option<(Frozen<T>, Standing)>,
    ) -> Result<()> {
        let publisher = self.lock();
        let Some(publisher) = &*publisher else {
            return Ok(());
        };
        let Some((newest, standing)) = newest() else {
            return Ok(());
        };
        let Standing {
            age,
            served_for,
            due_in,
            last_error,
        } = standing;
        let expire_after = served_for.map(|left| age.saturating_add(left));
        publisher.expire_next_after(expire_after)?;
        if publisher.generation()? < newest.region().generation() {
            publisher.publish(&newest)?;
        }
        publisher.renew_aged(age)?;
        publisher.note(due_in, last_error)
    }

    /// What the channel tells, if anybody follows the cache.
    pub(super) fn status(&self) -> Option<ChannelStatus> {
        self.lock().as_ref()?.status().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Publisher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_looked_at_in_turn() {
        let first = Frozen::freeze("number", &1_u32).unwrap();
        let following = Following::default();
        let publisher = following.publisher(&first).unwrap();
        let second = publisher.freeze(&2_u32).unwrap();
        let newest = || {
            // Nobody else hands over what would be older by then.
            assert!(following.0.try_lock().is_err());
            let standing = Standing {
                age: Duration::ZERO,
                served_for: None,
                due_in: None,
                last_error: None,
            };
            Some((second, standing))
        };
        following.hand_over(newest).unwrap();
        assert_eq!(publisher.generation().unwrap(), 2);
    }
}
