//! Schemas that lie: an error, in bounded time and memory.

use floe::dynamic::Described;
use serde_json::{Value, json};

use crate::announce::SCHEMA;
use crate::forged::{forged, pair, refusal, with_schema};
use crate::read::read_everything;
use crate::sign::sign;

#[test]
fn the_forgery_without_lies_is_read() {
    let bytes = with_schema(&pair(), |_| {});
    let described = Described::from_bytes(&bytes).unwrap();
    let read = serde_json::to_value(described.root().unwrap()).unwrap();
    assert_eq!(
        read,
        json!({ "left": 1, "right": "a text that is not inline" })
    );
    assert!(read_everything(&bytes));
}

#[test]
fn a_schema_that_cannot_be_true_is_refused() {
    let lies: [(&str, Value, &str); 14] = [
        ("/root", json!(99), "no type 99"),
        ("/types/0/align", json!(3), "alignment is 3"),
        ("/types/0/align", json!(0), "alignment is 0"),
        ("/types/0/align", json!(1 << 20), "alignment is 1048576"),
        ("/types/0/size", json!(7), "size of 7"),
        ("/types/0/size", json!(1_u64 << 40), "size of 1099511627776"),
        ("/types/1/size", json!(3), "size"),
        (
            "/types/0/shape/struct/fields/0/type",
            json!(0),
            "contains itself",
        ),
        (
            "/types/0/shape/struct/fields/0/type",
            json!(77),
            "no type 77",
        ),
        (
            "/types/0/shape/struct/fields/1/offset",
            json!(900),
            "\"right\" lies at offset 900",
        ),
        (
            "/types/0/shape/struct/fields/1/offset",
            json!(u64::MAX),
            "lies at offset",
        ),
        (
            "/types/0/shape/struct/fields/1/offset",
            json!(-1),
            "invalid value",
        ),
        ("/types/0/shape", json!("nonsense"), "no shape \"nonsense\""),
        (
            "/types/0/shape",
            json!({ "array": { "item": 1, "length": u64::MAX } }),
            "size of 16",
        ),
    ];
    for (place, lie, expected) in lies {
        let bytes = with_schema(&pair(), |schema| {
            *schema.pointer_mut(place).unwrap() = lie.clone();
        });
        let told = refusal(&bytes);
        assert!(told.contains(expected), "{place}: {told}");
        assert!(
            told.contains("the schema section of cache \"pair\""),
            "{told}"
        );
    }
}

/// A schema of the types given as JSON, the first of them the root.
fn with_types(types: Value) -> Vec<u8> {
    with_schema(&pair(), |schema| {
        *schema = json!({ "root": 0, "types": types });
    })
}

fn named(number: usize, size: usize, shape: Value) -> Value {
    json!({ "name": format!("T{number}"), "size": size, "align": 1, "shape": shape })
}

fn fields(types: &[usize]) -> Value {
    let field = |index: &usize| json!({ "name": "f", "offset": 0, "type": index });
    let fields: Vec<Value> = types.iter().map(field).collect();
    json!({ "struct": { "style": "named", "fields": fields } })
}

#[test]
fn a_schema_without_end_is_refused() {
    let chain = |length: usize| {
        let link = |number| named(number, 0, fields(&[number + 1]));
        let links = (0..length).map(link);
        links.chain([named(length, 0, json!("unit"))]).collect()
    };
    assert!(read_everything(&with_types(chain(60))));
    assert!(refusal(&with_types(chain(70))).contains("nested deeper"));
    assert!(refusal(&with_types(chain(2_000))).contains("nested deeper"));

    let doubling = |number| named(number, 0, fields(&[number + 1, number + 1]));
    let doubled = (0..50).map(doubling).chain([named(50, 0, json!("unit"))]);
    assert!(refusal(&with_types(doubled.collect())).contains("too many values"));

    let wide = json!([
        named(0, 0, fields(&vec![1; 60_000])),
        named(1, 0, json!("unit"))
    ]);
    assert!(read_everything(&with_types(wide)));
    let wider = json!([
        named(0, 0, fields(&vec![1; 70_000])),
        named(1, 0, json!("unit"))
    ]);
    assert!(refusal(&with_types(wider)).contains("too many values"));
    let million = forged(&pair(), |kind, bytes| {
        if kind == SCHEMA {
            let field = r#"{"name":"f","offset":0,"type":1},"#;
            *bytes = field.repeat(1_000_000).into_bytes();
        }
    });
    assert!(refusal(&million).contains("where 4194304 are the most"));

    let nothing = json!([
        named(0, 8, json!({ "vec": { "item": 1 } })),
        named(1, 0, json!("unit"))
    ]);
    assert!(refusal(&with_types(nothing)).contains("no bytes"));
    let variant = json!({ "name": "V", "tag": 0, "style": "unit", "fields": [] });
    let twice = json!({ "enum": { "variants": [variant, variant] } });
    assert!(refusal(&with_types(json!([named(0, 1, twice)]))).contains("two variants"));
    let mut aligned = named(1, 4, json!("unsigned"));
    aligned["align"] = json!(4);
    let packed = json!([named(0, 4, fields(&[1])), aligned]);
    assert!(refusal(&with_types(packed)).contains("not aligned"));
    let itself = json!([named(0, 4, json!({ "box": { "target": 0 } }))]);
    let bytes = with_types(itself);
    assert!(!read_everything(&bytes));
}

