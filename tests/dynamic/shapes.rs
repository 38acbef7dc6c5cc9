//! Values of many shapes: what serde_json gives for the value that was frozen, it gives for the
//! value that is read by the schema.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::CString;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroI64, NonZeroU8, NonZeroU32, NonZeroU128};
use std::ops::{Bound, Range};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{Frozen, Intern, Map, Schema, Sorted, Value};
use indexmap::{IndexMap, IndexSet};
use proptest::collection::{btree_map, btree_set, hash_map, hash_set, vec};
use proptest::prelude::*;
use rkyv::with::{Map as Each, MapKV, Niche};
use serde::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Unit;

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Stamp(Duration);

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Pair(i8, String);

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Numbers {
    small: (u8, i8, u16, i16),
    large: (u32, i32, u64, i64),
    floats: (f32, f64),
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Raw {
    r#type: bool,
    r#fn: char,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
enum Source {
    None,
    Stamp(Stamp),
    Archive(String, u64),
    Git { url: String, depth: Option<u32> },
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Niches {
    #[rkyv(with = Niche)]
    number: Option<NonZeroU32>,
    #[rkyv(with = Niche)]
    large: Option<NonZeroU128>,
    #[rkyv(with = Niche)]
    boxed: Option<Box<u64>>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Interned {
    #[rkyv(with = Intern)]
    text: String,
    #[rkyv(with = Intern<Each<Intern>>)]
    list: Vec<String>,
    #[rkyv(with = Intern<MapKV<Intern, Intern>>)]
    map: BTreeMap<String, Vec<String>>,
    #[rkyv(with = Each<Intern>)]
    option: Option<String>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Hashed {
    #[rkyv(with = Sorted)]
    sorted: HashMap<String, u32>,
    #[rkyv(with = Sorted)]
    set: HashSet<u16>,
    plain: HashMap<String, Vec<u8>>,
    keys: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Shared {
    #[serde(serialize_with = "inner")]
    one: Rc<Pair>,
    #[serde(serialize_with = "inner")]
    two: Rc<Pair>,
    #[serde(serialize_with = "inner")]
    text: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Generic<T: 'static> {
    items: Vec<T>,
    marker: PhantomData<T>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(derive(Schema))]
struct Wrapped {
    unit: Unit,
    nothing: (),
    one: (u8,),
    source: Source,
}

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, rkyv::Archive, rkyv::Serialize, serde::Serialize,
)]
#[rkyv(derive(Schema))]
#[rkyv(derive(PartialEq, Eq, PartialOrd, Ord))]
enum Level {
    Low,
    High,
}

#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, rkyv::Archive, rkyv::Serialize, serde::Serialize,
)]
#[rkyv(derive(Schema))]
#[rkyv(derive(PartialEq, Eq, PartialOrd, Ord))]
struct Number(u32);

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Tree {
    label: String,
    #[rkyv(omit_bounds)]
    children: Vec<Tree>,
}

#[derive(Debug, Clone, PartialEq, rkyv::Archive, rkyv::Serialize, serde::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
enum Expression {
    Number(i64),
    Sum(
        #[rkyv(omit_bounds)] Box<Expression>,
        #[rkyv(omit_bounds)] Box<Expression>,
    ),
    Negative {
        #[rkyv(omit_bounds)]
        of: Box<Expression>,
    },
    Nothing,
}

/// What serde's feature `rc` would do.
fn inner<T: Serialize + ?Sized, P: std::ops::Deref<Target = T>, S: Serializer>(
    pointer: &P,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    (**pointer).serialize(serializer)
}

/// Texts around the length of inline ones, and others.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zß]{0,10}", any::<String>()]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..5)
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::None),
        any::<Duration>().prop_map(|it| Source::Stamp(Stamp(it))),
        (text(), any::<u64>()).prop_map(|(name, size)| Source::Archive(name, size)),
        (text(), any::<Option<u32>>()).prop_map(|(url, depth)| Source::Git { url, depth }),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = text().prop_map(|label| Tree {
        label,
        children: Vec::new(),
    });
    leaf.prop_recursive(5, 30, 4, |inner| {
        (text(), vec(inner, 0..4)).prop_map(|(label, children)| Tree { label, children })
    })
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Expression::Number),
        Just(Expression::Nothing)
    ];
    leaf.prop_recursive(8, 40, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (boxed(), boxed()).prop_map(|(left, right)| Expression::Sum(left, right)),
            boxed().prop_map(|of| Expression::Negative { of }),
        ]
    })
}

