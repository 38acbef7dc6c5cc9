//! Keys that look like one that is not there.

use super::described::Described;
use super::value::{Dynamic, View};
use crate::error::Result;

/// Most keys that are compared.
const KEY_LIMIT: usize = 1 << 20;
/// Most characters of a key that are compared.
const TEXT_LIMIT: usize = 256;

impl Described {
    /// The keys of a [`Map`](crate::Map) that look most like a text, the nearest first: those
    /// that the fewest insertions, deletions and replacements of characters lead to. To add what
    /// is missing around it counts as one.
    ///
    /// Text is given plainly, other keys as JSON. Compares the first 2^20 keys, and of each the
    /// first 256 characters.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn nearest_keys(&self, key: &str, count: usize) -> Result<Vec<String>> {
        let wanted: Vec<char> = key.chars().take(TEXT_LIMIT).collect();
        let mut nearest: Vec<(usize, String)> = Vec::with_capacity(count.saturating_add(1));
        let mut row = Vec::new();
        for entry in self.keyed()?.take(KEY_LIMIT) {
            let text = key_text(&entry?.0)?;
            let most = match nearest.last() {
                Some((worst, _)) if nearest.len() == count => worst.checked_sub(1),
                _ => Some(TEXT_LIMIT),
            };
            let Some(most) = most else { continue };
            let distance = match text != key && text.contains(key) {
                true => Some(1).filter(|one| *one <= most),
                false => distance(&wanted, &text, most, &mut row),
            };
            let Some(distance) = distance else { continue };
            let place = nearest.partition_point(|(other, _)| *other <= distance);
            nearest.insert(place, (distance, text));
            nearest.truncate(count);
        }
        Ok(nearest.into_iter().map(|(_, text)| text).collect())
    }
}

/// A key as a person would write it: text plainly, everything else as JSON.
fn key_text(key: &Dynamic<'_>) -> Result<String> {
    match key.view()? {
        View::Text(text) => Ok(text.into_owned()),
        View::Pointer(target) => key_text(&target),
        _ => Ok(serde_json::to_string(key).unwrap_or_default()),
    }
}

/// The Levenshtein distance of two texts, if it is `most` at most.
fn distance(wanted: &[char], text: &str, most: usize, row: &mut Vec<usize>) -> Option<usize> {
    let length = text.chars().take(TEXT_LIMIT).count();
    if wanted.len().abs_diff(length) > most {
        return None;
    }
    row.clear();
    row.extend(0..=wanted.len());
    for (number, character) in text.chars().take(TEXT_LIMIT).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], number + 1);
        let mut least = row[0];
        for (column, other) in wanted.iter().enumerate() {
            let replaced = diagonal + usize::from(*other != character);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
            least = least.min(row[column + 1]);
        }
        if least > most {
            return None;
        }
    }
    let distance = row[wanted.len()];
    (distance <= most).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances_count_edits() {
        for (left, right, expected) in [
            ("", "", 0),
            ("zlib", "zlib", 0),
            ("zlib", "zlb", 1),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("flaw", "lawn", 2),
            ("äb", "ab", 1),
        ] {
            let wanted: Vec<char> = left.chars().collect();
            let mut row = Vec::new();
            assert_eq!(distance(&wanted, right, 9, &mut row), Some(expected));
            let below = expected.checked_sub(1);
            let below = below.and_then(|most| distance(&wanted, right, most, &mut row));
            assert_eq!(below, None);
        }
    }
}
