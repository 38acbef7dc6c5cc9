//! The walk over values that tell themselves what they are. Each of their parts is counted once, by
//! what it is: the same parts are used at very many places.

use super::paths::Place;
use super::walk::Walk;
use crate::inspect::dynamic::{Depth, Found, Read, Run, boxed_number, find};
use crate::value::format::WORD;

const WORD_LENGTH: u64 = WORD as u64;

/// What parts are, in the order of their rows.
#[derive(Debug, Clone, Copy)]
enum Part {
    Text,
    List,
    Dict,
    Keys,
    Set,
    Number,
    Bytes,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "(texts)",
            Self::List => "(lists)",
            Self::Dict => "(dicts)",
            Self::Keys => "(keys)",
            Self::Set => "(sets)",
            Self::Number => "(numbers)",
            Self::Bytes => "(bytes)",
        }
    }
}

impl Walk<'_> {
    /// Counts what the word at an offset leads to, unless that was counted before.
    pub(super) fn self_describing(&mut self, place: Place, at: u64, depth: Depth) -> Read<()> {
        self.visit(at, 1)?;
        let depth = depth.behind_pointer(at)?;
        let found = find(self.archive, at)?;
        match found {
            Found::None | Found::Bool(_) => Ok(()),
            Found::Int(_) | Found::Float(_) => {
                let boxed = boxed_number(self.archive, at)?;
                boxed.map_or(Ok(()), |start| {
                    self.part(place, Part::Number, start, 3 * WORD_LENGTH)
                        .map(drop)
                })
            }
            Found::Text(run) => {
                let start = run.at - WORD_LENGTH;
                let length = WORD_LENGTH + run.length;
                match self.part(place, Part::Text, start, length)? {
                    Some(texts) => self.text(texts, run),
                    None => Ok(()),
                }
            }
            Found::Big(run) | Found::Bytes(run) | Found::Surrogates(run) => {
                let start = run.at - 2 * WORD_LENGTH;
                let length = 2 * WORD_LENGTH + run.length;
                self.part(place, Part::Bytes, start, length).map(drop)
            }
            Found::Packed(run, _) => {
                let start = run.at - 2 * WORD_LENGTH;
                let length = 2 * WORD_LENGTH + 8 * run.length;
                self.part(place, Part::List, start, length).map(drop)
            }
            Found::Items(run) => {
                let start = run.at - WORD_LENGTH;
                let length = (1 + run.length) * WORD_LENGTH;
                match self.part(place, Part::List, start, length)? {
                    Some(_) => self.words(place, run, depth),
                    None => Ok(()),
                }
            }
            Found::Dict { shape, values } => {
                let start = values - WORD_LENGTH;
                let length = shape.keys.length;
                let bytes = (1 + length) * WORD_LENGTH;
                if self.part(place, Part::Dict, start, bytes)?.is_none() {
                    return Ok(());
                }
                if self
                    .part(place, Part::Keys, shape.at, shape.bytes)?
                    .is_some()
                {
                    self.words(place, shape.keys, depth)?;
                }
                self.words(place, Run { at: values, length }, depth)
            }
            Found::Set { at: start, shape } => {
                if self
                    .part(place, Part::Set, start, 2 * WORD_LENGTH)?
                    .is_none()
                {
                    return Ok(());
                }
                match self.part(place, Part::Keys, shape.at, shape.bytes)? {
                    Some(_) => self.words(place, shape.keys, depth),
                    None => Ok(()),
                }
            }
        }
    }

    fn words(&mut self, place: Place, words: Run, depth: Depth) -> Read<()> {
        for number in 0..words.length {
            self.self_describing(place, words.at + number * WORD_LENGTH, depth)?;
        }
        Ok(())
    }

    /// Counts a part that starts at an offset, if nobody has; returns where it is counted.
    fn part(&mut self, place: Place, part: Part, start: u64, bytes: u64) -> Read<Option<Place>> {
        let type_index = self.paths.type_index(place);
        if !self.is_first(start, type_index) {
            return Ok(None);
        }
        let row = self.paths.row_in(place, part as usize, part.name())?;
        self.claim(start, bytes)?;
        self.paths.add(row, 1, bytes, bytes);
        Ok(Some(row))
    }
}
