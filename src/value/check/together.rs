//! Checking one large value on all processors: each takes parts of it. What they share is looked at
//! by one of them, but for values of several levels, which each looks at that meets them.
//!
//! Parts accept no more than a check of the whole does, and tell no reasons: where one is refused,
//! that check says why.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Check, Checked, DICT, LIST, TUPLE, WORD, tag};
use crate::archive::{DEPTH_LIMIT, Shared, Validator};
use crate::sys::threads;

/// Bytes of an archive for which a thread pays, and most threads: each takes memory.
const BYTES_EACH: usize = if cfg!(test) { 1 << 10 } else { 2 << 20 };
const MOST_THREADS: usize = 8;
/// How many levels are opened at most to find enough words for all threads.
const LEVELS: u32 = 4;
/// Words for each thread that are enough, and shares of them that it takes one after the other:
/// threads end together then, whatever the words lead to.
const ENOUGH: usize = 64;
const SHARES: usize = 16;

/// Words behind each other that lead to what lies before `end`.
#[derive(Debug, Clone)]
struct Part {
    words: Range<usize>,
    end: usize,
    depth: u32,
}

impl Part {
    fn count(&self) -> usize {
        self.words.len() / WORD
    }
}

/// Checks the word that is the root of an archive. Returns how many levels lie below; `None` if it
/// is no root, if it is small, or if parts do not show that it is valid.
pub(super) fn check(archive: &[u8], at: usize, validator: &mut Validator) -> Option<u32> {
    let is_root = at.checked_add(WORD) == Some(archive.len()) && validator.is_whole();
    // Sizes are noted by one thread, which looks at all.
    let notes_sizes = validator.visited.notes_sizes();
    if archive.len() < 2 * BYTES_EACH || !is_root || notes_sizes {
        return None;
    }
    // Only here: to find it out reads files, in each process anew.
    let threads = match threads::processors().get() {
        1 if !cfg!(test) => return None,
        processors => processors.min(MOST_THREADS).min(archive.len() / BYTES_EACH),
    };
    let depth = validator.depth();
    let opened = Opened::open(archive, at, depth, threads * ENOUGH)?;
    let parts = opened.shares(threads * SHARES);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let shared = Arc::new(Shared::new(archive.len() / WORD));
    let work = || {
        let mut validator = Validator::new(archive);
        validator.visited.share(&shared);
        let mut check = Check {
            archive,
            validator: &mut validator,
        };
        let mut deepest = depth;
        while !failed.load(Ordering::Relaxed) {
            let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return Some((deepest, validator.claimed()));
            };
            match check.words(part.words.clone(), part.end, part.depth) {
                Ok(height) => deepest = deepest.max(part.depth + height),
                Err(_) => failed.store(true, Ordering::Relaxed),
            }
        }
        None
    };
    let (mut deepest, mut claimed) = (opened.deepest, opened.claimed);
    for checked in threads::on(threads, work) {
        let (reached, more) = checked?;
        deepest = deepest.max(reached);
        claimed = claimed.saturating_add(more);
    }
    validator.charge(claimed).then_some(deepest - depth)
}

/// The upper levels of a value.
struct Opened {
    parts: Vec<Part>,
    deepest: u32,
    claimed: usize,
}

impl Opened {
    /// Opens lists, tuples and dicts from the word at an offset on until there are enough words.
    /// None if there is nothing to open.
    fn open(archive: &[u8], at: usize, depth: u32, enough: usize) -> Option<Self> {
        let mut validator = Validator::new(archive);
        let mut check = Check {
            archive,
            validator: &mut validator,
        };
        let root = Part {
            words: at..at + WORD,
            end: usize::MAX,
            depth,
        };
        let (mut parts, mut deepest) = (vec![root], depth);
        for _ in 0..LEVELS {
            if parts.iter().map(Part::count).sum::<usize>() >= enough {
                break;
            }
            let mut below = Vec::new();
            for part in &parts {
                for at in part.words.clone().step_by(WORD) {
                    match check.open(at, part.end, part.depth) {
                        Ok(Some((opened, keys))) => {
                            deepest = deepest.max(opened.depth + keys);
                            below.push(opened);
                        }
                        // Left to those who check it.
                        Ok(None) | Err(_) => below.push(Part {
                            words: at..at + WORD,
                            ..part.clone()
                        }),
                    }
                }
            }
            parts = below;
        }
        let is_some = parts.iter().map(Part::count).sum::<usize>() > 1;
        is_some.then(|| Self {
            parts,
            deepest,
            claimed: validator.claimed(),
        })
    }

