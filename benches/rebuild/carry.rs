//! One changed entry of many, against copying the bytes of all of them once.

use std::collections::BTreeSet;
use std::hint::black_box;

use floe_testkit::measure::best;
use memmap2::MmapMut;
use serde::Serialize;

use crate::subject::{Subject, key};

const ROUNDS: usize = 5;

#[derive(Debug, Serialize)]
pub(crate) struct Carried {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) copy_seconds: f64,
    pub(crate) carry_seconds: f64,
}

/// Changes the same entry in each of several rounds.
pub(crate) fn measure(entries: u64) -> Carried {
    let subject = Subject::new(entries);
    let changed = entries / 2;
    let keys = [key(changed)];
    let carry = (0..ROUNDS).map(|_| subject.change(&keys));
    let carry_seconds = carry.fold(f64::MAX, f64::min);
    subject.check(&BTreeSet::from([changed]), ROUNDS as u64, 0);
    let map = subject.map();
    let bytes = map.region().bytes();
    Carried {
        entries,
        bytes: bytes.len() as u64,
        copy_seconds: copy_seconds(bytes),
        carry_seconds,
    }
}

/// A copy of an image.
pub(crate) fn copy_seconds(bytes: &[u8]) -> f64 {
    let (seconds, _) = best(ROUNDS, || {
        // Into memory that was not used before, as that of a new generation.
        let mut copy = MmapMut::map_anon(bytes.len()).expect("memory");
        copy.copy_from_slice(bytes);
        black_box(&copy).len()
    });
    seconds
}
