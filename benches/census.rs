//! What a census costs: in bytes of the archive, on one thread and on two.
//!
//! Small entries cost most, since each value is visited: `small` has a million entries of a text
//! and a number, `recipes` fewer and larger ones.

use floe_testkit::{mode, record as recipe};
use std::num::NonZero;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{MapBuilder, Schema, Value};

use mode::is_test;
use recipe::{recipe, write_key};

/// What a cache of stamps holds.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Stamp {
    path: String,
    size: u64,
    modified: Option<u64>,
}

fn stamp(index: u64) -> Stamp {
    Stamp {
        path: format!("/srv/build/layers/meta/recipe-{index}/file.bb"),
        size: index,
        modified: (!index.is_multiple_of(3)).then_some(index),
    }
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let entries = if is_test() { 500 } else { 1_000_000 };
    let mut group = criterion.benchmark_group("census");
    let small = build(entries, stamp);
    measure(&mut group, "small", &small, entries, "Stamp.path");
    drop(small);
    let recipes = build(entries / 4, recipe);
    measure(
        &mut group,
        "recipes",
        &recipes,
        entries / 4,
        "Recipe.script",
    );
    group.finish();
    criterion.final_summary();
}

fn build<V: Value>(entries: u64, value: impl Fn(u64) -> V) -> Described {
    let mut builder = MapBuilder::new("census").expect("a memfd can be made");
    let mut key = String::new();
    for index in 0..entries {
        write_key(index, &mut key);
        let inserted = builder.insert(&key, &value(index));
        inserted.expect("the memfd has room");
    }
    let frozen = builder.finish().expect("the keys differ");
    Described::of(&frozen).expect("it was just frozen")
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    described: &Described,
    entries: u64,
    field: &str,
) {
    let expected = census(described, 1);
    assert_eq!(expected.entries, Some(entries));
    assert_eq!(
        expected.by_path.row(field).map(|row| row.count),
        Some(entries)
    );
    for table in [&expected.by_kind, &expected.by_path] {
        assert_eq!(table.total().1, expected.bytes);
    }
    group.throughput(Throughput::Bytes(expected.bytes));
    for threads in [1, 2] {
        group.bench_function(format!("{name}, {threads} threads"), |bencher| {
            bencher.iter(|| assert_eq!(census(described, threads), expected));
        });
    }
}

fn census(described: &Described, threads: usize) -> Census {
    let threads = NonZero::new(threads).expect("one or two");
    Census::of(described, &Options::default().threads(threads)).expect("it was frozen here")
}
