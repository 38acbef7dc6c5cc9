//! What reading a frozen map costs: hits, misses, batches, iteration and a walk into the values.
//!
//! Sizes for which there is no memory are left out, and a line on stderr says so.

use floe_testkit::{mode, record as recipe};
use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use floe::map::MapKey;
use floe::{Frozen, Map, MapBuilder, Value};
use procfs::{Current, Meminfo};

use mode::is_test;
use recipe::{Recipe, recipe, write_key};

/// A prime: its multiples visit all numbers below a size that it does not divide, in an order
/// that no prefetcher guesses.
const STRIDE: u64 = 2_654_435_761;
/// The most lookups that are measured at a time.
const MOST_QUERIES: u64 = 1 << 20;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let sizes: &[u64] = if is_test() {
        &[1_000]
    } else {
        &[10_000, 100_000, 1_000_000, 4_000_000]
    };
    for &entries in sizes {
        lookups::<String>(&mut criterion, "String", entries);
        lookups::<u64>(&mut criterion, "u64", entries);
        lookups::<[u8; 32]>(&mut criterion, "[u8; 32]", entries);
        walk(&mut criterion, entries);
    }
    criterion.final_summary();
}

/// A type of keys: each number has its own.
trait NumberedKey: MapKey<Archived: PartialEq<Self>> {
    fn numbered(index: u64) -> Self;
}

impl NumberedKey for String {
    fn numbered(index: u64) -> Self {
        let mut key = Self::new();
        write_key(index, &mut key);
        key
    }
}

impl NumberedKey for u64 {
    fn numbered(index: u64) -> Self {
        // Keys with zeros at the end, as addresses and offsets have.
        index << 16
    }
}

impl NumberedKey for [u8; 32] {
    fn numbered(index: u64) -> Self {
        let mut key = [0; 32];
        for (lane, bytes) in key.chunks_exact_mut(8).enumerate() {
            let word = (index ^ lane as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        key[..8].copy_from_slice(&index.to_le_bytes());
        key
    }
}

/// A map from keys to their numbers, and what to ask it.
struct Lookups<K: NumberedKey> {
    map: Frozen<Map<K, u64>>,
    keys: Vec<K>,
    absent: Vec<K>,
    /// Of the values of all keys.
    sum: u64,
}

impl<K: NumberedKey> Lookups<K> {
    fn prepare(entries: u64, queries: u64) -> Self {
        let numbers = || (0..queries).map(|at| at * STRIDE % entries);
        Self {
            map: build(entries, |index| index),
            keys: numbers().map(K::numbered).collect(),
            absent: numbers().map(|at| K::numbered(entries + at)).collect(),
            sum: numbers().sum(),
        }
    }
}

/// All operations on a map whose values are numbers; each sums up what it finds.
fn lookups<K: NumberedKey>(criterion: &mut Criterion, kind: &str, entries: u64) {
    if !fits(entries, 400) {
        return;
    }
    let queries = entries.min(MOST_QUERIES);
    let prepared = LazyCell::new(|| Lookups::<K>::prepare(entries, queries));
    let mut group = criterion.benchmark_group(format!("read/{kind}"));
    group.throughput(Throughput::Elements(queries));
    measure(&mut group, "get_hit", entries, &prepared, |it| {
        let found = it.keys.iter().filter_map(|key| it.map.get(black_box(key)));
        (found.map(|value| value.to_native()).sum(), it.sum)
    });
    measure(&mut group, "get_miss", entries, &prepared, |it| {
        let absent = it.absent.iter();
        let found = absent.filter(|key| it.map.get(black_box(*key)).is_some());
        (found.count() as u64, 0)
    });
    measure(&mut group, "get_many", entries, &prepared, |it| {
        let found = it.map.get_many(black_box(&it.keys)).flatten();
        (found.map(|value| value.to_native()).sum(), it.sum)
    });
    group.throughput(Throughput::Elements(entries));
    measure(&mut group, "iterate", entries, &prepared, |it| {
        let sum = it.map.values().map(|value| value.to_native()).sum();
        (sum, entries * (entries - 1) / 2)
    });
}

/// Reads every byte of every recipe.
fn walk(criterion: &mut Criterion, entries: u64) {
    if !fits(entries, 1_800) {
        return;
    }
    let prepared = LazyCell::new(|| {
        let digests = (0..entries).map(|index| recipe(index).digest());
        let expected = digests.fold(0, u64::wrapping_add);
        (build::<String, Recipe>(entries, recipe), expected)
    });
    let mut group = criterion.benchmark_group("read/String");
    group.throughput(Throughput::Elements(entries));
    measure(&mut group, "nested_walk", entries, &prepared, |it| {
        let (map, expected) = it;
        let digests = map.values().map(|recipe| recipe.digest());
        (digests.fold(0, u64::wrapping_add), *expected)
    });
}

/// Measures an operation that gives its answer and the right one. What it works on is made only
/// if the bench was not filtered out.
fn measure<T>(
    group: &mut Group<'_>,
    name: &str,
    entries: u64,
    prepared: &LazyCell<T, impl FnOnce() -> T>,
    operation: impl Fn(&T) -> (u64, u64),
) {
    group.bench_function(BenchmarkId::new(name, entries), |bencher| {
        let prepared = LazyCell::force(prepared);
        bencher.iter(|| {
            let (answer, expected) = operation(prepared);
            assert_eq!(answer, expected, "{name} of {entries}");
        });
    });
}

/// Whether there is memory for so many entries of so many bytes, with their keys.
fn fits(entries: u64, bytes: u64) -> bool {
    let needed = entries * bytes;
    let memory = Meminfo::current().expect("/proc/meminfo is there");
    let most = memory.mem_available.unwrap_or(memory.mem_free) / 10 * 7;
    if needed > most {
        eprintln!("left out: {entries} entries need {needed} bytes, at most {most} may be used");
    }
    needed <= most
}

/// A map of numbered entries.
fn build<K: NumberedKey, V: Value>(entries: u64, value: impl Fn(u64) -> V) -> Frozen<Map<K, V>> {
    let mut builder = MapBuilder::new("read").expect("a memfd can be made");
    for index in 0..entries {
        let inserted = builder.insert(&K::numbered(index), &value(index));
        inserted.expect("the memfd has room");
    }
    builder.finish().expect("the keys differ")
}
