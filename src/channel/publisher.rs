//! The owner's end of a channel.

mod newest;

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use super::control::{ControlWriter, Freshness};
use super::status::ChannelStatus;
use super::subscription::Subscription;
use super::{handover, mailbox};
use crate::archive::ArchivedAs;
use crate::archive::Value;
use crate::channel::contribute::Door;
use crate::channel::counters::Counters;
use crate::channel::live::Live;
use crate::error::{ChannelError, Error, Result};
use crate::frozen::{Content, Frozen};
use crate::map::{Map, MapBuilder, MapKey};
use crate::region::{Backing, Label, Unsealed};
use crate::sys::clock::{self, Clock};
use crate::sys::limits;
use crate::sys::owner::Owner;
use newest::Newest;

/// The owner's end of a channel: publishes the generations of one cache to all who follow it.
///
/// It keeps the newest generation. Clones are the same publisher, for several threads; dropping the
/// last one closes the channel, which [`Live::is_orphaned`] tells. In a child forked from the owner
/// it refuses with [`Error::NotOwner`], and dropping it there does nothing; what children use is
/// the [`Live`] handle that was made before the fork.
///
/// Make publishers while no other thread forks: a child that is forked in the very moment could
/// write to the control page.
///
/// ```
/// use floe::{Frozen, Publisher, prefork};
///
/// let publisher = Publisher::new(&Frozen::freeze("answer", &41_u32)?)?;
/// let mut live = publisher.subscribe::<u32>()?;
/// let mut workers = prefork::spawn(2, |_| {
///     while live.generation() < 2 {
///         live.wait_newer(std::time::Duration::from_secs(10));
///     }
///     live.get_stale().to_native()
/// })?;
/// publisher.publish(&publisher.freeze(&42_u32)?)?;
/// assert_eq!(workers.join()?, [42, 42]);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Clone)]
pub struct Publisher {
    channel: Arc<Channel>,
}

struct Channel {
    name: String,
    owner: Owner,
    /// What tells the age of a generation.
    clock: Clock,
    control: ControlWriter,
    /// Only the owner locks it, so no fork finds it locked.
    newest: Mutex<Newest>,
}

impl Publisher {
    /// Opens a channel for the cache of a first generation, which may have any number.
    ///
    /// Generations do not expire unless [`expire_after`](Self::expire_after) says so. Takes three
    /// descriptors, besides that of the region.
    ///
    /// # Errors
    /// [`ChannelError::Step`], [`ChannelError::InFlight`], and [`Error::NoDescriptor`] for what
    /// lies on the heap.
    pub fn new<T: Content>(first: &Frozen<T>) -> Result<Self> {
        first.region().as_fd()?;
        let name = first.region().name().to_owned();
        let failed = |source| opening_failed(&name, source);
        let label = format!("floe-control:{name}");
        let (control, page) = ControlWriter::create::<T>(&label).map_err(failed)?;
        let (sender, receiver) = mailbox::create().map_err(failed)?;
        let newest = Newest {
            content: Box::new(first.clone()),
            sender,
            subscription: Arc::new(Subscription::new(name.clone(), page, receiver)),
            expire_after: None,
            refresh_at: None,
            last_error: None,
            counters: None,
            door: None,
        };
        let channel = Channel {
            name: name.clone(),
            owner: Owner::here(),
            clock: Clock::system(),
            control,
            newest: Mutex::new(newest),
        };
        channel.deliver(&channel.lock(), first)?;
        Ok(Self {
            channel: Arc::new(channel),
        })
    }

    /// Lets generations expire at an age, the newest one and those that follow it.
    ///
    /// ```
    /// use floe::{Frozen, Publisher};
    /// use std::time::Duration;
    ///
    /// let first = Frozen::freeze("answer", &42_u32)?;
    /// let publisher = Publisher::new(&first)?.expire_after(Duration::from_secs(3600))?;
    /// let live = publisher.subscribe::<u32>()?;
    /// assert!(live.expires_in().is_some_and(|left| left > Duration::from_secs(3000)));
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn expire_after(self, age: Duration) -> Result<Self> {
        self.set_expire_after(Some(age))?;
        Ok(self)
    }

