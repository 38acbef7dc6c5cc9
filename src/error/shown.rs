//! Keys in messages.

use std::fmt::{self, Debug, Write};

/// Most bytes of a key that a message shows: whoever contributes a key may choose a very long one.
const MOST: usize = 1 << 10;

/// A key as `Debug` prints it, or its beginning and `..`.
pub(crate) fn shown(key: &(impl Debug + ?Sized)) -> String {
    let mut shown = Shown(String::new());
    match write!(shown, "{key:?}") {
        Ok(()) => shown.0,
        Err(_) => shown.0 + "..",
    }
}

/// Takes so many bytes, and no more.
struct Shown(String);

impl Write for Shown {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = MOST - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(left)]);
        match text.len() > left {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_while_they_are_written() {
        assert_eq!(shown(&"zlib"), "\"zlib\"");
        for long in ["x".repeat(MOST), "\u{1}".repeat(MOST), "é".repeat(MOST)] {
            let cut = shown(&long);
            assert!(cut.ends_with("..") && cut.len() <= MOST + 2, "{cut}");
        }
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("without end ")?;
                }
            }
        }
        assert_eq!(shown(&Endless).len(), MOST + 2);
    }
}
