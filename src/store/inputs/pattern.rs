//! Patterns of names and of paths.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use nix::libc;

use super::Inputs;
use super::listing::{DirectoryEntry, EntryKind};
use crate::error::{Error, Result};

/// A pattern for names; with a slash at its end only directories and links pass.
pub(super) struct Filter {
    pattern: Pattern,
    directories: bool,
}

impl Filter {
    /// A filter from its [`text`].
    pub(super) fn new(filter: &str) -> io::Result<Self> {
        let (pattern, directories) = match filter.strip_suffix('/') {
            Some(pattern) => (pattern, true),
            None => (filter, false),
        };
        let invalid =
            |error: glob::PatternError| io::Error::new(io::ErrorKind::InvalidInput, error.msg);
        Ok(Self {
            pattern: Pattern::new(pattern).map_err(invalid)?,
            directories,
        })
    }

    /// Like shells, a pattern passes over hidden names unless it begins with a dot itself.
    pub(super) fn passes(&self, name: &OsStr, kind: EntryKind) -> bool {
        const OPTIONS: MatchOptions = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let leads_on = matches!(kind, EntryKind::Directory | EntryKind::Symlink);
        let name = text(name.as_bytes());
        (leads_on || !self.directories) && self.pattern.matches_with(&name, OPTIONS)
    }
}

/// Bytes as text, so that patterns match names that are not UTF-8 as well: what is UTF-8 stands for
/// itself, any other byte for one of the last characters that there are. Those stand for their
/// bytes, so that different bytes are different texts.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    const LAST: u32 = 0x10_ff00;
    let stands_in = |character: char| u32::from(character) >= LAST;
    if let Ok(text) = str::from_utf8(bytes)
        && !text.contains(stands_in)
    {
        return Cow::Borrowed(text);
    }
    let stand_in = |byte: &u8| char::from_u32(LAST + u32::from(*byte));
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match stands_in(character) {
                true => text.extend(
                    character
                        .encode_utf8(&mut [0; 4])
                        .as_bytes()
                        .iter()
                        .filter_map(stand_in),
                ),
                false => text.push(character),
            }
        }
        text.extend(chunk.invalid().iter().filter_map(stand_in));
    }
    Cow::Owned(text)
}

/// A path as a pattern that matches it and nothing else.
pub(super) fn escape(path: &OsStr) -> OsString {
    let mut escaped = Vec::with_capacity(path.len());
    for byte in path.as_bytes() {
        match byte {
            b'*' | b'?' | b'[' | b']' => escaped.extend_from_slice(&[b'[', *byte, b']']),
            _ => escaped.push(*byte),
        }
    }
    OsString::from_vec(escaped)
}

/// A part of a pattern of paths.
enum Part {
    Name(OsString),
    AnyDirectories,
    Filter(String),
}

impl Part {
    fn of(component: Component<'_>) -> Self {
        let name = component.as_os_str();
        match unescaped(name.as_bytes()) {
            _ if name == "**" => Self::AnyDirectories,
            Some(name) => Self::Name(name),
            None => Self::Filter(text(name.as_bytes()).into_owned()),
        }
    }
}

/// The only name that a pattern matches, if there is but one.
fn unescaped(mut pattern: &[u8]) -> Option<OsString> {
    let mut name = Vec::with_capacity(pattern.len());
    loop {
        pattern = match pattern {
            [] => return Some(OsString::from_vec(name)),
            [b'[', byte @ (b'*' | b'?' | b'[' | b']'), b']', rest @ ..] => {
                name.push(*byte);
                rest
            }
            [b'*' | b'?' | b'[', ..] => return None,
            [byte, rest @ ..] => {
                name.push(*byte);
                rest
            }
        };
    }
}

/// A path on the way through a pattern.
struct Reached {
    path: PathBuf,
    /// Whether the pattern says its name, so that it must be possible to look into it.
    named: bool,
}

