//! Text with lone surrogates, which Rust's strings cannot hold and Python's can.
#![forbid(unsafe_code)]

/// Bytes of an encoded surrogate.
const LENGTH: usize = 3;

/// Whether bytes are UTF-8 but for surrogates, of which there is one at least.
pub(crate) fn is_valid(bytes: &[u8]) -> bool {
    let mut number = 0;
    for part in parts(bytes) {
        match part {
            Ok(Part::Surrogate) => number += 1,
            Ok(Part::Text(_)) => {}
            Err(Invalid) => return false,
        }
    }
    number > 0
}

/// A text as `String::from_utf8_lossy` would have it, if surrogates were one letter each.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let part = |part| match part {
        Ok(Part::Text(text)) => text,
        _ => "\u{fffd}",
    };
    parts(bytes).map(part).collect()
}

/// A part of such a text.
enum Part<'a> {
    Text(&'a str),
    Surrogate,
}

struct Invalid;

fn parts(bytes: &[u8]) -> impl Iterator<Item = Result<Part<'_>, Invalid>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let valid = match str::from_utf8(rest) {
            Ok(text) => {
                rest = &[];
                return Some(Ok(Part::Text(text)));
            }
            Err(error) => error.valid_up_to(),
        };
        if valid > 0 {
            let (text, behind) = rest.split_at(valid);
            rest = behind;
            return Some(str::from_utf8(text).map(Part::Text).map_err(|_| Invalid));
        }
        match rest {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => {
                rest = &rest[LENGTH..];
                Some(Ok(Part::Surrogate))
            }
            _ => {
                rest = &[];
                Some(Err(Invalid))
            }
        }
    })
}
