//! The same entries in all the ways in which an owner can keep them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use floe::{Frozen, Map, MapBuilder};

use crate::recipe::{Recipe, recipe, write_key};
use crate::row::Kind;

/// A cache of recipes in some form.
pub(crate) trait Cache {
    /// Reads every byte of one recipe.
    fn digest_of(&self, key: &str) -> Option<u64>;
}

/// How many entries a frozen map of about this size has.
///
/// # Errors
/// As [`Map::freeze`].
pub(crate) fn entries_in(bytes: u64) -> floe::Result<u64> {
    // Numbers from the middle of those in large caches, which decide how long texts are.
    const SAMPLE: std::ops::Range<u64> = 200_000..202_000;
    let sample = freeze(SAMPLE)?;
    Ok(bytes * (SAMPLE.end - SAMPLE.start) / sample.region().size())
}

/// Builds a cache of numbered recipes.
///
/// # Errors
/// Those of freezing. A heap that is full ends the process.
pub(crate) fn build(kind: Kind, entries: u64) -> floe::Result<Box<dyn Cache>> {
    let recipes = (0..entries).map(|index| {
        let mut key = String::new();
        write_key(index, &mut key);
        key.shrink_to_fit();
        (key, recipe(index))
    });
    Ok(match kind {
        Kind::Nothing => Box::new(Nothing),
        Kind::Inherited => Box::new(Inherited(recipes.collect())),
        Kind::Counted => Box::new(Counted(
            recipes
                .map(|(key, recipe)| (key, Arc::new(recipe)))
                .collect(),
        )),
        Kind::Locked => Box::new(Locked(Mutex::new(LastUsed {
            clock: 0,
            entries: recipes.map(|(key, recipe)| (key, (0, recipe))).collect(),
        }))),
        Kind::Frozen => Box::new(freeze(0..entries)?),
    })
}

fn freeze(numbers: std::ops::Range<u64>) -> floe::Result<Frozen<Map<String, Recipe>>> {
    let mut builder = MapBuilder::new("recipes")?;
    let mut key = String::new();
    for index in numbers {
        write_key(index, &mut key);
        builder.insert(&key, &recipe(index))?;
    }
    builder.finish()
}

struct Nothing;

impl Cache for Nothing {
    fn digest_of(&self, _: &str) -> Option<u64> {
        None
    }
}

struct Inherited(HashMap<String, Recipe>);

impl Cache for Inherited {
    fn digest_of(&self, key: &str) -> Option<u64> {
        Some(self.0.get(key)?.digest())
    }
}

struct Counted(HashMap<String, Arc<Recipe>>);

impl Cache for Counted {
    fn digest_of(&self, key: &str) -> Option<u64> {
        let held = Arc::clone(self.0.get(key)?);
        Some(held.digest())
    }
}

/// The least that a cache with eviction writes for a hit. A list in the order of use would also
/// write to both neighbours.
struct Locked(Mutex<LastUsed>);

struct LastUsed {
    clock: u64,
    entries: HashMap<String, (u64, Recipe)>,
}

impl Cache for Locked {
    fn digest_of(&self, key: &str) -> Option<u64> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let now = cache.clock;
        let (last_used, recipe) = cache.entries.get_mut(key)?;
        *last_used = now;
        Some(recipe.digest())
    }
}

impl Cache for Frozen<Map<String, Recipe>> {
    fn digest_of(&self, key: &str) -> Option<u64> {
        Some(self.get(key)?.digest())
    }
}
