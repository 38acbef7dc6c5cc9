//! One thing that a build read, and what it was like.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::stamp::Stamp;

/// One thing that a build read, and what it was like then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Input {
    pub(crate) subject: Subject,
    pub(crate) seen: Seen,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    /// An absolute path; not a `PathBuf`, which compares name by name.
    Path(OsString),
    Environment(OsString),
    Value(String),
}

impl Subject {
    pub(super) fn name(&self) -> &OsStr {
        match self {
            Self::Path(name) | Self::Environment(name) => name,
            Self::Value(name) => OsStr::from_bytes(name.as_bytes()),
        }
    }
}

/// What was seen there.
///
/// `unsettled` means that an equal stamp does not prove equal content: see
/// [`Stamp::is_unsettled`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Seen {
    /// The path led nowhere, or the variable was not set.
    Absent,
    /// The path led somewhere; nothing more was asked.
    Present,
    /// The metadata of a file.
    Metadata(Stamp),
    /// The content of a file.
    Content {
        stamp: Stamp,
        unsettled: bool,
        digest: u128,
    },
    /// The names in a directory that a filter lets pass.
    Listing {
        stamp: Stamp,
        unsettled: bool,
        filter: Option<String>,
        /// As [`listing::list`](super::listing::list) gives them.
        names: Vec<u8>,
    },
    /// A digest of what an environment variable holds, or of a named value.
    Digest(u128),
}
