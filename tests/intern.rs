//! Equal values are written once per region, wherever they stand.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use floe::intern::{Identify, Recorder};
use floe::{Frozen, Intern, MapBuilder, Schema, Sorted, Value};
use rkyv::Place;
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::Writer;
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::with::{ArchiveWith, Map as Each, MapKV, SerializeWith};

const LICENSE: &str = "a license that is longer than an inline string";

#[derive(Debug, Clone, PartialEq, Eq, Hash, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Stamp {
    seconds: u64,
    #[rkyv(with = Intern)]
    path: String,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Everything {
    #[rkyv(with = Intern)]
    text: String,
    #[rkyv(with = Intern)]
    list: Vec<String>,
    #[rkyv(with = Each<Intern>)]
    elements: Vec<String>,
    #[rkyv(with = Intern<Each<Intern>>)]
    both: Vec<String>,
    #[rkyv(with = Each<Intern>)]
    option: Option<String>,
    #[rkyv(with = Intern<MapKV<Intern, Intern<Each<Intern>>>>)]
    map: BTreeMap<String, Vec<String>>,
    #[rkyv(with = Intern)]
    set: BTreeSet<String>,
    #[rkyv(with = Intern<Sorted<Intern>>)]
    hash_set: HashSet<String>,
    #[rkyv(with = Intern<Sorted<Intern, Intern>>)]
    hash_map: HashMap<String, Stamp>,
    #[rkyv(with = Intern)]
    stamp: Stamp,
}

fn everything() -> Everything {
    let texts: Vec<String> = (0..20)
        .map(|n| format!("a repeated string number {n}"))
        .collect();
    Everything {
        text: LICENSE.to_owned(),
        list: texts.clone(),
        elements: texts.clone(),
        both: texts.clone(),
        option: Some(LICENSE.to_owned()),
        map: texts
            .iter()
            .map(|text| (text.clone(), texts.clone()))
            .collect(),
        set: texts.iter().cloned().collect(),
        hash_set: texts.iter().cloned().collect(),
        hash_map: texts
            .iter()
            .map(|text| {
                (
                    text.clone(),
                    Stamp {
                        seconds: 7,
                        path: text.clone(),
                    },
                )
            })
            .collect(),
        stamp: Stamp {
            seconds: 7,
            path: LICENSE.to_owned(),
        },
    }
}

fn occurrences(bytes: &[u8], text: &str) -> usize {
    bytes
        .windows(text.len())
        .filter(|window| *window == text.as_bytes())
        .count()
}

fn reopened<T: floe::Content>(frozen: &Frozen<T>) -> Frozen<T> {
    Frozen::from_fd(frozen.region().try_clone_fd().unwrap()).unwrap()
}

#[test]
fn every_wrapper_reads_back_and_validates() {
    let value = everything();
    let frozen = Frozen::freeze("everything", &value).unwrap();
    for frozen in [reopened(&frozen), frozen] {
        assert_eq!(Frozen::thaw(&frozen).unwrap(), value);
        assert!(frozen.map.get("a repeated string number 3").is_some());
        assert_eq!(frozen.text, *LICENSE);
    }
}

#[test]
fn equal_values_are_written_once_across_entries() {
    let value = everything();
    let mut builder = MapBuilder::<u32, Everything>::new("entries").unwrap();
    for number in 0..100 {
        builder.insert(&number, &value).unwrap();
    }
    let frozen = reopened(&builder.finish().unwrap());
    assert_eq!(occurrences(frozen.region().bytes(), LICENSE), 1);
    // Once as an interned string; once each in `list` and in `set`, which are interned whole.
    assert_eq!(
        occurrences(frozen.region().bytes(), "a repeated string number 7"),
        3
    );
    for (_, archived) in &*frozen {
        assert_eq!(floe::thaw::<Everything>(archived).unwrap(), value);
    }
}

