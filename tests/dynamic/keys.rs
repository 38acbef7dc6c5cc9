//! Entries found by keys that are given as text.

use std::fmt::Debug;

use floe::dynamic::Described;
use floe::{Frozen, Intern, Key, Map, MapBuilder, Schema};
use serde::Serialize;
use serde_json::json;

use crate::announce::SCHEMA;
use crate::forge::{ARCHIVE, point, put_u32};
use crate::forged::forged;

#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Key,
    rkyv::Archive,
    rkyv::Serialize,
    serde::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
struct Task {
    #[rkyv(with = Intern)]
    recipe: String,
    number: u32,
}

#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Key,
    rkyv::Archive,
    rkyv::Serialize,
    serde::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
enum Target {
    All,
    Recipe(String),
    Task { recipe: String, number: i64 },
    Two(u8, u8),
}

/// A key whose hash follows no rule.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, rkyv::Archive, rkyv::Serialize, serde::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, Schema), compare(PartialEq))]
struct Own(u16);

impl Key for Own {
    fn key_hash(&self) -> u64 {
        u64::from(self.0) << 48
    }
}

impl Key for ArchivedOwn {
    fn key_hash(&self) -> u64 {
        u64::from(self.0.to_native()) << 48
    }
}

/// Every key is found by its JSON, and leads to its own value.
fn found<K: floe::map::MapKey + Ord + Serialize + Debug>(keys: Vec<K>) {
    let pairs = keys.iter().zip(0_u64..);
    let mut builder = MapBuilder::<K, u64>::on_heap("keys").unwrap();
    pairs
        .clone()
        .for_each(|(key, number)| builder.insert(key, &number).unwrap());
    let described = Described::of(&builder.finish().unwrap()).unwrap();
    for (key, number) in pairs {
        let text = serde_json::to_string(key).unwrap();
        let value = described.get(&text).unwrap();
        let value = value.unwrap_or_else(|| panic!("{text} is not found"));
        assert_eq!(serde_json::to_string(&value).unwrap(), number.to_string());
        let same = described.get_json(&text).unwrap().unwrap();
        assert_eq!(same.offset(), value.offset());
    }
    for absent in [
        "", "nobody", "{}", "[]", "[1]", "null", "-7", "1e99", "\"?\"", "{", "77777777",
    ] {
        let is_key = |key| serde_json::to_string(key).is_ok_and(|text| text == absent);
        let found = described.get(absent).unwrap().is_some();
        assert_eq!(found, keys.iter().any(is_key), "{absent}");
        assert!(
            described.get_json(absent).unwrap().is_none() || found,
            "{absent}"
        );
    }
}

fn long(text: &str) -> String {
    format!("{text} that is not inline")
}

#[test]
fn keys_of_all_types_are_found_by_their_json() {
    found(vec![
        "a".to_owned(),
        "7".to_owned(),
        "\"quoted\"".to_owned(),
        long("text"),
    ]);
    found(vec![Box::<str>::from("b"), "box".into()]);
    found(vec![0_u8, 1, 255]);
    found(vec![-1_i8, 0, 127]);
    found((0..500_u16).map(|number| number * 100).collect());
    found(vec![i16::MIN, -3, i16::MAX]);
    found(vec![0_u32, 70_000, u32::MAX]);
    found(vec![i32::MIN, -1, 5]);
    found(vec![u64::MAX, 1 << 60, 3]);
    found(vec![i64::MIN, -1, i64::MAX]);
    found(vec![u128::MAX, 1 << 100, 3]);
    found(vec![i128::MIN, -1, 1 << 100]);
    found(vec!['a', 'ß', '7']);
    found(vec![false, true]);
    found(vec![Some(long("some")), None]);
    found(vec![vec![1_u8, 2], vec![]]);
    found(vec![vec![long("a"), "b".to_owned()], vec!["c".to_owned()]]);
    found(vec![[1_u8, 2, 3], [3, 2, 1]]);
    found(vec![[1_u16, 2], [3, 4]]);
    found(vec![("a".to_owned(), 1_u32), (long("b"), 2)]);
}

#[test]
fn derived_keys_are_found_and_own_ones_too() {
    let task = |number| Task {
        recipe: long("recipe"),
        number,
    };
    found(vec![
        task(1),
        task(2),
        Task {
            recipe: "zlib".to_owned(),
            number: 1,
        },
    ]);
    found(vec![
        Target::All,
        Target::Recipe(long("recipe")),
        Target::Task {
            recipe: "zlib".to_owned(),
            number: -1,
        },
        Target::Two(1, 2),
    ]);
    found((0..100).map(Own).filter(|own| own.0 != 7).collect());
}

#[test]
fn a_key_of_text_is_given_plainly_or_quoted() {
    let pairs = [("zlib", 1_u8), ("\"zlib\"", 2), ("17", 3)].map(|(k, v)| (k.to_owned(), v));
    let frozen: Frozen<Map<String, u8>> = Map::freeze("texts", pairs).unwrap();
    let described = Described::of(&frozen).unwrap();
    let get = |key| {
        let value = described.get(key).unwrap();
        value.map(|value| serde_json::to_string(&value).unwrap())
    };
    assert_eq!(get("zlib").as_deref(), Some("1"));
    assert_eq!(
        get("\"zlib\"").as_deref(),
        Some("2"),
        "plain text comes first"
    );
    assert_eq!(get("17").as_deref(), Some("3"));
    assert_eq!(get("\"17\"").as_deref(), Some("3"));
    assert_eq!(get("18"), None);
    let is_key = |json| described.get_json(json).unwrap().is_some();
    assert!(is_key("\"17\"") && !is_key("17") && !is_key("zlib"));
}

