//! Regions in files: written atomically, read back through a sealed copy in memory.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::unsealed::memfd_name;
use super::{Region, check_length, failed};
use crate::error::{Error, Result};
use crate::region::format::{HEADER_LENGTH, Header, Spacing};
use crate::sys::mapping;
use crate::sys::memfd::{self, SealedFile};

/// How the names of files begin that are being written.
pub(crate) const TEMPORARY: &str = ".floe-";

/// Writes the bytes of a region to `path`, so that a crash at any moment leaves the old file or
/// the new one: temporary file beside it, mode 0600, fsync, rename, fsync of the directory.
///
/// What a file system knows nothing of, modes and the fsync of a directory, is left out.
pub(crate) fn save(region: &Region, path: &Path) -> Result<()> {
    let failed = |step| {
        move |source| Error::Save {
            path: path.to_owned(),
            step,
            reason: source,
        }
    };
    check_replaceable(path).map_err(failed("replace"))?;
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
    // Opened here, so that what goes wrong is told without a name that is another one each time.
    let create = |path: &Path| {
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600).open(path)
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .make_in(directory, create)
        .map_err(failed("create a temporary file"))?;
    let mode = temporary
        .as_file()
        .set_permissions(Permissions::from_mode(0o600));
    where_known(mode).map_err(failed("set the mode"))?;
    region
        .write_to(temporary.as_file_mut())
        .map_err(failed("write"))?;
    where_known(temporary.as_file().sync_all()).map_err(failed("fsync"))?;
    temporary
        .persist(path)
        .map_err(|error| failed("rename")(error.error))?;
    where_known(directory_file.sync_all()).map_err(|source| Error::PublishedNotDurable {
        path: path.to_owned(),
        reason: source,
    })
}