/// The paths that match a pattern, sorted. Each directory looked into is recorded with the names
/// that matched there, and each path without a pattern by its presence.
pub(super) fn expand(inputs: &mut Inputs, pattern: &OsStr) -> Result<Vec<PathBuf>> {
    for part in pattern.as_bytes().split(|byte| *byte == b'/') {
        Filter::new(&text(part)).map_err(|source| Error::Pattern {
            pattern: pattern.to_string_lossy().into_owned(),
            reason: source.to_string(),
        })?;
    }
    let mut parts: Vec<Part> = Path::new(pattern).components().map(Part::of).collect();
    // A name with a slash behind it is that of a directory, and an empty one adds the slash.
    if pattern.as_bytes().ends_with(b"/") && !pattern.as_bytes().iter().all(|byte| *byte == b'/') {
        parts.push(Part::Name(OsString::new()));
    }
    let Some(last) = parts.pop() else {
        return Ok(Vec::new());
    };
    let mut reached = vec![Reached {
        path: PathBuf::new(),
        named: true,
    }];
    for part in &parts {
        reached = step(inputs, reached, part, false)?;
    }
    let found = step(inputs, reached, &last, true)?.into_iter();
    Ok(found.map(|it| directory(&it.path).to_owned()).collect())
}

/// Goes from paths to those that a part of a pattern leads to, sorted and each once.
fn step(inputs: &mut Inputs, from: Vec<Reached>, part: &Part, last: bool) -> Result<Vec<Reached>> {
    let mut found = Vec::new();
    for Reached { path, named } in from {
        match part {
            Part::AnyDirectories => descend(inputs, path, named, &mut found)?,
            Part::Name(name) => {
                let path = path.join(name);
                if !last || is_there(inputs, &path, named)? {
                    found.push(Reached { path, named });
                }
            }
            Part::Filter(filter) => {
                let slash = if last { "" } else { "/" };
                let entries = look_into(inputs, &path, named, format!("{filter}{slash}"))?;
                let entries = entries.unwrap_or_default().into_iter();
                found.extend(entries.map(|entry| Reached {
                    path: path.join(entry.name),
                    named: false,
                }));
            }
        }
    }
    found.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    found.dedup_by(|one, other| one.path == other.path);
    Ok(found)
}

/// Adds a directory, if it is one, and all directories below it; links are not followed.
fn descend(
    inputs: &mut Inputs,
    base: PathBuf,
    named: bool,
    found: &mut Vec<Reached>,
) -> Result<()> {
    let mut pending = vec![Reached { path: base, named }];
    while let Some(base) = pending.pop() {
        let Some(entries) = look_into(inputs, &base.path, base.named, "*/".to_owned())? else {
            continue;
        };
        let below = entries
            .into_iter()
            .filter(|entry| entry.kind == EntryKind::Directory);
        pending.extend(below.map(|entry| Reached {
            path: base.path.join(entry.name),
            named: false,
        }));
        found.push(base);
    }
    Ok(())
}

fn look_into(
    inputs: &mut Inputs,
    path: &Path,
    named: bool,
    filter: String,
) -> Result<Option<Vec<DirectoryEntry>>> {
    let listed = inputs.listing(directory(path), Some(filter));
    passed_over(listed, named).map(Option::unwrap_or_default)
}

fn is_there(inputs: &mut Inputs, path: &Path, named: bool) -> Result<bool> {
    let exists = passed_over(inputs.exists(path), named)?;
    Ok(exists.unwrap_or(false))
}

/// Nothing in place of an error that says that this user has no way there, for paths that nobody
/// has named. Errors that may pass are errors: for want of a descriptor nothing may be missed.
pub(super) fn passed_over<T>(result: Result<T>, named: bool) -> Result<Option<T>> {
    match result {
        Err(Error::ReadFile { reason: source, .. }) if !named && is_no_way(&source) => Ok(None),
        result => result.map(Some),
    }
}

fn is_no_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::ELOOP | libc::ENAMETOOLONG)
    )
}

/// The directory that a path before a pattern names: nothing is the working directory.
fn directory(base: &Path) -> &Path {
    match base.as_os_str().is_empty() {
        true => Path::new("."),
        false => base,
    }
}