#[test]
fn replaced_entries_are_not_there() {
    let mut builder = MapBuilder::<String, u8>::on_heap("replaced")
        .unwrap()
        .last_wins();
    for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
        builder.insert(&key.to_owned(), &value).unwrap();
    }
    let described = Described::of(&builder.finish().unwrap()).unwrap();
    let json = serde_json::to_string(&described.root().unwrap()).unwrap();
    assert_eq!(json, r#"{"b":2,"a":3}"#);
    let value = described.get("a").unwrap().unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), "3");
    assert!(described.garbage().unwrap() > 0);
}

#[test]
fn an_absent_key_is_reported_with_the_nearest_ones() {
    let names = ["zlib", "zstd", "busybox", "glib", "openssl"].map(|it| (it.to_owned(), ()));
    let frozen = Map::<String, ()>::freeze("names", names).unwrap();
    let described = Described::of(&frozen).unwrap();
    assert_eq!(
        described.nearest_keys("zlb", 3).unwrap(),
        ["zlib", "glib", "zstd"]
    );
    assert_eq!(described.nearest_keys("zlib", 1).unwrap(), ["zlib"]);
    // Whoever gives a part of a key means that key.
    assert_eq!(described.nearest_keys("box", 1).unwrap(), ["busybox"]);
    assert_eq!(described.nearest_keys("", 9).unwrap().len(), 5);
    assert!(described.nearest_keys("zlib", 0).unwrap().is_empty());

    let numbers = (100..200_u16).map(|number| (number, ()));
    let frozen = Map::<u16, ()>::freeze("numbers", numbers).unwrap();
    let described = Described::of(&frozen).unwrap();
    assert_eq!(described.nearest_keys("1999", 1).unwrap(), ["199"]);
}

#[test]
fn what_is_no_map_has_no_keys() {
    let frozen = Frozen::freeze_on_heap("number", &7_u8).unwrap();
    let described = Described::of(&frozen).unwrap();
    assert!(described.entries().is_none() && described.entry_count().is_none());
    let error = described.get("7").map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("lacks the index section"),
        "{error}"
    );
}

/// A map of one entry whose key is a list of lists, each of 16 times the same one: `levels` deep.
fn lists_of_one_list(levels: usize) -> Vec<u8> {
    let mut archive = vec![0; 24];
    let mut below = 16;
    for _ in 0..levels {
        let items = archive.len();
        archive.resize(items + 16 * 4 + 8, 0);
        for number in 0..16 {
            point(&mut archive, items + 4 * number, below);
        }
        let list = items + 16 * 4;
        point(&mut archive, list, items as i64);
        put_u32(&mut archive, list + 4, 16);
        below = list as i64;
    }
    // The entry: its header, and the key that is the last list.
    let units = archive.len() / 4;
    put_u32(&mut archive, 0, units as u32);
    point(&mut archive, 4, below - 16 * 4);
    put_u32(&mut archive, 8, 16);
    let schema = json!({"root": 0, "types": [
        {"name": "Map", "size": 16, "align": 4, "shape":
            {"map": {"key": 1, "value": 3, "key_offset": 4, "value_offset": 12, "layout": "lines"}}},
        {"name": "Vec", "size": 8, "align": 4, "shape": {"vec": {"item": 2}}},
        {"name": "Interned", "size": 4, "align": 4, "shape": {"interned": {"target": 1}}},
        {"name": "u32", "size": 4, "align": 4, "shape": "unsigned"},
    ]});
    let schema = schema.to_string().into_bytes();
    let numbers = Map::freeze("lists", [(1_u32, "a".to_owned())]).unwrap();
    forged(&numbers, |kind, bytes| match kind {
        ARCHIVE => bytes.clone_from(&archive),
        SCHEMA => bytes.clone_from(&schema),
        _ => {}
    })
}

/// A few hundred bytes can be a key of billions of values.
#[test]
fn keys_that_expand_too_far_are_refused() {
    let refused = |levels| {
        let described = Described::from_bytes(&lists_of_one_list(levels)).unwrap();
        described.check().unwrap_err().to_string()
    };
    // The index was made for another key.
    assert!(refused(2).contains("does not lead"), "{}", refused(2));
    for levels in [5, 20] {
        let refused = refused(levels);
        assert!(refused.contains("expands to more than"), "{refused}");
    }
}

/// Types may point to each other without a value in between.
#[test]
fn keys_of_types_that_point_in_a_circle_are_not_found() {
    let schema = json!({"root": 0, "types": [
        {"name": "Map", "size": 12, "align": 4, "shape":
            {"map": {"key": 1, "value": 3, "key_offset": 4, "value_offset": 8, "layout": "lines"}}},
        {"name": "Box", "size": 4, "align": 4, "shape": {"box": {"target": 2}}},
        {"name": "Box", "size": 4, "align": 4, "shape": {"box": {"target": 1}}},
        {"name": "u32", "size": 4, "align": 4, "shape": "unsigned"},
    ]});
    let schema = schema.to_string().into_bytes();
    let numbers = Map::freeze("circle", [(1_u32, "a".to_owned())]).unwrap();
    let bytes = forged(&numbers, |kind, bytes| {
        if kind == SCHEMA {
            bytes.clone_from(&schema);
        }
    });
    let described = Described::from_bytes(&bytes).unwrap();
    for key in ["1", "text", "[1]", "null"] {
        assert!(described.get(key).is_ok_and(|value| value.is_none()));
    }
}
