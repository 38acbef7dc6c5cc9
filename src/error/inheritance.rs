//! Why a program follows no cache of its parent.

/// Why a program has no caches that its parent has passed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum InheritanceError {
    /// The program is set-user-ID or the like.
    #[error("this program runs with more rights than its parent, and does not trust it")]
    MoreRights,
    /// Nothing was passed: the program was started by hand, or without `pass_to`.
    #[error("FLOE_LIVE is not set; start the program by a command that was given to `pass_to`")]
    NotPassed,
    /// What was passed cannot be read.
    #[error("FLOE_LIVE does not consist of names and numbers")]
    Malformed,
}
