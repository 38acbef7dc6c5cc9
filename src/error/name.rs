//! Why a name is none for a cache.

/// Why a name cannot be used for a cache: it stands in a header, in the name of a memfd and in file
/// names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum NameError {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is `.` or `..`.
    #[error("it names a folder")]
    Folder,
    /// It is longer than a header has room for.
    #[error("it has more than {most} bytes")]
    TooLong {
        /// The most bytes that a name may have.
        most: usize,
    },
    /// It has a character that cannot stand in a file name or in one line.
    #[error("it contains a slash or a control character")]
    Character,
}
