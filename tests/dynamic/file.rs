//! Files that are read in place, without being mapped or read whole.

use floe::error::HeaderError;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use floe::dynamic::Described;
use floe::{Error, Frozen, Map, MapBuilder};

use crate::zoo::{Recipe, recipe};

fn recipes(number: u32) -> Frozen<Map<String, Recipe>> {
    let mut builder = MapBuilder::new("recipes").unwrap();
    for number in 0..number {
        builder
            .insert(&format!("recipe {number}"), &recipe(number))
            .unwrap();
    }
    builder.finish().unwrap()
}

fn json(described: &Described) -> String {
    serde_json::to_string(&described.root().unwrap()).unwrap()
}

#[test]
fn a_file_reads_like_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipes.floe");
    let frozen = recipes(500);
    frozen.region().save(&path).unwrap();
    let in_memory = Described::of(&frozen).unwrap();
    let expected = json(&in_memory);
    let (opened, loaded) = (
        Described::open(&path).unwrap(),
        Described::load(&path).unwrap(),
    );
    let memfd = format!(
        "/proc/self/fd/{}",
        frozen.region().as_fd().unwrap().as_raw_fd()
    );
    let sealed = frozen.region().try_clone_fd().unwrap();
    for described in [
        &opened,
        &loaded,
        &Described::open(memfd).unwrap(),
        &Described::from_fd(sealed).unwrap(),
        &Described::from_bytes(frozen.region().bytes()).unwrap(),
    ] {
        assert_eq!(json(described), expected);
        assert_eq!(described.name(), "recipes");
        assert_eq!(described.generation(), 1);
        assert_eq!(described.created(), frozen.region().created());
        assert_eq!(described.producer(), frozen.region().producer());
        assert_eq!(described.fingerprint(), frozen.region().fingerprint());
        assert_eq!(described.size(), frozen.region().size());
        assert_eq!(described.sections().len(), 3);
        assert_eq!(described.description(), in_memory.description());
        assert_eq!(described.entry_count(), Some(500));
    }
    let number = opened.get("recipe 77").unwrap().unwrap();
    let expected = in_memory.get("recipe 77").unwrap().unwrap();
    assert_eq!(number.offset(), expected.offset());
    assert!(opened.get("recipe 500").unwrap().is_none());
    let nearest = opened.nearest_keys("recipe 4999", 1).unwrap();
    assert_eq!(nearest, ["recipe 499"]);
}

/// Bytes that this thread has read by system calls.
fn bytes_read() -> u64 {
    let counters = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counters
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn only_what_is_asked_for_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipes.floe");
    let frozen = recipes(20_000);
    frozen.region().save(&path).unwrap();
    assert!(frozen.region().size() > 4 << 20);
    let before = bytes_read();
    let described = Described::open(&path).unwrap();
    let found = described.get("recipe 12345").unwrap().unwrap();
    serde_json::to_string(&found).unwrap();
    assert!(described.get("nobody").unwrap().is_none());
    let read = bytes_read() - before;
    assert!(read < 256 << 10, "{read} bytes were read");
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipes.floe");
    recipes(2000).region().save(&path).unwrap();
    let described = Described::open(&path).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(200 << 10)
        .unwrap();
    let error = serde_json::to_string(&described.root().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("cannot read the file"),
        "{error}"
    );
    let damaged = Described::open(&path).unwrap_err();
    let Error::Load { reason: source, .. } = damaged else {
        panic!("{damaged}")
    };
    assert!(
        matches!(*source, Error::Header(HeaderError::Length { .. })),
        "{source}"
    );
}

#[test]
fn what_is_no_region_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other");
    assert!(matches!(
        Described::open(&path),
        Err(Error::ReadFile { .. })
    ));
    assert!(matches!(
        Described::open(folder.path()),
        Err(Error::ReadFile { .. })
    ));
    fs::write(
        &path,
        "something else that is long enough to have a header".repeat(20),
    )
    .unwrap();
    let refused = Described::open(&path).unwrap_err();
    assert!(
        refused.to_string().contains("not a floe region"),
        "{refused}"
    );
    fs::write(&path, "short").unwrap();
    assert!(
        Described::open(&path)
            .unwrap_err()
            .to_string()
            .contains("cut short")
    );
}
