//! Checking what differs from an earlier map that is valid.
//!
//! What shows that the next map is valid too:
//!
//! - No byte of the earlier archive has changed, so its entries are framed as they were, and what
//!   was valid is. What was garbage still is, and what has become garbage was an entry.
//! - The entries behind it are checked as any, and claim nothing of what stands before them.
//! - The lines of the index that changed lead on where they did, and keep each slot but those of
//!   new garbage: so a search finds each earlier entry where it did. The new ones are searched for.
//! - There are as many taken slots as live entries, each of which was found in one: so no slot leads
//!   elsewhere.
//!
//! An index with other lines is checked in full, by the keys of all entries. So are all maps whose
//! entries stand in slots.

use std::ops::Range;

use super::parts::Searches;
use super::{Sections, check_lines};
use crate::archive::Value;
use crate::archive::findings::Findings;
use crate::map::MapKey;
use crate::map::archived::ArchivedMap;
use crate::map::entry::entry_length;
use crate::map::garbage::GarbageList;
use crate::map::index::{INDEX_HEADER_LENGTH, LINE_SLOTS, Line, most_steps};
use crate::map::key::Key;
use crate::map::raw::{Entry, EntryRange, check_entries};

/// What is known of the earlier map.
pub(in crate::map) struct Earlier<'a, K: MapKey, V: Value> {
    pub(in crate::map) map: &'a ArchivedMap<K, V>,
    pub(in crate::map) findings: Findings,
    /// Where the bytes of the next index section may differ from its own.
    pub(in crate::map) index_differs: Vec<Range<usize>>,
}

/// Checks a map whose archive begins with all bytes of the earlier one; `None` if that does not show
/// that [`check`](super::check) accepts it.
pub(in crate::map) fn check_after<K, V>(
    archive: &[u8],
    index: &[u8],
    garbage: &[u8],
    earlier: &Earlier<'_, K, V>,
) -> Option<Findings>
where
    K: MapKey,
    V: Value,
{
    if Entry::<K, V>::IN_SLOTS {
        return None;
    }
    let next = Sections::decode(archive, 0, index, garbage).ok()?;
    let end = earlier.map.archive().len();
    if next.archive.len() < end {
        return None;
    }
    let gone = new_garbage(earlier.map, next.garbage.before(end as u64))?;
    let part = EntryRange {
        archive: next.archive,
        start: end,
        reaches_back: false,
    };
    let mut fresh = Vec::new();
    let counted = check_entries::<K, V>(&part, next.garbage.from(end as u64), |offset, key| {
        fresh.push((key.key_hash(), offset));
        Ok(())
    });
    let counted = counted.ok()?;
    let shown = match in_place(&next, earlier, &gone, &fresh) {
        Some(shown) => shown,
        None => by_keys(&next, earlier, &gone, &fresh)?,
    };
    let entries = (earlier.map.len() - gone.len()) as u64 + counted.entries;
    let garbage = earlier.map.garbage() + shown.gone + counted.garbage;
    let is_valid = (next.header.entries, next.header.garbage) == (entries, garbage)
        && shown.taken == entries
        && shown.steps <= most_steps(next.lines.len() as u64);
    let steps = Some(shown.steps);
    is_valid.then_some(Findings { steps })
}

/// The offsets that a list has beside all that the earlier one has.
fn new_garbage<K: MapKey, V: Value>(
    map: &ArchivedMap<K, V>,
    list: GarbageList<'_>,
) -> Option<Vec<u64>> {
    let mut earlier = map.garbage_list();
    let gone: Vec<u64> = list.offsets().filter(|it| !earlier.takes(*it)).collect();
    let kept = earlier.first().is_none() && gone.len() <= map.len();
    kept.then_some(gone)
}

/// What was found of an index in which each live entry was.
struct Shown {
    /// Slots that are taken.
    taken: u64,
    /// Bytes of entries that have become garbage: at each of their offsets an entry was.
    gone: u64,
    /// Steps from line to line of all searches, at most.
    steps: u64,
}

/// Where the lines of the earlier index have changed in such a way that every search still finds
/// what it found, but for what has become garbage.
fn in_place<K: MapKey, V: Value>(
    next: &Sections<'_>,
    earlier: &Earlier<'_, K, V>,
    gone: &[u64],
    fresh: &[(u64, u64)],
) -> Option<Shown> {
    let before = earlier.map.lines();
    // Some slot is empty, so some line is not full, and does not lead on.
    let has_end = next.header.entries < (next.lines.len() * LINE_SLOTS) as u64;
    if next.lines.len() != before.len() || !has_end {
        return None;
    }
    let mut taken = earlier.map.len() as u64;
    let mut removed = Vec::with_capacity(gone.len());
    for range in &earlier.index_differs {
        let first = range.start.saturating_sub(INDEX_HEADER_LENGTH) / size_of::<Line>();
        let end = range.end.saturating_sub(INDEX_HEADER_LENGTH);
        let end = end.div_ceil(size_of::<Line>());
        for (line, before) in next.lines[first..end].iter().zip(&before[first..end]) {
            let line = Line::from_bytes(line);
            if line == *before {
                continue;
            }
            let is_valid = !line.has_stray_bytes() && (line.is_full() || !line.overflows());
            let leads_on = line.overflows() || !before.overflows();
            if !is_valid || !leads_on {
                return None;
            }
            let slots = before.slots().filter(|(tag, at)| !line.has(*tag, *at));
            removed.extend(slots.map(|(_, offset)| offset));
            taken = (taken + line.taken()).checked_sub(before.taken())?;
        }
    }
    removed.sort_unstable();
    if removed != gone {
        return None;
    }
    let mut searches = Searches::new(next.lines);
    for (hash, offset) in fresh {
        searches.expect(*hash, *offset).ok()?;
    }
    let header = |offset: &u64| earlier.map.archive().get(*offset as usize..)?.first_chunk();
    let length = |offset| Some(entry_length(u32::from_le_bytes(*header(offset)?)));
    Some(Shown {
        taken,
        gone: gone.iter().map(length).sum::<Option<u64>>()?,
        steps: earlier
            .findings
            .steps?
            .checked_add(searches.finish().ok()?)?,
    })
}

/// Where a search for the key of each live entry finds it.
fn by_keys<K, V>(
    next: &Sections<'_>,
    earlier: &Earlier<'_, K, V>,
    gone: &[u64],
    fresh: &[(u64, u64)],
) -> Option<Shown>
where
    K: MapKey,
    V: Value,
{
    let taken = check_lines(next.lines).ok()?;
    let mut searches = Searches::new(next.lines);
    let (mut left, mut bytes) = (gone, 0);
    for entry in earlier.map.entries() {
        match left.split_first() {
            Some((offset, rest)) if *offset == entry.offset() => {
                bytes += entry.length();
                left = rest;
            }
            _ => {
                let hash = entry.key().key_hash();
                searches.expect(hash, entry.offset()).ok()?;
            }
        }
    }
    for (hash, offset) in fresh {
        searches.expect(*hash, *offset).ok()?;
    }
    let steps = searches.finish().ok()?;
    left.is_empty().then_some(Shown {
        taken,
        gone: bytes,
        steps,
    })
}
