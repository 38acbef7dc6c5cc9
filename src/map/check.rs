//! Checking the sections of a map that comes from elsewhere.
#![forbid(unsafe_code)]

mod after;
mod misled;
mod parts;

use std::borrow::Cow;

use super::garbage::GarbageList;
use super::index::{
    INDEX_HEADER_LENGTH, IndexHeader, Line, home, leads_on, leads_to, most_steps, next, tag,
};
use super::key::Key;
use super::raw::{Entry, EntryRef, check_entry};
use super::slots::{SlotHeader, check_slots};
use super::{ArchivedMap, Map, MapKey};
use crate::archive::findings::Findings;
use crate::archive::{Validator, Value};
use crate::error::Error;
use crate::frozen::Content;
use crate::region::format::SectionKind;
use crate::schema::{Description, Shape};

pub(super) use after::{Earlier, check_after};

/// Why a map is not valid, and in which of its sections.
pub(crate) enum MapError {
    Archive(String),
    Index(String),
    Garbage(String),
}

impl MapError {
    pub(crate) fn lists_no_entry(offset: u64) -> Self {
        Self::Garbage(format!("it lists offset {offset}, where no entry starts"))
    }

    pub(crate) fn into_parts(self) -> (SectionKind, String) {
        match self {
            Self::Archive(reason) => (SectionKind::Archive, reason),
            Self::Index(reason) => (SectionKind::Index, reason),
            Self::Garbage(reason) => (SectionKind::Garbage, reason),
        }
    }

    pub(crate) fn in_cache(self, name: String) -> Error {
        let (section, reason) = self.into_parts();
        Error::Invalid {
            name,
            section,
            reason,
        }
    }
}

/// The sections of a map whose headers were read.
#[derive(Clone, Copy)]
pub(super) struct Sections<'a> {
    archive: &'a [u8],
    /// Where the first entry starts.
    start: usize,
    header: IndexHeader,
    lines: &'a [[u8; 64]],
    garbage: GarbageList<'a>,
}

impl<'a> Sections<'a> {
    fn decode(
        archive: &'a [u8],
        start: usize,
        index: &'a [u8],
        garbage: &'a [u8],
    ) -> Result<Self, MapError> {
        let header =
            IndexHeader::decode(index).map_err(|problem| MapError::Index(problem.to_owned()))?;
        let garbage = GarbageList::decode(garbage);
        let garbage = garbage.map_err(|problem| MapError::Garbage(problem.to_owned()))?;
        let (lines, _) = index[INDEX_HEADER_LENGTH..].as_chunks();
        Ok(Self {
            archive,
            start,
            header,
            lines,
            garbage,
        })
    }
}

/// Checks every entry of the archive section from an offset on, and that the index leads to each
/// live entry and nowhere else.
pub(super) fn check<K: MapKey, V: Value>(
    archive: &[u8],
    start: usize,
    index: &[u8],
    garbage: &[u8],
) -> Result<Findings, MapError> {
    if Entry::<K, V>::IN_SLOTS {
        let archive = from_start(archive, start)?;
        check_in_slots::<K, V>(archive, index, garbage)?;
        return Ok(Findings::default());
    }
    let sections = Sections::decode(archive, start, index, garbage)?;
    from_start(archive, start)?;
    let taken = check_lines(sections.lines);
    let taken = taken.map_err(|problem| MapError::Index(problem.to_owned()))?;
    let totals = match parts::check_together::<K, V>(&sections) {
        Some(totals) => totals,
        // In their order, so that the first that is wrong is reported.
        None => parts::check_whole::<K, V>(&sections)
            .map_err(|problem| misled::explained(&sections, problem))?,
    };
    let counted = (totals.entries, totals.garbage);
    if (sections.header.entries, sections.header.garbage) != counted || taken != totals.entries {
        return Err(misled::reason(&sections, &totals, taken));
    }
    let steps = Some(totals.steps);
    Ok(Findings { steps })
}

/// The part of an archive from the offset of the first entry on.
fn from_start(archive: &[u8], start: usize) -> Result<&[u8], MapError> {
    let entries = archive.get(start..);
    entries.ok_or_else(|| MapError::Archive(format!("no entry can start at {start}")))
}

