//! Splits values into words and finds the Python in them.

/// The words of `text`, split at white space; a `${...}` is never split, whatever stands inside.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(word_length(rest));
        rest = after;
        Some(word)
    })
}

/// The expressions of every `${@...}` in `text`, outermost ones only.
pub(crate) fn inline_python(text: &str) -> impl Iterator<Item = &str> {
    // Few values have any, and a single byte is found fast.
    let mut rest = if text.contains('@') { text } else { "" };
    std::iter::from_fn(move || {
        let start = rest.find("${@")?;
        let length = reference_length(&rest[start..]);
        let expression = rest[start + 3..start + length].trim_end_matches('}').trim();
        rest = &rest[start + length..];
        Some(expression)
    })
}

fn word_length(text: &str) -> usize {
    let mut position = 0;
    while let Some(character) = text[position..].chars().next() {
        if character.is_whitespace() {
            break;
        }
        position += match text[position..].starts_with("${") {
            true => reference_length(&text[position..]),
            false => character.len_utf8(),
        };
    }
    position
}

/// The length of the `${...}` at the start of `text`, or all of it if the brace is never closed.
pub(crate) fn reference_length(text: &str) -> usize {
    let mut depth = 0;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return position + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_word() {
        let text = "  glib ${@f('A', {'b': 1}, d)}-x \t${PN}  end ";
        assert!(words(text).eq(["glib", "${@f('A', {'b': 1}, d)}-x", "${PN}", "end"]));
    }

    #[test]
    fn an_open_reference_takes_the_rest() {
        assert!(words("a ${b c").eq(["a", "${b c"]));
    }

    #[test]
    fn inline_python_is_found() {
        let text = "x ${@ f(d) } ${A} ${@g('${B}')}";
        assert!(inline_python(text).eq(["f(d)", "g('${B}')"]));
        assert!(inline_python("${@open").eq(["open"]));
    }
}
