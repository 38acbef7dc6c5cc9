//! Names in directories, and patterns of paths.

use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::Inputs;
use crate::error::{Error, Result};

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// The name, without the path.
    pub name: OsString,
    /// What the name stands for.
    pub kind: EntryKind,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, wherever it leads.
    Symlink,
    /// A pipe, a socket or a device.
    Other,
}

impl EntryKind {
    const ALL: [(Self, u8); 4] = [
        (Self::Directory, b'd'),
        (Self::File, b'f'),
        (Self::Symlink, b'l'),
        (Self::Other, b'o'),
    ];

    fn of(kind: FileType) -> Self {
        match kind {
            kind if kind.is_dir() => Self::Directory,
            kind if kind.is_file() => Self::File,
            kind if kind.is_symlink() => Self::Symlink,
            _ => Self::Other,
        }
    }

    fn letter(self) -> u8 {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or(b'o', |(_, letter)| *letter)
    }
}

/// The entries of a directory that a filter lets pass, as one byte string: for each, in the order
/// of their bytes, a letter for the kind, the name and a zero byte.
///
/// A filter is a pattern for names; with a slash at its end only directories and links pass.
pub(super) fn list(directory: &Path, filter: Option<&str>) -> io::Result<Vec<u8>> {
    let filter = filter.map(Filter::new).transpose()?;
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = EntryKind::of(entry.file_type()?);
        let name = entry.file_name();
        if filter.as_ref().is_none_or(|it| it.passes(&name, kind)) {
            let mut line = vec![kind.letter()];
            line.extend_from_slice(name.as_bytes());
            line.push(0);
            lines.push(line);
        }
    }
    lines.sort_unstable();
    Ok(lines.concat())
}

/// The entries that [`list`] wrote.
pub(super) fn entries(names: &[u8]) -> Vec<DirectoryEntry> {
    let entry = |line: &[u8]| {
        let (letter, name) = line.split_first()?;
        let (kind, _) = EntryKind::ALL.iter().find(|(_, it)| it == letter)?;
        Some(DirectoryEntry {
            name: OsString::from_vec(name.to_vec()),
            kind: *kind,
        })
    };
    let lines = names.split(|byte| *byte == 0);
    lines.filter_map(entry).collect()
}

struct Filter {
    pattern: Pattern,
    directories: bool,
}

impl Filter {
    fn new(filter: &str) -> io::Result<Self> {
        let (pattern, directories) = match filter.strip_suffix('/') {
            Some(pattern) => (pattern, true),
            None => (filter, false),
        };
        let pattern = Pattern::new(pattern).map_err(|error| invalid(error.msg))?;
        Ok(Self {
            pattern,
            directories,
        })
    }

    /// Like shells, a pattern passes over hidden names unless it begins with a dot itself.
    fn passes(&self, name: &OsStr, kind: EntryKind) -> bool {
        const OPTIONS: MatchOptions = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let leads_on = matches!(kind, EntryKind::Directory | EntryKind::Symlink);
        let passes = |name| self.pattern.matches_with(name, OPTIONS);
        (leads_on || !self.directories) && name.to_str().is_some_and(passes)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// The paths that match a pattern, sorted. Each directory looked into is recorded with the names
/// that matched there, and each path without a pattern by its presence.
pub(super) fn expand(inputs: &mut Inputs, pattern: &str) -> Result<Vec<PathBuf>> {
    for part in pattern.split('/') {
        Filter::new(part).map_err(|source| Error::Pattern {
            pattern: pattern.to_owned(),
            reason: source.to_string(),
        })?;
    }
    let mut found = vec![PathBuf::new()];
    let components: Vec<_> = Path::new(pattern).components().collect();
    for (number, component) in components.iter().enumerate() {
        let last = number + 1 == components.len();
        found = step(inputs, found, *component, last)?;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Goes from paths to those that a component of a pattern leads to.
fn step(
    inputs: &mut Inputs,
    from: Vec<PathBuf>,
    component: Component<'_>,
    last: bool,
) -> Result<Vec<PathBuf>> {
    let name = component.as_os_str();
    let text = name.to_str().unwrap_or_default();
    let mut found = Vec::new();
    for base in from {
        if text == "**" {
            descend(inputs, base, &mut found)?;
        } else if !text.contains(['*', '?', '[']) {
            let path = base.join(name);
            if !last || !inputs.absent(&path)? {
                found.push(path);
            }
        } else {
            let filter = if last {
                text.to_owned()
            } else {
                format!("{text}/")
            };
            let entries = inputs.listing(directory(&base), Some(filter))?;
            let entries = entries.unwrap_or_default();
            found.extend(entries.into_iter().map(|entry| base.join(entry.name)));
        }
    }
    Ok(found)
}

/// The directory that a path before a pattern names: nothing is the working directory.
fn directory(base: &Path) -> &Path {
    match base.as_os_str().is_empty() {
        true => Path::new("."),
        false => base,
    }
}

/// Adds a directory and all directories below it; links are not followed.
fn descend(inputs: &mut Inputs, base: PathBuf, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut pending = vec![base];
    while let Some(base) = pending.pop() {
        let entries = inputs.listing(directory(&base), Some("*/".to_owned()))?;
        let below = entries.unwrap_or_default().into_iter();
        let below = below.filter(|entry| entry.kind == EntryKind::Directory);
        pending.extend(below.map(|entry| base.join(entry.name)));
        found.push(base);
    }
    Ok(())
}
