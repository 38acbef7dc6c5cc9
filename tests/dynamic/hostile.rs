//! Regions that lie, in their schema or in their archive: an error, in bounded time and memory.

use std::num::NonZero;
use std::sync::LazyLock;

use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{Content, Frozen, Map};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::announce::{SCHEMA, announce};
use crate::forge::{ARCHIVE, Forgery};
use crate::read::read_everything;
use crate::recipes::recipes;
use crate::sign::sign;
use crate::zoo::Recipe;

/// The region of a value with another schema or archive, and all digests right.
fn forged<T: Content>(frozen: &Frozen<T>, edit: impl FnOnce(u32, &mut Vec<u8>) + Copy) -> Vec<u8> {
    let mut forgery = Forgery::of(frozen);
    for (kind, bytes) in &mut forgery.sections {
        edit(*kind, bytes);
    }
    let mut bytes = forgery.bytes();
    announce(&mut bytes);
    bytes
}

/// The same with a schema that is edited as JSON.
fn with_schema<T: Content>(frozen: &Frozen<T>, edit: impl Fn(&mut Value)) -> Vec<u8> {
    forged(frozen, |kind, bytes| {
        if kind == SCHEMA {
            let mut schema = serde_json::from_slice(bytes).unwrap();
            edit(&mut schema);
            *bytes = serde_json::to_vec(&schema).unwrap();
        }
    })
}

fn refusal(bytes: &[u8]) -> String {
    Described::from_bytes(bytes).unwrap_err().to_string()
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(floe::Schema))]
struct Pair {
    left: u32,
    right: Option<String>,
}

fn pair() -> Frozen<Pair> {
    let pair = Pair {
        left: 1,
        right: Some("a text that is not inline".to_owned()),
    };
    Frozen::freeze_on_heap("pair", &pair).unwrap()
}

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