    /// The same for a publisher in use; `None` lets generations live for ever.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn set_expire_after(&self, age: Option<Duration>) -> Result<()> {
        let mut newest = self.newest()?;
        newest.expire_after = age;
        let (now, freshness) = (clock::boot_now(), newest.subscription.control.freshness());
        let freshness = Freshness::new(now, freshness.age(now), age);
        self.channel.control.renew(freshness);
        Ok(())
    }

    /// The same for what is published, or renewed, next.
    pub(crate) fn expire_next_after(&self, age: Option<Duration>) -> Result<()> {
        self.newest()?.expire_after = age;
        Ok(())
    }

    /// Publishes a generation that is newer than the newest one.
    ///
    /// Costs some ten system calls, however many follow the cache. They see it with their next
    /// `get`. The generation before stays readable for all who hold it.
    ///
    /// # Errors
    /// [`Error::NotOwner`]; [`ChannelError::OtherCache`], [`ChannelError::NotNewer`] and
    /// [`Error::SchemaMismatch`] for what does not continue this cache; [`ChannelError::Step`];
    /// [`ChannelError::InFlight`]. Nothing is published then.
    pub fn publish<T: Content>(&self, next: &Frozen<T>) -> Result<()> {
        let mut newest = self.newest()?;
        newest.check_continued_by(next)?;
        let deliver = |newest: &Newest| self.channel.deliver(newest, next);
        match deliver(&newest) {
            Ok(()) => {
                newest.content = Box::new(next.clone());
                if !mailbox::holds(newest.subscription.mailbox(), next.region().generation()) {
                    newest.replace_mailbox()?;
                    newest.fill();
                }
            }
            Err(Error::Channel(ChannelError::Step { reason: source, .. }))
                if mailbox::is_spoiled(&source) =>
            {
                newest.replace_mailbox()?;
                deliver(&newest)?;
                newest.content = Box::new(next.clone());
            }
            Err(error) => {
                // To make room, the message of the generation before may have been taken out.
                newest.fill();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Says that the newest generation was found to be as it should be just now: its age counts
    /// from here.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn renew(&self) -> Result<()> {
        self.renew_aged(Duration::ZERO)
    }

    /// The same for what was found to be as it should be some time ago.
    pub(crate) fn renew_aged(&self, age: Duration) -> Result<()> {
        // Held, so that the times are not those of another generation.
        let newest = self.newest()?;
        newest.fill();
        let freshness = Freshness::new(clock::boot_now(), age, newest.expire_after);
        self.channel.control.renew(freshness);
        Ok(())
    }

    /// A handle that follows the cache, for this process and for its children: make it before the
    /// fork.
    ///
    /// # Errors
    /// [`Error::NotOwner`], and [`Error::SchemaMismatch`] if the cache holds another type.
    pub fn subscribe<T: Content>(&self) -> Result<Live<T>> {
        let newest = self.newest()?;
        Ok(Live::of_owner(
            newest.content::<T>()?.clone(),
            Arc::clone(&newest.subscription),
        ))
    }

    /// Hands the cache to the program that a command starts, and to no other: it follows it with
    /// [`Live::inherited`]. May be called for several caches. Sets the environment variable
    /// `FLOE_LIVE` of the command, so do not clear its environment afterwards.
    ///
    /// ```
    /// use std::process::Command;
    /// use floe::{Frozen, Publisher};
    ///
    /// let publisher = Publisher::new(&Frozen::freeze("answer", &42_u32)?)?;
    /// let mut command = Command::new("true");
    /// publisher.pass_to(&mut command)?;
    /// assert!(command.status().unwrap().success());
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotOwner`] and [`ChannelError::Step`].
    pub fn pass_to(&self, command: &mut Command) -> Result<()> {
        let subscription = self.subscription()?;
        handover::pass(&subscription, command).map_err(|source| {
            Error::Channel(ChannelError::Step {
                name: self.name().to_owned(),
                step: "be passed on",
                reason: source,
            })
        })
    }

    /// What is known of the cache.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn status(&self) -> Result<ChannelStatus> {
        let newest = self.newest()?;
        let (header, now) = (newest.content.region().header(), clock::boot_now());
        let freshness = newest.subscription.control.freshness();
        Ok(ChannelStatus {
            name: header.name.clone(),
            generation: header.generation,
            age: freshness.age(now),
            entries: newest.content.entries(),
            bytes: header.length,
            fingerprint: header.fingerprint.to_string(),
            expires_in: freshness.expires_in(now),
            refresh_in: newest.refresh_at.map(|at| at.saturating_sub(now)),
            last_error: newest.last_error.clone(),
            lookups: newest.counters.as_ref().map(Counters::lookups),
            misses: newest.counters.as_ref().map(Counters::misses),
            contributions: newest.door.as_ref().map(Door::counts),
        })
    }

    /// Sets when the cache will be built again, and why the last build failed, for
    /// [`status`](Self::status) alone.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn note(&self, refresh_in: Option<Duration>, last_error: Option<String>) -> Result<()> {
        let mut newest = self.newest()?;
        newest.refresh_at = refresh_in.map(|left| clock::boot_now().saturating_add(left));
        newest.last_error = last_error;
        Ok(())
    }

    /// Lets [`status`](Self::status), and that of the [`Store`](crate::Store) which publishes here,
    /// tell what workers count.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn report(&self, counters: &Counters) -> Result<()> {
        self.newest()?.counters = Some(counters.clone());
        Ok(())
    }

    /// Freezes a value as the generation after the newest one, without publishing it. It shares
    /// the pages that are equal, and at the same place, with that.
    ///
    /// # Errors
    /// [`Error::NotOwner`], and those of [`Frozen::freeze`].
    pub fn freeze<T: Value>(&self, value: &T) -> Result<Frozen<T>> {
        self.freeze_as(value)
    }

    /// The same for a type that is archived alike.
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze).
    pub fn freeze_as<T: Value>(&self, value: &impl ArchivedAs<T>) -> Result<Frozen<T>> {
        let (label, newest) = self.next::<T>()?;
        let next = Frozen::<T>::freeze_in(Backing::Memfd, label, value, None)?;
        match newest {
            Some(newest) => next.sharing(newest.region()),
            None => Ok(next),
        }
    }

    /// A builder for the generation after the newest one, with which it shares pages as
    /// [`freeze`](Self::freeze) does.
    ///
    /// # Errors
    /// [`Error::NotOwner`], and those of [`MapBuilder::new`].
    pub fn builder<K: MapKey, V: Value>(&self) -> Result<MapBuilder<K, V>> {
        let (label, newest) = self.next::<Map<K, V>>()?;
        let newest = newest.map(|newest| newest.shared_region());
        let unsealed = Unsealed::create(label, Backing::Memfd)?;
        Ok(MapBuilder::from_unsealed(unsealed).sharing(newest))
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.channel.name
    }

    /// The number of the newest generation.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn generation(&self) -> Result<u64> {
        Ok(self.newest()?.content.region().header().generation)
    }

    pub(crate) fn check_owner(&self) -> Result<()> {
        self.channel.owner.check("a publisher")
    }

    /// The readers' end, for one who comes from elsewhere and needs something to begin with.
    pub(crate) fn subscription(&self) -> Result<Arc<Subscription>> {
        let newest = self.newest()?;
        newest.fill();
        Ok(Arc::clone(&newest.subscription))
    }

    /// Gives handles that are made from now on a door to contribute through, or none.
    ///
    /// # Errors
    /// [`Error::NotOwner`] and [`ChannelError::Step`].
    pub(crate) fn set_door(&self, door: Option<Door>) -> Result<()> {
        let mut newest = self.newest()?;
        let failed = |source| channel_failed(self.name(), "accept contributions", source);
        let outside = door.as_ref().map(|door| Arc::clone(&door.outside));
        let subscription = newest.subscription.try_clone_with_door(outside);
        newest.subscription = Arc::new(subscription.map_err(failed)?);
        newest.door = door;
        Ok(())
    }

    /// Whether a broker may hand the door to clients of other users.
    pub(crate) fn accepts_other_users(&self) -> bool {
        let newest = self.newest();
        newest.is_ok_and(|it| it.door.as_ref().is_some_and(|door| door.other_users))
    }

    /// What the next generation is called, and the newest one if it is of a `T`.
    fn next<T: Content>(&self) -> Result<(Label, Option<Frozen<T>>)> {
        let newest = self.newest()?;
        let region = newest.content.region();
        let label = Label::after(region, region.generation() + 1);
        Ok((label, newest.content().ok().cloned()))
    }

    fn newest(&self) -> Result<MutexGuard<'_, Newest>> {
        self.check_owner()?;
        Ok(self.channel.lock())
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a generation to the readers, in the order that the module describes.
    fn deliver<T: Content>(&self, newest: &Newest, next: &Frozen<T>) -> Result<()> {
        let header = next.region().header();
        let failed = |source| channel_failed(&header.name, "publish", source);
        let no_descriptor = || Error::NoDescriptor {
            name: header.name.clone(),
        };
        let files = next.region().fds().ok_or_else(no_descriptor)?;
        let prepared = self.control.prepare(next).map_err(failed)?;
        let receiver = newest.subscription.mailbox();
        mailbox::put(&newest.sender, receiver, header.generation, &files).map_err(failed)?;
        mailbox::keep_newest(receiver, header.generation);
        // What seems to come from the future may be of any age.
        let age = self.clock.now().since(&header.created);
        let age = age.unwrap_or(Duration::MAX);
        prepared.announce(Freshness::new(clock::boot_now(), age, newest.expire_after));
        mailbox::wake(&newest.sender, receiver, header.generation, &files);
        Ok(())
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // In a child it is the same socket, which the owner still needs.
        if self.owner.check("a publisher").is_ok() {
            mailbox::close(&self.lock().sender);
            self.control.wake();
        }
    }
}

fn channel_failed(name: &str, step: &'static str, reason: io::Error) -> Error {
    let name = name.to_owned();
    Error::Channel(match mailbox::is_crowded(&reason) {
        true => ChannelError::InFlight {
            name,
            limit: limits::most_descriptors(),
        },
        false => ChannelError::Step { name, step, reason },
    })
}

fn opening_failed(name: &str, source: io::Error) -> Error {
    channel_failed(name, "be opened", source)
}
