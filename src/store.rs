//! The owner's set of named caches: builds them, keeps them fresh, publishes generations.

mod accept;
mod background;
mod build;
mod cache;
mod directory;
mod evict;
mod following;
pub mod inputs;
mod keyed;
mod managed;
mod merge;
pub mod policy;
mod refresh;
mod report;
mod roots;
#[cfg(feature = "watch")]
mod watch;
mod whole;

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::archive::Value;
use crate::channel::{Broker, Live, Publisher};
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

use accept::Arrivals;
use directory::Directory;
use keyed::Keyed;
use managed::{AnyCache, Invalid, ManagedCache};
use refresh::{Turns, refresh};
use whole::Whole;

/// The owner's set of named caches.
///
/// Each cache has closures that build it from what they read through [`Inputs`], and a [`Policy`]
/// that says when. [`refresh`](Self::refresh) builds what is due, and of a keyed cache only the
/// entries whose inputs changed: the others are carried over as bytes. Readers keep the generation
/// that they have; a [`Cache`] gives the newest.
///
/// A closure that fails or panics harms no other cache, and leaves the last generation of its own
/// in place. The report and [`status`](Self::status) show the failure; the store tries again, at
/// growing intervals.
///
/// A store belongs to the process that made it. In a forked child every call that changes it fails
/// with [`Error::NotOwner`], and dropping it does nothing; [`Cache::get`] works there too. After
/// `daemon()` a program is such a child: it makes its store afterwards, and [`open`](Self::open)
/// loads what was saved before.
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
    /// What workers contribute.
    arrivals: Arc<Arrivals>,
}

/// What all caches of a store use.
struct Shared {
    owner: Owner,
    clock: Clock,
    values: Values,
    directory: Option<Directory>,
    /// How long a refresh waits for the turn of another process.
    lock_timeout: Duration,
}

