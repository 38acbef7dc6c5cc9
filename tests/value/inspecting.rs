//! What the readers without types say of values.

use floe::census::{self, Census};
use floe::dynamic::Described;
use floe::value::{self, Value};
use floe::{Frozen, Map};

#[test]
fn values_are_shown_as_people_write_them() {
    let json = serde_json::json!({
        "zlib": {"depends": ["a", "b"], "size": 1.5, "n": null, "t": true, "u": u64::MAX},
        "floats": [0.5, 1.5],
        "ints": [1, i64::MAX],
        "many": (0..100).map(|it| (it.to_string(), it)).collect::<std::collections::BTreeMap<_, _>>(),
    });
    let frozen = value::freeze_serde("json", &json).unwrap();
    let described = Described::of(&frozen).unwrap();
    let shown = serde_json::to_value(described.root().unwrap()).unwrap();
    assert_eq!(shown, json);
    described.check().unwrap();
}

#[test]
fn dynamic_readers_say_what_typed_ones_say() {
    let zoo = super::reading::zoo();
    let map = Map::<String, Value>::freeze("zoo", [("zoo".to_owned(), zoo)]).unwrap();
    let described = Described::of(&map).unwrap();
    let shown = serde_json::to_string(&described.get("zoo").unwrap().unwrap()).unwrap();
    assert_eq!(shown, serde_json::to_string(&map["zoo"]).unwrap());
    described.check().unwrap();
    // From a file, by blocks.
    let file = tempfile::NamedTempFile::new().unwrap();
    map.region().save(file.path()).unwrap();
    let opened = Described::open(file.path()).unwrap();
    let read = serde_json::to_string(&opened.get("zoo").unwrap().unwrap()).unwrap();
    assert_eq!(read, shown);
    opened.check().unwrap();
}

#[test]
fn a_census_counts_each_part_once() {
    let zoo = super::reading::zoo();
    let value = Value::list([zoo.clone(), zoo.clone(), zoo.clone()]);
    let frozen = Frozen::freeze("zoo", &value).unwrap();
    let described = Described::of(&frozen).unwrap();
    let counted = Census::of(&described, &census::Options::default()).unwrap();
    let row = |name: &str| {
        let rows = counted.by_path.rows.iter();
        let found = rows.filter(|row| row.name == name);
        found.map(|row| row.count).sum::<u64>()
    };
    assert_eq!(row("value"), 1);
    // The root, twelve of the zoo with those in them, and that in a tuple.
    assert_eq!(row("value(dicts)"), 3);
    assert!(row("value(texts)") > 1000);
}
