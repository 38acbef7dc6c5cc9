//! Names a place in a JSON document, such as `["/layers/x.bb"].tasks[3]`.

use std::fmt::Write;

/// One step from a value to a value inside it.
enum Step<'a> {
    /// The text between the quotation marks of a key. `None` before the first.
    Key(Option<&'a [u8]>),
    Index(usize),
}

/// The path to what stands before a line and column that serde_json counts. Any text is accepted, JSON
/// or not.
///
/// An error knows no more than its place, so nothing has to be noted on the way of a reading that succeeds.
pub(super) fn path_to(text: &[u8], line: usize, column: usize) -> String {
    let steps = steps_to(&text[..offset_of(text, line, column)]);
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(Some(key)) => push_key(&mut path, &String::from_utf8_lossy(key)),
            Step::Key(None) => {}
            Step::Index(index) => push_index(&mut path, index),
        }
    }
    location_of(path)
}

/// What to call the place to which a path leads.
pub(super) fn location_of(path: String) -> String {
    if path.is_empty() {
        "the top".into()
    } else {
        path
    }
}

/// Adds the step into the field `key` to a path.
pub(super) fn push_key(path: &mut String, key: &str) {
    let is_identifier = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_');
    // Writing to a string cannot fail.
    let _ = if is_identifier {
        write!(path, ".{key}")
    } else {
        write!(path, "[{key:?}]")
    };
}

/// Adds the step into the item at `index` to a path.
pub(super) fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}

/// The number of bytes up to the quotation mark that ends the string, or up to the end.
fn string_length(text: &[u8]) -> usize {
    let mut escaped = false;
    text.iter()
        .position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })
        .unwrap_or(text.len())
}

/// The offset behind the byte at a line and a column, both counted from 1.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let start: usize = lines.take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (start + column).min(text.len())
}

/// The steps into the values that the text has begun and not ended, and to the last one that it ended.
fn steps_to(text: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    // Only in an object, and there only up to the colon, a string is a key.
    let mut key_is_next = false;
    let mut position = 0;
    while let Some(&byte) = text.get(position) {
        position += 1;
        match byte {
            b'{' => {
                steps.push(Step::Key(None));
                key_is_next = true;
            }
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => {
                steps.pop();
                key_is_next = false;
            }
            b',' => match steps.last_mut() {
                Some(Step::Index(index)) => *index += 1,
                Some(Step::Key(_)) => key_is_next = true,
                None => {}
            },
            b'"' => {
                let length = string_length(&text[position..]);
                if key_is_next && let Some(Step::Key(key)) = steps.last_mut() {
                    *key = Some(&text[position..position + length]);
                    key_is_next = false;
                }
                position += length + 1;
            }
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"/a.bb": {"n": 1, "tasks": ["x,]\"y", [], 7]}, "b": {"c": null}}"#;

    fn path_before(end: &str) -> String {
        path_to(TEXT.as_bytes(), 1, TEXT.find(end).expect("in the text"))
    }

    #[test]
    fn a_path_leads_to_the_value() {
        assert_eq!(path_before("{"), "the top");
        assert_eq!(path_before(", \"tasks"), r#"["/a.bb"].n"#);
        assert_eq!(path_before(", []"), r#"["/a.bb"].tasks[0]"#);
        assert_eq!(path_before("]}"), r#"["/a.bb"].tasks[2]"#);
        assert_eq!(path_before(", \"b"), r#"["/a.bb"]"#);
        assert_eq!(path_before("}}"), ".b.c");
    }

    #[test]
    fn any_text_and_place_is_accepted() {
        for text in ["", "]", "}}", "\"", "\"\\", "{\"", "{,", "[,,", "a\nb"] {
            for line in 0..4 {
                for column in 0..text.len() + 2 {
                    path_to(text.as_bytes(), line, column);
                }
            }
        }
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        assert_eq!(offset_of(b"ab\ncd\n", 1, 2), 2);
        assert_eq!(offset_of(b"ab\ncd\n", 2, 1), 4);
        assert_eq!(offset_of(b"ab\ncd\n", 3, 0), 6);
        assert_eq!(offset_of(b"ab\ncd\n", 9, 9), 6);
    }
}
