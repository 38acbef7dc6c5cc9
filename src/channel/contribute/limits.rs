//! What an owner takes from those who contribute.

use std::time::Duration;

/// How many contributions an owner takes, from whom, and how many at once.
///
/// A contribution beyond a limit is refused by a word that names the limit; nothing of it is read.
/// Who is refused too often is cut off for a while. Others are not affected: each contributor has a
/// connection of its own, and all get their turn.
///
/// ```
/// use std::time::Duration;
/// use floe::contribute::{Limits, Quota};
///
/// let limits = Limits::new()
///     .delta_bytes(1 << 20)
///     .per_peer(Quota { deltas: 10, ..Quota::UNLIMITED })
///     .batches(64, Duration::from_millis(5));
/// assert_ne!(limits, Limits::new());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(crate) delta_bytes: u64,
    pub(crate) delta_entries: u64,
    pub(crate) peer: Quota,
    pub(crate) all: Quota,
    pub(crate) window: Duration,
    pub(crate) peers: usize,
    pub(crate) strikes: u32,
    pub(crate) bar: Duration,
    pub(crate) batch: usize,
    pub(crate) batch_bytes: u64,
    pub(crate) gather: Duration,
    pub(crate) other_users: bool,
}

/// What may be contributed in one [window](Limits::window).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Deltas.
    pub deltas: u64,
    /// Bytes of their regions.
    pub bytes: u64,
    /// Additions and removals in them.
    pub entries: u64,
}

impl Quota {
    /// Whatever comes.
    pub const UNLIMITED: Self = Self {
        deltas: u64::MAX,
        bytes: u64::MAX,
        entries: u64::MAX,
    };
}

impl Limits {
    /// 64 MiB and 1,000,000 entries a delta; in each second 1,000 deltas, 256 MiB and 1,000,000
    /// entries of one process, ten times that of all; 1,024 connections; batches of 256 deltas or
    /// 64 MiB, which are gathered for 10 ms.
    pub fn new() -> Self {
        let peer = Quota {
            deltas: 1_000,
            bytes: 256 << 20,
            entries: 1_000_000,
        };
        Self {
            delta_bytes: 64 << 20,
            delta_entries: 1_000_000,
            peer,
            all: Quota {
                deltas: 10 * peer.deltas,
                bytes: 10 * peer.bytes,
                entries: 10 * peer.entries,
            },
            window: Duration::from_secs(1),
            peers: 1024,
            strikes: 64,
            bar: Duration::from_secs(10),
            batch: 256,
            batch_bytes: 64 << 20,
            gather: Duration::from_millis(10),
            other_users: false,
        }
    }

    /// Most bytes of the region of one delta. Where its entries share [interned](crate::Intern) or
    /// self-describing values, which a merge writes out, it may come to four times as many more; they
    /// count for the quotas, too.
    pub fn delta_bytes(mut self, most: u64) -> Self {
        self.delta_bytes = most;
        self
    }

    /// Most additions and removals of one delta.
    pub fn delta_entries(mut self, most: u64) -> Self {
        self.delta_entries = most;
        self
    }

    /// Most of one process in each window.
    pub fn per_peer(mut self, most: Quota) -> Self {
        self.peer = most;
        self
    }

    /// Most of all processes together in each window.
    pub fn in_all(mut self, most: Quota) -> Self {
        self.all = most;
        self
    }

    /// The time for which quotas count; one second by default, and no less than a millisecond.
    pub fn window(mut self, time: Duration) -> Self {
        self.window = time.max(Duration::from_millis(1));
        self
    }

    /// Most connections at the same time, each of which takes a descriptor of the owner. One more
    /// closes that which has been silent the longest; its contributor connects again when it has
    /// something.
    pub fn peers(mut self, most: usize) -> Self {
        self.peers = most.max(1);
        self
    }

    /// Cuts off a process that was refused so many times in one window by its own fault, and takes
    /// nothing more from it for some time. 64 times and 10 seconds by default.
    pub fn cut_off(mut self, refusals: u32, time: Duration) -> Self {
        self.strikes = refusals.max(1);
        self.bar = time;
        self
    }

    /// How many deltas become one generation at most, and how long the first one waits for others
    /// where a [background thread](crate::Store::refresh_in_background) folds them in. A
    /// [`refresh`](crate::Store::refresh) folds in whatever is there.
    pub fn batches(mut self, deltas: usize, gather: Duration) -> Self {
        self.batch = deltas.max(1);
        self.gather = gather;
        self
    }

    /// How many bytes of deltas become one generation: the delta that reaches it is the last of its
    /// batch.
    pub fn batch_bytes(mut self, bytes: u64) -> Self {
        self.batch_bytes = bytes.max(1);
        self
    }

    /// Makes each delta a generation of its own as soon as it comes.
    pub fn without_batches(self) -> Self {
        self.batches(1, Duration::ZERO)
    }

    /// Lets clients of other users contribute too, if a broker
    /// [serves](crate::Broker::serve_group) their group. By default a broker hands this right to
    /// its own user and to root. A forked worker keeps it whatever user it becomes.
    pub fn other_users(mut self) -> Self {
        self.other_users = true;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
