//! Values that tell themselves what they are.

use floe::value::{ArchivedValue, BigInt, Value, View};
use floe::{Frozen, MapBuilder};
use floe_testkit::forge::Forgery;

fn every_kind() -> Value {
    let big = BigInt::from_bytes(&[9; 10]).unwrap();
    Value::dict([
        (
            "numbers",
            Value::tuple([Value::from(-7), Value::from(1_i64 << 40), Value::from(0.5)]),
        ),
        ("long", Value::list([i64::MIN, 3])),
        ("floats", Value::list([0.5, 2.0])),
        ("big", Value::BigInt(big)),
        ("texts", Value::list(["zlib", "Größe", ""])),
        (
            "surrogate",
            Value::TextWithSurrogates(vec![0xed, 0xa0, 0x80]),
        ),
        ("bytes", Value::Bytes(vec![1, 2, 3])),
        ("set", Value::set(["a", "b"])),
        ("many", Value::dict((0..20).map(|number| (number, "v")))),
        ("none", Value::None),
    ])
}

fn walk(value: &ArchivedValue) -> usize {
    let all = |items: &[ArchivedValue]| items.iter().map(walk).sum::<usize>();
    1 + match value.view() {
        View::List(list) => list.iter().count() + value.items().map_or(0, all),
        View::Tuple(items) => all(items),
        View::Dict(dict) => {
            for (key, value) in dict.iter() {
                let found = dict.get_value(&key.to_value());
                assert!(std::ptr::eq(found.unwrap(), value));
            }
            all(dict.keys()) + all(dict.values())
        }
        View::Set(set) => all(set.items()),
        _ => 0,
    }
}

#[test]
fn every_kind_of_value_reads_back() {
    let frozen = Frozen::freeze_on_heap("value", &every_kind()).unwrap();
    assert!(*frozen == every_kind());
    assert!(walk(&frozen) > 60);
    let mut map = MapBuilder::<u32, Value>::on_heap("values").unwrap();
    for number in 0..3 {
        map.insert(&number, &every_kind()).unwrap();
    }
    let map = map.finish().unwrap();
    assert!(map[&2] == every_kind());
    assert_eq!(map[&0].address(), map[&2].address());
}

#[test]
fn damaged_values_are_refused_or_safe_to_read() {
    let small = Value::list([
        Value::from("a"),
        Value::tuple([0.5]),
        Value::dict([(1, "b")]),
    ]);
    let frozen = Frozen::freeze_on_heap("value", &small).unwrap();
    let archive = Forgery::of(&frozen).archive().clone();
    for at in 0..archive.len() {
        let mut forged = Forgery::of(&frozen);
        forged.archive()[at] ^= 8;
        if let Ok(read) = Frozen::<Value>::from_bytes(&forged.bytes()) {
            walk(&read);
        }
    }
}
