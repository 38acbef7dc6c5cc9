//! Names in directories.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, statat};

use super::pattern::Filter;
use super::proof::Times;
use super::stamp::Found;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct DirectoryEntry {
    /// The name, without the path.
    pub name: OsString,
    /// What the name stands for.
    pub kind: EntryKind,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; where it leads is not looked at.
    Symlink,
    /// A pipe, a socket or a device, or a kind that the file system hides from this user.
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
            FileType::Directory => Self::Directory,
            FileType::RegularFile => Self::File,
            FileType::Symlink => Self::Symlink,
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

/// What a directory holds, and what it was like before it was listed, so that a change meanwhile
/// shows.
pub(super) struct Listed {
    pub(super) found: Found,
    pub(super) times: Times,
    /// As [`list`] writes them.
    pub(super) names: Vec<u8>,
}

/// Lists the entries of a directory that a filter lets pass, as one byte string: for each, in the
/// order of their bytes, a letter for the kind, the name and a zero byte.
pub(super) fn list(directory: &Path, filter: Option<&str>) -> io::Result<Listed> {
    let filter = filter.map(Filter::new).transpose()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::empty())?;
    let (found, times) = (Found::of(&opened)?, Times::of(&opened));
    let (mut directory, mut lines) = (Dir::new(opened)?, Vec::new());
    while let Some(entry) = directory.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Some(kind) = kind(&directory, &entry)? else {
            continue;
        };
        let passes = |it: &Filter| it.passes(OsStr::from_bytes(name.to_bytes()), kind);
        if filter.as_ref().is_none_or(passes) {
            lines.push([&[kind.letter()], name.to_bytes_with_nul()].concat());
        }
    }
    lines.sort_unstable();
    let names = lines.concat();
    Ok(Listed {
        found,
        times,
        names,
    })
}

/// What an entry stands for; nothing if it has gone meanwhile. Some file systems do not tell in the
/// listing, and do not tell anybody who may list a directory but not enter it.
fn kind(directory: &Dir, entry: &DirEntry) -> io::Result<Option<EntryKind>> {
    let kind = match entry.file_type() {
        FileType::Unknown => kind_at(directory, entry.file_name()),
        kind => Ok(kind),
    };
    match kind {
        Ok(kind) => Ok(Some(EntryKind::of(kind))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(rustix::io::Errno::ACCESS) => Ok(Some(EntryKind::Other)),
        Err(error) => Err(error.into()),
    }
}

fn kind_at(directory: &Dir, name: &CStr) -> rustix::io::Result<FileType> {
    let found = statat(directory.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode))
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