#[test]
fn a_schema_that_is_not_the_announced_one_is_refused() {
    let mut bytes = with_schema(&pair(), |_| {});
    bytes[40] ^= 1;
    sign(&mut bytes);
    assert!(
        refusal(&bytes).contains("fingerprint"),
        "{}",
        refusal(&bytes)
    );
    let bytes = forged(&pair(), |kind, bytes| {
        if kind == SCHEMA {
            bytes.truncate(bytes.len() / 2);
        }
    });
    assert!(refusal(&bytes).contains("EOF"), "{}", refusal(&bytes));
    let deep = forged(&pair(), |kind, bytes| {
        if kind == SCHEMA {
            *bytes = [b'['; 100_000].to_vec();
        }
    });
    refusal(&deep);
}

fn table_of(value: &Value, entry: &Value) -> [Value; 3] {
    let part = |name: &str, offset: usize, index: usize| json!({ "name": name, "offset": offset, "type": index });
    let entry_fields = json!([
        part("key", 0, 4),
        part("value", entry["size"].as_u64().unwrap() as usize, 3)
    ]);
    let shape = json!({ "struct": { "style": "named", "fields": entry_fields } });
    [
        named(1, 12, json!({ "hash_map": { "entry": 2 } })),
        named(
            2,
            entry["size"].as_u64().unwrap() as usize + value["size"].as_u64().unwrap() as usize,
            shape,
        ),
        value.clone(),
    ]
}

/// A set whose table has a value and an item of these types; `more` follow them.
fn set_of(size: usize, value: Value, item: Value, more: &[Value]) -> String {
    let table = table_of(&value, &item);
    let set = named(0, size, json!({ "set": { "map": 1 } }));
    let types = [set].into_iter().chain(table).chain([item]);
    refusal(&with_types(types.chain(more.iter().cloned()).collect()))
}

#[test]
fn sets_that_cannot_be_are_refused() {
    let unit = || named(3, 0, json!("unit"));
    let byte = |number| named(number, 1, json!("unsigned"));
    let float = |number| named(number, 8, json!("float"));
    let told = set_of(12, byte(3), byte(4), &[]);
    assert!(
        told.contains("it is a set, but its map has values of \"T3\""),
        "{told}"
    );
    let told = set_of(8, unit(), byte(4), &[]);
    assert!(
        told.contains("the set of keys of \"T1\", which is no map of its size"),
        "{told}"
    );

    let incomparable = [
        (float(4), vec![]),
        (named(4, 8, json!({ "vec": { "item": 5 } })), vec![float(5)]),
        (
            named(
                4,
                9,
                json!({ "option": { "some": 5, "offset": 1, "none": "tag" } }),
            ),
            vec![float(5)],
        ),
        (
            named(4, 4, json!({ "interned": { "target": 5 } })),
            vec![float(5)],
        ),
        (
            named(
                4,
                8,
                json!({ "tuple": { "parts": [{ "name": "0", "offset": 0, "type": 5 }] } }),
            ),
            vec![float(5)],
        ),
        (named(4, 12, json!({ "hash_map": { "entry": 2 } })), vec![]),
        (named(4, 12, json!({ "set": { "map": 1 } })), vec![]),
    ];
    for (item, more) in incomparable {
        let told = set_of(12, unit(), item.clone(), &more);
        assert!(
            told.contains("set of \"T4\", of which no two can be compared"),
            "{item}: {told}"
        );
    }

    for map in [0, 1] {
        let types = json!([
            named(0, 8, json!({ "set": { "map": map } })),
            named(1, 8, json!("unsigned"))
        ]);
        let told = refusal(&with_types(types));
        assert!(told.contains("which is no map"), "{told}");
    }
    let types = json!([named(0, 8, json!({ "set": { "map": 7 } }))]);
    assert!(refusal(&with_types(types)).contains("no type 7"));
    let types = json!([named(0, 8, json!({ "set": { "map": 0, "value": 0 } }))]);
    assert!(refusal(&with_types(types)).contains("unknown field `value`"));
}

