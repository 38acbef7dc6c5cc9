//! Checking the sections of a map that comes from elsewhere.
#![forbid(unsafe_code)]

mod after;
mod misled;
mod parts;

use rkyv::Archive;
use rkyv::bytecheck::CheckBytes;

use super::garbage::GarbageList;
use super::index::{
    INDEX_HEADER_LENGTH, IndexHeader, Line, home, leads_on, leads_to, most_steps, next, tag,
};
use super::key::Key;
use crate::archive::CheckStrategy;
use crate::archive::checked::Findings;
use crate::error::Error;
use crate::region::format::SectionKind;
use crate::schema::{Description, Schema, Shape};

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

    pub(crate) fn in_cache(self, name: String) -> Error {
        let (section, reason) = match self {
            Self::Archive(reason) => (SectionKind::Archive, reason),
            Self::Index(reason) => (SectionKind::Index, reason),
            Self::Garbage(reason) => (SectionKind::Garbage, reason),
        };
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
    header: IndexHeader,
    lines: &'a [[u8; 64]],
    garbage: GarbageList<'a>,
}

impl<'a> Sections<'a> {
    fn decode([archive, index, garbage]: [&'a [u8]; 3]) -> Result<Self, MapError> {
        let header =
            IndexHeader::decode(index).map_err(|problem| MapError::Index(problem.to_owned()))?;
        let garbage = GarbageList::decode(garbage);
        let garbage = garbage.map_err(|problem| MapError::Garbage(problem.to_owned()))?;
        let (lines, _) = index[INDEX_HEADER_LENGTH..].as_chunks();
        Ok(Self {
            archive,
            header,
            lines,
            garbage,
        })
    }
}

/// Checks every entry of the archive section, and that the index leads to each live entry and
/// nowhere else: archive, index and garbage, in this order.
pub(super) fn check<K, V>(sections: [&[u8]; 3]) -> Result<Findings, MapError>
where
    K: Archive<Archived: CheckBytes<CheckStrategy> + Schema + Key> + 'static,
    V: Archive<Archived: CheckBytes<CheckStrategy> + Schema> + 'static,
{
    let sections = Sections::decode(sections)?;
    let taken = check_lines(sections.lines);
    let taken = taken.map_err(|problem| MapError::Index(problem.to_owned()))?;
    let totals = match parts::check_together::<K, V>(&sections) {
        Some(totals) => totals,
        // In their order, so that the first that is wrong is told.
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

/// Whether entries point to nothing in other entries, by their description.
pub(crate) fn entries_are_independent(description: &Description) -> bool {
    let interned = |shape: &Shape| matches!(shape, Shape::Interned { .. });
    !description.types.iter().any(|it| interned(&it.shape))
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
