//! This library.

use std::collections::HashMap;

use ::floe::{Frozen, Map, MapBuilder, Value};

use super::{Contender, ContenderError};
use crate::data::{InternedRecipe, Recipe, Touch};
use crate::keys::Key;

/// A frozen map.
pub struct Floe<K: Key, V: Value>(pub Frozen<Map<K, V>>);

/// Freezes a map on one thread.
///
/// # Errors
/// As [`MapBuilder::insert`] and [`MapBuilder::finish`].
pub fn freeze<K: Key>(
    map: &HashMap<K, K::Value>,
) -> Result<Frozen<Map<K, K::Value>>, ::floe::Error> {
    build(map.iter())?.finish()
}

/// Freezes a map by two builders on two threads, which are then merged.
///
/// # Errors
/// As [`freeze`], and as [`MapBuilder::merge`].
pub fn freeze_on_two_threads<K: Key>(
    map: &HashMap<K, K::Value>,
) -> Result<Frozen<Map<K, K::Value>>, ::floe::Error> {
    let half = |number| build(map.iter().skip(number).step_by(2));
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| half(1));
        let first = half(0);
        let second = second
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (first, second)
    });
    let mut builder = first?;
    builder.merge(second?)?;
    builder.finish()
}

fn build<'a, K: Key>(
    pairs: impl Iterator<Item = (&'a K, &'a K::Value)>,
) -> Result<MapBuilder<K, K::Value>, ::floe::Error> {
    let mut builder = MapBuilder::new("map")?;
    for (key, value) in pairs {
        builder.insert(key, value)?;
    }
    Ok(builder)
}

/// Freezes a map with the text that repeats itself interned.
///
/// # Errors
/// As [`freeze`].
pub fn freeze_interned<K: Key>(
    map: &HashMap<K, Recipe>,
) -> Result<Frozen<Map<K, InternedRecipe>>, ::floe::Error> {
    let mut builder = MapBuilder::new("interned")?;
    for (key, recipe) in map {
        builder.insert(key, &recipe.into())?;
    }
    builder.finish()
}

impl<K: Key, V: Value<Archived: Touch>> Contender<K> for Floe<K, V> {
    fn bytes(&self) -> u64 {
        self.0.region().size()
    }

    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError> {
        let map = &*self.0;
        Ok(queries
            .iter()
            .map(|query| map.get(*query).map_or(0, Touch::touch))
            .sum())
    }

    fn get_many(&mut self, queries: &[&K::Query]) -> Option<Result<u64, ContenderError>> {
        let found = self.0.get_many(queries.iter().copied());
        Some(Ok(found.map(|value| value.map_or(0, Touch::touch)).sum()))
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        Ok(self.0.iter().map(|(_, value)| value.touch()).sum())
    }
}