/// Refuses to put a file in the place of anything but a file: a device, a pipe or a socket is not
/// there to be replaced, and where a link leads is not for us to choose.
fn check_replaceable(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if is_absence(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_symlink() => {
            let target = std::fs::read_link(path).unwrap_or_default();
            let target = target.display();
            return Err(io::Error::other(format!(
                "it is a symbolic link to {target}; save there, or remove the link"
            )));
        }
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    let reason = format!("it is {what}, and only a regular file is replaced");
    Err(io::Error::other(reason))
}

fn is_absence(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// The outcome of a step that some file systems know nothing of; for them it is done.
pub(crate) fn where_known(done: io::Result<()>) -> io::Result<()> {
    use nix::libc::{EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM};
    match done {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(EINVAL | ENOSYS | ENOTTY | EOPNOTSUPP | EPERM)
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

/// Copies a file into a sealed memfd, and opens that as [`Region::open`] does; the file itself is
/// never mapped, so whatever happens to it later cannot reach a reader.
pub(crate) fn load(path: &Path) -> Result<Region> {
    let (file, start, header) = open(path)?;
    copy_sealed(file, &start, &header)
}

/// The same for a file that was opened at its start; `path` is for messages.
pub(crate) fn load_opened(file: File, path: &Path) -> Result<Region> {
    let (file, start, header) = read_header(file, path)?;
    copy_sealed(file, &start, &header)
}

/// Reads the header of a file that was opened before; `path` is for messages.
#[cfg(feature = "posix-shm")]
pub(crate) fn read_opened(file: File, path: &Path) -> Result<(File, Header)> {
    let (file, _, header) = read_header(file, path)?;
    Ok((file, header))
}

/// Opens a file and reads its header, the bytes of which it returns too.
pub(crate) fn open(path: &Path) -> Result<(File, Vec<u8>, Header)> {
    let unreadable = |source| Error::ReadFile {
        path: path.to_owned(),
        reason: source,
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
pub(crate) fn generation_in_header(file: &File) -> Option<u64> {
    let mut start = vec![0; HEADER_LENGTH];
    file.read_exact_at(&mut start, 0).ok()?;
    start.resize(Spacing::of(&start).ok()?.header_length() as usize, 0);
    file.read_exact_at(&mut start, 0).ok()?;
    Header::decode(&start).ok().map(|header| header.generation)
}

/// The bytes of a header; fewer if the file is shorter.
pub(super) fn read_start(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(HEADER_LENGTH);
    reader.take(HEADER_LENGTH as u64).read_to_end(&mut start)?;
    if let Ok(spacing) = Spacing::of(&start) {
        let more = spacing.header_length() - start.len() as u64;
        reader.take(more).read_to_end(&mut start)?;
    }
    Ok(start)
}

fn read_header(mut file: File, path: &Path) -> Result<(File, Vec<u8>, Header)> {
    let unreadable = |source| Error::ReadFile {
        path: path.to_owned(),
        reason: source,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        )));
    }
    let start = read_start(&mut file).map_err(unreadable)?;
    let header = Header::decode(&start)?;
    header.check_one_file()?;
    // Compared before anything else is read, so that a lying header costs no memory.
    check_length(header.length, metadata.len())?;
    Ok((file, start, header))
}

fn copy_sealed(mut file: File, start: &[u8], header: &Header) -> Result<Region> {
    sealed_copy(header, |memory| {
        mapping::make_room(memory, header.length);
        memory
            .write_all(start)
            .and_then(|()| copy_rest(&mut file, memory, header.length, start.len() as u64))
            .map_err(write_failed(header))
    })
}

/// Makes a memfd, lets `copy` fill it with the region that a header announces, seals it and opens
/// it as [`Region::open`] does.
pub(super) fn sealed_copy(
    header: &Header,
    copy: impl FnOnce(&mut File) -> Result<()>,
) -> Result<Region> {
    let name = &header.name;
    let label = memfd_name(name, header.generation);
    let mut memory = memfd::create(&label).map_err(failed(name, "create"))?;
    copy(&mut memory)?;
    let sealed = SealedFile::seal(memory).map_err(failed(name, "seal"))?;
    Region::open(vec![File::from(sealed).into()], None)
}

/// Names the cache that could not be copied.
pub(super) fn write_failed(header: &Header) -> impl FnOnce(io::Error) -> Error {
    let name = header.name.clone();
    move |source| Error::Write {
        name,
        reason: source,
    }
}

/// Copies a file behind its start, which is copied already, up to a length. It may grow meanwhile;
/// what was not announced is not copied. If it has become shorter, so does the copy.
fn copy_rest(file: &mut File, copy: &mut File, length: u64, start: u64) -> io::Result<()> {
    let mut copied = start;
    loop {
        match io::copy(&mut (&mut *file).take(length.saturating_sub(copied)), copy) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                copied = copy.stream_position()?;
                file.seek(SeekFrom::Start(copied))?;
            }
            rest => break copied += rest?,
        }
    }
    match copied < length {
        true => copy.set_len(copied),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Fingerprint, HeaderError};
    use crate::region::{Backing, Label, Unsealed};

    fn saved(bytes: usize) -> (tempfile::NamedTempFile, Region) {
        let label = Label::first("copied").unwrap();
        let mut unsealed = Unsealed::create(label, Backing::Memfd).unwrap();
        unsealed.append(&vec![7; bytes]).unwrap();
        let region = unsealed.seal(Fingerprint::from_le_bytes([7; 16]));
        let (file, region) = (tempfile::NamedTempFile::new().unwrap(), region.unwrap());
        save(&region, file.path()).unwrap();
        (file, region)
    }

    /// Of lengths that are filled in one way and the other.
    #[test]
    fn a_file_that_gets_shorter_while_it_is_copied_is_refused() {
        for length in [1 << 20, 9 << 20] {
            let (saved, region) = saved(length);
            assert_eq!(load(saved.path()).unwrap().bytes(), region.bytes());
            let (file, start, header) = open(saved.path()).unwrap();
            let cut = header.length - 5000;
            saved.as_file().set_len(0).unwrap();
            std::fs::write(saved.path(), &region.bytes()[..cut as usize]).unwrap();
            match copy_sealed(file, &start, &header) {
                Err(Error::Header(HeaderError::Length { expected, got })) => {
                    assert_eq!((expected, got), (header.length, cut));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
