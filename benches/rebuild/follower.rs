//! What a generation with one changed entry costs a follower that distrusts the owner: the check of
//! what differs, beside that of everything.

use std::os::fd::OwnedFd;
use std::time::Instant;

use floe::Frozen;
use floe_testkit::measure::{Random, median};

use crate::subject::{Subject, Texts, key, value};

pub(crate) struct Follower {
    /// Medians.
    pub(crate) next_seconds: f64,
    pub(crate) full_seconds: f64,
}

impl Follower {
    pub(crate) fn ratio(&self) -> f64 {
        self.next_seconds / self.full_seconds
    }
}

pub(crate) fn measure(entries: u64, rounds: u64) -> Follower {
    let subject = Subject::new(entries);
    let mut random = Random(entries + 1);
    let fds = || -> Vec<OwnedFd> {
        let map = subject.map();
        map.region().try_clone_fds().expect("descriptors")
    };
    let mut held = Frozen::<Texts>::from_fds(fds()).expect("a valid map");
    let (mut next_seconds, mut full_seconds) = (Vec::new(), Vec::new());
    for version in 1..=rounds {
        let key = key(random.below(entries));
        subject.change(std::slice::from_ref(&key));

        let (received, again) = (fds(), fds());
        let start = Instant::now();
        let next = Frozen::from_fds_after(&held, received).expect("a valid map");
        next_seconds.push(start.elapsed().as_secs_f64());

        let start = Instant::now();
        let full = Frozen::<Texts>::from_fds(again).expect("a valid map");
        full_seconds.push(start.elapsed().as_secs_f64());

        assert_eq!(next[key.as_str()].as_str(), value(&key, version));
        assert_eq!(next.region().bytes(), full.region().bytes());
        held = next;
    }
    Follower {
        next_seconds: median(next_seconds),
        full_seconds: median(full_seconds),
    }
}
