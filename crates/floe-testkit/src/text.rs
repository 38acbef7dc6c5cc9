//! Long texts that a debug build checks as fast as an optimised one.

/// A text of `bytes` that ends in many of one letter; each number up to 26 has its own.
///
/// `bytecheck` first looks whether a text is ASCII, and looks at lists of bytes one by one, both
/// with code that a debug build does not optimise. The first letter of this one is not ASCII.
pub fn long(number: usize, bytes: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    let first = 'é';
    let rest = letter.to_string().repeat(bytes - first.len_utf8());
    format!("{first}{rest}")
}