/// The same where entries stand in slots.
fn check_in_slots<K: MapKey, V: Value>(
    archive: &[u8],
    index: &[u8],
    garbage: &[u8],
) -> Result<(), MapError> {
    let layout = EntryRef::<K, V>::SLOT;
    let lengths = (index.len() as u64, archive.len() as u64);
    let header = SlotHeader::decode(index, lengths.0, lengths.1, layout.size);
    let header = header.map_err(|problem| MapError::Index(problem.to_owned()))?;
    if !garbage.is_empty() {
        let reason = "there is one, where entries stand in slots".to_owned();
        return Err(MapError::Garbage(reason));
    }
    let validator = &mut Validator::new(archive);
    check_slots(
        &header,
        index,
        layout,
        |slots| {
            Ok(Cow::Borrowed(
                &archive[slots.start as usize..slots.end as usize],
            ))
        },
        |offset| {
            let key = check_entry::<K, V>(archive, offset as usize, validator);
            let at = |reason| MapError::Archive(format!("entry at offset {offset}: {reason}"));
            key.map(|key| Some(key.key_hash())).map_err(at)
        },
    )
}

/// How many bytes the entries of a map from elsewhere come to where what they share is written out at
/// each use, about as if they were thawed; 0 for entries that share nothing. Takes the time of a
/// check.
pub(crate) fn expanded<K: MapKey, V: Value>(map: &ArchivedMap<K, V>) -> u64 {
    if entries_are_independent(&Map::<K, V>::describe()) {
        return 0;
    }
    let archive = map.archive();
    let mut validator = Validator::new(archive);
    validator.share();
    validator.visited.note_sizes();
    for entry in map.entries() {
        let (start, length) = (entry.offset() as usize, entry.length() as usize);
        validator.enter(start..start + length);
        if check_entry::<K, V>(archive, start, &mut validator).is_err() {
            // Once it was valid.
            return u64::MAX;
        }
    }
    validator.expanded()
}

/// Whether entries point to nothing in other entries, by their description.
pub(crate) fn entries_are_independent(description: &Description) -> bool {
    let shared =
        |shape: &Shape| matches!(shape, Shape::Interned { .. } | Shape::SelfDescribing { .. });
    !description.types.iter().any(|it| shared(&it.shape))
}

/// Checks what the lines of an index say by themselves; returns how many slots are taken.
pub(crate) fn check_lines(lines: &[[u8; 64]]) -> Result<u64, &'static str> {
    let (mut taken, mut ends) = (0, false);
    for line in lines.iter().map(Line::from_bytes) {
        if line.has_stray_bytes() {
            return Err("an empty slot has an offset, or padding is not zero");
        }
        if line.overflows() && !line.is_full() {
            return Err("a line overflows that is not full");
        }
        taken += line.taken();
        ends |= !line.overflows();
    }
    if !ends {
        return Err("all its lines overflow");
    }
    Ok(taken)
}

/// Searches a table that may lie, in bounded time.
pub(crate) struct Search<'a> {
    lines: &'a [[u8; 64]],
    steps_left: u64,
}

impl<'a> Search<'a> {
    pub(crate) fn new(lines: &'a [[u8; 64]]) -> Self {
        let steps_left = most_steps(lines.len() as u64);
        Self { lines, steps_left }
    }

    /// How many steps there were from one line to the next.
    pub(crate) fn steps(&self) -> u64 {
        most_steps(self.lines.len() as u64) - self.steps_left
    }

    /// Finds the slot of the entry at `offset`, as a lookup of its key would.
    pub(crate) fn expect(&mut self, hash: u64, offset: u64) -> Result<(), MapError> {
        let lines = self.lines.len() as u64;
        let mut number = home(hash, lines);
        loop {
            let line = &self.lines[number as usize];
            if leads_to(line, tag(hash), offset) {
                return Ok(());
            }
            if !leads_on(line) {
                let reason = format!("it does not lead to the entry at offset {offset}");
                return Err(MapError::Index(reason));
            }
            let Some(left) = self.steps_left.checked_sub(1) else {
                let reason = "its entries stand too far from their home lines";
                return Err(MapError::Index(reason.to_owned()));
            };
            self.steps_left = left;
            number = next(number, lines);
        }
    }
}

#[cfg(test)]
mod tests;