fn niches() -> impl Strategy<Value = Niches> {
    let boxed = any::<Option<Box<u64>>>();
    (
        any::<Option<NonZeroU32>>(),
        any::<Option<NonZeroU128>>(),
        boxed,
    )
        .prop_map(|(number, large, boxed)| Niches {
            number,
            large,
            boxed,
        })
}

fn interned() -> impl Strategy<Value = Interned> {
    let map = btree_map(text(), vec("[ab]{0,9}", 0..4), 0..9);
    (
        text(),
        vec("[ab]{8,9}", 0..9),
        map,
        proptest::option::of("[ab]{9}"),
    )
        .prop_map(|(text, list, map, option)| Interned {
            text,
            list,
            map,
            option,
        })
}

fn hashed() -> impl Strategy<Value = Hashed> {
    let sorted = hash_map(text(), any::<u32>(), 0..40);
    let plain = hash_map(text(), any::<Vec<u8>>(), 0..40);
    (
        sorted,
        hash_set(any::<u16>(), 0..40),
        plain,
        hash_set(text(), 0..40),
    )
        .prop_map(|(sorted, set, plain, keys)| Hashed {
            sorted,
            set,
            plain,
            keys,
        })
}

/// What must be equal: the text, or in types with an order of their own the JSON.
fn same<T: Value + Serialize>(value: &T, ordered: bool) {
    let frozen = Frozen::freeze_on_heap("shape", value).unwrap();
    let described = Described::of(&frozen).unwrap();
    let root = described.root().unwrap();
    if ordered {
        let read = serde_json::to_string(&root).unwrap();
        assert_eq!(read, serde_json::to_string(value).unwrap());
    } else {
        let read = sorted(serde_json::to_value(root).unwrap());
        assert_eq!(read, sorted(serde_json::to_value(value).unwrap()));
    }
    let census = Census::of(&described, &Options::default()).unwrap();
    for table in [&census.by_kind, &census.by_path] {
        assert_eq!(table.total().1, census.bytes);
    }
}

/// Lists in an order of their own, since hash sets have none.
fn sorted(mut json: serde_json::Value) -> serde_json::Value {
    for (name, field) in json.as_object_mut().expect("a struct") {
        if let (Some(list), "set" | "keys") = (field.as_array_mut(), name.as_str()) {
            list.sort_by_key(ToString::to_string);
        }
    }
    json
}

macro_rules! shapes {
    ($($name:ident: $strategy:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(32))]
            $(#[test] fn $name(value in $strategy) { same(&value, true); })*
        }
    };
}

