//! Handles that follow the newest generation of a cache.

mod reconnection;
mod watch;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::broker::Client;
use crate::channel::contribute::{Lane, Sent, contribute};
use crate::channel::{Freshness, Inherited, RETRY, Subscription, is_passing};
use crate::error::{ChannelError, Error, Result};
use crate::frozen::{Content, Frozen, Trust};
use crate::sys::clock;

use reconnection::Reconnection;
pub use watch::Watch;

/// A handle on a cache that follows its newest generation.
///
/// [`get`](Self::get) costs one load more than a plain [`Frozen`] while nothing is new. When there
/// is a newer generation, it maps that and releases the old one. That takes `&mut self`: values
/// read from the old generation borrow the handle, so the compiler ensures that none is still in
/// use. To keep a generation, [`pin`](Self::pin) it.
///
/// A handle writes no shared memory, takes no lock, and registers nowhere. Give each thread a clone
/// of its own. If a generation cannot be taken, the handle keeps the one that it has; see
/// [`last_error`](Self::last_error).
///
/// A handle of a [`Client`] with [`reconnect_every`](Client::reconnect_every) checks at most that
/// often, in `get` and while it waits, whether its owner has ended; each `get` then also reads the
/// clock, without a system call. If the owner has ended, the handle connects to the next one. That
/// takes 0.3 s at most; if it fails, the handle keeps what it has. The generation numbers of the
/// next owner may start again from 1.
///
/// | made by | in |
/// |---|---|
/// | [`Publisher::subscribe`](crate::Publisher::subscribe) | the owner, before it forks workers |
/// | [`Live::inherited`] | a program that the owner has started |
/// | [`Live::connect`], [`Client::follow`] | any other process of the same user, by the owner's [`Broker`](crate::Broker) |
///
/// ```
/// use floe::{Map, Publisher};
///
/// let first = Map::freeze("versions", [("zlib".to_owned(), "1.3".to_owned())])?;
/// let publisher = Publisher::new(&first)?;
/// let mut live = publisher.subscribe::<Map<String, String>>()?;
/// assert_eq!(live.get()?["zlib"].as_str(), "1.3");
///
/// let mut next = publisher.builder::<String, String>()?;
/// next.insert(&"zlib".into(), &"1.3.1".into())?;
/// publisher.publish(&next.finish()?)?;
/// assert_eq!(live.get()?["zlib"].as_str(), "1.3.1");
/// assert_eq!(live.generation(), 2);
/// # Ok::<(), floe::Error>(())
/// ```
///
/// A value that was read does not outlive a move to the next generation:
/// ```compile_fail,E0499
/// # use floe::{Frozen, Publisher};
/// # let publisher = Publisher::new(&Frozen::freeze("text", &String::new())?)?;
/// let mut live = publisher.subscribe::<String>()?;
/// let old = live.get();
/// let new = live.get();
/// assert_eq!(old, new);
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Live<T: Content> {
    current: Frozen<T>,
    generation: u64,
    /// As announced when the generation was taken.
    freshness: Freshness,
    subscription: Arc<Subscription>,
    missed: Option<Missed>,
    reconnection: Option<Box<Reconnection>>,
    /// On which this handle contributes.
    lane: Option<Arc<Lane>>,
}

/// How often those who wait see whether the owner still lives.
const OWNER_LOOKED_AFTER: Duration = Duration::from_secs(1);

/// A generation that could not be taken.
struct Missed {
    generation: u64,
    error: Error,
    /// On the boot clock; never for what will not get better.
    retry_at: Option<Duration>,
}

impl<T: Content> Live<T> {
    /// Follows a cache that the parent passed to this program with
    /// [`Publisher::pass_to`](crate::Publisher::pass_to). May be called again for the same cache.
    ///
    /// Each generation is checked as by [`Frozen::from_fd`]: a program need not trust its parent. One
    /// that does takes [`inherited_trusting`](Self::inherited_trusting). The children of this program do not inherit the descriptors.
    ///
    /// # Errors
    /// [`ChannelError::NotInherited`], also in a program that has more rights than its parent
    /// (set-user-ID). [`Error::UnknownCache`]. [`Error::Descriptor`], [`Error::Unsealed`] and
    /// [`ChannelError::NotControlPage`] if the descriptors are something else by now. Those of
    /// [`Frozen::from_fd`].
    pub fn inherited(name: &str) -> Result<Self> {
        Self::inherited_as(name, |subscription| subscription)
    }

    /// The same, of a parent that is trusted to have checked what it publishes. Takes no time,
    /// whatever the size of the cache.
    ///
    /// # Errors
    /// As [`inherited`](Self::inherited).
    pub fn inherited_trusting(name: &str, trust: Trust<T>) -> Result<Self> {
        Self::inherited_as(name, |subscription| subscription.trusting(&trust))
    }

