//! odht: the table that rustc maps its metadata with. It trusts the bytes that it is given.

use std::collections::HashMap;

use ::odht::{Config, FxHashFn, HashTableOwned};

use super::{Contender, ContenderError};
use crate::data::Touch;
use crate::keys::Key;

/// How full the table gets before it doubles, in percent.
const MOST_FULL: u8 = 85;

/// A key that stands in such a table.
pub trait OdhtKey: Key<Query = Self, Value = u64> {
    /// How keys and values become bytes.
    type Encoding: Config<Key = Self, Value = u64>;
}

macro_rules! odht_keys {
    ($($encoding:ident of $key:ty as $bytes:ty: $encode:expr, $decode:expr;)*) => {$(
        /// Little-endian bytes.
        pub struct $encoding;

        impl Config for $encoding {
            type Key = $key;
            type Value = u64;
            type EncodedKey = $bytes;
            type EncodedValue = [u8; 8];
            type H = FxHashFn;

            #[inline]
            fn encode_key(key: &$key) -> $bytes {
                $encode(*key)
            }

            #[inline]
            fn encode_value(value: &u64) -> [u8; 8] {
                value.to_le_bytes()
            }

            #[inline]
            fn decode_key(bytes: &$bytes) -> $key {
                $decode(*bytes)
            }

            #[inline]
            fn decode_value(bytes: &[u8; 8]) -> u64 {
                u64::from_le_bytes(*bytes)
            }
        }

        impl OdhtKey for $key {
            type Encoding = $encoding;
        }
    )*};
}

odht_keys! {
    Integer of u64 as [u8; 8]: u64::to_le_bytes, u64::from_le_bytes;
    Digest of [u8; 32] as [u8; 32]: std::convert::identity, std::convert::identity;
}

/// A table in a buffer on the heap, as it would lie in a file.
pub struct Odht<K: OdhtKey>(HashTableOwned<K::Encoding>);

impl<K: OdhtKey> Odht<K> {
    /// Fills a table that has room for all entries from the start.
    pub fn build(map: &HashMap<K, u64>) -> Self {
        let mut table = HashTableOwned::with_capacity(map.len(), MOST_FULL);
        for (key, value) in map {
            table.insert(key, value);
        }
        Self(table)
    }
}

impl<K: OdhtKey> Contender<K> for Odht<K> {
    fn bytes(&self) -> u64 {
        self.0.raw_bytes().len() as u64
    }

    fn get(&mut self, queries: &[&K]) -> Result<u64, ContenderError> {
        let found = queries.iter().map(|query| self.0.get(query));
        Ok(found.map(|value| value.map_or(0, |it| it.touch())).sum())
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        Ok(self.0.iter().map(|(_, value)| value.touch()).sum())
    }
}
