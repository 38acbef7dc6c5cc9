//! Who contributes how much.

use std::collections::HashMap;
use std::time::Duration;

use super::limits::{Limits, Quota};
use crate::error::{Measure, NotTaken};

/// Connections of one process: its handles may each have one.
const MOST_LANES: usize = 64;
/// How much larger a delta may be where what its entries share is written out at each use, as a merge
/// does.
const EXPANSION: u64 = 4;
/// Processes that are remembered beyond those that are connected: those cut off, and those that
/// have contributed in this window.
const MOST_REMEMBERED: usize = 4096;

/// A contributing process, as the kernel names the one that has made a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Contributor {
    /// The number of its user.
    pub user: u32,
    /// The number of the process, which another may have by now; 0 for all of another pid
    /// namespace.
    pub process: i32,
}

/// What was contributed in this window.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    deltas: u64,
    bytes: u64,
    entries: u64,
}

#[derive(Debug, Default)]
struct Peer {
    lanes: usize,
    used: Used,
    strikes: u32,
    barred_until: Duration,
}

/// All contributors. Times are those of one clock.
#[derive(Debug)]
pub(super) struct Peers {
    limits: Limits,
    known: HashMap<Contributor, Peer>,
    all: Used,
    began: Duration,
}

impl Peers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            known: HashMap::new(),
            all: Used::default(),
            began: Duration::ZERO,
        }
    }

    /// Counts a connection that a process has made.
    pub(super) fn connect(&mut self, id: Contributor, now: Duration) -> Result<(), NotTaken> {
        self.roll(now);
        if self.known.len() >= MOST_REMEMBERED && !self.known.contains_key(&id) {
            return Err(NotTaken::Busy {
                what: Measure::Connections,
                most: MOST_REMEMBERED as u64,
                again_in: self.left(now),
            });
        }
        let peer = self.known.entry(id).or_default();
        check_barred(peer, now)?;
        if peer.lanes >= MOST_LANES {
            return Err(NotTaken::OverQuota {
                what: Measure::Connections,
                most: MOST_LANES as u64,
                again_in: self.limits.window,
            });
        }
        peer.lanes += 1;
        Ok(())
    }

    pub(super) fn disconnect(&mut self, id: Contributor) {
        if let Some(peer) = self.known.get_mut(&id) {
            peer.lanes = peer.lanes.saturating_sub(1);
        }
    }

    /// Counts a delta of so many bytes.
    pub(super) fn offer(
        &mut self,
        id: Contributor,
        bytes: u64,
        now: Duration,
    ) -> Result<(), NotTaken> {
        check_size(Measure::Bytes, bytes, self.limits.delta_bytes)?;
        let used = Used {
            deltas: 1,
            bytes,
            entries: 0,
        };
        self.count(id, used, now)
    }

    /// Counts the entries of a delta that was offered before, and the bytes that they come to beyond
    /// those that were counted.
    pub(super) fn content(
        &mut self,
        id: Contributor,
        entries: u64,
        bytes: u64,
        now: Duration,
    ) -> Result<(), NotTaken> {
        check_size(Measure::Entries, entries, self.limits.delta_entries)?;
        let most = self.limits.delta_bytes.saturating_mul(EXPANSION);
        check_size(Measure::Bytes, bytes, most)?;
        let used = Used {
            deltas: 0,
            bytes,
            entries,
        };
        self.count(id, used, now)
    }

    fn count(&mut self, id: Contributor, more: Used, now: Duration) -> Result<(), NotTaken> {
        self.roll(now);
        let again_in = self.left(now);
        let peer = self.known.entry(id).or_default();
        check_barred(peer, now)?;
        let used = peer.used.with(more);
        if let Some((what, most)) = used.beyond(&self.limits.peer) {
            return Err(NotTaken::OverQuota {
                what,
                most,
                again_in,
            });
        }
        let all = self.all.with(more);
        if let Some((what, most)) = all.beyond(&self.limits.all) {
            return Err(NotTaken::Busy {
                what,
                most,
                again_in,
            });
        }
        (peer.used, self.all) = (used, all);
        Ok(())
    }

    /// Notes that a process was refused by its own fault; true if it is to be cut off.
    pub(super) fn strike(&mut self, id: Contributor, now: Duration) -> bool {
        self.roll(now);
        let peer = self.known.entry(id).or_default();
        peer.strikes = peer.strikes.saturating_add(1);
        let is_cut_off = peer.strikes >= self.limits.strikes;
        if is_cut_off {
            peer.barred_until = now.saturating_add(self.limits.bar);
        }
        is_cut_off
    }

    /// Why a process is cut off, if it is.
    pub(super) fn barred(&self, id: Contributor, now: Duration) -> Option<NotTaken> {
        check_barred(self.known.get(&id)?, now).err()
    }

    /// Begins the next window, if it is time.
    fn roll(&mut self, now: Duration) {
        if now.saturating_sub(self.began) < self.limits.window && self.began <= now {
            return;
        }
        self.began = now;
        self.all = Used::default();
        self.known
            .retain(|_, peer| peer.lanes > 0 || peer.barred_until > now);
        for peer in self.known.values_mut() {
            (peer.used, peer.strikes) = (Used::default(), 0);
        }
    }

    /// How long this window lasts.
    fn left(&self, now: Duration) -> Duration {
        let end = self.began.saturating_add(self.limits.window);
        end.saturating_sub(now)
    }
}

