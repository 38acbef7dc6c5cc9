//! Numbers to measure with, and what to make of what was measured.

use std::collections::BTreeSet;
use std::time::Instant;

/// Numbers that look random, the same in each run (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }

    /// So many numbers below `end`, each once.
    pub fn some(&mut self, count: u64, end: u64) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        while (numbers.len() as u64) < count {
            numbers.insert(self.below(end));
        }
        numbers
    }

    /// All numbers below `end`, in any order.
    pub fn all(&mut self, end: u64) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..end).collect();
        for last in (1..numbers.len()).rev() {
            let other = self.below(last as u64 + 1);
            numbers.swap(last, other as usize);
        }
        numbers
    }
}

/// The least time that a call takes in seconds, of several, and what that one returned.
pub fn best<R>(rounds: usize, mut call: impl FnMut() -> R) -> (f64, R) {
    let mut time = || {
        let start = Instant::now();
        let result = call();
        (start.elapsed().as_secs_f64(), result)
    };
    let mut best = time();
    for _ in 1..rounds {
        let next = time();
        if next.0 < best.0 {
            best = next;
        }
    }
    best
}

/// The middle one of what was measured.
pub fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    let middle = measured.get(measured.len() / 2);
    middle.copied().unwrap_or(f64::NAN)
}