    fn inherited_as(name: &str, prepare: impl Fn(Subscription) -> Subscription) -> Result<Self> {
        let Inherited {
            subscription,
            numbers,
        } = Inherited::find(name)?;
        let live = Self::from_elsewhere(prepare(subscription))?;
        Inherited::close_on_exec(numbers);
        Ok(live)
    }

    /// Follows a cache through the [`Broker`](crate::Broker) on a socket, as [`Client::follow`]
    /// with default options. The handle does not need the broker afterwards.
    ///
    /// # Errors
    /// Those of [`Client::follow`].
    pub fn connect(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Client::new(path).follow(name)
    }

    /// Over a channel that a broker has handed out.
    pub(crate) fn of_client(client: &Client, subscription: Subscription) -> Result<Self> {
        let reconnection = Reconnection::of(client);
        let live = Self::from_elsewhere(subscription)?;
        Ok(Self {
            reconnection,
            ..live
        })
    }

    /// Over a channel of another process, with the generation that is the newest.
    fn from_elsewhere(subscription: Subscription) -> Result<Self> {
        let (announcement, current) = subscription.patiently(|it| it.open_newest(None))?;
        Ok(Self {
            reconnection: None,
            generation: announcement.generation,
            current,
            freshness: announcement.freshness,
            subscription: Arc::new(subscription),
            missed: None,
            lane: None,
        })
    }

    /// Over a channel of this process, in which there are regions of a `T` only.
    pub(crate) fn of_owner(current: Frozen<T>, subscription: Arc<Subscription>) -> Self {
        Self {
            generation: current.region().generation(),
            current,
            freshness: subscription.control.freshness(),
            subscription,
            missed: None,
            reconnection: None,
            lane: None,
        }
    }

    /// Sends the page files of a delta to the owner.
    ///
    /// # Errors
    /// Those of [`contribute`](crate::channel::contribute::contribute).
    pub(crate) fn send_files(&mut self, files: &[BorrowedFd<'_>]) -> Result<Sent> {
        contribute(&self.subscription, &mut self.lane, files)
    }

    /// The value in the newest generation, unless that has expired.
    ///
    /// Costs one load while nothing is new; if generations expire, also a reading of the clock
    /// without a system call. A move to a new generation costs about six system calls, and some for
    /// each page file; handles from another process also check what differs from the generation
    /// before, as [`Frozen::from_fds_after`] does.
    ///
    /// # Errors
    /// [`Error::Expired`].
    #[inline]
    pub fn get(&mut self) -> Result<&T::Archived> {
        self.refresh();
        if self.is_expired() {
            return Err(Error::Expired {
                name: self.name().to_owned(),
                generation: self.generation,
                age: self.age(),
            });
        }
        Ok(&self.current)
    }

    /// The value in the newest generation, even if that has expired. Costs the same as
    /// [`get`](Self::get), without the clock.
    #[inline]
    pub fn get_stale(&mut self) -> &T::Archived {
        self.refresh();
        &self.current
    }

    /// A handle that stays on the newest generation.
    pub fn pin(&mut self) -> Frozen<T> {
        self.refresh();
        self.current.clone()
    }

    /// The generation that the handle is on.
    pub(crate) fn current(&self) -> &Frozen<T> {
        &self.current
    }

    /// Waits until the handle has moved to a newer generation, for `timeout` at most. Returns
    /// `false` if no newer generation could be taken by then.
    ///
    /// The thread sleeps in the kernel. A generation published since the last [`get`](Self::get)
    /// counts. The wait also ends when the handle is [orphaned](Self::is_orphaned): at once if the
    /// owner closes the channel, within a second if the owner is killed. A handle that connects
    /// again counts that as a move instead.
    pub fn wait_newer(&mut self, timeout: Duration) -> bool {
        let began = Instant::now();
        let (before, channel) = (self.generation, Arc::clone(&self.subscription));
        let mut may_be_orphaned = false;
        loop {
            let seen = self.subscription.control.publications();
            self.refresh();
            if self.generation > before || !Arc::ptr_eq(&channel, &self.subscription) {
                return true;
            }
            let left = timeout.saturating_sub(began.elapsed());
            let reconnects = self.reconnection.as_ref().map(|it| it.pause());
            let is_over = reconnects.is_none() && may_be_orphaned && self.is_orphaned();
            if left.is_zero() || is_over {
                return false;
            }
            let is_passing = |missed: &Missed| missed.retry_at.is_some();
            let pause = match self.missed.as_ref().is_some_and(is_passing) {
                true => RETRY,
                false => reconnects.unwrap_or(OWNER_LOOKED_AFTER),
            };
            self.subscription.control.wait(seen, left.min(pause));
            may_be_orphaned = true;
        }
    }

    /// Whether nothing more will be published to this handle: the last publisher was dropped, the
    /// owner's process has ended, or another process has shut the mailbox down. The generation of
    /// the handle stays readable.
    ///
    /// Costs up to four system calls. Two ends of an owner go unseen: it replaces itself by exec
    /// while children live that it forked before; or it is in another pid namespace, before
    /// Linux 6.5. Before that version, another process that reuses the owner's pid counts as
    /// the owner too.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        self.subscription.is_orphaned()
    }

