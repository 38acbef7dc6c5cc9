//! Each test names the promise it holds.
#![forbid(unsafe_code)]

#[cfg(feature = "uuid-1")]
mod external;
mod fingerprints;
mod niches;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZeroI16, NonZeroU8, NonZeroU32};
use std::ops::Bound;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rkyv::rancor::{Error, Panic, Source};
use rkyv::ser::{Allocator, Writer};
use rkyv::validation::ArchiveContext;
use rkyv::with::{InlineAsBox, Niche};
use rkyv::{Archive, Archived, Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Description, Fingerprint, Shape, TypeIndex};
use crate::Schema;
use crate::inspect::dynamic::{Checked, Dynamic};

/// Archives `value` and reads it back by the description alone.
fn walked<T>(value: &T) -> Value
where
    T: for<'a> Serialize<
        rkyv::api::high::HighSerializer<
            rkyv::util::AlignedVec,
            rkyv::ser::allocator::ArenaHandle<'a>,
            Panic,
        >,
    >,
    T::Archived: Schema,
{
    let bytes = rkyv::to_bytes::<Panic>(value).unwrap();
    let types = Checked::new("walked", Description::of::<T::Archived>()).unwrap();
    let root = Dynamic::root(crate::inspect::dynamic::Archive::in_memory(&bytes, &types)).unwrap();
    serde_json::to_value(root).unwrap()
}

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(derive(Schema))]
struct Recipe {
    name: String,
    revision: u8,
    licenses: Vec<String>,
    r#type: Kind,
    parent: Option<Box<str>>,
}

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(derive(Schema))]
#[repr(u8)]
enum Kind {
    Native,
    Cross { word: u8, target: u64, r#ref: bool },
    Other(u16, String) = 7,
    Last,
}

fn recipe(kind: Kind) -> Recipe {
    Recipe {
        name: "a name too long to be inline".to_owned(),
        revision: 3,
        licenses: vec!["MIT".to_owned(), "8 bytes.".to_owned()],
        r#type: kind,
        parent: Some("base".into()),
    }
}

#[test]
fn derived_description_is_enough_to_read_the_bytes() {
    let read = walked(&recipe(Kind::Cross {
        word: 1,
        target: 1 << 40,
        r#ref: true,
    }));
    let expected = json!({
        "name": "a name too long to be inline",
        "revision": 3,
        "licenses": ["MIT", "8 bytes."],
        "type": { "Cross": { "word": 1, "target": 1_u64 << 40, "ref": true } },
        "parent": "base",
    });
    assert_eq!(read, expected);
    let kinds = [Kind::Native, Kind::Other(300, "x".to_owned()), Kind::Last];
    let kinds: Vec<Value> = kinds
        .into_iter()
        .map(|kind| walked(&recipe(kind))["type"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            json!("Native"),
            json!({ "Other": [300, "x"] }),
            json!("Last")
        ]
    );
}

#[test]
fn offsets_and_tags_are_those_of_the_compiler() {
    let description = Description::of::<ArchivedRecipe>();
    let Shape::Struct { fields, .. } = &description.types[0].shape else {
        panic!("{description:?}")
    };
    assert_eq!(fields[3].offset, offset_of!(ArchivedRecipe, r#type));
    assert_eq!(fields[4].offset, offset_of!(ArchivedRecipe, parent));

    let bytes = rkyv::to_bytes::<Error>(&Kind::Cross {
        word: 1,
        target: 2,
        r#ref: true,
    })
    .unwrap();
    let kind = rkyv::access::<ArchivedKind, Error>(&bytes).unwrap();
    let ArchivedKind::Cross {
        word,
        target,
        r#ref,
    } = kind
    else {
        panic!("another variant")
    };
    let start = std::ptr::from_ref(kind).addr();
    let addresses = [
        std::ptr::from_ref(word).addr(),
        std::ptr::from_ref(target).addr(),
        std::ptr::from_ref(r#ref).addr(),
    ];
    let description = Description::of::<ArchivedKind>();
    let Shape::Enum { variants } = &description.types[0].shape else {
        panic!("{description:?}")
    };
    let offsets: Vec<usize> = variants[1]
        .fields
        .iter()
        .map(|field| field.offset)
        .collect();
    assert_eq!(offsets, addresses.map(|address| address - start));
    let tags: Vec<u8> = variants.iter().map(|variant| variant.tag).collect();
    assert_eq!(tags, [0, 1, 7, 8]);
}

#[test]
fn scalars_are_read_by_their_shape() {
    assert_eq!(
        walked(&(true, 'ß', -2_i8, -300_i16, 1_u128 << 60)),
        json!([true, "ß", -2, -300, 1_u64 << 60])
    );
    assert_eq!(
        walked(&(1.5_f32, -0.25_f64, i64::MIN, ())),
        json!([1.5, -0.25, i64::MIN, null])
    );
    assert_eq!(
        walked(&Duration::new(1 << 33, 7)),
        json!({ "secs": 1_u64 << 33, "nanos": 7 })
    );
    assert_eq!(walked(&Some(NonZeroU32::MIN)), json!(1));
    assert_eq!(walked(&None::<NonZeroI16>), json!(null));
    assert_eq!(walked(&NonZeroU8::MAX), json!(255));
    assert_eq!(walked(&c"text".to_owned()), json!(b"text"));
    assert_eq!(
        walked(&(.., PhantomData::<String>, 5_usize)),
        json!([null, null, 5])
    );
}

#[test]
fn text_of_every_length_is_read_by_its_shape() {
    for length in [0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 70_000] {
        let text = "x".repeat(length);
        assert_eq!(walked(&text), json!(text), "{length} bytes");
    }
}

#[test]
fn addresses_are_read_by_their_shape() {
    let v4 = Ipv4Addr::new(10, 1, 2, 3);
    let v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    assert_eq!(
        walked(&[IpAddr::V4(v4), IpAddr::V6(v6)]),
        json!(["10.1.2.3", "fe80::1"])
    );
    let sockets = [
        SocketAddr::V4(SocketAddrV4::new(v4, 80)),
        SocketAddr::V6(SocketAddrV6::new(v6, 443, 5, 6)),
    ];
    assert_eq!(walked(&sockets), json!(["10.1.2.3:80", "[fe80::1%6]:443"]));
}

#[test]
fn pointers_and_options_are_read_by_their_shape() {
    let shared = Rc::new(5_u32);
    let boxes = (
        Box::new(1_u8),
        Some(Box::new(2_u64)),
        None::<Box<u64>>,
        vec![3_u16].into_boxed_slice(),
    );
    assert_eq!(walked(&boxes), json!([1, 2, null, [3]]));
    assert_eq!(
        walked(&(shared.clone(), Rc::downgrade(&shared), Weak::<u32>::new())),
        json!([5, 5, null])
    );
    assert_eq!(walked(&(Some(4_u64), None::<u8>)), json!([4, null]));
    let results = [Ok(1_u32), Err("no".to_owned())];
    assert_eq!(walked(&results), json!([{ "Ok": 1 }, { "Err": "no" }]));
    let bounds = [Bound::Included(1_u8), Bound::Excluded(2), Bound::Unbounded];
    assert_eq!(
        walked(&bounds),
        json!([{ "Included": 1 }, { "Excluded": 2 }, "Unbounded"])
    );
    assert_eq!(
        walked(&(1_u8..2, 3_u32..=4)),
        json!([{ "start": 1, "end": 2 }, { "start": 3, "end": 4 }])
    );
}

#[test]
fn maps_of_every_size_are_read_by_their_shape() {
    for size in [0_u16, 1, 5, 6, 7, 35, 36, 300] {
        let pairs: BTreeMap<u16, String> = (0..size).map(|key| (key, key.to_string())).collect();
        assert_eq!(walked(&pairs), json!(pairs), "tree of {size}");
        let hashed: HashMap<u16, String> = pairs.clone().into_iter().collect();
        assert_eq!(walked(&hashed), json!(pairs), "table of {size}");

        let keys: BTreeSet<u16> = pairs.keys().copied().collect();
        assert_eq!(walked(&keys), json!(keys), "set of {size}");
        let hashed: HashSet<u16> = keys.iter().copied().collect();
        let read: BTreeSet<u16> = serde_json::from_value(walked(&hashed)).unwrap();
        assert_eq!(read, keys);
    }
}

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer + Allocator, __S::Error: Source),
    deserialize_bounds(__D::Error: Source),
    bytecheck(bounds(__C: ArchiveContext, __C::Error: Source))
)]
struct Tree<T> {
    label: T,
    #[rkyv(omit_bounds)]
    children: Vec<Tree<T>>,
    #[rkyv(omit_bounds)]
    first: Option<Box<Node>>,
}

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer + Allocator, __S::Error: Source),
    deserialize_bounds(__D::Error: Source),
    bytecheck(bounds(__C: ArchiveContext, __C::Error: Source))
)]
enum Node {
    Leaf,
    Pair(
        #[rkyv(omit_bounds)] Box<Node>,
        #[rkyv(omit_bounds)] Box<Node>,
    ),
    Tree(#[rkyv(omit_bounds)] Box<Tree<u8>>),
}

#[test]
fn types_may_contain_themselves_and_each_other() {
    let leaf = |label| Tree {
        label,
        children: Vec::new(),
        first: None,
    };
    let node = Node::Pair(
        Box::new(Node::Leaf),
        Box::new(Node::Tree(Box::new(leaf(9)))),
    );
    let tree = Tree {
        label: 1,
        children: vec![leaf(2)],
        first: Some(Box::new(node)),
    };
    let expected = json!({
        "label": 1,
        "children": [{ "label": 2, "children": [], "first": null }],
        "first": { "Pair": ["Leaf", { "Tree": { "label": 9, "children": [], "first": null } }] },
    });
    assert_eq!(walked(&tree), expected);
    let names: Vec<String> = Description::of::<ArchivedTree<u8>>()
        .types
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(
        names,
        [
            "Tree",
            "u8",
            "Vec<Tree>",
            "Node",
            "Box<Node>",
            "Box<Tree>",
            "Option<Box<Node>>"
        ]
    );
}

#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct Borrowed<'a, T: Copy + 'static, const N: usize> {
    #[rkyv(with = InlineAsBox)]
    text: &'a str,
    array: [T; N],
    unused: PhantomData<T>,
}

