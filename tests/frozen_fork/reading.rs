//! Reading writes nothing.

use std::process;

use floe::usage::{self, Usage};
use floe::{Frozen, Map, prefork};

use crate::fixture::{MIB, Meeting, digest, large_map};
use crate::zoo::{ArchivedRecipe, ArchivedSource, Recipe, recipe};

const WORKERS: usize = 8;

pub(crate) fn workers_share_every_page() {
    let recipes: Vec<Recipe> = (0..10_000).map(recipe).collect();
    let value = Frozen::freeze("value", &recipes).unwrap();
    let pairs = recipes.iter().map(|recipe| (&recipe.name, recipe));
    let map: Frozen<Map<String, Recipe>> = Map::freeze("map", pairs).unwrap();
    let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
    let ranges = [value.region().address_range(), map.region().address_range()];
    let frames = || {
        ranges
            .clone()
            .map(|range| usage::frames(std::process::id(), range).unwrap())
    };

    let expected = (read_value(&value), read_map(&map, &names));
    let meeting = Meeting::new();
    let pool = prefork::spawn(WORKERS, |_| {
        let read = (read_value(&value), read_map(&map, &names));
        let frames = frames();
        meeting.attend();
        (read, frames)
    })
    .unwrap();
    meeting.hold(WORKERS, || {
        for pid in pool.pids().into_iter().chain([process::id()]) {
            for range in &ranges {
                assert_shared(Usage::of_mapping(pid, range.clone()).unwrap());
            }
        }
    });
    let own_frames = frames();
    if own_frames.contains(&None) {
        eprintln!("frames not compared: this kernel hides them; run as root");
    }
    for (read, frames) in pool.join().unwrap() {
        assert_eq!(read, expected);
        assert!(frames == own_frames, "a page of a worker lies elsewhere");
    }
}

/// All of the mapping is present, shared with all workers and the owner, and nothing was copied.
#[track_caller]
fn assert_shared(memory: Usage) {
    assert_eq!((memory.mappings, memory.rss), (1, memory.vss), "{memory:?}");
    assert_eq!((memory.anonymous, memory.swap), (0, 0), "{memory:?}");
    assert_eq!(memory.uss, 0, "{memory:?}");
    let expected = memory.rss / (WORKERS as u64 + 1);
    let tolerated = procfs::page_size().max(expected / 50);
    assert!(
        memory.pss.abs_diff(expected) <= tolerated,
        "expected a PSS of {expected}: {memory:?}"
    );
}

/// Reads by all ways that a handle on a value has; the result depends on all that was read.
fn read_value(value: &Frozen<Vec<Recipe>>) -> (u64, u64) {
    let copy = value.clone();
    let walked = copy.iter().map(walk).sum();
    drop(copy);
    (digest(value.region().bytes()), walked)
}

/// The same for a map.
fn read_map(map: &Frozen<Map<String, Recipe>>, names: &[&str]) -> (u64, [u64; 3]) {
    let copy = map.clone();
    let got = names.iter().map(|name| walk(copy.get(*name).unwrap()));
    let got = got.sum();
    drop(copy);
    let many = map.get_many(names.iter().copied());
    let many = many.map(|recipe| walk(recipe.unwrap())).sum();
    let all = map
        .iter()
        .map(|(name, recipe)| name.len() as u64 + walk(recipe));
    (digest(map.region().bytes()), [got, many, all.sum()])
}

/// Visits every field, however deep.
fn walk(recipe: &ArchivedRecipe) -> u64 {
    let source = match &recipe.source {
        ArchivedSource::None => 0,
        ArchivedSource::Git { url, revision } => url.len() + usize::from(revision[7]),
        ArchivedSource::Archive(file, size) => file.len() + (size.to_native() >> 33) as usize,
    };
    let flags = recipe.flags.iter();
    let visited = recipe.name.len()
        + recipe.version.as_ref().map_or(0, |version| version.len())
        + recipe.license.len()
        + recipe.tasks.iter().map(|task| task.len()).sum::<usize>()
        + recipe.depends.iter().map(|name| name.len()).sum::<usize>()
        + flags
            .map(|(flag, bits)| flag.len() + bits.len())
            .sum::<usize>()
        + recipe.priority.to_native().unsigned_abs() as usize
        + source;
    visited as u64
}

pub(crate) fn reading_grows_no_worker() {
    let map = large_map(64 * MIB);
    let read = || {
        let values = (0..map.len() as u32).map(|key| digest(map[&key].as_bytes()));
        let mut sum = values.fold(0_u64, u64::wrapping_add);
        for (key, value) in map.clone().iter() {
            sum = sum.wrapping_add(u64::from(key.to_native()) + value.len() as u64);
        }
        sum.wrapping_add(digest(map.region().bytes()))
    };
    // Code that only the worker ran would count as its own; so would the region if only it read.
    let expected = (read(), own_memory(&map));
    let pool = prefork::spawn(1, |_| {
        let before = own_memory(&map);
        let sum = read();
        (sum, before, own_memory(&map))
    });
    let (sum, before, after) = pool.unwrap().join().unwrap().remove(0);
    assert_eq!(sum, expected.0);
    let grown = after.saturating_sub(before);
    assert!(grown < 256 << 10, "grown by {}", usage::bytes(grown));
}

/// The memory that only this process has, without the region.
fn own_memory<T: floe::Content>(frozen: &Frozen<T>) -> u64 {
    let region = Usage::of_mapping(process::id(), frozen.region().address_range());
    Usage::of_self().unwrap().uss - region.unwrap().uss
}