/// How long a refresh waits for the turn of another process by default.
const LOCK_TIMEOUT: Duration = Duration::from_secs(300);

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

    /// A store that saves every generation in a directory, and starts from those saved there. A
    /// saved generation is judged by the inputs recorded in it; what is still up to date is not
    /// built again.
    ///
    /// Processes that share a directory take turns to build a cache, and load what another has
    /// built. If a process is killed while it builds, a child that it forked meanwhile keeps its
    /// turn: the others wait until that child ends, or for the
    /// [lock timeout](Self::with_lock_timeout).
    ///
    /// The store creates the directory with mode 0700, and creates it again if it is removed. It
    /// writes and syncs each published generation once. Two things that it learns later go into a
    /// file beside that: that inputs were touched without a change, and that a rebuild gave the
    /// same value. So a later start does not read those files or run that build again.
    ///
    /// Trouble with the directory stops no build. On a read-only or full file system, or where the
    /// lock cannot be taken, the store publishes in memory. The report of a refresh says so once,
    /// [`Status::directory`] for as long as it lasts, and the store tries to save again as
    /// [`Policy::backoff`] states. It does without locks, modes and syncs that a file system lacks.
    ///
    /// If a file cannot be read because memory, descriptors or the disk fail, the store builds in
    /// memory and leaves the file as it is. No two generations get the same number as long as the
    /// directory is writable and is not removed; numbers may be skipped.
    ///
    /// # Errors
    /// [`Error::Directory`]: the directory cannot be created, is a symbolic link (also with a slash
    /// at its end), or others than this user have access to it.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = Directory::open(directory.as_ref())?;
        Ok(Self::with(Some(directory), Clock::system(), LOCK_TIMEOUT))
    }

    /// The same store with another clock.
    ///
    /// # Panics
    /// If the store has caches already.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        let shared = self.into_shared();
        Self::with(shared.directory, clock, shared.lock_timeout)
    }

    /// How long a refresh waits for another process that builds the same cache in the same
    /// directory: five minutes by default. Then it builds too, and saves its result once the other
    /// one is done. So a stopped process blocks nobody for ever.
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
            arrivals: Arc::default(),
        }
    }

    /// Adds a cache that is one value. The next refresh builds it, unless a saved generation is up
    /// to date.
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
    /// Values are built on all processors, and serialised in the order of the keys. The heap holds
    /// up to 1,024 built values that wait to be serialised, as long as these take about 16 MiB
    /// (estimated from the values before them), and at least one for each processor.
    ///
    /// Inputs are recorded for the list of keys and for each entry separately. A changed input
    /// rebuilds only what was made from it. The list is sorted, and each key is built once.
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

    /// Judges every cache by its policy and builds what is due, one cache after the other in the
    /// order in which they were added. Waits if another thread or process is building one of them.
    ///
    /// A build closure must not refresh its own store.
    ///
    /// # Errors
    /// [`Error::NotOwner`]. The report has the failures of caches.
    pub fn refresh(&self) -> Result<Report> {
        self.refresh_as(true)
    }

    /// As [`refresh`](Self::refresh), but skips a cache that another thread or process is building.
    /// Its last generation stays meanwhile.
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
        Ok(refresh(&self.caches, Some(&self.arrivals), &turns))
    }

    /// Starts a thread that refreshes now and after each interval, until the returned
    /// [`Background`] is dropped.
    ///
    /// Wakes early for what workers [contribute](Self::accept), which it folds in.
    ///
    /// `on_report` gets the report of each refresh, and of each batch of contributions. Log those that
    /// [`has_failures`](Report::has_failures): nothing else shows them. A panic in `on_report` is
    /// caught. With the feature `tracing`, failures and publications are events too.
    ///
    /// With the feature `watch`, changes of the files and directories among the inputs wake the
    /// thread early. That is a hint only: stamps decide what changed. A process with such a thread
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
        let (caches, arrivals) = (Arc::clone(&self.caches), Arc::clone(&self.arrivals));
        Background::start(caches, arrivals, interval, on_report, self.shared.owner)
    }

    /// Sets a named value that builds have [recorded](Inputs::value). What was built under another
    /// value is then built again.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn set_value(&self, name: &str, fingerprint: impl AsRef<[u8]>) -> Result<()> {
        self.check_owner()?;
        let digest = xxhash_rust::xxh3::xxh3_128(fingerprint.as_ref());
        self.shared.values.set(name, digest);
        Ok(())
    }

    /// Makes the next refresh build a whole cache again.
    ///
    /// # Errors
    /// [`Error::UnknownCache`] and [`Error::NotOwner`].
    pub fn invalidate(&self, name: &str) -> Result<()> {
        self.find(name)?.invalidate(Invalid::Everything);
        Ok(())
    }

    /// Makes the next refresh build one entry of a keyed cache again, if the entry exists.
    ///
    /// # Errors
    /// As [`invalidate`](Self::invalidate).
    pub fn invalidate_key(&self, name: &str, key: &(impl Key + ?Sized)) -> Result<()> {
        self.find(name)?.invalidate(Invalid::Key(key.key_hash()));
        Ok(())
    }

    /// A handle that follows a cache from one generation to the next, in this process and in its
    /// children. Make it before the fork.
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
    /// [`Error::SchemaMismatch`] if the cache holds another type;
    /// [`ChannelError::Step`](crate::error::ChannelError::Step) and [`Error::NotOwner`].
    pub fn live<T: Content>(&self, name: &str) -> Result<Live<T>> {
        self.find(name)?.publisher()?.subscribe()
    }

    /// Passes all caches that have a generation to the program that a command starts, and to no
    /// other program. It follows them with [`Live::inherited`].
    ///
    /// # Errors
    /// As [`Publisher::pass_to`].
    pub fn pass_to(&self, command: &mut Command) -> Result<()> {
        let publishers = self.publishers()?;
        publishers
            .iter()
            .try_for_each(|publisher| publisher.pass_to(command))
    }

    /// Serves all caches that have a generation to processes that this one did not start, until the
    /// broker is dropped. They follow the caches with [`Live::connect`]. To add a cache that is
    /// built later, give its [`publisher`](Self::publisher) to [`Broker::offer`].
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

    /// The publisher of a cache, through which the store publishes. Use it to count lookups, or to
    /// offer the cache through a broker of your own.
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

    /// The status of every cache, in the order in which they were added.
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

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.shared.directory;
        f.debug_struct("Store")
            .field("directory", directory)
            .finish_non_exhaustive()
    }
}
