//! Whether bytes from anywhere are self-describing values: what [`raw`](super::raw) relies on.
//!
//! Each place is looked at once, however many words lead to it. Words in a list, tuple, dict, set or
//! shape lead backwards only, so there is no way around in a circle.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::format::{
    self, BIG, BYTES, CONSTANT, DICT, FALSE, FEW, FLOAT, FLOATS, INTEGER, INTEGERS, LIST, LONG,
    LONG_RUN, NONE, OTHER, OUT_OF_REACH, SET, SHAPE, SURROGATES, TEXT, TRUE, TUPLE, TableLayout,
    WORD, hash_tag, home, integer_word, payload, signed, tag,
};
use super::{number, surrogates};
use crate::archive::{DEPTH_LIMIT, PointerError, Validator};

/// Steps from slot to slot for each key, and beyond that, that all searches in a table may take.
const STEPS_PER_KEY: usize = 32;
const STEPS: usize = 4096;

/// Why bytes are no value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("a self-describing value lies out of the archive")]
    Elsewhere,
    #[error("the word at offset {at} leads out of the archive, or forwards in a value")]
    Pointer { at: usize },
    #[error("{0}")]
    Place(#[from] PointerError),
    #[error("the word at offset {at} is no constant: {word:#x}")]
    Constant { at: usize, word: u32 },
    #[error("a value and what it leads to lie more than 1 GiB apart")]
    OutOfReach,
    #[error("the word at offset {at} leads to something else than it says, at offset {place}")]
    Kind { at: usize, place: usize },
    #[error("nothing is at offset {place} that a value can be")]
    Unknown { place: usize },
    #[error("the text at offset {place} is not UTF-8, or not ASCII where it says so")]
    Text { place: usize },
    #[error("the integer at offset {place} has more bytes than it needs")]
    Integer { place: usize },
    #[error("the dict or set at offset {place} has keys that cannot be keys")]
    Unhashable { place: usize },
    #[error("the dict or set at offset {place} has two equal keys, or keys with one hash")]
    Duplicate { place: usize },
    #[error("the table at offset {place} does not lead to each of its keys")]
    Table { place: usize },
    #[error("the keys at offset {place} stand too far from their places in the table")]
    Crowded { place: usize },
}

type Checked<T> = Result<T, ValueError>;

/// Checks the value whose word stands at an archive offset, a multiple of four.
pub(crate) fn check(archive: &[u8], at: usize, validator: &mut Validator) -> Checked<()> {
    let depth = validator.depth();
    let mut check = Check { archive, validator };
    let word = check.read(at)?;
    let height = check.word(at, word, usize::MAX, depth)?;
    Ok(validator.reach_down(height)?)
}

struct Check<'a> {
    archive: &'a [u8],
    validator: &'a mut Validator,
}

impl<'a> Check<'a> {
    #[inline]
    fn read(&self, at: usize) -> Checked<u32> {
        let word = self.archive.get(at..).and_then(|rest| rest.first_chunk());
        let word = word.ok_or(ValueError::Pointer { at })?;
        Ok(u32::from_le_bytes(*word))
    }

