//! One thing that a build read, and what it was like.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::libc::ENOTDIR;

use super::proof::Proof;
use super::stamp::Stamp;

/// One thing that a build read, and what it was like then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Input {
    pub(crate) subject: Subject,
    pub(crate) seen: Seen,
}

impl Input {
    /// The same content, or names, whichever stamp they have: a check renews that.
    pub(super) fn without_stamp(mut self) -> Self {
        if let Seen::Content { stamp, proof, .. } | Seen::Listing { stamp, proof, .. } =
            &mut self.seen
        {
            (*stamp, *proof) = (Stamp::default(), Proof::Nothing);
        }
        self
    }

    /// When a file was last written; in nanoseconds since 1970.
    pub(super) fn last_change(&self) -> Option<i64> {
        match &self.seen {
            Seen::Metadata { stamp, .. }
            | Seen::Content { stamp, .. }
            | Seen::Listing { stamp, .. }
            | Seen::TooLarge { stamp, .. } => Some(stamp.modified),
            Seen::Absent | Seen::Present | Seen::Digest(_) | Seen::Failed { .. } => None,
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Seen {
    /// The path led nowhere, or the variable was not set.
    Absent,
    /// The path led somewhere; nothing more was asked.
    Present,
    /// The metadata of a file: its stamp, and a digest of what that does not tell.
    Metadata { stamp: Stamp, digest: u128 },
    /// The content of a file: so many bytes, which need not be the size that its stamp tells.
    Content {
        stamp: Stamp,
        proof: Proof,
        length: u64,
        digest: u128,
    },
    /// The names in a directory that a filter lets pass.
    Listing {
        stamp: Stamp,
        proof: Proof,
        filter: Option<String>,
        /// As [`listing::list`](super::listing::list) gives them.
        names: Vec<u8>,
    },
    /// A digest of what an environment variable holds, or of a named value.
    Digest(u128),
    /// A file with more bytes than might be read.
    TooLarge { stamp: Stamp, most: u64 },
    /// An attempt that failed, and how: see [`failure`](super::reading::failure).
    Failed { attempt: Attempt, failure: u32 },
}

impl Seen {
    /// Whether it says that something could not be read.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            // That there is no directory is an answer to a pattern.
            Self::Failed {
                attempt: Attempt::List(Some(_)),
                failure,
            } => *failure != ENOTDIR.cast_unsigned(),
            Self::Failed { .. } | Self::TooLarge { .. } => true,
            _ => false,
        }
    }
}

/// What was tried of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Attempt {
    /// To find what it leads to.
    Find,
    /// To read it as a file.
    Read,
    /// To list it as a directory, through a filter.
    List(Option<String>),
}
