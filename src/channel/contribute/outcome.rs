//! What became of a contribution.

use serde::{Deserialize, Serialize};

use crate::error::NotTaken;

/// What became of a contribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Outcome {
    /// It was merged, which is said once it is published: what of it was taken, the counts say.
    Merged(Merged),
    /// Nothing of it was taken.
    NotTaken(NotTaken),
}

/// What a merge did with a contribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Merged {
    /// The generation that has what was taken.
    pub generation: u64,
    /// Whether the store has saved it, so that it outlives the owner; false for a store without a
    /// directory.
    #[serde(default)]
    pub saved: bool,
    /// Additions and removals that were taken.
    pub taken: u64,
    /// Those for which the cache kept what it has.
    pub kept: u64,
    /// Additions that the cache had already.
    pub equal: u64,
    /// Additions of which a recorded input has changed since.
    #[serde(default)]
    pub outdated: u64,
}
