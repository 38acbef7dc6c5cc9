//! Handing the generations of a cache to workers that run.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::channel::contribute::{Counts, Door};
use crate::channel::{ChannelStatus, Publisher};
use crate::error::Result;
use crate::frozen::{Content, Frozen};

/// The channel of a cache, which is opened for the first one who follows it.
///
/// Only the owner of the store locks it, so no fork finds it locked.
#[derive(Default)]
pub(super) struct Following(Mutex<Channel>);

#[derive(Default)]
struct Channel {
    publisher: Option<Publisher>,
    /// Through which those who follow may contribute.
    door: Option<Door>,
}

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
        let mut channel = self.lock();
        if let Some(open) = &channel.publisher {
            return Ok(open.clone());
        }
        let opened = Publisher::new(newest)?;
        if let Some(door) = &channel.door {
            opened.set_door(Some(door.clone()))?;
        }
        Ok(channel.publisher.insert(opened).clone())
    }

    /// Gives those who follow from now on a door to contribute through, or none.
    ///
    /// # Errors
    /// [`ChannelError::Step`](crate::error::ChannelError::Step); all stays as it was.
    pub(super) fn set_door(&self, door: Option<Door>) -> Result<()> {
        let mut channel = self.lock();
        if let Some(open) = &channel.publisher {
            open.set_door(door.clone())?;
        }
        channel.door = door;
        Ok(())
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
        let channel = self.lock();
        let Some(publisher) = &channel.publisher else {
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

    /// What was contributed, if the cache accepts that.
    pub(super) fn contributions(&self) -> Option<Counts> {
        self.lock().door.as_ref().map(Door::counts)
    }

    /// What the channel tells, if anybody follows the cache.
    pub(super) fn status(&self) -> Option<ChannelStatus> {
        self.lock().publisher.as_ref()?.status().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Channel> {
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