    /// The same words, each part of them in up to so many shares.
    fn shares(&self, count: usize) -> Vec<Part> {
        let split = |part: &Part| {
            let (end, part) = (part.words.end, part.clone());
            let most = part.count().div_ceil(count).max(1) * WORD;
            let starts = part.words.clone().step_by(most);
            starts.map(move |start| Part {
                words: start..end.min(start + most),
                ..part
            })
        };
        self.parts.iter().flat_map(split).collect()
    }
}

impl Check<'_> {
    /// Looks at the list, tuple or dict to which a word leads, but for its values, which it returns,
    /// with how many levels lie below its keys. None for other words, and for what was opened.
    fn open(&mut self, at: usize, end: usize, depth: u32) -> Checked<Option<(Part, u32)>> {
        let word = self.read(at)?;
        if !matches!(tag(word), LIST | TUPLE | DICT) || depth == DEPTH_LIMIT {
            return Ok(None);
        }
        let place = self.target(at, word, end)?;
        let head = self.read(place)?;
        if tag(head) != tag(word) || !self.is_first(place) {
            return Ok(None);
        }
        let depth = depth + 1;
        let (words, keys) = self.values(place, head, depth)?;
        let end = place;
        Ok(Some((Part { words, end, depth }, keys)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check as check_all;
    use super::*;
    use crate::error::SectionKind;
    use crate::frozen::Frozen;
    use crate::value::Value;

    /// Records with texts, lists and dicts that they share, some of them deep.
    fn records() -> Value {
        let text = |number: usize| Value::from(format!("text {}", number % 97));
        let record = |number: usize| {
            let list = Value::list((0..number % 7).map(|it| text(number / 3 + it)));
            let deep = (0..number % 20).fold(list.clone(), |inner, _| Value::list([inner]));
            let names = [("name", text(number)), ("list", list), ("deep", deep)];
            (format!("record {number}"), Value::dict(names))
        };
        let records = Value::dict((0..130).map(record));
        Value::dict([("records", records), ("none", Value::None)])
    }

    fn frozen(value: &Value) -> Vec<u8> {
        let frozen = Frozen::freeze_on_heap("checked", value).unwrap();
        frozen
            .region()
            .section(SectionKind::Archive)
            .unwrap()
            .into()
    }

    /// What parts find, and whether the check of the whole accepts.
    fn both(archive: &[u8]) -> (Option<u32>, bool) {
        let at = archive.len() - WORD;
        let together = check(archive, at, &mut Validator::new(archive));
        let mut whole = Validator::new(archive);
        let mut check = Check {
            archive,
            validator: &mut whole,
        };
        let word = check.read(at).unwrap();
        let height = check.word(at, word, usize::MAX, 0).ok();
        let all = check_all(archive, at, &mut Validator::new(archive));
        assert_eq!(height.is_some(), all.is_ok());
        if together.is_some() {
            assert_eq!(together, height);
        }
        (together, all.is_ok())
    }

    #[test]
    fn parts_find_what_a_check_of_the_whole_finds() {
        let archive = frozen(&records());
        let (together, whole) = both(&archive);
        assert!(together.is_some_and(|height| height > 20) && whole);
        // One byte differs: what parts accept, the whole accepts, and as deep.
        let (mut accepted, mut refused) = (0, 0);
        for at in (0..archive.len()).step_by((archive.len() / 500) | 1) {
            let mut changed = archive.clone();
            changed[at] ^= 1 << (at % 8);
            match both(&changed) {
                (Some(_), true) => accepted += 1,
                (None, false) => refused += 1,
                other => panic!("byte {at}: {other:?}"),
            }
        }
        assert!(accepted > 20 && refused > 100, "{accepted} {refused}");
    }

    #[test]
    fn parts_share_one_limit_of_bytes_and_one_of_depth() {
        let archive = frozen(&records());
        let at = archive.len() - WORD;
        let mut validator = Validator::new(&archive);
        let most = Validator::most_claimed(archive.len());
        assert!(validator.charge(most - 100));
        assert_eq!(check(&archive, at, &mut validator), None);
        assert_eq!(validator.claimed(), most - 100);

        // Many lists with lists that others have too, each at another depth.
        let nested = (0..127).scan(Value::None, |inner, _| {
            *inner = Value::list([inner.clone()]);
            Some(inner.clone())
        });
        let nested: Vec<Value> = nested.collect();
        for levels in [1, 2, 100, 127] {
            let wide = (0..700).map(Value::from);
            let wide = Value::list(wide.chain(nested[..levels].iter().cloned()));
            let expected = Some(levels as u32 + 1);
            assert_eq!(both(&frozen(&wide)), (expected, true));
        }
    }
}