    /// A descriptor by which an event loop (`poll`, `epoll`) learns of new generations.
    ///
    /// The handle itself is no [`AsFd`](std::os::fd::AsFd), for two reasons: an event loop keeps
    /// the descriptor borrowed while `get` needs `&mut self`; and the descriptor must be made
    /// after the fork, while the handle may be older.
    ///
    /// # Errors
    /// [`ChannelError::Step`].
    pub fn watch(&self) -> Result<Watch> {
        Watch::on(self.subscription.mailbox()).map_err(|source| {
            Error::Channel(ChannelError::Step {
                name: self.name().to_owned(),
                step: "be watched",
                reason: source,
            })
        })
    }

    /// The name of the cache.
    pub fn name(&self) -> &str {
        &self.subscription.name
    }

    /// The number of the handle's generation. Does not look for a newer one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How long ago the generation was frozen, or its owner last found it up to date.
    pub fn age(&self) -> Duration {
        self.freshness().age(clock::boot_now())
    }

    /// Whether the generation has reached the age at which it expires.
    pub fn is_expired(&self) -> bool {
        self.expires_in().is_some_and(|left| left.is_zero())
    }

    /// How long until the generation expires; zero once it has, `None` if it never does.
    pub fn expires_in(&self) -> Option<Duration> {
        self.freshness().expires_in(clock::boot_now())
    }

    /// Why the handle could not move to the newest generation, or connect again; `None` if the last
    /// attempt succeeded.
    pub fn last_error(&self) -> Option<&Error> {
        let missed = self.missed.as_ref().map(|missed| &missed.error);
        missed.or_else(|| self.reconnection.as_ref()?.last_error())
    }

    /// Moves to the newest generation, if there is a newer one that can be taken.
    #[inline]
    fn refresh(&mut self) {
        let newest = self.subscription.control.generation();
        if newest > self.generation {
            self.follow(newest);
        }
        if self.reconnection.is_some() {
            self.reconnect_when_due();
        }
    }

    /// Looks after the owner, from time to time, and connects to the next one once it has ended.
    #[inline(never)]
    fn reconnect_when_due(&mut self) {
        let Some(reconnection) = &mut self.reconnection else {
            return;
        };
        if !reconnection.is_due() || !self.subscription.is_orphaned() {
            return;
        }
        let connected = reconnection.subscribe(&self.subscription.name);
        match connected.and_then(Self::from_elsewhere) {
            Ok(live) => {
                reconnection.note(None);
                let reconnection = self.reconnection.take();
                *self = Self {
                    reconnection,
                    ..live
                };
            }
            Err(error) => reconnection.note(Some(error)),
        }
    }

    #[cold]
    fn follow(&mut self, newest: u64) {
        if self.missed.as_ref().is_some_and(|it| it.stands(newest)) {
            return;
        }
        match self.subscription.open_newest(Some(&self.current)) {
            Ok((announcement, next)) if announcement.generation > self.generation => {
                self.generation = announcement.generation;
                self.freshness = announcement.freshness;
                self.current = next;
                self.missed = None;
            }
            // An owner that takes back what it has announced is not honest.
            Ok((announcement, _)) => {
                self.miss(newest, self.subscription.disturbed(announcement.generation));
            }
            Err(error) => self.miss(newest, error),
        }
    }

    fn miss(&mut self, generation: u64, error: Error) {
        self.missed = Some(Missed {
            generation,
            retry_at: is_passing(&error).then(|| clock::boot_now() + RETRY),
            error,
        });
    }

    /// As the owner says now of the newest generation; as it said when this one was taken, if there
    /// is a newer one.
    fn freshness(&self) -> Freshness {
        let control = &self.subscription.control;
        if control.generation() == self.generation {
            control.freshness()
        } else {
            self.freshness
        }
    }
}

impl Missed {
    /// Whether it is not yet time for another attempt.
    fn stands(&self, newest: u64) -> bool {
        self.generation == newest && self.retry_at.is_none_or(|at| clock::boot_now() < at)
    }
}

impl<T: Content> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self {
            current: self.current.clone(),
            generation: self.generation,
            freshness: self.freshness,
            subscription: Arc::clone(&self.subscription),
            missed: None,
            reconnection: self.reconnection.clone(),
            lane: None,
        }
    }
}

impl<T: Content> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("name", &self.name())
            .field("generation", &self.generation)
            .field("last_error", &self.last_error())
            .finish_non_exhaustive()
    }
}
