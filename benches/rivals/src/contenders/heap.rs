//! Maps on the heap.

use std::collections::HashMap;

use super::{Contender, ContenderError};
use crate::data::{MapValue, Touch};
use crate::keys::Key;
use counting_allocator::growth_by;

/// The map of the standard library, with its default hasher.
pub type SipHash<K> = HashMap<K, <K as Key>::Value>;
/// hashbrown with the fast variant of foldhash.
pub type FoldHash<K> = hashbrown::HashMap<K, <K as Key>::Value, foldhash::fast::RandomState>;

/// A map on the heap and what it takes there.
pub struct Heap<M> {
    /// The map itself.
    pub map: M,
    bytes: u64,
}

impl<M> Heap<M> {
    /// A map that something makes.
    ///
    /// # Errors
    /// Those of making it.
    pub fn make<E>(make: impl FnOnce() -> Result<M, E>) -> Result<Self, E> {
        let (map, bytes) = growth_by(make);
        Ok(Self { map: map?, bytes })
    }

    /// Fills a map with the values of all numbers below `entries`.
    pub fn fill<K: Key>(entries: usize) -> Self
    where
        M: FromIterator<(K, K::Value)>,
    {
        let pair = |number| (K::numbered(number), K::Value::numbered(number));
        let (map, bytes) = growth_by(|| (0..entries as u64).map(pair).collect());
        Self { map, bytes }
    }
}

macro_rules! heap_contenders {
    ($($map:ident),*) => {$(
        impl<K: Key> Contender<K> for Heap<$map<K>> {
            fn bytes(&self) -> u64 {
                self.bytes
            }

            fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError> {
                let found = queries.iter().map(|query| self.map.get(*query));
                Ok(found.map(|recipe| recipe.map_or(0, Touch::touch)).sum())
            }

            fn iterate(&mut self) -> Result<u64, ContenderError> {
                Ok(self.map.values().map(Touch::touch).sum())
            }
        }
    )*};
}

heap_contenders!(SipHash, FoldHash);
