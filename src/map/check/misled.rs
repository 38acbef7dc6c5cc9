//! Why an index does not lead to the entries that there are.

use super::parts::Totals;
use super::{MapError, Sections};
use crate::map::entry::entry_length;
use crate::map::index::Line;

/// The numbers in the header are wrong; or the first slot that leads to no live entry.
pub(super) fn reason(sections: &Sections<'_>, totals: &Totals, taken: u64) -> MapError {
    let miscounted = MapError::Index(format!(
        "it counts {} entries, {taken} taken slots and {} bytes of garbage, where the archive has {} entries and {} bytes of garbage",
        sections.header.entries, sections.header.garbage, totals.entries, totals.garbage
    ));
    explained(sections, miscounted)
}

/// What an index leads to instead of an entry that it does not lead to, if that is to be seen.
pub(super) fn explained(sections: &Sections<'_>, problem: MapError) -> MapError {
    if !matches!(problem, MapError::Index(_)) {
        return problem;
    }
    let lines = sections.lines.iter().map(Line::from_bytes);
    let mut offsets: Vec<u64> = Vec::new();
    lines.for_each(|line| offsets.extend(line.offsets()));
    offsets.sort_unstable();
    first_wrong(sections, &offsets).map_or(problem, MapError::Index)
}

/// Goes through slots and entries side by side, as far as entries are framed.
fn first_wrong(sections: &Sections<'_>, mut offsets: &[u64]) -> Option<String> {
    let (mut at, mut garbage) = (0_u64, sections.garbage);
    while let Some(header) = sections.archive.get(at as usize..)?.first_chunk() {
        let end = at + entry_length(u32::from_le_bytes(*header));
        let is_garbage = garbage.takes(at);
        while let Some((offset, rest)) = offsets.split_first()
            && *offset < end
        {
            if *offset != at {
                return Some(format!(
                    "it leads to offset {offset}, in the middle of the entry at offset {at}"
                ));
            }
            if is_garbage {
                return Some(format!(
                    "it leads to the entry at offset {at}, which is garbage"
                ));
            }
            if rest.first() == Some(offset) {
                return Some(format!("it leads to the entry at offset {at} twice"));
            }
            offsets = rest;
        }
        if end == at {
            return None;
        }
        at = end;
    }
    let offset = offsets.first()?;
    Some(format!("it leads to offset {offset}, behind all entries"))
}
