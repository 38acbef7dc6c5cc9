//! The bytes of regions, pinned by the files in `tests/golden`: a file for each released format
//! version is kept for ever.

use std::collections::BTreeMap;
use std::path::PathBuf;

use floe::map::RootMapBuilder;
use floe::value::{BigInt, Value};
use floe::{
    Content, Error, Frozen, Intern, Key, Map, MapBuilder, Root, Roots, RootsBuilder, Schema,
};
use rkyv::with::Map as Each;

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Package {
    name: String,
    epoch: Option<u16>,
    #[rkyv(with = Intern)]
    license: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    depends: Vec<String>,
    flags: BTreeMap<String, bool>,
    origin: Origin,
    weight: f64,
    digest: [u8; 5],
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
enum Origin {
    Unknown,
    Mirror(String, char),
    Build { host: Box<str>, job: i128 },
}

#[derive(Debug, Clone, PartialEq, Eq, Key, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
struct Target {
    architecture: String,
    number: u32,
}

fn package(number: u32) -> Package {
    let origins = [
        Origin::Unknown,
        Origin::Mirror("https://mirror.example.org".to_owned(), 'ß'),
        Origin::Build {
            host: "builder".into(),
            job: -1 << 100,
        },
    ];
    Package {
        name: format!("a package with the number {number}"),
        epoch: (number % 2 == 1).then_some(0x1234),
        license: "a license that is longer than an inline string".to_owned(),
        depends: vec![
            "glibc".to_owned(),
            "a dependency with a long name".to_owned(),
        ],
        flags: (0..number)
            .map(|flag| (format!("flag {flag}"), flag % 2 == 0))
            .collect(),
        origin: origins[number as usize % 3].clone(),
        weight: f64::from(number) * -0.75,
        digest: [number as u8; 5],
    }
}

fn target(number: u32) -> Target {
    Target {
        architecture: ["aarch64", "x86_64 with a long suffix"][number as usize % 2].to_owned(),
        number,
    }
}

const ENTRIES: u32 = 8;

/// A map with interned values over several entries, and with garbage.
fn map() -> Frozen<Map<Target, Package>> {
    let mut builder = MapBuilder::new("golden map").unwrap().last_wins();
    builder.insert(&target(2), &package(0)).unwrap();
    for number in 0..ENTRIES {
        builder.insert(&target(number), &package(number)).unwrap();
    }
    builder.finish().unwrap()
}

fn value() -> Frozen<Vec<Package>> {
    Frozen::freeze("golden struct", &(0..3).map(package).collect()).unwrap()
}

#[derive(Roots)]
struct Both {
    value: Root<Vec<Package>>,
    map: Root<Map<Target, Package>>,
}

/// A value behind a map with garbage, which share what they intern.
fn roots() -> Frozen<Both> {
    let fill = |map: &mut RootMapBuilder<Target, Package>| {
        map.last_wins();
        let numbers = std::iter::once(2).chain(0..ENTRIES);
        numbers
            .into_iter()
            .try_for_each(|number| map.insert(&target(number), &package(number)))?;
        Ok::<_, Error>(())
    };
    RootsBuilder::new("golden roots")
        .unwrap()
        .map_with(Both::MAP, fill)
        .unwrap()
        .value(Both::VALUE, &(0..3).map(package).collect::<Vec<_>>())
        .unwrap()
        .finish()
        .unwrap()
}

/// Every kind of self-describing value, over several entries that share parts.
fn self_describing() -> Frozen<Map<u32, Value>> {
    let entry = |number: u32| (number, any_value(i64::from(number)));
    Map::freeze("golden self-describing", (0..3).map(entry)).unwrap()
}

fn any_value(number: i64) -> Value {
    let big = |bytes: &[u8]| BigInt::from_bytes(bytes).map(Value::BigInt).unwrap();
    let texts = Value::list(["", "zlib", "Größe", "zlib"]);
    let key = Value::tuple([Value::from(number), Value::frozen_set(["a", "b"])]);
    Value::dict([
        (
            Value::from("constants"),
            Value::list([Value::None, true.into(), false.into()]),
        ),
        (
            Value::from("small"),
            Value::tuple([-(1 << 28), number, (1 << 28) - 1]),
        ),
        (
            Value::from("long"),
            Value::tuple([Value::from(1_i64 << 28), i64::MIN.into()]),
        ),
        (Value::from("integers"), Value::list([number, i64::MAX])),
        (
            Value::from("floats"),
            Value::list([0.5, -0.0, f64::INFINITY]),
        ),
        (Value::from("float"), Value::from(number as f64 + 0.25)),
        (
            Value::from("big"),
            Value::list([big(&[1; 9]), big(&[0xfe; 17])]),
        ),
        (Value::from("bytes"), Value::Bytes(vec![0, 1, 0xff])),
        (
            Value::from("surrogates"),
            Value::TextWithSurrogates(vec![b'a', 0xed, 0xb0, 0x80]),
        ),
        (Value::from("texts"), texts),
        (
            Value::from("sets"),
            Value::tuple([Value::set([3, 1, 2]), Value::frozen_set(["x"])]),
        ),
        (
            Value::from("empty"),
            Value::tuple([Value::list([0; 0]), Value::dict([("", 0); 0])]),
        ),
        (
            Value::from("20"),
            Value::dict((0..20).map(|it| (format!("key {it}"), number + it))),
        ),
        (
            Value::from("300"),
            Value::dict((0..300).map(|it| (it, "value"))),
        ),
        (Value::from(number), Value::from("under an integer")),
        (Value::from(-0.75), Value::from("under a float")),
        (key, Value::from("under a tuple")),
        (Value::None, Value::from("under none")),
    ])
}

#[derive(Debug, Clone, PartialEq, Eq, Key, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
enum Step {
    All,
    Named(String),
    Of { target: Nested, number: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Key, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
struct Nested(Vec<Target>);

/// Maps that are keyed by all that can key one.
#[derive(Roots)]
struct Keyed {
    bytes: Root<Map<Vec<u8>, u32>>,
    flags: Root<Map<bool, u32>>,
    nested: Root<Map<Nested, u32>>,
    options: Root<Map<Option<u16>, u32>>,
    steps: Root<Map<Step, u32>>,
    texts: Root<Map<String, u32>>,
    tuples: Root<Map<(u8, Target, char), u32>>,
    wide: Root<Map<i128, u32>>,
}

fn keyed() -> Frozen<Keyed> {
    fn fill<K: floe::map::MapKey>(
        keys: Vec<K>,
    ) -> impl FnOnce(&mut RootMapBuilder<K, u32>) -> floe::Result<()> {
        move |map| {
            keys.iter()
                .zip(0..)
                .try_for_each(|(key, number)| map.insert(key, &number))
        }
    }
    let nested = |number: u32| Nested((0..number).map(target).collect());
    let steps = vec![
        Step::All,
        Step::Named("compile".to_owned()),
        Step::Of {
            target: nested(2),
            number: -3,
        },
    ];
    let texts = ["17", "zlib", "\"quoted\"", "true", "null"].map(str::to_owned);
    let tuples = (0..3).map(|number| (number as u8, target(number), 'ß'));
    RootsBuilder::new("golden keys")
        .and_then(|it| it.map_with(Keyed::BYTES, fill(vec![vec![], vec![0, 255]])))
        .and_then(|it| it.map_with(Keyed::FLAGS, fill(vec![false, true])))
        .and_then(|it| it.map_with(Keyed::NESTED, fill((0..3).map(nested).collect())))
        .and_then(|it| it.map_with(Keyed::OPTIONS, fill(vec![None, Some(0), Some(17)])))
        .and_then(|it| it.map_with(Keyed::STEPS, fill(steps)))
        .and_then(|it| it.map_with(Keyed::TEXTS, fill(texts.into())))
        .and_then(|it| it.map_with(Keyed::TUPLES, fill(tuples.collect())))
        .and_then(|it| it.map_with(Keyed::WIDE, fill(vec![-1, 1 << 100])))
        .and_then(RootsBuilder::finish)
        .unwrap()
}

fn path(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden", file]
        .iter()
        .collect()
}

/// Entries that stand in slots, in several parts.
fn small() -> Frozen<Map<u32, [u8; 3]>> {
    let entry = |number: u32| (number * 1000, number.to_be_bytes()[1..].try_into().unwrap());
    Map::freeze("golden slots", (0..SMALL).map(entry)).unwrap()
}

const SMALL: u32 = 300;
const MAP: &str = "map-2.floe";
const SLOTS: &str = "slots-2.floe";
const VALUE: &str = "value-2.floe";
const ROOTS: &str = "roots-2.floe";
const KEYS: &str = "keys-2.floe";
const SELF_DESCRIBING: &str = "self-describing-2.floe";

/// The bytes of a region without those that differ from time to time and from build to build:
/// when it was created, by which version, of which lineage, and the digest over all that.
fn stable<T: Content>(frozen: &Frozen<T>) -> Vec<u8> {
    let mut bytes = frozen.region().bytes().to_vec();
    for varying in [48..80, 96..128, 400..416, 512..528] {
        bytes[varying].fill(0);
    }
    bytes
}

/// Compares a region with its golden file. Where they differ, the region is kept beside the build,
/// to become the golden file of the next format version.
fn assert_golden<T: Content>(frozen: &Frozen<T>, file: &str) {
    let candidate = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    frozen.region().save(&candidate).unwrap();
    let golden = Frozen::<T>::load(path(file)).expect("the golden file loads");
    let (got, expected) = (stable(frozen), stable(&golden));
    let differing = got
        .iter()
        .zip(&expected)
        .position(|(got, expected)| got != expected);
    assert!(
        differing.is_none() && got.len() == expected.len(),
        "{file} differs from byte {differing:?} on; the new bytes are in {}",
        candidate.display()
    );
}

#[test]
fn a_map_is_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&map(), MAP);
}

#[test]
fn small_entries_are_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&small(), SLOTS);
}

