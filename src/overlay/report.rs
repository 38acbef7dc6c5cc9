//! What a merge did.

use std::fmt;

use serde::Serialize;

use crate::error::DeltaError;

/// What a merge did. Prints one line for each delta.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MergeReport {
    /// The cache.
    pub name: String,
    /// Its generation after the merge.
    pub generation: u64,
    /// Whether that is a new one. A merge that changes nothing makes none.
    pub changed: bool,
    /// Whether the directory of the store has that generation; false without one. What it does not have
    /// is saved later, and is lost if this process ends before.
    pub saved: bool,
    /// Its entries after the merge.
    pub entries: u64,
    /// Entries that were evicted to keep within the bounds of the policy.
    pub evicted: u64,
    /// The deltas, in their order.
    pub deltas: Vec<DeltaReport>,
    /// How long the merge took.
    pub seconds: f64,
    /// What is wrong with the directory of the store, or with the channel, where no earlier report
    /// said so: the merge counts all the same.
    pub trouble: Option<String>,
}

/// What became of the entries of a delta.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeltaReport {
    /// Entries that were taken, under keys that the cache did not have.
    pub added: u64,
    /// Entries that were taken, or made by the rule, in the place of others.
    pub replaced: u64,
    /// Keys that were removed.
    pub removed: u64,
    /// Entries that the cache has already, and removed keys that it does not have.
    pub equal: u64,
    /// Entries, and removals, that the rule gave up for what was there.
    pub kept: u64,
    /// Entries that were not taken because a recorded input has changed since, where the policy of the
    /// cache checks inputs.
    pub outdated: u64,
    /// Why nothing of the delta was taken; `None` if it was merged.
    pub refused: Option<DeltaError>,
}

impl DeltaReport {
    /// That of a delta of which nothing is taken.
    pub(crate) fn refused(reason: DeltaError) -> Self {
        Self {
            refused: Some(reason),
            ..Self::default()
        }
    }
}

impl fmt::Display for MergeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = if self.changed { "" } else { "still " };
        let (name, generation, entries) = (&self.name, self.generation, self.entries);
        write!(f, "{name}: {is}generation {generation}, {entries} entries")?;
        if self.evicted > 0 {
            write!(f, ", {} evicted", self.evicted)?;
        }
        write!(f, ", merged in {:.1} ms", 1e3 * self.seconds)?;
        self.trouble.iter().try_for_each(|it| write!(f, "; {it}"))?;
        let mut deltas = self.deltas.iter().enumerate();
        deltas.try_for_each(|(number, delta)| write!(f, "\n  delta {number}: {delta}"))
    }
}

impl fmt::Display for DeltaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.refused {
            return write!(f, "refused: {reason}");
        }
        let counts = [
            (self.added, "added"),
            (self.replaced, "replaced"),
            (self.removed, "removed"),
            (self.equal, "there already"),
            (self.kept, "kept as it was"),
            (self.outdated, "outdated"),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        match told.is_empty() {
            true => f.write_str("empty"),
            false => f.write_str(&told.join(", ")),
        }
    }
}
