//! Regions in files: written atomically, read back through a sealed copy in memory.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::unsealed::Label;
use super::{Region, Unsealed, check_length, failed};
use crate::error::{Error, Result};
use crate::region::format::{HEADER_LENGTH, Header};
use crate::sys::memfd;

/// How the names of files begin that are being written.
pub(crate) const TEMPORARY: &str = ".floe-";

/// Writes the bytes of a region to `path`, so that a crash at any moment leaves the old file or
/// the new one: temporary file beside it, mode 0600, fsync, rename, fsync of the directory.
pub(crate) fn save(region: &Region, path: &Path) -> Result<()> {
    let failed = |step| {
        move |source| Error::Save {
            path: path.to_owned(),
            step,
            source,
        }
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Opened before anything is written: after the rename nothing but its fsync may fail.
    let directory_file = File::options()
        .read(true)
        .custom_flags(nix::libc::O_DIRECTORY)
        .open(directory)
        .map_err(failed("open the directory"))?;
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(directory)
        .map_err(failed("create a temporary file"))?;
    temporary
        .as_file()
        .set_permissions(Permissions::from_mode(0o600))
        .map_err(failed("set the mode"))?;
    temporary
        .write_all(region.bytes())
        .map_err(failed("write"))?;
    temporary.as_file().sync_all().map_err(failed("fsync"))?;
    temporary
        .persist(path)
        .map_err(|error| failed("rename")(error.error))?;
    directory_file
        .sync_all()
        .map_err(|source| Error::PublishedNotDurable {
            path: path.to_owned(),
            source,
        })
}

/// Copies a file into a sealed memory file and checks that; the file itself is never mapped, so
/// whatever happens to it later cannot reach a reader.
pub(crate) fn load(path: &Path) -> Result<Region> {
    let (file, start, header) = open(path)?;
    copy_sealed(file, &start, &header)
}

/// The same for a file that was opened at its start; `path` is for messages.
pub(crate) fn load_opened(file: File, path: &Path) -> Result<Region> {
    let (file, start, header) = read_header(file, path)?;
    copy_sealed(file, &start, &header)
}

/// Opens a file and reads its header, the bytes of which it returns too.
pub(crate) fn open(path: &Path) -> Result<(File, Vec<u8>, Header)> {
    let unreadable = |source| Error::ReadFile {
        path: path.to_owned(),
        source,
    };
    // A FIFO must not block the open; for a regular file the flag means nothing.
    let file = File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .map_err(unreadable)?;
    read_header(file, path)
}

/// The generation of which the header of a file tells, whatever the rest of it is worth.
pub(crate) fn generation_told(file: &File) -> Option<u64> {
    let mut start = [0; HEADER_LENGTH];
    file.read_exact_at(&mut start, 0).ok()?;
    Header::decode(&start).ok().map(|header| header.generation)
}

fn read_header(mut file: File, path: &Path) -> Result<(File, Vec<u8>, Header)> {
    let unreadable = |source| Error::ReadFile {
        path: path.to_owned(),
        source,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )));
    }
    let mut start = Vec::with_capacity(HEADER_LENGTH);
    (&mut file)
        .take(HEADER_LENGTH as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let header = Header::decode(&start)?;
    // Compared before anything else is read, so that a lying header costs no memory.
    check_length(header.length, metadata.len())?;
    Ok((file, start, header))
}

fn copy_sealed(mut file: File, start: &[u8], header: &Header) -> Result<Region> {
    let name = &header.name;
    let label = Label {
        name: name.clone(),
        generation: header.generation,
        built: None,
    };
    let mut memory = Unsealed::memory_file(&label)?;
    let copied = memory.write_all(start).and_then(|()| {
        // The file may grow meanwhile; what was not announced is not copied.
        let rest = header.length - start.len() as u64;
        io::copy(&mut (&mut file).take(rest), &mut memory)
    });
    copied.map_err(|source| Error::Write {
        name: name.clone(),
        source,
    })?;
    memfd::seal(&memory).map_err(failed(name, "seal"))?;
    Region::from_fd(memory.into())
}
