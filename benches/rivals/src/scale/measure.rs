//! Building one map and looking things up in it.

use floe::{Frozen, Map, MapBuilder};
use serde::Serialize;

use super::values::Scalable;
use crate::data::{Random, Touch};
use crate::error::{BenchError, check_answer};
use crate::keys::Key;
use crate::statistics::{Spread, nanoseconds_each, timed};
use counting_allocator::{occupied, peak_during};

const MOST_QUERIES: u64 = 1_000_000;
const FEWEST_QUERIES: u64 = 100_000;
const ROUNDS: usize = 5;

/// Bytes that a builder holds for each entry until it makes the index of them.
const RECORD_BYTES: u64 = 16;

/// What a map of one size costs: nanoseconds for each entry or operation.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Inserting and finishing, without making the entries.
    pub build_ns: f64,
    /// A lookup of a random key, the value touched.
    pub get_ns: f64,
    /// One of many lookups at once.
    pub get_many_ns: f64,
    /// A lookup of a key that is not there.
    pub miss_ns: f64,
    /// The whole region.
    pub bytes: u64,
    /// The same by the number of entries.
    pub bytes_per_entry: f64,
    /// Most heap that the builder held at once, with what becomes the index.
    pub heap_peak_bytes: u64,
    /// Most heap that inserting took beyond the list of entries that becomes the index.
    pub heap_apart_bytes: u64,
}

/// Builds a map and measures it; the inner error is the reason why it cannot be built.
///
/// # Errors
/// [`BenchError::Answer`].
pub fn measure<V: Scalable>(entries: u64) -> Result<Result<Measured, String>, BenchError> {
    let built = match Built::<V>::build(entries) {
        Ok(built) => built,
        Err(error) => return Ok(Err(format!("cannot be built: {error}"))),
    };
    let mut random = Random::new(entries);
    let (mut hits, mut misses) = (
        <V::Key as Key>::Arena::default(),
        <V::Key as Key>::Arena::default(),
    );
    let mut expected = 0_u64;
    let queries = (entries * 4).clamp(FEWEST_QUERIES, MOST_QUERIES);
    for _ in 0..queries {
        let number = random.below(entries);
        V::Key::numbered(number).store(&mut hits);
        expected += V::make(number).touch();
        V::Key::numbered(entries + number).store(&mut misses);
    }
    let (hits, misses) = (
        <V::Key as Key>::queries(&hits),
        <V::Key as Key>::queries(&misses),
    );
    let map = &*built.map;
    let touched = |found: Option<&V::Archived>| found.map_or(0, Touch::touch);
    let median = |operation, expected, ask: &dyn Fn() -> u64| {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let (sum, time) = timed(ask);
            check_answer("floe", operation, entries as usize, expected, sum)?;
            rounds.push(nanoseconds_each(time, queries as usize));
        }
        Ok::<_, BenchError>(Spread::of(&rounds).map_or(f64::NAN, |spread| spread.median))
    };
    let get = |queries: &[&<V::Key as Key>::Query]| {
        queries.iter().map(|query| touched(map.get(*query))).sum()
    };
    Ok(Ok(Measured {
        build_ns: built.build_ns,
        get_ns: median("get", expected, &|| get(&hits))?,
        get_many_ns: median("get_many", expected, &|| {
            map.get_many(hits.iter().copied()).map(touched).sum()
        })?,
        miss_ns: median("miss", 0, &|| get(&misses))?,
        bytes: built.map.region().size(),
        bytes_per_entry: built.map.region().size() as f64 / entries as f64,
        heap_peak_bytes: built.heap_peak_bytes,
        heap_apart_bytes: built.heap_apart_bytes,
    }))
}

/// A map and what building it took.
pub struct Built<V: Scalable> {
    /// The map.
    pub map: Frozen<Map<V::Key, V>>,
    /// As in [`Measured`].
    pub build_ns: f64,
    /// As in [`Measured`].
    pub heap_peak_bytes: u64,
    /// As in [`Measured`].
    pub heap_apart_bytes: u64,
}

impl<V: Scalable> Built<V> {
    /// Streams the values of all numbers below `entries` into a builder.
    ///
    /// # Errors
    /// As [`MapBuilder::insert`] and [`MapBuilder::finish`].
    pub fn build(entries: u64) -> Result<Self, floe::Error> {
        // Making the entries takes time of its own, which is taken off.
        let ((), making) = timed(|| {
            for number in 0..entries {
                std::hint::black_box((V::Key::numbered(number), V::make(number)));
            }
        });
        let before = occupied();
        let ((builder, inserting), inserted) = timed(|| peak_during(|| fill(entries)));
        let builder: MapBuilder<V::Key, V> = builder?;
        let held = occupied().saturating_sub(before);
        let ((map, finishing), finished) = timed(|| peak_during(|| builder.finish()));
        let building = (inserted + finished).saturating_sub(making);
        let records = entries.next_power_of_two().max(4) * RECORD_BYTES;
        Ok(Self {
            map: map?,
            build_ns: nanoseconds_each(building, entries as usize),
            heap_peak_bytes: inserting.max(held + finishing),
            heap_apart_bytes: inserting.saturating_sub(records),
        })
    }
}

fn fill<V: Scalable>(entries: u64) -> Result<MapBuilder<V::Key, V>, floe::Error> {
    let mut builder = MapBuilder::new("scale")?;
    for number in 0..entries {
        builder.insert(&V::Key::numbered(number), &V::make(number))?;
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Recipe;

    #[test]
    fn maps_of_both_kinds_answer_rightly() {
        let numbers = measure::<u64>(1000).unwrap().unwrap();
        assert!(
            numbers.get_ns > 0.0 && numbers.bytes_per_entry >= 16.0,
            "{numbers:?}"
        );
        let recipes = measure::<Recipe>(1000).unwrap().unwrap();
        assert!(recipes.bytes_per_entry > numbers.bytes_per_entry);
    }
}
