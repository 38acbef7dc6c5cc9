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
        ("/types/0/shape", json!("nonsense"), "unknown variant"),
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
