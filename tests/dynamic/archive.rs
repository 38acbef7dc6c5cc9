//! Archives that lie: an error that tells where.

use floe::Map;
use floe::dynamic::Described;
use serde_json::{Value, json};

use crate::announce::SCHEMA;
use crate::forge::ARCHIVE;
use crate::forged::{forged, pair};
use crate::read::read_everything;

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
fn a_lying_archive_is_reported_with_its_place() {
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
fn a_lying_table_is_an_error() {
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
fn a_lying_tree_is_an_error() {
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
fn a_lying_entry_is_an_error() {
    let frozen =
        Map::<u32, String>::freeze("entries", [1, 3].map(|it| (it, "a".to_owned()))).unwrap();
    for (header, expected) in [
        (
            0_u32,
            "an entry has 0 bytes, but needs 16 and has room for 32",
        ),
        (9, "an entry has 36 bytes, but needs 16 and has room for 32"),
    ] {
        let bytes = forged(&frozen, |kind, bytes| {
            if kind == ARCHIVE {
                bytes[..4].copy_from_slice(&header.to_le_bytes());
            }
        });
        let described = Described::from_bytes(&bytes).unwrap();
        let root = described.root().unwrap();
        let told = serde_json::to_string(&root).unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(!read_everything(&bytes));
    }
}
