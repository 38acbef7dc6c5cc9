//! The owner's set of named caches: builds them, keeps them fresh, publishes generations.

mod background;
mod build;
mod cache;
mod directory;
mod evict;
mod following;
pub mod inputs;
mod keyed;
mod managed;
pub mod policy;
mod report;
#[cfg(feature = "watch")]
mod watch;
mod whole;

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::archive::Value;
use crate::channel::Broker;
use crate::channel::Live;
use crate::channel::Publisher;
use crate::error::{Error, PolicyError, Result};
use crate::frozen::Content;
use crate::map::{Key, Map};
use crate::store::inputs::{Inputs, Values};
use crate::store::policy::Policy;
use crate::sys::clock::Clock;
use crate::sys::owner::Owner;

pub use background::Background;
pub use build::BuildResult;
pub use cache::Cache;
pub use keyed::StoreKey;
pub use report::{CacheReport, Outcome, Report, Status};

use directory::{Directory, Patience};
use keyed::Keyed;
use managed::{AnyCache, Invalid, ManagedCache};
use whole::Whole;

/// The owner's set of named caches.
///
/// Each cache has closures that build it from what they read through [`Inputs`], and a [`Policy`]
/// that says when. [`refresh`](Self::refresh) builds what is due, and of a keyed cache only the
/// entries whose inputs changed: the others are carried over as bytes. Readers keep the generation
/// that they have; a [`Cache`] gives the newest.
///
/// Nothing that goes wrong in a closure, not even a panic, harms another cache or the last
/// generation of its own: it shows in the report and in [`status`](Self::status), and is tried
/// again, ever more rarely.
///
/// A store belongs to the process that made it. In a forked child every call that changes it is
/// [`Error::NotOwner`], and dropping it there does nothing; [`Cache::get`] works there as well. A
/// program that goes into the background by `daemon()` or a fork of its own is such a child: it
/// makes its store after that, with [`open`](Self::open) from what was saved before.
///
/// ```
/// use floe::{Policy, Store};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # std::env::set_current_dir(&directory).unwrap();
/// std::fs::write("zlib.bb", "1.3.1").unwrap();
/// std::fs::write("bash.bb", "5.3").unwrap();
/// let store = Store::new();
/// let versions = store.keyed(
///     "versions",
///     Policy::new().revalidate_inputs(),
///     |inputs| {
///         let paths = inputs.glob("*.bb")?;
///         Ok(paths.iter().map(|path| path.display().to_string()).collect())
///     },
///     |path: &String, inputs| Ok(inputs.read_to_string(path)?.unwrap_or_default()),
/// )?;
/// store.refresh()?;
/// assert_eq!(versions.get()?["zlib.bb"].as_str(), "1.3.1");
///
/// std::fs::write("zlib.bb", "1.3.2").unwrap();
/// let report = store.refresh()?;
/// assert_eq!((report.caches[0].rebuilt, report.caches[0].carried), (1, 1));
/// assert_eq!(versions.get()?["zlib.bb"].as_str(), "1.3.2");
/// println!("{report}");
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Store {
    shared: Arc<Shared>,
    caches: Arc<Mutex<Vec<Arc<dyn AnyCache>>>>,
}

/// What all caches of a store use.
struct Shared {
    owner: Owner,
    clock: Clock,
    values: Values,
    directory: Option<Directory>,
    /// How long the turn of another process is waited for.
    lock_timeout: Duration,
}

/// How long the turn of another process is waited for, unless stated otherwise.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

/// What a refresh does about a cache that somebody else is building, in this process or another.
struct Turns<'a> {
    /// Whether it waits where there is a generation already.
    waits: bool,
    /// Pauses for some time, or less; true if the refresh is to end.
    pause: &'a dyn Fn(Duration) -> bool,
}

