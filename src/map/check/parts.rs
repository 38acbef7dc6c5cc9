//! Checking entries on all processors: each takes parts of the archive.
//!
//! Where entries start, only the one before tells; but an index that does not lie leads to some of
//! them. So parts begin where slots lead, and each has to end where the next one begins. What parts
//! cannot show is left to a check of the whole: they accept no more than that does, and tell no
//! reasons.

use std::ops::Range;

use super::{MapError, Search, Sections, entries_are_independent};
use crate::archive::{Validator, Value};
use crate::frozen::Content;
use crate::map::index::{Line, home, most_steps};
use crate::map::key::Key;
use crate::map::raw::{EntryRange, ask_for, check_entries};
use crate::map::{Map, MapKey};
use crate::schema::Shape;
use crate::sys::threads;

/// Bytes of a part: it takes so long that a thread pays, and so short that threads end together.
pub(super) const PART: usize = if cfg!(test) { 4 << 10 } else { 2 << 20 };
/// Parts in which values are met that entries of other parts share, and that each checks for
/// itself.
const MOST_SHARING: usize = 4;
/// Lines of the index that are asked where entries start.
const ASKED_LINES: usize = 1024;

/// What entries amount to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// Those that are not garbage.
    pub(super) entries: u64,
    /// Bytes of those that are.
    pub(super) garbage: u64,
    /// From line to line of the index.
    pub(super) steps: u64,
    claimed: usize,
}

/// Checks all entries in their order.
pub(super) fn check_whole<K, V>(sections: &Sections<'_>) -> Result<Totals, MapError>
where
    K: MapKey,
    V: Value,
{
    check_range::<K, V>(sections, sections.start..sections.archive.len(), true)
}

/// Checks all entries on all processors; `None` if there are few, or if that does not show that
/// [`check_whole`] accepts them.
pub(super) fn check_together<K, V>(sections: &Sections<'_>) -> Option<Totals>
where
    K: MapKey,
    V: Value,
{
    if sections.archive.len() - sections.start < 2 * PART {
        return None;
    }
    // Only here: to find it out reads files, in each process anew.
    let processors = threads::processors().get();
    if processors == 1 {
        return None;
    }
    let description = Map::<K, V>::describe();
    let shares = !entries_are_independent(&description);
    // Two pointers to a shared slice of different lengths would meet in one check only.
    let counts = |shape: &Shape| matches!(shape, Shape::Shared { .. });
    if shares && description.types.iter().any(|it| counts(&it.shape)) {
        return None;
    }
    let count = match shares {
        true => processors.min(MOST_SHARING),
        false => (sections.archive.len() - sections.start) / PART,
    };
    let parts = parts(sections, count);
    let check = |part: &Range<usize>| check_range::<K, V>(sections, part.clone(), shares);
    let totals = threads::map(&parts, check).ok()?.into_iter();
    let totals = totals.fold(Totals::default(), |sum, part| Totals {
        entries: sum.entries + part.entries,
        garbage: sum.garbage + part.garbage,
        steps: sum.steps + part.steps,
        claimed: sum.claimed.saturating_add(part.claimed),
    });
    let is_within = totals.claimed <= Validator::most_claimed(sections.archive.len())
        && totals.steps <= most_steps(sections.lines.len() as u64);
    is_within.then_some(totals)
}

fn check_range<K, V>(
    sections: &Sections<'_>,
    part: Range<usize>,
    reaches_back: bool,
) -> Result<Totals, MapError>
where
    K: MapKey,
    V: Value,
{
    let is_last = part.end == sections.archive.len();
    let garbage = sections.garbage.from(part.start as u64);
    // Of what it lists behind the archive, the last part tells that no entry is there.
    let garbage = match is_last {
        true => garbage,
        false => garbage.before(part.end as u64),
    };
    let part = EntryRange {
        archive: &sections.archive[..part.end],
        start: part.start,
        reaches_back,
    };
    let mut searches = Searches::new(sections.lines);
    let counted = check_entries::<K, V>(&part, garbage, |offset, key| {
        searches.expect(key.key_hash(), offset)
    })?;
    Ok(Totals {
        entries: counted.entries,
        garbage: counted.garbage,
        steps: searches.finish()?,
        claimed: counted.claimed,
    })
}

/// Ranges of the archive that begin where slots of the index lead, and at its start.
fn parts(sections: &Sections<'_>, count: usize) -> Vec<Range<usize>> {
    let (start, end) = (sections.start, sections.archive.len());
    let apart = sections.lines.len().div_ceil(ASKED_LINES);
    let asked = sections.lines.iter().step_by(apart).map(Line::from_bytes);
    let mut starts: Vec<usize> = Vec::new();
    for line in asked {
        starts.extend(line.offsets().map(|offset| offset as usize));
    }
    starts.sort_unstable();
    let mut bounds = vec![start];
    for number in 1..count {
        let ideal = start + (end - start) / count * number;
        let next = starts.partition_point(|start| *start < ideal);
        match (starts.get(next), bounds.last()) {
            (Some(start), Some(last)) if start > last && *start < end => bounds.push(*start),
            _ => {}
        }
    }
    bounds.push(end);
    bounds.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Searches that ask for the lines of those to come.
pub(super) struct Searches<'a> {
    lines: &'a [[u8; 64]],
    search: Search<'a>,
    /// Hashes and offsets; of the number that were told, the last ones.
    waiting: [(u64, u64); Searches::AHEAD],
    told: usize,
}

impl<'a> Searches<'a> {
    const AHEAD: usize = 16;

    pub(super) fn new(lines: &'a [[u8; 64]]) -> Self {
        Self {
            lines,
            search: Search::new(lines),
            waiting: [(0, 0); Self::AHEAD],
            told: 0,
        }
    }

    /// As [`Search::expect`], of this entry now or later.
    #[inline]
    pub(super) fn expect(&mut self, hash: u64, offset: u64) -> Result<(), MapError> {
        ask_for(&self.lines[home(hash, self.lines.len() as u64) as usize]);
        let place = &mut self.waiting[self.told % Self::AHEAD];
        let (earlier_hash, earlier) = std::mem::replace(place, (hash, offset));
        self.told += 1;
        match self.told > Self::AHEAD {
            true => self.search.expect(earlier_hash, earlier),
            false => Ok(()),
        }
    }

    /// Makes all searches; returns how many steps there were from line to line.
    pub(super) fn finish(mut self) -> Result<u64, MapError> {
        let first = self.told.saturating_sub(Self::AHEAD);
        for number in first..self.told {
            let (hash, offset) = self.waiting[number % Self::AHEAD];
            self.search.expect(hash, offset)?;
        }
        Ok(self.search.steps())
    }
}
