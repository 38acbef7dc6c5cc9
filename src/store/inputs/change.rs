//! How an input differs from what was recorded, for people.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::input::Subject;

/// An input that has changed since it was recorded.
///
/// Its `Display` says what changed and how: `conf/machine.conf: content changed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(super) subject: Subject,
    pub(super) difference: Difference,
}

/// How an input differs from what was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The content of a file changed.
    Content,
    /// The metadata of a file changed that a build asked for.
    Metadata,
    /// What was absent exists now.
    Appeared,
    /// What existed is absent now.
    Gone,
    /// The names in a directory changed.
    Names {
        /// Names that are new, or stand for another kind of file.
        gained: Vec<String>,
        /// Names that are gone.
        lost: Vec<String>,
    },
    /// What could not be read can be read now.
    Readable,
    /// The input cannot be compared, for this reason.
    Unreadable(String),
    /// An environment variable or a named value changed.
    Value,
}

impl Change {
    /// The path of the file or directory that changed.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.subject {
            Subject::Path(path) => Some(Path::new(path)),
            _ => None,
        }
    }

    /// How it changed.
    #[must_use]
    pub fn difference(&self) -> &Difference {
        &self.difference
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let difference = &self.difference;
        match &self.subject {
            Subject::Path(path) => write!(f, "{}: {difference}", path.display()),
            Subject::Environment(name) => write!(f, "environment {} {difference}", name.display()),
            Subject::Value(name) => write!(f, "value {name} {difference}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content => f.write_str("content changed"),
            Self::Metadata => f.write_str("metadata changed"),
            Self::Appeared => f.write_str("appeared"),
            Self::Gone => f.write_str("is gone"),
            Self::Names { gained, lost } => match (&gained[..], &lost[..]) {
                (gained, []) => write!(f, "directory gained {}", few(gained)),
                ([], lost) => write!(f, "directory lost {}", few(lost)),
                (gained, lost) => {
                    write!(f, "directory gained {}, lost {}", few(gained), few(lost))
                }
            },
            Self::Readable => f.write_str("can be read now"),
            Self::Unreadable(reason) => write!(f, "cannot be compared: {reason}"),
            Self::Value => f.write_str("changed"),
        }
    }
}

/// The first names of a list, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The names that only one of two listings has. A name that stands for something else now counts as
/// gained.
pub(super) fn names(before: &[u8], after: &[u8]) -> Difference {
    let only = |these: &[u8], those: &[u8]| {
        let those: std::collections::HashSet<&[u8]> = those.split(|byte| *byte == 0).collect();
        let these = these.split(|byte| *byte == 0);
        let these = these.filter(|line| !those.contains(line));
        let name = |line: &[u8]| OsStr::from_bytes(&line[1..]).display().to_string();
        these.filter(|line| !line.is_empty()).map(name).collect()
    };
    let (gained, mut lost): (Vec<String>, Vec<String>) = (only(after, before), only(before, after));
    lost.retain(|name| !gained.contains(name));
    Difference::Names { gained, lost }
}
