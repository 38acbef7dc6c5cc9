//! Regions of several roots, read by what they say of themselves.

use floe::Error;
use floe::census::{Census, Options};
use floe::dynamic::{Described, View};
use floe::error::RootError;
use serde_json::{Value, json};

use crate::caches::caches;

fn json_of(described: &Described) -> Value {
    serde_json::to_value(described.root().unwrap()).unwrap()
}

#[test]
fn each_root_reads_as_if_it_were_alone() {
    let frozen = caches();
    let described = Described::of(&frozen).unwrap();
    described.check().unwrap();
    let names: Vec<&str> = described.roots().map(|(name, _)| name).collect();
    assert_eq!(names, ["recipes", "data", "licenses", "empty", "answer"]);
    assert_eq!(described.entry_count(), None);
    assert!(
        matches!(described.root().unwrap().view().unwrap(), View::Roots(roots) if roots.len() == 5)
    );

    let whole = json_of(&described);
    for (name, root) in described.roots() {
        assert_eq!(json_of(root), whole[name], "{name}");
        root.check().unwrap();
    }
    let data = described.named("data").unwrap();
    assert_eq!(data.entry_count(), Some(40));
    let found = data.get("key 7").unwrap().expect("it is there");
    assert_eq!(serde_json::to_value(found).unwrap(), whole["data"]["key 7"]);
    assert!(data.get("key 40").unwrap().is_none());
    assert_eq!(data.nearest_keys("key 41", 1).unwrap().len(), 1);
    assert_eq!(data.entries().unwrap().count(), 40);
    assert_eq!(whole["answer"], json!(42));
    assert_eq!(whole["empty"], json!({}));
    assert_eq!(whole["licenses"]["counts"]["MIT"], json!(7));

    let Err(Error::Root {
        reason: RootError::Missing { known },
        ..
    }) = described.named("other")
    else {
        panic!("there is no such root")
    };
    assert_eq!(known, names);
}

#[test]
fn a_file_is_read_root_by_root() {
    let frozen = caches();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("caches.floe");
    frozen.region().save(&path).unwrap();
    let (opened, of) = (
        Described::open(&path).unwrap(),
        Described::of(&frozen).unwrap(),
    );
    opened.check().unwrap();
    assert_eq!(json_of(&opened), json_of(&of));
    let data = opened.named("data").unwrap();
    assert!(data.get("key 39").unwrap().is_some());
}

#[test]
fn a_census_tells_the_roots_apart() {
    let described = Described::of(&caches()).unwrap();
    let census = Census::of(&described, &Options::default()).unwrap();
    for table in [&census.by_kind, &census.by_path] {
        assert_eq!(table.total().1, census.bytes, "{table}");
    }
    let row = |name: &str| census.by_path.row(name).map_or(0, |row| row.count);
    assert_eq!(row("recipes: key"), 40);
    assert_eq!(row("recipes: Recipe.license"), 40);
    assert_eq!(row("data: Data.license"), 40);
    assert_eq!(row("answer: value"), 1);

    let data = described.named("data").unwrap();
    let alone = Census::of(data, &Options::default()).unwrap();
    assert_eq!(alone.by_path.total().1, alone.bytes);
    assert!(alone.bytes < census.bytes);
    let row = |name: &str| alone.by_path.row(name).map_or(0, |row| row.count);
    assert_eq!((row("key"), row("Data.license")), (40, 40));

    // Interned text of an earlier root is that root's; the keys of the tree are its own.
    let licenses = described.named("licenses").unwrap();
    let alone = Census::of(licenses, &Options::default()).unwrap();
    assert_eq!(
        alone.by_kind.row("String").map(|row| row.count),
        Some(2),
        "{}",
        alone.by_kind
    );
    assert_eq!(alone.by_path.total().1, alone.bytes);
}
