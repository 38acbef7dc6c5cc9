//! Names of types are for people: what a value is, its shape tells alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{Content, Frozen, Map, Schema};
use indexmap::IndexSet;
use serde_json::{Value, json};

use crate::forged::with_schema;

#[derive(rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Newtype(u8);

#[derive(rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
enum Endpoint {
    V4(u32),
    V6(u64),
}

#[derive(rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Everything {
    one: (u8,),
    pair: (Newtype, Option<(u16,)>),
    tree: BTreeSet<(u8, String)>,
    hashed: HashSet<u8>,
    indexed: IndexSet<String>,
    to_unit: BTreeMap<u8, ()>,
    hashed_to_unit: HashMap<u8, ()>,
    by_address: BTreeMap<IpAddr, SocketAddr>,
    endpoints: Vec<Endpoint>,
}

fn everything() -> Everything {
    Everything {
        one: (1,),
        pair: (Newtype(2), Some((3,))),
        tree: BTreeSet::from([(4, "a text that is not inline".to_owned())]),
        hashed: HashSet::from([5]),
        indexed: IndexSet::from(["b".to_owned(), "a".to_owned()]),
        to_unit: BTreeMap::from([(6, ())]),
        hashed_to_unit: HashMap::from([(7, ())]),
        by_address: BTreeMap::from([
            ([127, 0, 0, 1].into(), ([10, 0, 0, 1], 80).into()),
            (
                [0, 0, 0, 0, 0, 0, 0, 1].into(),
                ([0xfe80, 0, 0, 0, 0, 0, 0, 2], 443).into(),
            ),
        ]),
        endpoints: vec![Endpoint::V4(8), Endpoint::V6(9)],
    }
}

/// What was guessed at by names: tuples, sets, addresses, bytes, wrappers.
const MISLEADING: [&str; 7] = [
    "(u8)",
    "HashSet<u8>",
    "BTreeSet<u8>",
    "IpAddr",
    "SocketAddr",
    "u8",
    "Interned<3>",
];

/// The same region, every type of which has another name.
fn renamed<T: Content>(frozen: &Frozen<T>, name: &str) -> Described {
    let bytes = with_schema(frozen, |schema| {
        for described in schema["types"].as_array_mut().unwrap() {
            described["name"] = json!(name);
        }
    });
    Described::from_bytes(&bytes).unwrap()
}

fn json_of(described: &Described) -> Value {
    serde_json::to_value(described.root().unwrap()).unwrap()
}

#[test]
fn values_read_the_same_whatever_their_types_are_called() {
    let value = everything();
    let frozen = Frozen::freeze_on_heap("everything", &value).unwrap();
    let expected = serde_json::to_value(&value).unwrap();
    assert_eq!(json_of(&Described::of(&frozen).unwrap()), expected);
    for name in MISLEADING {
        let described = renamed(&frozen, name);
        assert_eq!(json_of(&described), expected, "{name}");
        described.check().unwrap();
    }
}

#[test]
fn a_census_counts_the_same_whatever_types_are_called() {
    let paths = |described: &Described| {
        let census = Census::of(described, &Options::default()).unwrap();
        let rows = census.by_path.rows.into_iter();
        // The first part is the name of the root.
        let mut rows: Vec<_> = rows
            .map(|row| {
                (
                    row.path[1..].concat(),
                    row.count,
                    row.bytes,
                    row.is_overhead,
                )
            })
            .collect();
        rows.sort();
        rows
    };
    let frozen = Frozen::freeze_on_heap("everything", &everything()).unwrap();
    let expected = paths(&Described::of(&frozen).unwrap());
    let is_there = |path: &str| expected.iter().any(|row| row.0 == path);
    assert!(
        is_there(".tree[].1") && is_there(".to_unit[key]"),
        "{expected:?}"
    );
    assert!(
        expected.iter().any(|row| row.3 && row.0.is_empty()),
        "{expected:?}"
    );
    for name in MISLEADING {
        assert_eq!(paths(&renamed(&frozen, name)), expected, "{name}");
    }
}

#[test]
fn keys_are_found_whatever_their_types_are_called() {
    let pairs = [((vec![1_u8, 2], (3_u16,)), 1_u8), ((Vec::new(), (4,)), 2)];
    let frozen = Map::<(Vec<u8>, (u16,)), u8>::freeze("keys", pairs).unwrap();
    for name in MISLEADING {
        let described = renamed(&frozen, name);
        described.check().unwrap();
        let found = described.get("[[1,2],[3]]").unwrap().expect("it is there");
        assert_eq!(serde_json::to_value(found).unwrap(), json!(1), "{name}");
        assert!(described.get("[[1],[3]]").unwrap().is_none());
    }
    let numbers = Map::<Vec<u16>, u8>::freeze("keys", [(vec![1_u16, 2], 1_u8)]).unwrap();
    let described = renamed(&numbers, "u8");
    assert!(described.get("[1,2]").unwrap().is_some());
    described.check().unwrap();
}