#[test]
fn a_value_is_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&value(), VALUE);
}

#[test]
fn roots_are_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&roots(), ROOTS);
}

#[test]
fn keys_of_all_kinds_are_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&keyed(), KEYS);
}

#[test]
fn self_describing_values_are_frozen_into_the_same_bytes_for_ever() {
    assert_golden(&self_describing(), SELF_DESCRIBING);
}

#[test]
fn self_describing_values_of_version_2_can_be_read() {
    let golden = Frozen::<Map<u32, Value>>::load(path(SELF_DESCRIBING)).unwrap();
    assert_eq!(golden.len(), 3);
    for number in 0..3 {
        let expected = any_value(number.into());
        assert_eq!(golden[&number], expected);
        let Value::Dict(entries) = &expected else {
            unreachable!()
        };
        for (key, value) in entries {
            let found = golden[&number].as_dict().unwrap().get_value(key);
            assert_eq!(found.unwrap(), value);
        }
    }
}

#[test]
fn roots_of_version_2_can_be_read() {
    let golden = Frozen::<Both>::load(path(ROOTS)).unwrap();
    assert_eq!(golden.map.len(), ENTRIES as usize);
    assert!(golden.map.garbage() > 0);
    for number in 0..ENTRIES {
        assert_eq!(thawed(&golden.map[&target(number)]), package(number));
    }
    assert!(golden.value.iter().map(thawed).eq((0..3).map(package)));
}