impl Used {
    fn with(self, more: Self) -> Self {
        Self {
            deltas: self.deltas.saturating_add(more.deltas),
            bytes: self.bytes.saturating_add(more.bytes),
            entries: self.entries.saturating_add(more.entries),
        }
    }

    /// What is more than a quota allows.
    fn beyond(&self, most: &Quota) -> Option<(Measure, u64)> {
        [
            (Measure::Deltas, self.deltas, most.deltas),
            (Measure::Bytes, self.bytes, most.bytes),
            (Measure::Entries, self.entries, most.entries),
        ]
        .into_iter()
        .find_map(|(what, used, most)| (used > most).then_some((what, most)))
    }
}

fn check_size(what: Measure, got: u64, most: u64) -> Result<(), NotTaken> {
    match got > most {
        true => Err(NotTaken::TooLarge { what, most, got }),
        false => Ok(()),
    }
}

fn check_barred(peer: &Peer, now: Duration) -> Result<(), NotTaken> {
    match peer.barred_until > now {
        true => Err(NotTaken::CutOff {
            again_in: peer.barred_until - now,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Contributor = Contributor {
        user: 0,
        process: 1,
    };
    const OTHER: Contributor = Contributor {
        user: 0,
        process: 2,
    };
    const SECOND: Duration = Duration::from_secs(1);

    fn peers(limits: Limits) -> Peers {
        let mut peers = Peers::new(limits);
        peers.connect(ONE, SECOND).unwrap();
        peers.connect(OTHER, SECOND).unwrap();
        peers
    }

    #[test]
    fn each_has_a_quota_and_all_have_one() {
        let quota = |deltas| Quota {
            deltas,
            ..Quota::UNLIMITED
        };
        let mut peers = peers(Limits::new().per_peer(quota(2)).in_all(quota(3)));
        let mut offer = |id, now| peers.offer(id, 10, now);
        assert_eq!(offer(ONE, SECOND), Ok(()));
        assert_eq!(offer(ONE, SECOND), Ok(()));
        let half = SECOND + SECOND / 2;
        assert_eq!(
            offer(ONE, half),
            Err(NotTaken::OverQuota {
                what: Measure::Deltas,
                most: 2,
                again_in: SECOND / 2
            })
        );
        assert_eq!(offer(OTHER, half), Ok(()));
        assert_eq!(
            offer(OTHER, half),
            Err(NotTaken::Busy {
                what: Measure::Deltas,
                most: 3,
                again_in: SECOND / 2
            })
        );
        assert_eq!(offer(OTHER, 2 * SECOND), Ok(()));
        assert_eq!(offer(ONE, 2 * SECOND), Ok(()));
    }

    #[test]
    fn bytes_and_entries_count() {
        let quota = Quota {
            deltas: 100,
            bytes: 100,
            entries: 10,
        };
        let limits = Limits::new()
            .per_peer(quota)
            .delta_bytes(60)
            .delta_entries(8);
        let mut peers = peers(limits);
        let too_large = |what, most, got| Err(NotTaken::TooLarge { what, most, got });
        assert_eq!(
            peers.offer(ONE, 61, SECOND),
            too_large(Measure::Bytes, 60, 61)
        );
        assert_eq!(
            peers.content(ONE, 9, 0, SECOND),
            too_large(Measure::Entries, 8, 9)
        );
        peers.offer(ONE, 60, SECOND).unwrap();
        peers.content(ONE, 8, 0, SECOND).unwrap();
        assert!(matches!(
            peers.offer(ONE, 60, SECOND),
            Err(NotTaken::OverQuota {
                what: Measure::Bytes,
                ..
            })
        ));
        assert!(matches!(
            peers.content(ONE, 8, 0, SECOND),
            Err(NotTaken::OverQuota {
                what: Measure::Entries,
                ..
            })
        ));
        peers.offer(ONE, 40, SECOND).unwrap();
    }

    #[test]
    fn who_is_cut_off_stays_so_for_its_time_and_nobody_else_is() {
        let mut peers = peers(Limits::new().cut_off(3, 5 * SECOND));
        assert!(!peers.strike(ONE, SECOND));
        assert!(!peers.strike(ONE, SECOND));
        // A window later, it starts anew.
        assert!(!peers.strike(ONE, 2 * SECOND));
        assert!(!peers.strike(ONE, 2 * SECOND));
        assert!(peers.strike(ONE, 2 * SECOND));
        peers.disconnect(ONE);
        let cut_off = Err(NotTaken::CutOff {
            again_in: 2 * SECOND,
        });
        assert_eq!(peers.connect(ONE, 5 * SECOND), cut_off);
        assert_eq!(peers.offer(ONE, 1, 5 * SECOND), cut_off);
        assert_eq!(peers.offer(OTHER, 1, 5 * SECOND), Ok(()));
        assert_eq!(peers.connect(ONE, 7 * SECOND), Ok(()));
    }

    #[test]
    fn few_are_remembered() {
        let mut peers = Peers::new(Limits::new());
        for process in 0..2 * MOST_REMEMBERED as i32 {
            let id = Contributor { user: 0, process };
            if peers.connect(id, SECOND).is_ok() {
                peers.disconnect(id);
            }
        }
        assert_eq!(peers.known.len(), MOST_REMEMBERED);
        peers.connect(ONE, 3 * SECOND).unwrap();
        assert_eq!(peers.known.len(), 1);
    }
}