#[test]
fn equal_hash_sets_share_one_canonical_order() {
    let mut left = everything();
    let reversed: Vec<String> = left.hash_set.iter().cloned().collect();
    left.hash_set = reversed.into_iter().rev().collect();
    let archive = |value: &Everything| {
        Frozen::freeze("order", value).unwrap().region().bytes()[floe::format::HEADER_LENGTH..]
            .to_vec()
    };
    assert_eq!(archive(&left), archive(&everything()));
    let both = Frozen::freeze("both", &vec![left, everything()]).unwrap();
    assert!(std::ptr::eq(&*both[0].hash_set, &*both[1].hash_set));
    assert!(std::ptr::eq(&*both[0].hash_map, &*both[1].hash_map));
}

#[test]
fn values_that_differ_in_one_place_stay_apart() {
    let differing: Vec<Everything> = (0..4)
        .map(|number| {
            let mut value = everything();
            match number {
                0 => value.both[7].push('x'),
                1 => drop(value.hash_set.insert("x".to_owned())),
                2 => value.stamp.seconds = 8,
                _ => value.option = None,
            }
            value
        })
        .collect();
    let frozen = Frozen::freeze("differing", &differing).unwrap();
    for (archived, value) in frozen.iter().zip(&differing) {
        assert_eq!(floe::thaw::<Everything>(archived).unwrap(), *value);
    }
}

/// Lists of strings must not run into each other when they are digested.
#[test]
fn boundaries_between_elements_count() {
    #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
    #[rkyv(derive(Schema))]
    struct Lists {
        #[rkyv(with = Each<Intern<Each<Intern>>>)]
        lists: Vec<Vec<String>>,
    }
    let split = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let lists = Lists {
        lists: vec![
            split("ab c"),
            split("a bc"),
            split("abc"),
            vec![],
            split(" abc"),
        ],
    };
    let frozen = Frozen::freeze("lists", &lists).unwrap();
    for (archived, list) in frozen.lists.iter().zip(&lists.lists) {
        assert!(
            archived
                .iter()
                .map(|text| text.as_str())
                .eq(list.iter().map(String::as_str))
        );
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Interning {
    #[rkyv(with = Intern)]
    text: String,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Schema))]
struct Plain {
    text: String,
}

#[test]
fn interning_changes_the_fingerprint() {
    fn fingerprint<T: Value>() -> floe::schema::Fingerprint {
        floe::schema::Description::of::<T::Archived>().fingerprint()
    }
    // Same size and same field, but other bytes behind it.
    assert_ne!(fingerprint::<Interning>(), fingerprint::<Plain>());
    assert_ne!(fingerprint::<Vec<Interning>>(), fingerprint::<Vec<Plain>>());
}

/// Writes text in lower case.
struct Lower;

impl ArchiveWith<String> for Lower {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve_with(text: &String, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(&text.to_lowercase(), resolver, out);
    }
}

impl<S: Fallible<Error: Source> + Writer + ?Sized> SerializeWith<String, S> for Lower {
    fn serialize_with(text: &String, serializer: &mut S) -> Result<StringResolver, S::Error> {
        ArchivedString::serialize_from_str(&text.to_lowercase(), serializer)
    }
}

impl Identify<String> for Lower {
    fn identify(text: &String, recorder: &mut Recorder) {
        text.hash(recorder);
    }
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct TwoForms {
    #[rkyv(with = Intern)]
    plain: String,
    #[rkyv(with = Intern<Lower>)]
    lower: String,
}

#[test]
fn wrappers_that_write_a_value_differently_share_nothing() {
    let text = || "A Text That Is Not Inline".to_owned();
    let value = TwoForms {
        plain: text(),
        lower: text(),
    };
    let frozen = Frozen::freeze_on_heap("forms", &value).unwrap();
    assert_eq!(frozen.plain, *text());
    assert_eq!(frozen.lower, *text().to_lowercase());
}
