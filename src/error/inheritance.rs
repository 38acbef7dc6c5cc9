//! Errors of programs that follow caches of their parent.

/// Why a program cannot follow caches of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum InheritanceError {
    /// The program has more rights than its parent (set-user-ID, capabilities).
    #[error(
        "this program has more rights than its parent (set-user-ID or capabilities), so it does not trust it"
    )]
    MoreRights,
    /// The parent passed nothing: the program was started by hand, or without `pass_to`.
    #[error("FLOE_LIVE is not set; start the program with a command that was given to `pass_to`")]
    NotPassed,
    /// The environment variable cannot be parsed.
    #[error(
        "FLOE_LIVE is malformed, or FLOE_ACCEPT is: expected NAME/NUMBER/NUMBER for each cache, and NAME/NUMBER for each that accepts contributions"
    )]
    Malformed,
}
