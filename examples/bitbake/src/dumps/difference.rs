//! The first difference between two JSON values.

use serde_json::Value;

/// Where the values differ first and what both are there, such as
/// `["/a.bb"]["tasks"][3]: expected "x", got nothing`. The order of a list matters, that of a set
/// or of the keys of an object does not.
pub(super) fn difference(expected: Option<&Value>, got: Option<&Value>) -> Option<String> {
    match (expected, got) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let only_right = right.keys().filter(|key| !left.contains_key(*key));
            left.keys().chain(only_right).find_map(|key| {
                let (left, right) = (left.get(key), right.get(key));
                let rest = match key == "__set__" {
                    true => difference(left.map(sorted).as_ref(), right.map(sorted).as_ref()),
                    false => difference(left, right),
                };
                rest.map(|rest| format!("[{key:?}]{rest}"))
            })
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => (0..left.len().max(right.len()))
            .find_map(|index| {
                let rest = difference(left.get(index), right.get(index));
                rest.map(|rest| format!("[{index}]{rest}"))
            }),
        _ => {
            (expected != got).then(|| format!(": expected {}, got {}", shown(expected), shown(got)))
        }
    }
}

/// A set's members in ascending order, since a set has none.
fn sorted(set: &Value) -> Value {
    let mut set = set.clone();
    if let Value::Array(members) = &mut set {
        members.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
    }
    set
}

/// The value as JSON, cut to the length of a line.
fn shown(value: Option<&Value>) -> String {
    value.map_or("nothing".into(), |value| {
        format!("{:.80}", value.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(left: &str, right: &str) -> Option<String> {
        let [left, right] = [left, right].map(|text| serde_json::from_str(text).expect("JSON"));
        difference(Some(&left), Some(&right))
    }

    #[test]
    fn sets_and_keys_have_no_order() {
        let left = r#"{"a": [1, null, {"__set__": ["x", "y"]}], "b": true}"#;
        let right = r#"{"b": true, "a": [1, null, {"__set__": ["y", "x"]}]}"#;
        assert_eq!(differ(left, right), None);
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let cases = r#"
            {"a": [1, 2]} | {"a": [2, 1]} | ["a"][0]: expected 1, got 2
            [1] | [1, 2] | [1]: expected nothing, got 2
            {"a": null} | {} | ["a"]: expected null, got nothing
            {} | {"a": 0} | ["a"]: expected nothing, got 0
            [] | {} | : expected [], got {}
            {"__set__": ["a"]} | {"__set__": ["b"]} | ["__set__"][0]: expected "a", got "b"
        "#;
        for case in cases.trim().lines() {
            let parts: Vec<_> = case.trim().split(" | ").collect();
            assert_eq!(differ(parts[0], parts[1]).as_deref(), Some(parts[2]));
        }
    }
}