#[test]
fn generic_types_name_their_constants_and_describe_their_arguments() {
    assert_eq!(
        walked(&Borrowed {
            text: "text",
            array: [1_u16, 2],
            unused: PhantomData
        }),
        json!({ "text": "text", "array": [1, 2], "unused": null })
    );
    let description = Description::of::<Archived<Borrowed<'_, u16, 2>>>();
    let names: Vec<&str> = description
        .types
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Borrowed<2>",
            "str",
            "Box<str>",
            "u16",
            "[u16; 2]",
            "PhantomData"
        ]
    );
}

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(derive(Schema))]
struct Unit;

#[derive(Archive, Serialize, Deserialize)]
#[rkyv(derive(Schema), attr(repr(align(16))))]
struct Wide(
    #[rkyv(with = Niche)] Option<NonZeroU32>,
    #[rkyv(with = Niche)] Option<Box<u64>>,
    u8,
    Unit,
);

#[test]
fn attributes_of_type_and_fields_are_heeded() {
    assert_eq!(
        walked(&Wide(NonZeroU32::new(2), Some(Box::new(3)), 4, Unit)),
        json!([2, 3, 4, null])
    );
    assert_eq!(
        walked(&Wide(None, None, 4, Unit)),
        json!([null, null, 4, null])
    );
    let description = Description::of::<ArchivedWide>();
    assert_eq!(
        (description.types[0].size, description.types[0].align),
        (16, 16)
    );
}

#[test]
fn description_survives_json() {
    let description = Description::of::<ArchivedRecipe>();
    let json = description.to_json();
    assert_eq!(
        serde_json::from_slice::<Description>(&json).unwrap(),
        description
    );
    assert_eq!(Fingerprint::of_json(&json), description.fingerprint());
}

#[test]
fn index_from_elsewhere_is_checked() {
    let description = Description::of::<Archived<u8>>();
    let foreign: TypeIndex = serde_json::from_str("1").unwrap();
    assert!(description.get(description.root).is_some());
    assert!(description.get(foreign).is_none());
}
