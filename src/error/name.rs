//! Errors of names.

/// Why a name cannot be used for a cache. Names appear in headers, memfd names and file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("it is empty")]
    Empty,
    /// The name is `.` or `..`.
    #[error("it is `.` or `..`")]
    Folder,
    /// The name is longer than a header has room for.
    #[error("it has more than {most} bytes")]
    TooLong {
        /// The most bytes that a name may have.
        most: usize,
    },
    /// The name has a slash or a control character.
    #[error("it contains a slash or a control character")]
    Character,
}