impl Turns<'_> {
    fn patience(&self, most: Duration) -> Patience<'_> {
        Patience {
            most,
            pause: self.pause,
        }
    }

    fn end(&self) -> bool {
        (self.pause)(Duration::ZERO)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// A store without caches, which keeps them in memory alone.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None, Clock::system(), LOCK_TIMEOUT)
    }

    /// A store that saves every generation in a directory, and begins with those that are there: a
    /// cache is judged by the inputs that it was saved with, and nothing is built that is still
    /// true to them. Processes that share a directory build one at a time, and take over what
    /// another has built. A child that was forked while a cache was built keeps the turn if its parent is
    /// killed then: the others wait until it ends, or for the [time](Self::with_lock_timeout) that
    /// is stated.
    ///
    /// The directory is made with mode 0700, and made again if it is removed. Each published
    /// generation is written and synced, once. What is learnt of it later is saved beside it, and
    /// disturbs no reader: that its inputs were touched and are equal all the same, or that a build
    /// gave what there was, from other inputs or because of its age. So no later start reads those
    /// files again, or repeats that build.
    ///
    /// What the directory does not do keeps no cache from being built: on a read-only file system,
    /// without space, without a lock that can be had, generations are published in memory, which
    /// the report of a refresh tells once and the [status](Status::directory) as long as it lasts,
    /// and saving is tried again as [`Policy::backoff`] states. Locks, modes and syncs that a file
    /// system does not know are done without.
    ///
    /// A file that cannot be read, for want of memory, descriptors or a sound disk, says nothing of
    /// what it holds: the cache is built in memory, and the file is left as it is. No generation
    /// gets a number that another one had, as long as the directory can be written and is not
    /// removed; numbers may be skipped.
    ///
    /// # Errors
    /// [`Error::Directory`]: it cannot be made, is a link (with a slash at its end as well), or is
    /// not this user's alone.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = Directory::open(directory.as_ref())?;
        Ok(Self::with(Some(directory), Clock::system(), LOCK_TIMEOUT))
    }

    /// The same store by another clock.
    ///
    /// # Panics
    /// If the store has caches already.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        let shared = self.into_shared();
        Self::with(shared.directory, clock, shared.lock_timeout)
    }

    /// How long a refresh waits for another process that builds the same cache in the same
    /// directory: five minutes unless stated otherwise. Then it builds as well, and saves what it
    /// built when the other one is done: a process that is stopped holds up nobody for ever.
    ///
    /// # Panics
    /// If the store has caches already.
    #[must_use]
    pub fn with_lock_timeout(self, time: Duration) -> Self {
        let shared = self.into_shared();
        Self::with(shared.directory, shared.clock, time)
    }

    fn into_shared(self) -> Shared {
        let shared = Arc::into_inner(self.shared);
        shared.expect("clock and timeout are chosen before there are caches")
    }

    fn with(directory: Option<Directory>, clock: Clock, lock_timeout: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                owner: Owner::here(),
                clock,
                values: Values::default(),
                directory,
                lock_timeout,
            }),
            caches: Arc::default(),
        }
    }

    /// Adds a cache that is one value. It is built at the next refresh, unless a saved one is still
    /// good.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Policy`] if the policy contradicts itself or bounds entries,
    /// [`Error::CacheExists`] and [`Error::NotOwner`].
    pub fn cache<T: Value>(
        &self,
        name: &str,
        policy: Policy,
        build: impl Fn(&mut Inputs) -> BuildResult<T> + Send + Sync + 'static,
    ) -> Result<Cache<T>> {
        if policy.evicts() {
            return Err(Error::Policy {
                name: name.to_owned(),
                reason: PolicyError::WholeValue,
            });
        }
        self.add(name, policy, Whole(build))
    }

    /// Adds a cache of entries: one closure lists the keys, the other builds the value of a key.
    ///
    /// Values are built on all processors, and serialised in the order of the keys. Meanwhile the heap
    /// holds one value for each processor, or up to 1,024 as long as they have about 16 MiB
    /// together, by the largest of those serialised last. What the closures read is recorded for the list of keys
    /// and for each entry by itself; a change builds what was made from it anew, and no more. The
    /// list is sorted, and each key is built once.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Policy`], [`Error::CacheExists`] and [`Error::NotOwner`].
    pub fn keyed<K: StoreKey, V: Value + Send>(
        &self,
        name: &str,
        policy: Policy,
        keys: impl Fn(&mut Inputs) -> BuildResult<Vec<K>> + Send + Sync + 'static,
        build: impl Fn(&K, &mut Inputs) -> BuildResult<V> + Send + Sync + 'static,
    ) -> Result<Cache<Map<K, V>>> {
        let keyed = Keyed {
            keys: Box::new(keys),
            build: Box::new(build),
        };
        self.add(name, policy, keyed)
    }

    fn add<T: Content>(
        &self,
        name: &str,
        policy: Policy,
        build: impl build::Build<T> + 'static,
    ) -> Result<Cache<T>> {
        self.check_owner()?;
        crate::region::format::check_name(name)?;
        policy.check(name)?;
        let mut caches = self.lock_caches();
        if caches.iter().any(|cache| cache.name() == name) {
            let name = name.to_owned();
            return Err(Error::CacheExists { name });
        }
        let cache = Arc::new(ManagedCache::new(
            name,
            Arc::clone(&self.shared),
            policy,
            build,
        ));
        caches.push(Arc::clone(&cache) as Arc<dyn AnyCache>);
        Ok(Cache::of(cache))
    }

    /// Judges every cache by its policy, and builds what is due, one cache after the other in the
    /// order in which they were added. Waits for whoever is building one of them.
    ///
    /// A build closure must not refresh its own store.
    ///
    /// # Errors
    /// [`Error::NotOwner`]. What fails in a cache is told in the report.
    pub fn refresh(&self) -> Result<Report> {
        self.refresh_as(true)
    }

    /// The same, but leaves alone what somebody else is building, in this process or another: the
    /// last generation stays meanwhile.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub fn refresh_idle(&self) -> Result<Report> {
        self.refresh_as(false)
    }

    fn refresh_as(&self, waits: bool) -> Result<Report> {
        self.check_owner()?;
        let pause = |time| {
            std::thread::sleep(time);
            false
        };
        let turns = Turns {
            waits,
            pause: &pause,
        };
        Ok(refresh(&self.caches, &turns))
    }

    /// Refreshes on a thread of its own, now and whenever the interval has passed, until what this
    /// returns is dropped.
    ///
    /// `on_report` gets the report of each refresh, failures and all: log what it
    /// [`has_failures`](Report::has_failures) about, since nobody else sees it. A panic in it is caught.
    /// With the feature `tracing`, failures and publications are events as well.
    ///
    /// With the feature `watch`, changes of files and directories among the inputs wake the thread
    /// early; that is a hint only, and what counts are the stamps. A process with such a thread
    /// does not fork safely, see [`prefork`](crate::prefork).
    ///
    /// # Errors
    /// [`Error::Thread`] and [`Error::NotOwner`].
    pub fn refresh_in_background(
        &self,
        interval: Duration,
        on_report: impl FnMut(&Report) + Send + 'static,
    ) -> Result<Background> {
        self.check_owner()?;
        let caches = Arc::clone(&self.caches);
        Background::start(caches, interval, on_report, self.shared.owner)
    }

    /// Tells a named value that builds have [recorded](Inputs::value), so that what was built under
    /// another one is built anew.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn set_value(&self, name: &str, fingerprint: impl AsRef<[u8]>) -> Result<()> {
        self.check_owner()?;
        let digest = xxhash_rust::xxh3::xxh3_128(fingerprint.as_ref());
        self.shared.values.set(name, digest);
        Ok(())
    }

    /// Has a cache built anew at the next refresh, as a whole.
    ///
    /// # Errors
    /// [`Error::UnknownCache`] and [`Error::NotOwner`].
    pub fn invalidate(&self, name: &str) -> Result<()> {
        self.find(name)?.invalidate(Invalid::Everything);
        Ok(())
    }

    /// Has one entry of a keyed cache built anew at the next refresh, if it is there.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_key(&self, name: &str, key: &(impl Key + ?Sized)) -> Result<()> {
        self.find(name)?.invalidate(Invalid::Key(key.key_hash()));
        Ok(())
    }

    /// A handle that follows a cache from one generation to the next, for this process and for its
    /// children: make it before the fork.
    ///
    /// ```
    /// use floe::{Policy, Store, prefork};
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("motto");
    /// std::fs::write(&path, "first").unwrap();
    /// let store = Store::new();
    /// let input = path.clone();
    /// store.cache("motto", Policy::new().revalidate_inputs(), move |inputs| {
    ///     Ok(inputs.read_to_string(&input)?.unwrap_or_default())
    /// })?;
    /// store.refresh()?;
    ///
    /// let mut motto = store.live::<String>("motto")?;
    /// let workers = prefork::spawn(2, |_| {
    ///     while motto.get_stale() != "second" {
    ///         motto.wait_newer(std::time::Duration::from_secs(10));
    ///     }
    ///     motto.generation()
    /// })?;
    /// std::fs::write(&path, "second").unwrap();
    /// store.refresh()?;
    /// assert_eq!(workers.join()?, [2, 2]);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownCache`]; [`Error::NotBuilt`] before the first generation;
    /// [`Error::SchemaMismatch`] if the cache holds another type; [`ChannelError::Step`](crate::error::ChannelError::Step) and
    /// [`Error::NotOwner`].
    pub fn live<T: Content>(&self, name: &str) -> Result<Live<T>> {
        self.find(name)?.publisher()?.subscribe()
    }

    /// Hands all caches that have a generation to the program that a command starts, and to no
    /// other: it follows them with [`Live::inherited`].
    ///
    /// # Errors
    /// As [`Publisher::pass_to`].
    pub fn pass_to(&self, command: &mut Command) -> Result<()> {
        let publishers = self.publishers()?;
        publishers
            .iter()
            .try_for_each(|publisher| publisher.pass_to(command))
    }

    /// Serves all caches that have a generation to processes that this one has not started, until
    /// the broker is dropped: they follow them with [`Live::connect`]. For those that are built
    /// later there is [`Broker::offer`] with [`publisher`](Self::publisher).
    ///
    /// # Errors
    /// As [`Broker::serve`], and [`ChannelError::Step`](crate::error::ChannelError::Step).
    pub fn serve(&self, path: impl AsRef<Path>) -> Result<Broker> {
        Broker::serve(path, &self.publishers()?)
    }

    /// As [`serve`](Self::serve), also for the members of a group, by its number.
    ///
    /// # Errors
    /// As [`Broker::serve_group`], and [`ChannelError::Step`](crate::error::ChannelError::Step).
    pub fn serve_group(&self, path: impl AsRef<Path>, group: u32) -> Result<Broker> {
        Broker::serve_group(path, group, &self.publishers()?)
    }

    /// The channel of a cache, in which the store publishes: for counting lookups, and for brokers
    /// of one's own.
    ///
    /// # Errors
    /// As [`live`](Self::live).
    pub fn publisher(&self, name: &str) -> Result<Publisher> {
        self.find(name)?.publisher()
    }

    /// The channels of all caches that have a generation.
    fn publishers(&self) -> Result<Vec<Publisher>> {
        self.check_owner()?;
        let caches = self.lock_caches().clone();
        let publishers = caches.iter().map(|cache| cache.publisher());
        publishers
            .filter(|publisher| !matches!(publisher, Err(Error::NotBuilt { .. })))
            .collect()
    }

    /// How every cache stands, in the order in which they were added.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn status(&self) -> Result<Vec<Status>> {
        self.check_owner()?;
        let caches = self.lock_caches().clone();
        Ok(caches.iter().map(|cache| cache.status()).collect())
    }

    fn find(&self, name: &str) -> Result<Arc<dyn AnyCache>> {
        self.check_owner()?;
        let caches = self.lock_caches();
        let cache = caches.iter().find(|cache| cache.name() == name);
        cache.cloned().ok_or_else(|| Error::UnknownCache {
            name: name.to_owned(),
            place: "the store".to_owned(),
            known: caches.iter().map(|cache| cache.name().to_owned()).collect(),
        })
    }

    fn lock_caches(&self) -> std::sync::MutexGuard<'_, Vec<Arc<dyn AnyCache>>> {
        self.caches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_owner(&self) -> Result<()> {
        self.shared.owner.check("a store")
    }
}

/// Judges caches and builds what is due.
fn refresh(caches: &Mutex<Vec<Arc<dyn AnyCache>>>, turns: &Turns<'_>) -> Report {
    let start = Instant::now();
    let caches = caches
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    Report {
        caches: caches
            .iter()
            .map_while(|cache| (!turns.end()).then(|| cache.refresh(turns)))
            .collect(),
        seconds: start.elapsed().as_secs_f64(),
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.shared.directory;
        f.debug_struct("Store")
            .field("directory", directory)
            .finish_non_exhaustive()
    }
}
