//! What an owner publishes at this time.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use super::opening_failed;
use crate::channel::contribute::Door;
use crate::channel::counters::Counters;
use crate::channel::mailbox;
use crate::channel::subscription::Subscription;
use crate::error::{ChannelError, Error, Result};
use crate::frozen::{Content, Frozen};
use crate::map;
use crate::region::Region;

/// What changes with a publication.
pub(super) struct Newest {
    pub(super) content: Box<dyn Generation>,
    /// The owner's end of the mailbox.
    pub(super) sender: OwnedFd,
    pub(super) subscription: Arc<Subscription>,
    /// The age at which generations expire.
    pub(super) expire_after: Option<Duration>,
    /// When the cache will be built again, on the boot clock.
    pub(super) refresh_at: Option<Duration>,
    pub(super) last_error: Option<String>,
    pub(super) counters: Option<Counters>,
    /// That of the subscription.
    pub(super) door: Option<Door>,
}

/// A [`Frozen`] of any type.
pub(super) trait Generation: Any + Send + Sync {
    fn region(&self) -> &Region;
    fn entries(&self) -> Option<u64>;
}

impl<T: Content> Generation for Frozen<T> {
    fn region(&self) -> &Region {
        self.region()
    }

    fn entries(&self) -> Option<u64> {
        map::entries(self.region())
    }
}

impl Newest {
    /// Refuses what is not a later generation of this cache, of the same type.
    pub(super) fn check_continued_by<T: Content>(&self, next: &Frozen<T>) -> Result<()> {
        let header = self.content.region().header();
        if next.region().name() != header.name {
            return Err(Error::Channel(ChannelError::OtherCache {
                expected: header.name.clone(),
                got: next.region().name().to_owned(),
            }));
        }
        if next.region().generation() <= header.generation {
            return Err(Error::Channel(ChannelError::NotNewer {
                name: header.name.clone(),
                newest: header.generation,
                got: next.region().generation(),
            }));
        }
        self.content::<T>().map(drop)
    }

    /// The newest generation, if the cache is one of a `T`.
    pub(super) fn content<T: Content>(&self) -> Result<&Frozen<T>> {
        let header = self.content.region().header();
        let content: &dyn Any = &*self.content;
        content.downcast_ref().ok_or_else(|| Error::SchemaMismatch {
            name: header.name.clone(),
            expected_type: std::any::type_name::<T>(),
            expected: T::describe().fingerprint(),
            got: header.fingerprint,
        })
    }

    /// Opens another mailbox, when a hostile worker has spoiled the one that it shared. Its readers
    /// keep what they have; those to come get the new one.
    pub(super) fn replace_mailbox(&mut self) -> Result<()> {
        let Subscription { name, control, .. } = &*self.subscription;
        let failed = |source| opening_failed(name, source);
        let page = control.try_clone().map_err(failed)?;
        let (sender, receiver) = mailbox::create().map_err(failed)?;
        let door = self.subscription.door().cloned();
        let another = Subscription::new(name.clone(), page, receiver).with_door(door);
        self.subscription = Arc::new(another);
        mailbox::close(std::mem::replace(&mut self.sender, sender));
        Ok(())
    }

    /// Fills a mailbox that somebody has emptied, or in which there was no room. Failing that,
    /// those who have the newest generation keep it, and others wait for it.
    pub(super) fn fill(&self) {
        let receiver = self.subscription.mailbox();
        let region = self.content.region();
        if let Some(files) = region.fds().filter(|_| mailbox::is_empty(receiver)) {
            let _ = mailbox::put(&self.sender, receiver, region.header().generation, &files);
        }
    }
}