#[test]
fn a_set_whose_items_lead_to_the_set_is_read() {
    let types = json!([
        named(0, 8, json!({ "set": { "map": 1 } })),
        named(
            1,
            8,
            json!({ "b_tree_map": { "key": 2, "value": 3, "node_entries": 5 } })
        ),
        named(2, 4, json!({ "box": { "target": 0 } })),
        named(3, 0, json!("unit")),
    ]);
    Described::from_bytes(&with_types(types)).unwrap();
}

#[test]
fn parts_of_tuples_have_their_positions_for_names() {
    let byte = || named(1, 1, json!("unsigned"));
    let parts = |names: &[&str]| -> Value {
        let part =
            |(offset, name): (usize, &&str)| json!({ "name": name, "offset": offset, "type": 1 });
        names.iter().enumerate().map(part).collect()
    };
    let told = |names: &[&str]| {
        let tuple = json!({ "tuple": { "parts": parts(names) } });
        let fields = json!({ "struct": { "style": "tuple", "fields": parts(names) } });
        let variant = json!({ "name": "V", "tag": 0, "style": "tuple", "fields": parts(names) });
        let variant = json!({ "enum": { "variants": [variant] } });
        [tuple, fields, variant].map(|shape| {
            let types = json!([named(0, 3, shape), byte()]);
            Described::from_bytes(&with_types(types))
                .map_err(|error| error.to_string())
                .err()
        })
    };
    assert_eq!(told(&["0", "1"]), [None, None, None]);
    for names in [&["0", "left"], &["0", "0"], &["0", "01"]] {
        for told in told(names) {
            let told = told.expect("it is refused");
            assert!(
                told.contains("its part 1 has the name"),
                "{names:?}: {told}"
            );
        }
    }
    let fields = json!({ "struct": { "style": "unit", "fields": parts(&["0"]) } });
    let told = refusal(&with_types(json!([named(0, 1, fields), byte()])));
    assert!(told.contains("it has 1 fields"), "{told}");
}

#[test]
fn addresses_are_of_one_kind_in_both_versions() {
    let address = |v4: Value, v6: Value| {
        let types = json!([
            named(0, 33, json!({ "address": { "v4": 1, "v6": 2 } })),
            v4,
            v6
        ]);
        Described::from_bytes(&with_types(types))
            .map_err(|error| error.to_string())
            .err()
    };
    let ip = |number, size| named(number, size, json!("ip_addr"));
    let four = || named(1, 6, json!("socket_addr_v4"));
    let six = || named(2, 28, json!("socket_addr_v6"));
    assert_eq!(address(ip(1, 4), ip(2, 16)), None);
    assert_eq!(address(four(), six()), None);
    for (v4, v6) in [
        (ip(1, 16), ip(2, 16)),
        (ip(1, 4), ip(2, 4)),
        (ip(1, 4), six()),
        (six(), four()),
        (named(1, 4, json!("unsigned")), ip(2, 16)),
        (named(1, 0, json!("str")), ip(2, 16)),
    ] {
        let told = address(v4, v6).expect("it is refused");
        assert!(
            told.contains("it is an address, but not of one kind"),
            "{told}"
        );
    }
    let types = json!([
        named(0, 16, json!({ "address": { "v4": 1, "v6": 2 } })),
        ip(1, 4),
        ip(2, 16)
    ]);
    let told = refusal(&with_types(types));
    assert!(told.contains("\"v6\" lies at offset 1"), "{told}");
}