    /// Bytes that belong to the value at a place.
    fn claimed(&mut self, place: usize, bytes: Range<usize>) -> Checked<&'a [u8]> {
        self.validator.claim(place, bytes.end - place)?;
        let found = self.archive.get(bytes);
        found.ok_or(ValueError::Unknown { place })
    }

    /// Where a word leads to: before `end`.
    #[inline]
    fn target(&self, at: usize, word: u32, end: usize) -> Checked<usize> {
        let distance = signed(word) as isize * WORD as isize;
        let place = at.checked_add_signed(distance);
        let place = place.filter(|place| *place < end && place.is_multiple_of(WORD));
        place.ok_or(ValueError::Pointer { at })
    }

    /// Checks the word at an offset; what it leads to starts before `end`. Returns how many levels lie
    /// below.
    #[inline]
    fn word(&mut self, at: usize, word: u32, end: usize, depth: u32) -> Checked<u32> {
        match self.validator.visited.notes_sizes() && tag(word) > INTEGER {
            true => self.sized(self.target(at, word, end)?, |check| {
                check.word_alone(at, word, end, depth)
            }),
            false => self.word_alone(at, word, end, depth),
        }
    }

    /// Checks what stands at a place, and notes how many bytes it comes to; or counts them again.
    fn sized<T>(
        &mut self,
        place: usize,
        check: impl FnOnce(&mut Self) -> Checked<T>,
    ) -> Checked<T> {
        let known = self.validator.visited.size(place / WORD);
        let before = self.validator.expanded();
        let checked = check(self)?;
        match known {
            Some(size) => self.validator.use_again(size),
            None => {
                let size = self.validator.expanded().saturating_sub(before);
                self.validator.visited.set_size(place / WORD, size);
            }
        }
        Ok(checked)
    }

    fn word_alone(&mut self, at: usize, word: u32, end: usize, depth: u32) -> Checked<u32> {
        match tag(word) {
            CONSTANT if matches!(word, NONE | FALSE | TRUE) => return Ok(0),
            CONSTANT if word == OUT_OF_REACH => return Err(ValueError::OutOfReach),
            CONSTANT => return Err(ValueError::Constant { at, word }),
            INTEGER => return Ok(0),
            _ => {}
        }
        let place = self.target(at, word, end)?;
        let is_text = tag(word) == TEXT;
        if is_text && place < self.archive.len() && !self.is_first_text(place) {
            return Ok(0);
        }
        let head = self.read(place)?;
        if tag(head) != tag(word) {
            return Err(ValueError::Kind { at, place });
        }
        if is_text {
            return self.text(place, head);
        }
        match (tag(word), self.is_first(place)) {
            (OTHER, true) => self.other(place, payload(head)),
            (OTHER, false) => Ok(0),
            (_, false) => {
                let height = self.validator.visited.height(place / WORD);
                match depth + height > DEPTH_LIMIT {
                    true => Err(PointerError::Depth.into()),
                    false => Ok(height),
                }
            }
            (_, true) if depth == DEPTH_LIMIT => Err(PointerError::Depth.into()),
            (kind, true) => {
                let below = match kind {
                    LIST | TUPLE => {
                        let items = self.items(place, WORD, payload(head))?;
                        self.words(items, place, depth + 1)?
                    }
                    DICT => self.dict(place, head, depth + 1)?,
                    _ => self.set(place, head, depth + 1)?,
                };
                self.validator.visited.set_height(place / WORD, below + 1);
                Ok(below + 1)
            }
        }
    }

    fn is_first(&mut self, place: usize) -> bool {
        self.validator.visited.others.is_first(place / WORD)
    }

    fn is_first_text(&mut self, place: usize) -> bool {
        self.validator.visited.texts.is_first(place / WORD)
    }

    fn text(&mut self, place: usize, head: u32) -> Checked<u32> {
        let (start, length) = (place + WORD, payload(head) as usize >> 1);
        let text = self.claimed(place, start..start + length)?;
        let is_ascii = text.is_ascii();
        let is_valid =
            is_ascii == (payload(head) & 1 != 0) && (is_ascii || str::from_utf8(text).is_ok());
        match is_valid {
            true => Ok(0),
            false => Err(ValueError::Text { place }),
        }
    }

    /// So many words behind the first bytes of the value at a place.
    fn items(&mut self, place: usize, behind: usize, number: u32) -> Checked<Range<usize>> {
        let start = place + behind;
        let items = start..start + number as usize * WORD;
        self.claimed(place, items.clone())?;
        Ok(items)
    }

    /// Checks words that lead to what lies before `end`.
    fn words(&mut self, words: Range<usize>, end: usize, depth: u32) -> Checked<u32> {
        let (start, archive) = (words.start, self.archive);
        let words = archive.get(words).unwrap_or_default().as_chunks().0;
        let mut height = 0;
        for (number, word) in words.iter().enumerate() {
            let (at, word) = (start + number * WORD, u32::from_le_bytes(*word));
            height = height.max(self.word(at, word, end, depth)?);
        }
        Ok(height)
    }

    fn dict(&mut self, place: usize, head: u32, depth: u32) -> Checked<u32> {
        let (number, keys) = self.shape(place, head, depth)?;
        let values = self.items(place, WORD, number)?;
        Ok(keys.max(self.words(values, place, depth)?))
    }

    fn set(&mut self, place: usize, head: u32, depth: u32) -> Checked<u32> {
        let (_, keys) = self.shape(place, head, depth)?;
        let is_frozen = self.claimed(place, place + WORD..place + 2 * WORD)?;
        match is_frozen {
            [0 | 1, 0, 0, 0] => Ok(keys),
            _ => Err(ValueError::Unknown { place }),
        }
    }

    /// Checks the shape that the first word of a value leads to; returns the number of keys, and how
    /// many levels lie below.
    fn shape(&mut self, from: usize, word: u32, depth: u32) -> Checked<(u32, u32)> {
        let place = self.target(from, word, from)?;
        match self.validator.visited.notes_sizes() {
            true => self.sized(place, |check| check.shape_at(from, place, depth)),
            false => self.shape_at(from, place, depth),
        }
    }

    fn shape_at(&mut self, from: usize, place: usize, depth: u32) -> Checked<(u32, u32)> {
        let head = self.read(place)?;
        if tag(head) != SHAPE {
            return Err(ValueError::Kind { at: from, place });
        }
        let number = payload(head);
        if !self.is_first(place) {
            let height = self.validator.visited.height(place / WORD) - 1;
            return match depth + height > DEPTH_LIMIT {
                true => Err(PointerError::Depth.into()),
                false => Ok((number, height)),
            };
        }
        let layout = TableLayout::new(number as usize);
        let log = self.read(place + WORD)?;
        let keys = place + 2 * WORD..place + 2 * WORD + number as usize * WORD;
        let table = self.claimed(place, keys.end..keys.end + layout.length())?;
        if log != layout.log {
            return Err(ValueError::Table { place });
        }
        let below = self.words(keys.clone(), place, depth)?;
        let mut hashes = Vec::with_capacity(number as usize);
        for at in keys.step_by(WORD) {
            let hash = self.hash(at)?;
            hashes.push(hash.ok_or(ValueError::Unhashable { place })?);
        }
        match log {
            0 => check_tags(&hashes, table, place)?,
            _ => check_table(&hashes, layout, table, place)?,
        }
        self.validator.visited.set_height(place / WORD, below + 1);
        Ok((number, below))
    }

    fn other(&mut self, place: usize, kind: u32) -> Checked<u32> {
        let start = place + 2 * WORD;
        match kind {
            FLOAT | LONG => {
                let bytes = self.claimed(place, place + WORD..place + WORD + 8)?;
                let number = bytes.first_chunk().map_or(0, |it| i64::from_le_bytes(*it));
                if kind == LONG && integer_word(number).is_some() {
                    return Err(ValueError::Integer { place });
                }
            }
            BIG | BYTES | SURROGATES => {
                let length = self.read(place + WORD)? as usize;
                let bytes = self.claimed(place, start..start + length)?;
                if kind == BIG && !number::is_big(bytes) {
                    return Err(ValueError::Integer { place });
                }
                if kind == SURROGATES && !surrogates::is_valid(bytes) {
                    return Err(ValueError::Text { place });
                }
            }
            INTEGERS | FLOATS => {
                let number = self.read(place + WORD)? as usize;
                self.claimed(place, start..start + number * 8)?;
                if !place.is_multiple_of(8) {
                    return Err(ValueError::Unknown { place });
                }
            }
            _ => return Err(ValueError::Unknown { place }),
        }
        Ok(0)
    }

    /// The hash of a value that was checked, if it can be a key.
    fn hash(&mut self, at: usize) -> Checked<Option<u64>> {
        let word = self.read(at)?;
        match word {
            NONE => return Ok(Some(format::none_hash())),
            FALSE | TRUE => return Ok(Some(format::int_hash(i64::from(word == TRUE)))),
            _ => {}
        }
        if tag(word) == INTEGER {
            return Ok(Some(format::int_hash(i64::from(signed(word)))));
        }
        let place = self.target(at, word, usize::MAX)?;
        let number = payload(self.read(place)?) as usize;
        let archive = self.archive;
        let run = |start: usize, length: usize| &archive[start..start + length];
        match tag(word) {
            TEXT => {
                let text = run(place + WORD, number >> 1);
                return Ok(Some(self.run_hash(place, text, format::text_hash)));
            }
            OTHER => {
                let start = place + 2 * WORD;
                let length = self.read(place + WORD)? as usize;
                let eight = || {
                    let bytes = run(place + WORD, 8).first_chunk();
                    bytes.copied().unwrap_or_default()
                };
                return Ok(match number as u32 {
                    FLOAT => format::float_hash(f64::from_le_bytes(eight())),
                    LONG => Some(format::int_hash(i64::from_le_bytes(eight()))),
                    BIG => Some(self.run_hash(place, run(start, length), format::big_hash)),
                    BYTES => Some(self.run_hash(place, run(start, length), format::bytes_hash)),
                    SURROGATES => Some(self.run_hash(place, run(start, length), format::text_hash)),
                    _ => None,
                });
            }
            _ => {}
        }
        if let Some(hash) = self.validator.visited.hash(place / WORD) {
            return Ok(Some(hash));
        }
        let hash = match tag(word) {
            TUPLE => {
                let items = self.hashes(place + WORD, number)?;
                items.map(|items| format::tuple_hash(items.into_iter()))
            }
            SET if self.read(place + WORD)? == 1 => {
                let shape = self.target(place, self.read(place)?, place)?;
                self.items_hash(shape)?
            }
            _ => None,
        };
        if let Some(hash) = hash {
            self.validator.visited.set_hash(place / WORD, hash);
        }
        Ok(hash)
    }

    /// The hash of frozen sets of the items that a shape has: very many may have the same.
    fn items_hash(&mut self, shape: usize) -> Checked<Option<u64>> {
        if let Some(known) = self.validator.visited.hash(shape / WORD) {
            return Ok(Some(known));
        }
        let number = payload(self.read(shape)?) as usize;
        let items = self.hashes(shape + 2 * WORD, number)?;
        let hash = items.map(|items| format::set_hash(items.into_iter()));
        if let Some(hash) = hash {
            self.validator.visited.set_hash(shape / WORD, hash);
        }
        Ok(hash)
    }

    /// The hash of the bytes of the value at a place; of many bytes it is computed once.
    fn run_hash(&mut self, place: usize, bytes: &[u8], hash: fn(&[u8]) -> u64) -> u64 {
        if bytes.len() < LONG_RUN {
            return hash(bytes);
        }
        if let Some(known) = self.validator.visited.hash(place / WORD) {
            return known;
        }
        let hash = hash(bytes);
        self.validator.visited.set_hash(place / WORD, hash);
        hash
    }

    /// The hashes of so many words, if all can be keys.
    fn hashes(&mut self, start: usize, number: usize) -> Checked<Option<Vec<u64>>> {
        let words = (0..number).map(|at| start + at * WORD);
        words.map(|at| self.hash(at)).collect()
    }
}

