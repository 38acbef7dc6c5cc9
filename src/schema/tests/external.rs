//! Types of other crates that rkyv archives behind its features.

use std::collections::HashMap;

use arrayvec::ArrayVec;
use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};
use rkyv::{Archive, Serialize};
use serde_json::json;
use smallvec::SmallVec;
use smol_str::SmolStr;
use thin_vec::ThinVec;
use tinyvec::{ArrayVec as TinyArrayVec, TinyVec};
use uuid::Uuid;

use super::walked;
use crate::{Frozen, Map, Schema};

#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct Foreign {
    array: ArrayVec<u16, 4>,
    bytes: Bytes,
    swiss: hashbrown::HashMap<u8, String>,
    small: SmallVec<[String; 2]>,
    text: SmolStr,
    thin: ThinVec<u32>,
    tiny: TinyVec<[u8; 4]>,
    tiny_array: TinyArrayVec<[u8; 4]>,
    shared: triomphe::Arc<String>,
}

#[test]
fn sequences_text_and_pointers_of_other_crates_are_like_our_own() {
    let foreign = Foreign {
        array: ArrayVec::from_iter([1, 2]),
        bytes: Bytes::from_static(b"ab"),
        swiss: hashbrown::HashMap::from([(7, "seven".to_owned())]),
        small: SmallVec::from_iter(["a".to_owned()]),
        text: SmolStr::new("text"),
        thin: ThinVec::from_iter([3]),
        tiny: TinyVec::from_iter([4]),
        tiny_array: TinyArrayVec::from_iter([5]),
        shared: triomphe::Arc::new("shared".to_owned()),
    };
    let expected = json!({
        "array": [1, 2], "bytes": [97, 98], "swiss": { "7": "seven" }, "small": ["a"], "text": "text",
        "thin": [3], "tiny": [4], "tiny_array": [5], "shared": "shared",
    });
    assert_eq!(walked(&foreign), expected);
    assert_eq!(
        Frozen::freeze("foreign", &foreign).unwrap().text.as_str(),
        "text"
    );
}

fn ordered() -> (IndexMap<String, u32>, IndexSet<u64>) {
    let names = (0..100).map(|number| format!("{}", 997 * number % 100));
    (
        names.zip(0..).collect(),
        (0..100).map(|number| 997 * number % 100).collect(),
    )
}

#[test]
fn index_maps_keep_their_order() {
    let (map, set) = ordered();
    let read = walked(&(map.clone(), set.clone()));
    assert_eq!(
        read[0],
        json!(map.clone().into_iter().collect::<HashMap<_, _>>())
    );
    assert_eq!(read[1], json!(set.iter().collect::<Vec<_>>()));
    let frozen = Frozen::freeze("ordered", &(map.clone(), set)).unwrap();
    assert_eq!(frozen.0.get("97").unwrap().to_native(), map["97"]);
    assert!(frozen.0.keys().map(|key| key.as_str()).eq(map.keys()));
    let empty = (IndexMap::<String, u32>::new(), IndexSet::<u64>::new());
    assert_eq!(walked(&empty), json!([{}, []]));
}

#[test]
fn a_uuid_is_a_key_and_a_value() {
    let [one, other] = [1, 2].map(Uuid::from_u128);
    let map = Map::freeze("uuids", [(one, other), (other, one)]).unwrap();
    assert_eq!(map[&one], other);
    assert_eq!(walked(&Uuid::nil()), json!(vec![0; 16]));
}
