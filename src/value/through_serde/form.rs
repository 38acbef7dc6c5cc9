//! Values as JSON is written.
#![forbid(unsafe_code)]

use ::serde::ser::{Error, Serialize, SerializeMap, Serializer};

use crate::value::archived::View;
use crate::value::number::BigInt;
use crate::value::raw::ArchivedValue;
use crate::value::{ArchivedDict, ArchivedList, ArchivedSet, Expansion, Value, surrogates};

/// A value that is known to come to an end.
struct Part<'a>(View<'a>);

impl<'a> Serialize for Part<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let part = |value: &'a ArchivedValue| Part(value.view());
        let view = &self.0;
        match view {
            View::None => serializer.serialize_unit(),
            View::Bool(flag) => serializer.serialize_bool(*flag),
            View::Int(number) => serializer.serialize_i64(*number),
            View::BigInt(bytes) => big_int(bytes, serializer),
            View::Float(number) => serializer.serialize_f64(*number),
            View::Text(text) => serializer.serialize_str(text),
            View::TextWithSurrogates(bytes) => serializer.serialize_str(&surrogates::lossy(bytes)),
            View::Bytes(bytes) => serializer.serialize_bytes(bytes),
            View::List(list) => serializer.collect_seq(list.iter().map(Part)),
            View::Tuple(items) => serializer.collect_seq(items.iter().map(part)),
            View::Set(set) => serializer.collect_seq(set.items().iter().map(part)),
            View::Dict(dict) => {
                let mut map = serializer.serialize_map(Some(dict.len()))?;
                for (key, value) in dict.iter() {
                    let key = part(key);
                    match key.0 {
                        View::Text(_)
                        | View::TextWithSurrogates(_)
                        | View::Int(_)
                        | View::Bool(_) => map.serialize_key(&key)?,
                        _ => map.serialize_key(&json_text(&key)?)?,
                    }
                    map.serialize_value(&part(value))?;
                }
                map.end()
            }
        }
    }
}

/// As JSON is written: dicts are objects, lists, tuples and sets are arrays, byte strings arrays of
/// numbers. Keys that JSON cannot take are given as their JSON text, integers of more than 128 bits
/// as text; lone surrogates become U+FFFD.
///
/// Fails if shared parts, which are written at each use, come to more than 2^28 values and bytes of text
/// and 64 for each byte of the region that the value takes.
impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let checked = Expansion::written().check(self);
        checked.map_err(S::Error::custom)?;
        Part(*self).serialize(serializer)
    }
}

/// As [`View`] does.
impl Serialize for ArchivedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view().serialize(serializer)
    }
}

/// As [`View`] does.
impl Serialize for ArchivedList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::List(*self).serialize(serializer)
    }
}

/// As [`View`] does.
impl Serialize for ArchivedSet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::Set(*self).serialize(serializer)
    }
}

/// As [`View`] does.
impl Serialize for ArchivedDict<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::Dict(*self).serialize(serializer)
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
