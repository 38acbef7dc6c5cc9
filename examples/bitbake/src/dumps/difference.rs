//! The first difference between two JSON values.

use serde_json::Value;

use super::location::{location_of, push_index, push_key};

/// Where two values differ, and both sides there.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    pub(super) location: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// The first difference between the values. The order of a list matters, that of a set or of the keys of
/// an object does not.
pub(super) fn difference(expected: Option<&Value>, got: Option<&Value>) -> Option<Difference> {
    let mut path = String::new();
    let (expected, got) = differing(expected, got, &mut path)?;
    Some(Difference {
        location: location_of(path),
        expected,
        got,
    })
}

/// Both sides at the first difference, to which the path then leads.
fn differing(
    expected: Option<&Value>,
    got: Option<&Value>,
    path: &mut String,
) -> Option<(String, String)> {
    let length = path.len();
    match (expected, got) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let only_right = right.keys().filter(|key| !left.contains_key(*key));
            left.keys().chain(only_right).find_map(|key| {
                path.truncate(length);
                push_key(path, key);
                if key == "__set__" {
                    let (left, right) = (left.get(key).map(sorted), right.get(key).map(sorted));
                    differing(left.as_ref(), right.as_ref(), path)
                } else {
                    differing(left.get(key), right.get(key), path)
                }
            })
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => (0..left.len().max(right.len()))
            .find_map(|index| {
                path.truncate(length);
                push_index(path, index);
                differing(left.get(index), right.get(index), path)
            }),
        _ => (expected != got).then(|| (shown(expected), shown(got))),
    }
}

/// A list with its strings in ascending order, since a set has no order.
fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Array(members) = &mut value {
        members.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
    value
}

/// The value as JSON, cut to the length of a line.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 80;
    let Some(value) = value else {
        return "nothing".into();
    };
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(cut);
        text.push_str("..");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_do_not_differ() {
        let left = json!({"a": [1, null, {"__set__": ["x", "y"]}], "b": true});
        let right = json!({"b": true, "a": [1, null, {"__set__": ["y", "x"]}]});
        assert_eq!(difference(Some(&left), Some(&right)), None);
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        for (left, right, location, expected, got) in [
            (
                json!({"a": [1, 2]}),
                json!({"a": [1, 3]}),
                ".a[1]",
                "2",
                "3",
            ),
            (
                json!({"a": [1, 2]}),
                json!({"a": [2, 1]}),
                ".a[0]",
                "1",
                "2",
            ),
            (
                json!({"a": [1]}),
                json!({"a": [1, 2]}),
                ".a[1]",
                "nothing",
                "2",
            ),
            (json!({"a": null}), json!({}), ".a", "null", "nothing"),
            (
                json!({}),
                json!({"/x": null}),
                "[\"/x\"]",
                "nothing",
                "null",
            ),
            (json!([]), json!({}), "the top", "[]", "{}"),
            (
                json!({"__set__": ["a"]}),
                json!({"__set__": ["b"]}),
                ".__set__[0]",
                "\"a\"",
                "\"b\"",
            ),
        ] {
            let found = difference(Some(&left), Some(&right)).expect("they differ");
            assert_eq!(
                (&*found.location, &*found.expected, &*found.got),
                (location, expected, got)
            );
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let found = difference(Some(&json!("ä".repeat(200))), None).expect("they differ");
        assert_eq!(found.expected.chars().count(), 82);
    }
}