/// What reading the first bytes of the archive as another type says.
fn fault(archive: &[u8], types: Value) -> String {
    let bytes = forged(&pair(), |kind, bytes| match kind {
        SCHEMA => {
            let schema = json!({ "root": 0, "types": types.clone() });
            *bytes = serde_json::to_vec(&schema).unwrap();
        }
        ARCHIVE => *bytes = archive.to_vec(),
        _ => {}
    });
    assert!(!read_everything(&bytes));
    let described = Described::from_bytes(&bytes).unwrap();
    let dumped = described.root().map(|root| serde_json::to_string(&root));
    match dumped {
        Ok(dumped) => dumped.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_archive_that_lies_is_told_where() {
    let one = |name: &str, size: usize, shape: Value| json!([{ "name": name, "size": size, "align": 1, "shape": shape }]);
    let vector = |item| {
        json!([
            { "name": "Vec", "size": 8, "align": 4, "shape": { "vec": { "item": 1 } } },
            { "name": "Item", "size": 4, "align": 4, "shape": item },
        ])
    };
    let cases = [
        (
            vec![2],
            one("bool", 1, json!("bool")),
            "bool at offset 0: its byte is 2",
        ),
        (
            vec![0, 0xd8, 0, 0],
            one("char", 4, json!("char")),
            "0xd800 is no character",
        ),
        (
            vec![1],
            one("u32", 4, json!("unsigned")),
            "u32 at offset 0: it needs 4 bytes",
        ),
        (
            vec![0x80; 8],
            one("String", 8, json!("string")),
            "String at offset",
        ),
        (
            vec![b'a', 0xc3, b'a', 0xff, 0, 0, 0, 0],
            one("S", 8, json!("string")),
            "UTF-8 from byte 1",
        ),
        (
            vec![0xff; 16],
            one("Duration", 16, json!("duration")),
            "4294967295 nanoseconds",
        ),
        (
            vec![0, 0, 0, 0, 255, 255, 255, 255],
            vector(json!("unsigned")),
            "needs 17179869180 bytes",
        ),
        (
            vec![2, 0, 0, 0, 1, 0, 0, 0],
            vector(json!("unsigned")),
            "not aligned to 4",
        ),
        (
            vec![0, 0, 0, 0x80, 1, 0, 0, 0],
            vector(json!("unsigned")),
            "-2147483648 bytes away",
        ),
        (
            vec![9],
            one("E", 1, json!({ "enum": { "variants": [] } })),
            "no variant has the tag 9",
        ),
        (
            vec![0; 4],
            one("B", 4, json!({ "box": { "target": 0 } })),
            "deeper than 128 pointers",
        ),
    ];
    for (archive, types, expected) in cases {
        let told = fault(&archive, types);
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(
            told.contains("the archive section of cache \"pair\""),
            "{told}"
        );
    }
}

/// Bytes, and then a root of words behind them.
fn with_root(mut bytes: Vec<u8>, root: &[i32]) -> Vec<u8> {
    bytes.extend(root.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[test]
fn a_table_that_lies_is_told() {
    let field = |name, offset| json!({ "name": name, "offset": offset, "type": 2 });
    let entry = json!({ "style": "named", "fields": [field("key", 0), field("value", 1)] });
    let types = json!([
        { "name": "HashMap", "size": 12, "align": 4, "shape": { "hash_map": { "entry": 1 } } },
        { "name": "Entry", "size": 2, "align": 1, "shape": { "struct": entry } },
        { "name": "u8", "size": 1, "align": 1, "shape": "unsigned" },
    ]);
    // The root at 64 points to control bytes that all say that their slot is in use.
    for (root, expected) in [
        ([8 - 64, 8, 8], "its 8 items leave the archive"),
        ([56 - 64, 8, 8], "needs 31 bytes"),
        ([32 - 64, 3, 8], "it says that it has 3 entries, but has 8"),
    ] {
        let told = fault(&with_root(vec![0; 64], &root), types.clone());
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn a_tree_that_lies_is_told() {
    let tree = json!({ "b_tree_map": { "key": 1, "value": 1, "node_entries": 5 } });
    let types = json!([
        { "name": "BTreeMap", "size": 8, "align": 4, "shape": tree },
        { "name": "u8", "size": 1, "align": 1, "shape": "unsigned" },
    ]);
    // A leaf has a tag, five keys and five values, and at 12 the number of those in use.
    for (tag, used, length, expected) in [
        (0, 2, 1, "it says that it has 1 entries, but has 2"),
        (0, 2, 3, "it says that it has 3 entries, but has 2"),
        (
            0,
            9,
            3,
            "a node of it has 9 entries, where 1 to 5 are possible",
        ),
        (0, 0, 1, "a node of it has 0 entries"),
        (2, 1, 1, "its byte is 2"),
        (0, 1, 1000, "its 1000 items leave the archive"),
    ] {
        let leaf = [&[tag][..], &[0; 11], &[used, 0, 0, 0]].concat();
        let told = fault(&with_root(leaf, &[-16, length]), types.clone());
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn an_entry_that_lies_is_told() {
    let frozen = Map::<u32, u32>::freeze("entries", [(1, 2), (3, 4)]).unwrap();
    for (head, expected) in [
        (
            0_u32,
            "an entry has 0 bytes, but needs 12 and has room for 24",
        ),
        (7, "an entry has 28 bytes, but needs 12 and has room for 24"),
    ] {
        let bytes = forged(&frozen, |kind, bytes| {
            if kind == ARCHIVE {
                bytes[..4].copy_from_slice(&head.to_le_bytes());
            }
        });
        let described = Described::from_bytes(&bytes).unwrap();
        let root = described.root().unwrap();
        let told = serde_json::to_string(&root).unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!read_everything(&bytes));
    }
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(floe::Schema),
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Tree {
    #[rkyv(omit_bounds)]
    children: Vec<Tree>,
}

/// A tree of levels that each lead twice to the next: 2^levels values in eight bytes a value.
fn laughs(levels: u32) -> Vec<u8> {
    let mut archive = Vec::new();
    for level in 0..=2 * levels {
        // Two trees stand side by side, and lead to the next pair; the root comes last.
        let here = 8 * level as i32;
        let next = match level {
            last if last == 2 * levels => 0,
            level => 16 * (level as i32 / 2 + 1),
        };
        let length = match level / 2 + 1 {
            below if below >= levels && level < 2 * levels => 0_u32,
            _ => 2,
        };
        archive.extend((next - here).to_le_bytes());
        archive.extend(length.to_le_bytes());
    }
    let frozen = Frozen::freeze_on_heap(
        "laughs",
        &Tree {
            children: Vec::new(),
        },
    )
    .unwrap();
    forged(&frozen, |kind, bytes| {
        if kind == ARCHIVE {
            bytes.clone_from(&archive);
        }
    })
}

#[test]
fn values_that_are_used_twice_at_every_level_cost_no_time_without_end() {
    let few = Described::from_bytes(&laughs(3)).unwrap();
    let json = serde_json::to_string(&few.root().unwrap()).unwrap();
    assert_eq!(json.matches("children").count(), 1 + 2 + 4 + 8);
    let many = Described::from_bytes(&laughs(100)).unwrap();
    let threads = NonZero::<usize>::MIN;
    let progress = None;
    let told = Census::of(&many, &Options { threads, progress })
        .unwrap_err()
        .to_string();
    assert!(told.contains("values overlap"), "{told}");
}

#[test]
fn values_may_be_nested_as_deep_as_they_can_be_frozen() {
    let deep = |levels| {
        let mut tree = Tree {
            children: Vec::new(),
        };
        for _ in 0..levels {
            tree = Tree {
                children: vec![tree],
            };
        }
        Frozen::freeze_on_heap("deep", &tree)
    };
    assert!(deep(127).is_err());
    let described = Described::of(&deep(126).unwrap()).unwrap();
    let json = serde_json::to_string(&described.root().unwrap()).unwrap();
    assert_eq!(json.matches("children").count(), 127);
    let pretty = serde_json::to_string_pretty(&described.root().unwrap()).unwrap();
    assert_eq!(pretty.matches("children").count(), 127);
}

static REGION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let frozen = Map::<String, Recipe>::freeze("random", recipes(24)).unwrap();
    Forgery::of(&frozen).bytes()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn edits_anywhere(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0..4), 1..=4),
    ) {
        let mut bytes = REGION.clone();
        for (place, value, kind) in edits {
            let place = 512 + place.index((bytes.len() - 512) / 4) * 4;
            let word = bytes[place..].first_chunk_mut::<4>().unwrap();
            let old = u32::from_le_bytes(*word);
            *word = match kind {
                0 => value,
                1 => value % 64,
                2 => old.wrapping_add(value % 65).wrapping_sub(32),
                _ => old ^ (1 << (value % 32)),
            }
            .to_le_bytes();
        }
        announce(&mut bytes);
        read_everything(&bytes);
    }
}

#[test]
fn the_region_without_edits_is_read_completely() {
    assert!(read_everything(&REGION));
}