#[test]
fn keys_of_version_2_lead_to_their_entries() {
    let golden = Frozen::<Keyed>::load(path(KEYS)).unwrap();
    let nested = |number: u32| Nested((0..number).map(target).collect());
    assert_eq!(golden.bytes[&[0_u8, 255][..]], 1);
    assert_eq!(golden.flags[&true], 1);
    assert_eq!(golden.nested[&nested(2)], 2);
    assert_eq!(golden.options[&Some(17_u16)], 2);
    let step = Step::Of {
        target: nested(2),
        number: -3,
    };
    assert_eq!(golden.steps[&step], 2);
    assert_eq!(golden.texts["null"], 4);
    assert_eq!(golden.tuples[&(1_u8, target(1), 'ß')], 1);
    assert_eq!(golden.wide[&(1_i128 << 100)], 1);
}

fn thawed(archived: &ArchivedPackage) -> Package {
    floe::thaw(archived).unwrap()
}

#[test]
fn a_map_of_version_2_can_be_read() {
    let golden = Frozen::<Map<Target, Package>>::load(path(MAP)).unwrap();
    assert_eq!(
        (golden.region().name(), golden.region().generation()),
        ("golden map", 1)
    );
    assert_eq!(golden.len(), ENTRIES as usize);
    assert!(golden.garbage() > 0);
    for number in 0..ENTRIES {
        assert_eq!(thawed(&golden[&target(number)]), package(number));
    }
    assert!(golden.get(&target(ENTRIES)).is_none());
}

#[test]
fn small_entries_of_version_2_can_be_read() {
    let golden = Frozen::<Map<u32, [u8; 3]>>::load(path(SLOTS)).unwrap();
    assert_eq!(golden.len(), SMALL as usize);
    for number in 0..SMALL {
        assert_eq!(golden[&(number * 1000)], number.to_be_bytes()[1..]);
        assert!(golden.get(&(number * 1000 + 1)).is_none());
    }
}

#[test]
fn a_value_of_version_2_can_be_read() {
    let golden = Frozen::<Vec<Package>>::load(path(VALUE)).unwrap();
    assert_eq!(golden.region().name(), "golden struct");
    assert!(golden.iter().map(thawed).eq((0..3).map(package)));
}

/// A store that finds such files builds its caches again.
#[test]
fn regions_of_version_1_are_refused_by_their_version() {
    let refused = [
        Frozen::<Map<Target, Package>>::load(path("map-1.floe")).err(),
        Frozen::<Vec<Package>>::load(path("value-1.floe")).err(),
    ];
    for refused in refused {
        let message = refused.expect("an old region is refused").to_string();
        assert!(
            message.contains("format version 1, this build reads 2"),
            "{message}"
        );
    }
}