shapes! {
    unit_struct: Just(Unit);
    unit: any::<()>();
    text_of_all_lengths: vec(text(), 0..20);
    boxed_text: text().prop_map(String::into_boxed_str);
    bytes: any::<Vec<u8>>();
    lists_in_lists: vec(vec(texts(), 0..4), 0..4);
    boxed_slice: texts().prop_map(Vec::into_boxed_slice);
    arrays: any::<([u16; 3], [[bool; 2]; 2])>();
    tuples: (any::<(u8, char)>(), (text(),), any::<(i64, bool, f64)>());
    options: any::<(Option<u64>, Option<Option<u8>>, Option<String>)>();
    options_of_non_zeros: any::<(Option<NonZeroU8>, Option<NonZeroI64>, NonZeroU8)>();
    niche_options: niches();
    wide_numbers: any::<(u128, i128, Vec<i128>)>();
    numbers: any::<((u8, i8, u16, i16), (u32, i32, u64, i64), (f32, f64))>()
        .prop_map(|(small, large, floats)| Numbers { small, large, floats });
    raw_names: any::<(bool, char)>().prop_map(|(r#type, r#fn)| Raw { r#type, r#fn });
    tuple_struct: (any::<i8>(), text()).prop_map(|(number, name)| Pair(number, name));
    newtype_of_a_time: any::<Duration>().prop_map(Stamp);
    times: any::<(Duration, Option<Duration>)>();
    boxes: (any::<Box<u16>>(), text().prop_map(|it| Box::new(Some(Box::new(it)))));
    shared: (any::<i8>(), text()).prop_map(|(number, name)| {
        let one = Rc::new(Pair(number, name));
        Shared { two: Rc::clone(&one), text: Arc::from(one.1.as_str()), one }
    });
    interned_values: vec(interned(), 0..4);
    enums: vec(source(), 0..9);
    results: any::<Vec<Result<u32, String>>>();
    recursive_struct: tree();
    recursive_enum: expression();
    generic: any::<Vec<u16>>().prop_map(|items| Generic { items, marker: PhantomData });
    wrapped: source().prop_map(|source| Wrapped { unit: Unit, nothing: (), one: (7,), source });
    tree_map: btree_map(text(), any::<Vec<u16>>(), 0..80);
    tree_map_of_maps: btree_map(text(), btree_map(any::<i32>(), source(), 0..9), 0..9);
    tree_map_of_numbers: btree_map(any::<u64>(), any::<Option<bool>>(), 0..40);
    tree_map_of_characters: btree_map(any::<char>(), any::<f32>(), 0..9);
    tree_map_of_flags: btree_map(any::<bool>(), text(), 0..3);
    tree_map_of_variants: btree_map(
        prop_oneof![Just(Level::Low), Just(Level::High)], any::<u8>(), 0..3);
    tree_map_of_newtypes: btree_map(any::<u32>().prop_map(Number), any::<()>(), 0..9);
    tree_set: btree_set(text(), 0..80);
    tree_set_of_tuples: btree_set(any::<(u8, i64)>(), 0..40);
    index_maps: btree_map(text(), any::<Vec<u16>>(), 0..80)
        .prop_map(|pairs| pairs.into_iter().rev().collect::<IndexMap<_, _>>());
    index_sets: btree_set(any::<u64>(), 0..80)
        .prop_map(|numbers| numbers.into_iter().rev().collect::<IndexSet<_>>());
    c_text: any::<CString>();
    addresses: any::<(Ipv4Addr, Ipv6Addr, Vec<IpAddr>, Vec<SocketAddr>)>();
    ranges: any::<(u8, u64)>().prop_map(|(start, end)| (start..9, Range { start: 1, end }));
    bounds: any::<(u8, u64)>().prop_map(|(one, two)| {
        (Bound::Included(one), Bound::Excluded(two), Bound::Unbounded::<u8>)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hash_maps_and_sets(value in hashed()) {
        same(&value, false);
    }

    #[test]
    fn keyed_maps(pairs in btree_map(text(), (source(), any::<HashMap<u8, u8>>()), 0..40)) {
        let frozen = Map::<String, (Source, HashMap<u8, u8>)>::freeze("shape", &pairs).unwrap();
        let described = Described::of(&frozen).unwrap();
        prop_assert_eq!(described.entry_count(), Some(pairs.len() as u64));
        let read = serde_json::to_value(described.root().unwrap()).unwrap();
        prop_assert_eq!(read, serde_json::to_value(&pairs).unwrap());
        for (key, value) in &pairs {
            let read = described.get(key).unwrap().expect("the key is there");
            let read = serde_json::to_value(read).unwrap();
            prop_assert_eq!(read, serde_json::to_value(value).unwrap());
        }
    }
}

#[test]
fn keys_that_json_cannot_have_are_text() {
    let pairs = BTreeMap::from([((1_u8, "a".to_owned()), 2_u8)]);
    let frozen = Frozen::freeze_on_heap("tuples", &pairs).unwrap();
    let described = Described::of(&frozen).unwrap();
    let json = serde_json::to_string(&described.root().unwrap()).unwrap();
    assert_eq!(json, r#"{"[1,\"a\"]":2}"#);
    let pairs = BTreeMap::from([(vec![1_u8], ()), (Vec::new(), ())]);
    let frozen = Frozen::freeze_on_heap("lists", &pairs).unwrap();
    let described = Described::of(&frozen).unwrap();
    let json = serde_json::to_string(&described.root().unwrap()).unwrap();
    assert_eq!(json, r#"{"[]":null,"[1]":null}"#);
}
