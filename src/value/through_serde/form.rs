//! Values as JSON is written.
#![forbid(unsafe_code)]

use ::serde::ser::{Error, Serialize, SerializeMap, Serializer};

use crate::value::archived::View;
use crate::value::number::BigInt;
use crate::value::raw::ArchivedValue;
use crate::value::{ArchivedDict, ArchivedList, ArchivedSet, Value, surrogates};

/// As JSON is written: dicts are objects, lists, tuples and sets are arrays, byte strings arrays of
/// numbers. Keys that JSON cannot take are given as their JSON text, integers of more than 128 bits
/// as text; lone surrogates become U+FFFD.
impl Serialize for ArchivedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view().serialize(serializer)
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::BigInt(bytes) => big_int(bytes, serializer),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::TextWithSurrogates(bytes) => serializer.serialize_str(&surrogates::lossy(bytes)),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(list) => list.serialize(serializer),
            Self::Tuple(items) => serializer.collect_seq(*items),
            Self::Dict(dict) => dict.serialize(serializer),
            Self::Set(set) => set.serialize(serializer),
        }
    }
}

impl Serialize for ArchivedList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Serialize for ArchivedSet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.items())
    }
}

impl Serialize for ArchivedDict<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            match key.view() {
                View::Text(text) => map.serialize_key(text)?,
                View::Int(number) => map.serialize_key(&number)?,
                View::Bool(flag) => map.serialize_key(&flag)?,
                View::TextWithSurrogates(bytes) => {
                    map.serialize_key(&surrogates::lossy(bytes))?;
                }
                other => map.serialize_key(&json_text(&other)?)?,
            }
            map.serialize_value(value)?;
        }
        map.end()
    }
}

/// The JSON text of a key that is none in JSON.
fn json_text<E: Error>(key: &impl Serialize) -> Result<String, E> {
    serde_json::to_string(key).map_err(E::custom)
}

fn big_int<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let fill = match bytes.last() {
        Some(0x80..) => 0xff,
        _ => 0,
    };
    let low = u128::from_le_bytes(std::array::from_fn(|at| *bytes.get(at).unwrap_or(&fill)));
    match bytes {
        [_, ..] if bytes.len() <= 16 => serializer.serialize_i128(low.cast_signed()),
        [.., 0] if bytes.len() == 17 => serializer.serialize_u128(low),
        _ => serializer.collect_str(&BigInt::from_checked(bytes)),
    }
}

/// As [`ArchivedValue`] does.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::BigInt(number) => big_int(number.as_bytes(), serializer),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::TextWithSurrogates(bytes) => serializer.serialize_str(&surrogates::lossy(bytes)),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(items) | Self::Tuple(items) => serializer.collect_seq(items),
            Self::Set(items) | Self::FrozenSet(items) => {
                serializer.collect_seq(crate::value::owned::sorted(items))
            }
            Self::Dict(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    match key {
                        Self::Text(text) => map.serialize_key(text)?,
                        Self::Int(number) => map.serialize_key(number)?,
                        Self::Bool(flag) => map.serialize_key(flag)?,
                        Self::TextWithSurrogates(bytes) => {
                            map.serialize_key(&surrogates::lossy(bytes))?;
                        }
                        other => map.serialize_key(&json_text(other)?)?,
                    }
                    map.serialize_value(value)?;
                }
                map.end()
            }
        }
    }
}
