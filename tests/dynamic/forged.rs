//! Regions with another schema or archive than they were frozen with, and all digests right.

use floe::dynamic::Described;
use floe::{Content, Frozen};
use serde_json::Value;

use crate::announce::{SCHEMA, announce};
use crate::forge::Forgery;

/// The region of a value with another schema or archive, and all digests right.
pub fn forged<T: Content>(
    frozen: &Frozen<T>,
    edit: impl FnOnce(u32, &mut Vec<u8>) + Copy,
) -> Vec<u8> {
    let mut forgery = Forgery::of(frozen);
    for (kind, bytes) in &mut forgery.sections {
        edit(*kind, bytes);
    }
    let mut bytes = forgery.bytes();
    announce(&mut bytes);
    bytes
}

/// The same with a schema that is edited as JSON.
pub fn with_schema<T: Content>(frozen: &Frozen<T>, edit: impl Fn(&mut Value)) -> Vec<u8> {
    forged(frozen, |kind, bytes| {
        if kind == SCHEMA {
            let mut schema = serde_json::from_slice(bytes).unwrap();
            edit(&mut schema);
            *bytes = serde_json::to_vec(&schema).unwrap();
        }
    })
}

pub fn refusal(bytes: &[u8]) -> String {
    Described::from_bytes(bytes).unwrap_err().to_string()
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(floe::Schema))]
pub struct Pair {
    pub left: u32,
    pub right: Option<String>,
}

pub fn pair() -> Frozen<Pair> {
    let pair = Pair {
        left: 1,
        right: Some("a text that is not inline".to_owned()),
    };
    Frozen::freeze_on_heap("pair", &pair).unwrap()
}
