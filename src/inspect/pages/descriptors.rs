//! Page files among the descriptors of processes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::region::PageFileStart;
use crate::region::format::FileRow;
use crate::sys::memfd::SealedFile;

/// How the kernel shows the memfd of a page file.
const LABEL: &[u8] = b"/memfd:floe:";

/// The page files of a region of which `path` is the own one, in their order, for
/// [`Described::from_fds`](crate::dynamic::Described::from_fds) and
/// [`Frozen::from_fds`](crate::Frozen::from_fds).
///
/// The path is a descriptor of a process, as `/proc/PID/fd/N`; the others are found among the
/// descriptors beside it, by the digests that the region gives. `None` if it is not a memfd: a
/// saved region is one file.
///
/// # Errors
/// [`HeaderError::Incomplete`](crate::error::HeaderError::Incomplete) if one is not among them.
/// [`Error::ReadFile`], [`Error::Unsealed`], and those of the header.
pub fn page_files(path: impl AsRef<Path>) -> Result<Option<Vec<OwnedFd>>> {
    let path = path.as_ref();
    let file = open_memfd(path).map_err(|source| Error::ReadFile {
        path: path.to_owned(),
        reason: source,
    })?;
    let Some(file) = file else { return Ok(None) };
    let own = SealedFile::open(file.into())?;
    let header = PageFileStart::header(&own)?;
    let rows = &header.others;
    let mut found: Vec<Option<SealedFile>> = rows.iter().map(|_| None).collect();
    if !rows.is_empty() {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        in_folder(folder, |_| true, |file| take(file, rows, &mut found));
    }
    let missing = rows.iter().zip(&found).filter(|(_, found)| found.is_none());
    header.check_missing(missing.map(|(row, _)| row))?;
    let files = [Some(own)].into_iter().chain(found).flatten();
    Ok(Some(files.map(|file| File::from(file).into()).collect()))
}

/// Keeps a page file whose digests a row gives.
fn take(file: SealedFile, rows: &[FileRow], found: &mut [Option<SealedFile>]) {
    let Ok(header) = PageFileStart::header(&file) else {
        return;
    };
    let mut rows = rows.iter().zip(found);
    if let Some((_, place)) = rows.find(|(row, _)| row.digests == header.digests) {
        *place = Some(file);
    }
}

/// Opens what may be page files of a process's descriptors: those that are `wanted` by their path.
/// What is none, or is not this user's to open, is passed over.
pub(in crate::inspect) fn in_folder(
    folder: &Path,
    mut wanted: impl FnMut(&Path) -> bool,
    mut take: impl FnMut(SealedFile),
) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let shown = fs::read_link(&path).unwrap_or_default();
        if shown.as_os_str().as_encoded_bytes().starts_with(LABEL)
            && wanted(&path)
            && let Ok(Some(file)) = open_memfd(&path)
            && let Ok(sealed) = SealedFile::open(file.into())
        {
            take(sealed);
        }
    }
}

/// Opens a memfd, and nothing else: any file may stand there by now, and to open some has effects,
/// or does not return.
fn open_memfd(path: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    options.read(true).custom_flags(nix::libc::O_PATH);
    let found = options.open(path)?;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let shown = fs::read_link(&path)?;
    match shown.as_os_str().as_encoded_bytes().starts_with(b"/memfd:") {
        true => File::open(path).map(Some),
        false => Ok(None),
    }
}
