//! Many entries at once, against copying their bytes and putting them into an index.

use std::hint::black_box;
use std::time::Instant;

use floe::overlay::{Rule, merge};
use floe::{Delta, Frozen, Key};
use floe_testkit::measure::{best, median};
use hashbrown::HashTable;
use memmap2::MmapMut;
use serde::Serialize;

use crate::data::{Texts, delta, key, value};

const DELTAS: u64 = 8;
const ROUNDS: usize = 5;

#[derive(Debug, Serialize)]
pub(crate) struct Bulk {
    /// Of the map before.
    pub(crate) entries: u64,
    /// That come, in all deltas.
    pub(crate) added: u64,
    pub(crate) delta_bytes: u64,
    /// Medians.
    pub(crate) merge_seconds: f64,
    /// A copy of all bytes of the deltas into fresh memory.
    pub(crate) copy_seconds: f64,
    /// Their hashes and places, put into a hash table that has room for them.
    pub(crate) index_seconds: f64,
}

impl Bulk {
    pub(crate) fn ratio(&self) -> f64 {
        self.merge_seconds / (self.copy_seconds + self.index_seconds)
    }

    /// To the copy alone, of which the deltas' own indexes are a part.
    pub(crate) fn copy_ratio(&self) -> f64 {
        self.merge_seconds / self.copy_seconds
    }
}

/// Merges deltas that have a tenth of the entries of the map each, all of them new.
pub(crate) fn measure(map: &Frozen<Texts>) -> Bulk {
    let entries = map.len() as u64;
    let each = entries / 10;
    let numbers = |number: u64| {
        let first = entries + number * each;
        first..first + each
    };
    let deltas: Vec<Delta<_, _>> = (0..DELTAS).map(|it| delta(map, numbers(it))).collect();
    let added = DELTAS * each;
    let seconds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        let (next, report) = merge(map, &deltas, &Rule::FirstWins).expect("a map");
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(next.len() as u64, entries + added);
        assert!(report.deltas.iter().all(|it| it.added == each));
        for number in (0..entries + added).step_by(97) {
            assert_eq!(next[key(number).as_str()].as_str(), value(number));
        }
        seconds
    });
    let merge_seconds = median(seconds.collect());
    let bytes = |delta: &Delta<_, _>| delta.region().size();
    Bulk {
        entries,
        added,
        delta_bytes: deltas.iter().map(bytes).sum(),
        merge_seconds,
        copy_seconds: copy_seconds(&deltas),
        index_seconds: index_seconds(&deltas),
    }
}

fn copy_seconds(deltas: &[Delta<String, String>]) -> f64 {
    let all: usize = deltas.iter().map(|it| it.region().bytes().len()).sum();
    let copy = || {
        // Into memory that was not used before, as that of a new generation.
        let mut copy = MmapMut::map_anon(all).expect("memory");
        let mut rest = &mut copy[..];
        for delta in deltas {
            let bytes = delta.region().bytes();
            let (into, behind) = rest.split_at_mut(bytes.len());
            into.copy_from_slice(bytes);
            rest = behind;
        }
        black_box(&copy).len()
    };
    best(ROUNDS, copy).0
}

fn index_seconds(deltas: &[Delta<String, String>]) -> f64 {
    let index = || {
        let count = deltas.iter().map(Delta::len).sum();
        let mut table = HashTable::<(u64, u64)>::with_capacity(count);
        let keys = deltas.iter().flat_map(|delta| delta.added().keys());
        for (place, key) in (0_u64..).zip(keys) {
            let hash = key.key_hash();
            table.insert_unique(hash, (hash, place), |(hash, _)| *hash);
        }
        black_box(&table).len()
    };
    best(ROUNDS, index).0
}
