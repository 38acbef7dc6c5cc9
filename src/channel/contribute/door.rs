//! The door, as it is handed to those who may contribute, and the counts of what came through it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde::{Deserialize, Serialize};

/// What contributors are given.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The end that they share.
    pub(crate) outside: Arc<OwnedFd>,
    /// Whether a broker may hand it to clients of other users.
    pub(crate) other_users: bool,
    pub(super) tally: Arc<Tally>,
}

impl Door {
    pub(crate) fn counts(&self) -> Counts {
        self.tally.counts()
    }
}

/// How many contributions there were since the owner began to accept them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Connections at this time.
    pub connected: u64,
    /// Deltas that were merged.
    pub merged: u64,
    /// Deltas, and messages that were none, of which nothing was taken.
    pub refused: u64,
    /// How often a process was cut off.
    pub cut_off: u64,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connected: AtomicU64,
    pub(super) merged: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) cut_off: AtomicU64,
}

impl Tally {
    fn counts(&self) -> Counts {
        Counts {
            connected: self.connected.load(Relaxed),
            merged: self.merged.load(Relaxed),
            refused: self.refused.load(Relaxed),
            cut_off: self.cut_off.load(Relaxed),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
