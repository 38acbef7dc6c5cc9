//! How much of the text of a field is there several times.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::table::Text;

/// Different texts that are remembered.
const LIMIT: usize = 1 << 16;

/// Bytes of text, and of different texts: exact while those are few, an estimate from a sample of
/// at least half of [`LIMIT`] beyond.
///
/// The sample are the texts whose hash starts with a number of zeros. It does not depend on the
/// order of the texts, so the samples of several threads join to that of one.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    bytes: u64,
    /// Zeros that the hashes in the sample start with.
    zeros: u32,
    /// Lengths by hash.
    sample: HashMap<u64, u64>,
}

impl Texts {
    pub(super) fn add(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        let hash = xxh3_64(text);
        if hash.leading_zeros() >= self.zeros {
            self.sample.insert(hash, text.len() as u64);
            self.shrink();
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.zeros = self.zeros.max(other.zeros);
        self.sample.extend(other.sample);
        self.keep();
        self.shrink();
    }

    /// Takes a smaller sample if this one is too large.
    fn shrink(&mut self) {
        while self.sample.len() > LIMIT && self.zeros < u64::BITS {
            self.zeros += 1;
            self.keep();
        }
    }

    fn keep(&mut self) {
        let zeros = self.zeros;
        self.sample.retain(|hash, _| hash.leading_zeros() >= zeros);
    }

    pub(super) fn text(&self) -> Text {
        let sampled: u64 = self.sample.values().sum();
        let estimate = u128::from(sampled) << self.zeros.min(63);
        Text {
            bytes: self.bytes,
            distinct: u64::try_from(estimate).map_or(self.bytes, |it| it.min(self.bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Texts};

    fn texts(numbers: impl Iterator<Item = usize>) -> Texts {
        let mut texts = Texts::default();
        numbers.for_each(|number| texts.add(format!("{number:09}").as_bytes()));
        texts
    }

    #[test]
    fn few_texts_are_counted_exactly() {
        let counted = texts((0..LIMIT).chain(0..LIMIT)).text();
        assert_eq!(counted.bytes, 2 * 9 * LIMIT as u64);
        assert_eq!(counted.distinct, 9 * LIMIT as u64);
    }

    #[test]
    fn many_texts_are_estimated_and_the_order_does_not_count() {
        let number = 10 * LIMIT;
        let whole = texts(0..number);
        let distinct = whole.text().distinct as f64 / (9 * number) as f64;
        assert!((0.97..1.03).contains(&distinct), "{distinct}");
        assert!(whole.sample.len() <= LIMIT);

        let mut joined = texts((number / 3..number).rev());
        joined.join(texts(0..number / 3));
        assert_eq!(joined.text(), whole.text());
        assert_eq!(joined.sample, whole.sample);
    }
}
