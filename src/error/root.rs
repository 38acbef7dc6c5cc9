//! Errors of regions that have several roots.

use super::Fingerprint;

/// Why a root cannot be read or built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The region has no such root, or the builder was given none.
    #[error(
        "there is none; known roots: {known:?}. Ask for one of these, or build the cache again with this one"
    )]
    Missing {
        /// The names of the roots that there are.
        known: Vec<String>,
    },
    /// The region has it, but with another type.
    #[error(
        "it holds another type: expected {expected_type} with fingerprint {expected}, got {got}; open it as the type that it was frozen from, or build the cache again"
    )]
    Fingerprint {
        /// The requested type.
        expected_type: &'static str,
        /// The fingerprint of the requested type.
        expected: Fingerprint,
        /// The fingerprint in the region.
        got: Fingerprint,
    },
    /// The builder was given another type than the roots declare.
    #[error(
        "the builder got {got}, where {expected} is declared; give it a value of that type, or declare this one"
    )]
    Type {
        /// The declared type.
        expected: &'static str,
        /// The type that was built.
        got: &'static str,
    },
    /// The builder was given a root that is not declared.
    #[error(
        "the builder got it, but it is not declared; declared roots: {known:?}. Declare it, or leave it out"
    )]
    Undeclared {
        /// The names of the roots that are.
        known: Vec<String>,
    },
    /// The builder was given the root twice.
    #[error("the builder got it twice; give each root a name of its own")]
    Twice,
    /// The builder was given more roots than a region can have.
    #[error("a region has {most} roots at most; put maps of the same types together")]
    TooMany {
        /// The most that a region can have.
        most: usize,
    },
    /// The closure exchanged the map builder that it was given.
    #[error(
        "the closure exchanged its map builder for another; insert into the one that it is given"
    )]
    Exchanged,
}
