//! How the dumps write what JSON does not have: sets as `{"__set__": [..]}`, instances of a class as
//! `{"__class__": "Name", ..fields}`.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde::{Deserialize, Serialize};

use crate::walk::walk_struct;

/// A Python set of strings, written as `{"__set__": [..]}`.
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Serialize,
    Deserialize,
)]
#[rkyv(derive(floe::Schema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Set {
    /// Sorted and distinct, so equal sets are equal values however the source ordered them.
    #[serde(rename = "__set__", deserialize_with = "sorted_and_distinct")]
    pub members: Vec<String>,
}

walk_struct!(Set, ArchivedSet { members });

fn sorted_and_distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let mut members = Vec::<String>::deserialize(deserializer)?;
    let length = members.len();
    members.sort_unstable();
    members.dedup();
    if members.len() == length {
        Ok(members)
    } else {
        Err(D::Error::custom(
            "expected a set, got a member more than once",
        ))
    }
}

/// Reads a struct that the dump writes as an instance of the class of the same name.
///
/// The class comes first, so nothing has to be buffered to check it.
pub(super) struct Instance<D>(pub(super) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Instance<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        class: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(InstanceVisitor { class, visitor })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct InstanceVisitor<V> {
    class: &'static str,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for InstanceVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "an object that starts with \"__class__\": \"{}\"",
            self.class
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        let got = match map.next_key::<Cow<'de, str>>()? {
            Some(key) if key == "__class__" => {
                let class = map.next_value::<Cow<'de, str>>()?;
                if class == self.class {
                    return self.visitor.visit_map(map);
                }
                format!("class `{class}`")
            }
            Some(key) => format!("field `{key}` first"),
            None => "an empty object".into(),
        };
        Err(A::Error::custom(format_args!(
            "expected class `{}`, got {got}",
            self.class
        )))
    }
}

/// Implements serde's traits for a struct that derives them with `#[serde(remote = "Self")]`, so that it
/// is read and written as an instance of a class.
macro_rules! instance_of_class {
    ($type:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize($crate::dumps::python::Instance(deserializer))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}

pub(super) use instance_of_class;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(
        remote = "Self",
        rename = "point",
        tag = "__class__",
        deny_unknown_fields
    )]
    struct Point {
        x: u32,
        #[serde(deserialize_with = "Option::deserialize")]
        name: Option<String>,
    }

    instance_of_class!(Point);

    fn point_error(text: &str) -> String {
        serde_json::from_str::<Point>(text)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn an_instance_names_its_class() {
        let text = r#"{"__class__":"point","x":7,"name":null}"#;
        let point: Point = serde_json::from_str(text).expect("fits");
        assert_eq!(point, Point { x: 7, name: None });
        assert_eq!(serde_json::to_string(&point).expect("serialises"), text);
    }

    #[test]
    fn another_class_is_refused() {
        for (text, got) in [
            (
                r#"{"__class__":"line","x":7,"name":null}"#,
                "got class `line`",
            ),
            (r#"{"x":7,"name":null}"#, "got field `x` first"),
            ("{}", "got an empty object"),
            ("[]", "invalid type: sequence"),
        ] {
            let error = point_error(text);
            assert!(error.contains("point") && error.contains(got), "{error}");
        }
    }

    #[test]
    fn fields_too_many_and_too_few_are_refused() {
        let error = point_error(r#"{"__class__":"point","x":7,"name":null,"y":1}"#);
        assert!(error.contains("unknown field `y`"), "{error}");
        let error = point_error(r#"{"__class__":"point","x":7}"#);
        assert!(error.contains("missing field `name`"), "{error}");
    }

    #[test]
    fn a_set_is_sorted_and_keeps_its_wrapping() {
        let set: Set = serde_json::from_str(r#"{"__set__":["b","a"]}"#).expect("fits");
        assert_eq!(set.members, ["a", "b"]);
        assert_eq!(
            serde_json::to_string(&set).expect("serialises"),
            r#"{"__set__":["a","b"]}"#
        );
    }

    #[test]
    fn a_set_refuses_what_is_none() {
        for text in [
            r#"["a"]"#,
            r#"{"__set__":["a"],"more":1}"#,
            r#"{"__set__":["a","a"]}"#,
            "{}",
        ] {
            serde_json::from_str::<Set>(text).expect_err(text);
        }
    }
}
