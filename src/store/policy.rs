//! When a generation is due for a refresh, when it has expired, what is evicted, and what happens
//! when a rebuild fails.
//!
//! Nothing here reads a clock or a file: a verdict follows from a policy, facts and a moment.

mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, PolicyError, Result};
use crate::store::inputs::{READ_LIMIT, SETTLE};
use crate::sys::clock::Moment;

pub use verdict::{Facts, Verdict};

/// When a cache is built again, and what it may hold.
///
/// Each method adds a statement. Statements combine, and the strictest verdict counts. A policy
/// without statements builds a cache once.
///
/// ```
/// use std::time::Duration;
/// use floe::Policy;
///
/// let policy = Policy::new()
///     .revalidate_inputs()
///     .refresh_after(Duration::from_secs(3600))
///     .expire_after(Duration::from_secs(24 * 3600))
///     .stale_if_error(Duration::from_secs(600))
///     .jitter(0.1);
/// assert!(policy.check("recipes").is_ok());
/// assert!(policy.refresh_after(Duration::from_secs(48 * 3600)).check("recipes").is_err());
/// ```
#[derive(Clone)]
pub struct Policy {
    refresh_after: Option<Duration>,
    expire_after: Option<Duration>,
    pub(crate) inputs: bool,
    revalidate_every: Option<Duration>,
    settle: Option<Duration>,
    compare_content: bool,
    pub(crate) read_limit: u64,
    pub(crate) keyed_by: u128,
    pub(crate) max_entries: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_idle_generations: Option<u64>,
    stale_if_error: Option<Duration>,
    backoff: (Duration, Duration),
    jitter: f64,
    custom: Option<Custom>,
}

