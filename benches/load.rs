//! What it costs to bring in a region from elsewhere, and to save one: in bytes of the region.
//!
//! `load` and `from_fd` are the library's own. `copy` and `checksum` do those two of its steps
//! alone, on the same bytes; `validation` is what is left of `from_fd` without `checksum`.

use floe_testkit::{mode, record as recipe};
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use floe::{Frozen, Map, MapBuilder};
use nix::sys::memfd::{MFdFlags, memfd_create};
use xxhash_rust::xxh3::xxh3_128;

use mode::is_test;
use recipe::{Recipe, recipe, write_key};

type Recipes = Frozen<Map<String, Recipe>>;

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let entries = if is_test() { 500 } else { 100_000 };
    let original = build(entries);
    let expected = (0..entries).map(|index| recipe(index).digest());
    let expected = expected.fold(0, u64::wrapping_add);
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("recipes.floe");
    original
        .region()
        .save(&path)
        .expect("the file can be written");
    let check = |copy: &Recipes| assert_eq!(digest(copy), expected);
    check(&Recipes::load(&path).expect("it was saved"));
    check(&from_fd(&original));

    let length = original.region().size();
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Bytes(length));
    group.bench_function("load", |bencher| {
        bencher.iter(|| {
            let copy = Recipes::load(&path).expect("it was saved");
            assert_eq!(copy.region().size(), length);
        });
    });
    group.bench_function("from_fd", |bencher| {
        bencher.iter(|| assert_eq!(from_fd(&original).region().size(), length));
    });
    group.bench_function("save", |bencher| {
        bencher.iter(|| {
            original
                .region()
                .save(&path)
                .expect("the file can be written")
        });
    });
    group.bench_function("copy", |bencher| {
        bencher.iter(|| {
            let memory = memfd_create("copy", MFdFlags::MFD_CLOEXEC).expect("memory is there");
            let mut saved = File::open(&path).expect("it was saved");
            let copied = io::copy(&mut saved, &mut File::from(memory));
            assert_eq!(copied.expect("the memfd has room"), length);
        });
    });
    let checksum = xxh3_128(original.region().bytes());
    group.bench_function("checksum", |bencher| {
        bencher.iter(|| assert_eq!(xxh3_128(black_box(original.region().bytes())), checksum));
    });
    group.bench_function("validation", |bencher| {
        bencher.iter_custom(|times| {
            let start = Instant::now();
            (0..times).for_each(|_| assert_eq!(from_fd(&original).region().size(), length));
            let whole = start.elapsed();
            let start = Instant::now();
            let digest = || xxh3_128(black_box(original.region().bytes()));
            (0..times).for_each(|_| assert_eq!(digest(), checksum));
            whole.saturating_sub(start.elapsed())
        });
    });
    group.finish();
    criterion.final_summary();
}

fn build(entries: u64) -> Recipes {
    let mut builder = MapBuilder::new("load").expect("a memfd can be made");
    let mut key = String::new();
    for index in 0..entries {
        write_key(index, &mut key);
        let inserted = builder.insert(&key, &recipe(index));
        inserted.expect("the memfd has room");
    }
    builder.finish().expect("the keys differ")
}

fn from_fd(map: &Recipes) -> Recipes {
    let memory = map.region().as_fd().expect("it lies in a memfd");
    let memory = memory.try_clone_to_owned().expect("there is a descriptor");
    Frozen::from_fd(memory).expect("it was just frozen")
}

/// Over every byte of every recipe.
fn digest(map: &Recipes) -> u64 {
    let digests = map.values().map(|recipe| recipe.digest());
    digests.fold(0, u64::wrapping_add)
}
