//! What can be wrong with a directory of dumps.

use std::io;
use std::path::PathBuf;

/// Why the dumps could not be read, or are not what was read from them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// The directory holds none of the dumps, or does not exist.
    #[error(
        "no dump of a cache in {}: expected one or more of {}, got none; \
         unpack the dumps there, or name the directory that holds them",
        directory.display(),
        expected.join(", ")
    )]
    NoDumps {
        /// Where they were looked for.
        directory: PathBuf,
        /// The names that were looked for.
        expected: &'static [&'static str],
    },
    /// A dump could not be read from the disk.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The dump.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A dump holds something its type has no place for, or lacks something.
    #[error(
        "{}, at {location}: {source}; \
         write the dumps again with the BitBake these types describe, or add what is new to the types",
        file.display()
    )]
    Unexpected {
        /// The dump.
        file: PathBuf,
        /// Where in the document, such as `["/layers/x.bb"].tasks[3]`.
        location: String,
        /// What was expected and what is there, with line and column.
        source: serde_json::Error,
    },
    /// A value read from a dump cannot be written as JSON.
    #[error("cannot write what was read from {} as JSON again: {source}", file.display())]
    Unwritable {
        /// The dump.
        file: PathBuf,
        /// What stands in the way.
        source: serde_json::Error,
    },
    /// A value read from a dump is not the one the dump holds.
    #[error(
        "{}, at {location}: expected {expected} as in the dump, got {got}; \
         read the dumps again if they were replaced, else the types lose what the dump says",
        file.display()
    )]
    Different {
        /// The dump.
        file: PathBuf,
        /// Where in the document.
        location: String,
        /// What the dump holds.
        expected: String,
        /// What was read from it.
        got: String,
    },
}
