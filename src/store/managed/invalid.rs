//! What somebody said is no longer valid.

use std::collections::{HashMap, HashSet};

/// What is no longer valid.
pub(in crate::store) enum Invalid {
    Everything,
    /// The entry whose key has this hash.
    Key(u64),
}

/// What was said, and not built since.
///
/// A build reads it and, once there is a generation, settles what was said before: so a build that
/// fails in whatever way forgets nothing, and what is said meanwhile is for the next.
#[derive(Default)]
pub(super) struct Invalidated {
    /// How often something was said.
    times: u64,
    /// When it was said last, by that count.
    everything: Option<u64>,
    hashes: HashMap<u64, u64>,
}

/// What was said until a build began.
pub(super) struct Said {
    times: u64,
    pub(super) everything: bool,
    pub(super) hashes: HashSet<u64>,
}

impl Invalidated {
    pub(super) fn say(&mut self, what: &Invalid) {
        self.times += 1;
        match what {
            Invalid::Everything => self.everything = Some(self.times),
            Invalid::Key(hash) => {
                self.hashes.insert(*hash, self.times);
            }
        }
    }

    pub(super) fn any(&self) -> bool {
        self.everything.is_some() || !self.hashes.is_empty()
    }

    pub(super) fn said(&self) -> Said {
        Said {
            times: self.times,
            everything: self.everything.is_some(),
            hashes: self.hashes.keys().copied().collect(),
        }
    }

    pub(super) fn settle(&mut self, said: &Said) {
        self.everything = self.everything.filter(|at| *at > said.times);
        self.hashes.retain(|_, at| *at > said.times);
    }
}