type Custom = Arc<dyn Fn(&Facts, Moment) -> Verdict + Send + Sync>;

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Builds once, and never again.
    #[must_use]
    pub fn new() -> Self {
        Self {
            refresh_after: None,
            expire_after: None,
            inputs: false,
            revalidate_every: None,
            settle: None,
            compare_content: false,
            read_limit: READ_LIMIT,
            keyed_by: 0,
            max_entries: None,
            max_bytes: None,
            max_idle_generations: None,
            stale_if_error: None,
            backoff: (Duration::from_secs(1), Duration::from_secs(300)),
            jitter: 0.0,
            custom: None,
        }
    }

    /// Rebuilds at this age, and serves the old generation meanwhile.
    #[must_use]
    pub fn refresh_after(self, age: Duration) -> Self {
        let refresh_after = Some(age);
        Self {
            refresh_after,
            ..self
        }
    }

    /// Stops serving a generation at this age. [`Moment::since`] gives the age; where the clocks
    /// disagree or the age is unknown, the generation counts as too old.
    #[must_use]
    pub fn expire_after(self, age: Duration) -> Self {
        let expire_after = Some(age);
        Self {
            expire_after,
            ..self
        }
    }

    /// Rebuilds what was built from inputs that have changed.
    #[must_use]
    pub fn revalidate_inputs(self) -> Self {
        Self {
            inputs: true,
            ..self
        }
    }

    /// Checks the inputs at most once in this time; by default at each refresh of the store.
    #[must_use]
    pub fn revalidate_every(self, time: Duration) -> Self {
        let revalidate_every = Some(time);
        Self {
            revalidate_every,
            ..self
        }
    }

    /// How long after a file's last change its stamp alone is not trusted: two seconds by default.
    /// The time must be longer than a tick of the file system's time stamps.
    ///
    /// A network file system stamps files by the server's clock. If this machine's clock is ahead,
    /// a file that has just changed looks older than it is, and a second edit in the same tick
    /// may be missed. Synchronise the clocks, and set a time longer than their difference plus
    /// a tick.
    #[must_use]
    pub fn settle(self, time: Duration) -> Self {
        let settle = Some(time);
        Self { settle, ..self }
    }

    /// Trusts no stamp: every check reads all files and lists all directories again, and compares.
    ///
    /// Use it for sources whose size and times do not show every change: files written through
    /// shared maps, file systems whose times are set by hand, clocks that cannot be
    /// synchronised. A check then costs as much as reading, instead of one system call for each
    /// path.
    #[must_use]
    pub fn compare_content(self) -> Self {
        Self {
            compare_content: true,
            ..self
        }
    }

    /// The most bytes that a build may read from one file: 1 GiB by default.
    #[must_use]
    pub fn read_limit(self, bytes: u64) -> Self {
        Self {
            read_limit: bytes,
            ..self
        }
    }

    /// Expires a generation that was built under another value, such as another configuration.
    #[must_use]
    pub fn keyed_by(self, value: impl AsRef<[u8]>) -> Self {
        Self {
            keyed_by: xxh3_128(value.as_ref()),
            ..self
        }
    }

    /// The most entries of a map. Entries whose keys were listed least recently are evicted first;
    /// of those last listed in the same generation, the greatest keys go first.
    #[must_use]
    pub fn max_entries(self, entries: u64) -> Self {
        let max_entries = Some(entries);
        Self {
            max_entries,
            ..self
        }
    }

    /// The most bytes of the entries of a map. Evicts as [`max_entries`](Self::max_entries) does.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Self {
        let max_bytes = Some(bytes);
        Self { max_bytes, ..self }
    }

    /// Keeps entries of a map whose keys are no longer listed, for this many generations. Use it
    /// for caches keyed by content, where keys come back. Without this statement such entries
    /// go at once. A build of all entries, by age or after an invalidation, drops them too.
    #[must_use]
    pub fn max_idle_generations(self, generations: u64) -> Self {
        let max_idle_generations = Some(generations);
        Self {
            max_idle_generations,
            ..self
        }
    }

    /// Serves an expired generation for this much longer while rebuilds fail.
    #[must_use]
    pub fn stale_if_error(self, time: Duration) -> Self {
        let stale_if_error = Some(time);
        Self {
            stale_if_error,
            ..self
        }
    }

    /// Waits after a failure before the next build: `first` after the first failure, twice as long
    /// after each further one, `most` at most. The defaults are one second and five minutes. The
    /// wait ends early when something changes that the closure read or failed to read.
    #[must_use]
    pub fn backoff(self, first: Duration, most: Duration) -> Self {
        Self {
            backoff: (first, most),
            ..self
        }
    }

    /// Shortens each `refresh_after` and each wait after a failure by a random share up to this
    /// one, so that caches and processes that started together do not keep building together.
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        Self {
            jitter: share,
            ..self
        }
    }

    /// Adds a verdict of your own. If it says that a generation has expired, that generation is not
    /// served, whatever the other statements say, until a newer one is built or the verdict changes. A
    /// [merge](crate::Store::merge) builds none: what has expired stays so.
    #[must_use]
    pub fn custom(
        self,
        verdict: impl Fn(&Facts, Moment) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        Self {
            custom: Some(Arc::new(verdict)),
            ..self
        }
    }

    /// Refuses statements that contradict each other. A store does this when a cache is added.
    ///
    /// # Errors
    /// [`Error::Policy`] with the first contradiction.
    pub fn check(&self, name: &str) -> Result<()> {
        let without = |statement| PolicyError::WithoutInputs { statement };
        let reason = match self {
            Self {
                refresh_after: Some(refresh),
                expire_after: Some(expire),
                ..
            } if expire < refresh => PolicyError::ExpiresBeforeRefresh,
            Self {
                inputs: false,
                revalidate_every: Some(_),
                ..
            } => without("revalidate_every"),
            Self {
                inputs: false,
                settle: Some(_),
                ..
            } => without("settle"),
            Self {
                inputs: false,
                compare_content: true,
                ..
            } => without("compare_content"),
            Self {
                expire_after: None,
                stale_if_error: Some(_),
                ..
            } => PolicyError::NeverStale,
            Self { jitter, .. } if !(0.0..=1.0).contains(jitter) => PolicyError::Jitter,
            Self { backoff, .. } if backoff.0 > backoff.1 || backoff.0.is_zero() => {
                PolicyError::Backoff
            }
            Self {
                max_entries: Some(0),
                ..
            }
            | Self {
                max_bytes: Some(0), ..
            } => PolicyError::NoRoom,
            _ => return Ok(()),
        };
        Err(Error::Policy {
            name: name.to_owned(),
            reason,
        })
    }

    /// Whether entries are bounded or kept for later, which needs a map.
    pub(crate) fn evicts(&self) -> bool {
        self.max_entries.is_some()
            || self.max_bytes.is_some()
            || self.max_idle_generations.is_some()
    }

    /// For ever, if no stamp is to be trusted.
    pub(crate) fn settle_time(&self) -> Duration {
        match self.compare_content {
            true => Duration::MAX,
            false => self.settle.unwrap_or(SETTLE),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("refresh_after", &self.refresh_after)
            .field("expire_after", &self.expire_after)
            .field("inputs", &self.inputs)
            .field("revalidate_every", &self.revalidate_every)
            .field("max_entries", &self.max_entries)
            .field("max_bytes", &self.max_bytes)
            .field("max_idle_generations", &self.max_idle_generations)
            .field("stale_if_error", &self.stale_if_error)
            .finish_non_exhaustive()
    }
}