/// Checks the tags of few keys.
fn check_tags(hashes: &[u64], tags: &[u8], place: usize) -> Checked<()> {
    let mut expected = [0; FEW];
    for (number, hash) in hashes.iter().enumerate() {
        expected[number] = hash_tag(*hash);
        if hashes[..number].contains(hash) {
            return Err(ValueError::Duplicate { place });
        }
    }
    match tags == expected {
        true => Ok(()),
        false => Err(ValueError::Table { place }),
    }
}

/// Checks that a table leads to each key, and has free slots where searches end.
fn check_table(hashes: &[u64], layout: TableLayout, table: &[u8], place: usize) -> Checked<()> {
    let (tags, positions) = table.split_at(layout.slots());
    let wrong = || ValueError::Table { place };
    let position = |slot: usize| match layout.width {
        1 => usize::from(positions[slot]),
        2 => usize::from(u16::from_le_bytes(positions.as_chunks().0[slot])),
        _ => u32::from_le_bytes(positions.as_chunks().0[slot]) as usize,
    };
    let mask = layout.slots() - 1;
    let mut steps = hashes.len() * STEPS_PER_KEY + STEPS;
    let mut found = vec![false; hashes.len()];
    for slot in (0..layout.slots()).filter(|slot| tags[*slot] != 0) {
        let key = position(slot);
        let hash = *hashes.get(key).ok_or_else(wrong)?;
        if tags[slot] != hash_tag(hash) || std::mem::replace(&mut found[key], true) {
            return Err(wrong());
        }
        let mut passed = home(hash, layout.log);
        while passed != slot {
            if tags[passed] == 0 {
                return Err(wrong());
            }
            if tags[passed] == tags[slot] && hashes.get(position(passed)) == Some(&hash) {
                return Err(ValueError::Duplicate { place });
            }
            let left = steps.checked_sub(1);
            steps = left.ok_or(ValueError::Crowded { place })?;
            passed = (passed + 1) & mask;
        }
    }
    // There are more slots than keys, so one is free.
    match found.iter().all(|found| *found) {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// Fills the table of keys with these hashes; `None` if two have one hash, or if keys stand too far
/// from their places.
pub(super) fn fill_table(hashes: &[u64]) -> Option<(TableLayout, Vec<u8>)> {
    let layout = TableLayout::new(hashes.len());
    let mut table = vec![0; layout.length()];
    if layout.log == 0 {
        for (number, hash) in hashes.iter().enumerate() {
            table[number] = hash_tag(*hash);
            if hashes[..number].contains(hash) {
                return None;
            }
        }
        return Some((layout, table));
    }
    let (tags, positions) = table.split_at_mut(layout.slots());
    let mut taken = vec![0_u32; layout.slots()];
    let mut steps = hashes.len() * STEPS_PER_KEY + STEPS;
    for (number, hash) in hashes.iter().enumerate() {
        let mut slot = home(*hash, layout.log);
        while tags[slot] != 0 {
            if hashes[taken[slot] as usize] == *hash {
                return None;
            }
            steps = steps.checked_sub(1)?;
            slot = (slot + 1) & (layout.slots() - 1);
        }
        tags[slot] = hash_tag(*hash);
        taken[slot] = number as u32;
        let bytes = (number as u32).to_le_bytes();
        positions[slot * layout.width..][..layout.width].copy_from_slice(&bytes[..layout.width]);
    }
    Some((layout, table))
}
