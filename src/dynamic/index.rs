//! The check of an index, without the type of the keys.

use super::collections::{EntryLayout, Keyed};
use super::described::Described;
use super::value::Dynamic;
use crate::error::Result;
use crate::map::{HEAD_LENGTH, IndexHead, Line, Problem, Search, check_lines};

impl Described {
    /// Checks that the index leads to each entry and nowhere else, if the region holds a
    /// [`Map`](crate::Map): what no reading of values looks at.
    ///
    /// Every key is looked for where its hash leads, but for those that a struct or enum of a
    /// user makes: these may have a hash of their own. Costs 8 bytes an entry while it runs.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the first entry or offset that does not fit.
    pub fn check_index(&self) -> Result<()> {
        let root = self.root()?;
        let (Some((head, index)), Some(layout)) =
            (self.index(), EntryLayout::new(root.described()))
        else {
            return Ok(());
        };
        let start = HEAD_LENGTH as u64;
        let lines = index.get(start, index.length() - start);
        let lines = lines.map_err(|fault| self.archive().error(*fault))?;
        self.check_slots(head, lines.as_chunks().0, layout, root)
            .map_err(|problem| problem.in_cache(self.name().to_owned()))
    }

    fn check_slots(
        &self,
        head: &IndexHead,
        lines: &[[u8; 64]],
        layout: EntryLayout,
        root: Dynamic<'_>,
    ) -> Result<(), Problem> {
        check_lines(lines).map_err(|problem| Problem::Index(problem.to_owned()))?;
        let offsets = |line| Line::from_bytes(line).offsets().collect::<Vec<u64>>();
        let mut slots: Vec<u64> = lines.iter().flat_map(offsets).collect();
        slots.sort_unstable();
        let mut search = Search::new(lines);
        let (mut entries, mut garbage) = (0, 0);
        for frame in Keyed::new(self.archive(), layout, 0, self.archive().length()) {
            let frame = frame.map_err(|fault| Problem::Archive(fault.problem.to_string()))?;
            if frame.garbage {
                garbage += frame.length;
                continue;
            }
            let at = frame.at;
            match slots.get(entries) {
                Some(slot) if *slot == at => entries += 1,
                Some(slot) if *slot < at => return Err(leads_nowhere(*slot)),
                _ => {
                    let reason = format!("it does not lead to the entry at offset {at}");
                    return Err(Problem::Index(reason));
                }
            }
            let key = Dynamic {
                type_index: layout.types().0,
                at: layout.pair(frame).key,
                ..root
            };
            if let Some(hash) = self.hash_of(&key) {
                search.expect(hash, at)?;
            }
        }
        match slots.get(entries) {
            Some(slot) => Err(leads_nowhere(*slot)),
            None if (head.entries, head.garbage) == (entries as u64, garbage) => Ok(()),
            None => Err(Problem::Index(format!(
                "it counts {} entries and {} bytes of garbage, where the archive has {entries} \
                 and {garbage}",
                head.entries, head.garbage
            ))),
        }
    }
}

fn leads_nowhere(slot: u64) -> Problem {
    Problem::Index(format!(
        "it leads to offset {slot} twice, or where no entry starts"
    ))
}
