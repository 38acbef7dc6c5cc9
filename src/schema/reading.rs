//! Descriptions from elsewhere.
#![forbid(unsafe_code)]

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Description, Shape};

/// Why a description cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{0}")]
    Json(serde_json::Error),
    #[error(
        "type {number} ({name}): this version of the library knows no shape {kind:?}; read the region with the version that froze it, or a later one"
    )]
    Kind {
        number: usize,
        name: String,
        kind: String,
    },
}

/// Reads a description. A shape of an unknown kind is refused by its name.
pub(crate) fn read(json: &[u8]) -> Result<Description, ReadError> {
    serde_json::from_slice(json)
        .map_err(|error| unknown_kind(json).unwrap_or(ReadError::Json(error)))
}

/// What can be read of a description from any version.
#[derive(Deserialize)]
struct Outline {
    types: Vec<TypeOutline>,
}

#[derive(Deserialize)]
struct TypeOutline {
    name: String,
    shape: Kind,
}

/// The kind of a shape: its JSON is that name, or an object with that one member.
struct Kind(String);

/// The first shape of a kind that is unknown.
fn unknown_kind(json: &[u8]) -> Option<ReadError> {
    let outline: Outline = serde_json::from_slice(json).ok()?;
    let mut types = outline.types.into_iter().enumerate();
    let (number, found) = types.find(|(_, it)| !it.shape.is_known())?;
    // The schema chose both freely.
    let cut = |text: String| text.chars().take(80).flat_map(char::escape_debug).collect();
    Some(ReadError::Kind {
        number,
        name: cut(found.name),
        kind: found.shape.0.chars().take(80).collect(),
    })
}

impl Kind {
    fn is_known(&self) -> bool {
        let named = Shape::deserialize(StrDeserializer::<KindError>::new(&self.0));
        !matches!(named, Err(KindError::Unknown))
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;

        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Kind;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a shape")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Kind, E> {
                Ok(Kind(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Kind, A::Error> {
                let mut kind = String::new();
                while let Some((name, _)) = members.next_entry::<String, IgnoredAny>()? {
                    kind = name;
                }
                Ok(Kind(kind))
            }
        }

        deserializer.deserialize_any(KindVisitor)
    }
}

/// What serde says of the name of a kind without its members.
#[derive(Debug, thiserror::Error)]
enum KindError {
    #[error("it is unknown")]
    Unknown,
    #[error("it lacks its members")]
    Members,
}

impl de::Error for KindError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Members
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_shape(shape: &str) -> String {
        let json = format!(
            r#"{{"root":0,"types":[{{"name":"u8","size":1,"align":1,"shape":"unsigned"}},{{"name":"Value","size":8,"align":4,"shape":{shape}}}]}}"#
        );
        read(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn shapes_of_later_versions_are_refused_by_name() {
        for shape in [
            r#""unheard_of""#,
            r#"{"unheard_of":{"words":4,"kinds":[1,{"a":2}]}}"#,
        ] {
            let told = with_shape(shape);
            assert!(
                told.starts_with("type 1 (Value): ") && told.contains(r#"no shape "unheard_of""#),
                "{told}"
            );
        }
    }

    #[test]
    fn members_of_later_versions_are_refused_by_name() {
        let told = with_shape(r#"{"vec":{"item":0,"stride":4}}"#);
        assert!(told.contains("unknown field `stride`"), "{told}");
        let told = with_shape(r#""unsigned","niche":3"#);
        assert!(told.contains("unknown field `niche`"), "{told}");
    }

    #[test]
    fn what_no_version_writes_is_refused_as_json() {
        for shape in ["7", "[]", r#"{"vec":{}}"#, r#""vec""#] {
            assert!(!with_shape(shape).contains("no shape"), "{shape}");
        }
    }
}
