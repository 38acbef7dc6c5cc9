//! A region opened as another type than it was frozen from.

use std::collections::{BTreeMap, BTreeSet};

use floe::schema::Description;
use floe::{Content, Error, Frozen, Intern, Map, Schema, Sorted};

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Pair {
    left: u32,
    right: u32,
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Renamed {
    left: u32,
    reight: u32,
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Interning {
    #[rkyv(with = Intern)]
    text: String,
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Sorting {
    #[rkyv(with = Sorted)]
    texts: std::collections::HashSet<String>,
}

/// A frozen region of some type, and the way to open any region as that type.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    open: fn(&[u8]) -> Result<(), Error>,
}

fn case<T: Content>(frozen: floe::Result<Frozen<T>>) -> Case {
    Case {
        name: std::any::type_name::<T>(),
        bytes: frozen.unwrap().region().bytes().to_vec(),
        open: |bytes| Frozen::<T>::from_bytes(bytes).map(drop),
    }
}

fn cases() -> Vec<Case> {
    let text = || "a text that is not inline".to_owned();
    let (left, right) = (1, 2);
    vec![
        case(Frozen::freeze("case", &vec![1_u64, 2])),
        case(Frozen::freeze("case", &vec![1.0_f64, 2.0])),
        case(Frozen::freeze("case", &vec![1_i64, 2])),
        case(Frozen::freeze("case", &1_u64)),
        case(Frozen::freeze("case", &[1_u32, 2])),
        case(Frozen::freeze("case", &(1_u32, 2_u32))),
        case(Frozen::freeze("case", &Pair { left, right })),
        case(Frozen::freeze(
            "case",
            &Renamed {
                left,
                reight: right,
            },
        )),
        case(Frozen::freeze("case", &text())),
        case(Frozen::freeze("case", &Box::<str>::from(text()))),
        case(Frozen::freeze("case", &Interning { text: text() })),
        case(Frozen::freeze(
            "case",
            &Sorting {
                texts: [text()].into(),
            },
        )),
        case(Frozen::freeze("case", &BTreeSet::from([text()]))),
        case(Frozen::freeze("case", &BTreeMap::from([(text(), 1_u32)]))),
        case(Map::freeze("case", [(text(), 1_u32)])),
        case(Map::freeze("case", [(text(), 1_i32)])),
        case(Map::freeze("case", [(1_u32, text())])),
        case(Frozen::freeze("case", &Some(1_u32))),
        case(Frozen::freeze("case", &())),
    ]
}

#[test]
fn every_other_type_is_refused() {
    let cases = cases();
    for frozen in &cases {
        (frozen.open)(&frozen.bytes).unwrap();
        for other in cases.iter().filter(|other| other.name != frozen.name) {
            let refused = (other.open)(&frozen.bytes).unwrap_err();
            assert!(
                matches!(&refused, Error::SchemaMismatch { expected, got, .. } if expected != got),
                "{} as {}: {refused}",
                frozen.name,
                other.name
            );
        }
    }
}

#[test]
fn a_refusal_tells_both_types_and_what_to_do() {
    let expected = Description::of::<rkyv::Archived<Vec<f64>>>().fingerprint();
    let frozen = Frozen::freeze("numbers", &vec![1_u64]).unwrap();
    let refused = Frozen::<Vec<f64>>::from_bytes(frozen.region().bytes()).unwrap_err();
    let told = refused.to_string();
    for part in [
        "\"numbers\"",
        "Vec<f64>",
        &expected.to_string(),
        &frozen.region().fingerprint().to_string(),
        "build it again",
    ] {
        assert!(told.contains(part), "{told} lacks {part}");
    }
}
