//! Numbers that look random, the same in each run (splitmix64).

use std::collections::BTreeSet;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }

    /// So many numbers below `end`, each once.
    pub(crate) fn some(&mut self, count: u64, end: u64) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        while (numbers.len() as u64) < count {
            numbers.insert(self.below(end));
        }
        numbers
    }

    /// All numbers below `end`, in any order.
    pub(crate) fn all(&mut self, end: u64) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..end).collect();
        for last in (1..numbers.len()).rev() {
            let other = self.below(last as u64 + 1);
            numbers.swap(last, other as usize);
        }
        numbers
    }
}
