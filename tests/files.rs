//! Saving and loading: what a file is like afterwards, whatever goes wrong.

use floe::error::HeaderError;
use floe_testkit::alone;
use std::error::Error as _;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use alone::{alone, under};
use floe::{Error, Frozen};
use nix::sys::stat::{Mode, SFlag, mknod};
use tempfile::TempDir;

type Texts = Vec<String>;

fn texts(count: usize) -> Frozen<Texts> {
    let texts: Texts = (0..count).map(|n| format!("text number {n}")).collect();
    Frozen::freeze_on_heap("texts", &texts).unwrap()
}

/// A directory, and a path for a region in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("texts.floe");
    (directory, path)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_saved_is_loaded_byte_by_byte() {
    let (directory, path) = place();
    let frozen = texts(100);
    frozen.region().save(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), frozen.region().bytes());
    let loaded = Frozen::<Texts>::load(&path).unwrap();
    assert_eq!(loaded.region().bytes(), frozen.region().bytes());
    assert!(loaded.region().as_fd().is_ok());
    loaded.region().save(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), frozen.region().bytes());
    assert_eq!(names(directory.path()), ["texts.floe"]);
}

#[test]
fn a_path_without_directory_is_one_in_the_working_directory() {
    let (directory, path) = place();
    alone(
        "a_path_without_directory_is_one_in_the_working_directory",
        || {
            std::env::set_current_dir(&directory).unwrap();
            texts(1).region().save("texts.floe").unwrap();
            assert_eq!(Frozen::<Texts>::load("texts.floe").unwrap().len(), 1);
            assert!(path.exists());
        },
    );
}

#[test]
fn the_mode_is_0600_under_every_umask() {
    alone("the_mode_is_0600_under_every_umask", || {
        for umask in [0, 0o022, 0o777] {
            let (_directory, path) = place();
            let before = nix::sys::stat::umask(Mode::from_bits_truncate(umask));
            let saved = texts(1).region().save(&path);
            let frozen = Frozen::freeze("umask", &1_u32).unwrap();
            nix::sys::stat::umask(before);
            saved.unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "umask {umask:o}");
            let memory = File::from(frozen.region().try_clone_fd().unwrap());
            let mode = memory.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o400, "umask {umask:o}");
        }
    });
}

#[test]
fn a_looser_mode_of_the_old_file_is_not_kept() {
    let (_directory, path) = place();
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    texts(1).region().save(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );
}

/// The old file is replaced, not overwritten: who has it open keeps its content.
#[test]
fn a_file_is_replaced_at_once() {
    let (_directory, path) = place();
    texts(1).region().save(&path).unwrap();
    let mut old = File::open(&path).unwrap();
    texts(2).region().save(&path).unwrap();
    let mut content = Vec::new();
    old.read_to_end(&mut content).unwrap();
    assert_eq!(Frozen::<Texts>::from_bytes(&content).unwrap().len(), 1);
    assert_eq!(Frozen::<Texts>::load(&path).unwrap().len(), 2);
}

/// What is no regular file is not there to be replaced, even by root.
#[test]
fn only_a_regular_file_is_replaced() {
    let (directory, path) = place();
    let place = |name: &str| directory.path().join(name);
    fs::write(&path, "precious").unwrap();
    symlink(&path, place("link")).unwrap();
    symlink("nowhere", place("dangling")).unwrap();
    nix::unistd::mkfifo(&place("pipe"), Mode::S_IRUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place("socket")).unwrap();
    fs::create_dir(place("folder")).unwrap();
    // The only device that anybody can make: whoever replaced a real one would do harm.
    mknod(&place("device"), SFlag::S_IFCHR, Mode::S_IRUSR, 0).unwrap();
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    for (path, word) in [
        (place("link"), "symbolic link to"),
        (place("dangling"), "symbolic link to nowhere"),
        (place("pipe"), "named pipe"),
        (place("socket"), "socket"),
        (place("folder"), "directory"),
        (place("device"), "device"),
    ] {
        let before = kind(&path);
        let error = texts(1).region().save(&path).unwrap_err();
        assert_eq!(failed_step(&error, &path), "replace");
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(kind(&path), before);
    }
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert!(!place("nowhere").exists());
}

/// That a message has the reason in it, and that whoever prints a chain of causes reads it once.
fn assert_says_all(error: &Error) {
    let reason = match error {
        Error::Save { reason, .. } | Error::ReadFile { reason, .. } => reason.to_string(),
        Error::Load { reason, .. } => reason.to_string(),
        other => panic!("{other}"),
    };
    assert!(error.to_string().contains(&reason), "{error}");
    assert!(error.source().is_none(), "{error}");
}

/// The step that failed, and that the path is told.
fn failed_step(error: &Error, expected: &Path) -> &'static str {
    match error {
        Error::Save { path, step, .. } => {
            assert_eq!(path, expected);
            assert!(error.to_string().contains(&expected.display().to_string()));
            assert_says_all(error);
            step
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_directory_is_an_error() {
    let (directory, _) = place();
    fs::write(directory.path().join("file"), "").unwrap();
    nix::unistd::mkfifo(&directory.path().join("fifo"), Mode::S_IRUSR).unwrap();
    for path in ["missing/texts.floe", "file/texts.floe", "fifo/texts.floe"] {
        let path = directory.path().join(path);
        let error = texts(1).region().save(&path).unwrap_err();
        assert_eq!(failed_step(&error, &path), "open the directory");
    }
    assert_eq!(names(directory.path()), ["fifo", "file"]);
}

#[test]
fn a_directory_in_the_place_of_the_file_is_an_error() {
    let (directory, path) = place();
    fs::create_dir(&path).unwrap();
    let error = texts(1).region().save(&path).unwrap_err();
    assert_eq!(failed_step(&error, &path), "replace");
    assert_eq!(names(directory.path()), ["texts.floe"]);
    assert_eq!(names(&path), [""; 0]);
}

/// `ulimit -f` counts in 512 or 1024 bytes; the signal is ignored, as floe asks of its callers.
#[test]
fn a_file_size_limit_leaves_the_old_file() {
    let limited = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    under(limited, "a_file_size_limit_leaves_the_old_file", || {
        let (directory, path) = place();
        texts(10).region().save(&path).unwrap();
        let error = texts(20_000).region().save(&path).unwrap_err();
        assert_eq!(failed_step(&error, &path), "write");
        assert_eq!(names(directory.path()), ["texts.floe"]);
        assert_eq!(Frozen::<Texts>::load(&path).unwrap().len(), 10);
        // memfds have the same limit.
        let large: Texts = (0..200_000).map(|n| format!("text number {n}")).collect();
        assert!(matches!(
            Frozen::freeze("large", &large),
            Err(Error::Write { .. })
        ));
    });
}

fn load_source(path: &Path) -> Error {
    match Frozen::<Texts>::load(path) {
        Err(error) => {
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
            assert_says_all(&error);
            error
        }
        Ok(_) => panic!("{} was loaded", path.display()),
    }
}

#[test]
fn what_is_no_regular_file_is_not_loaded() {
    let (directory, path) = place();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let dangling = directory.path().join("dangling");
    symlink("nowhere", &dangling).unwrap();
    let itself = directory.path().join("itself");
    symlink("itself", &itself).unwrap();
    let device = Path::new("/dev/zero");
    for path in [&path, directory.path(), &fifo, &dangling, &itself, device] {
        let error = load_source(path);
        assert!(matches!(&error, Error::ReadFile { .. }), "{error}");
    }
}

#[test]
fn refused_content_is_reported_with_its_path_and_its_reason() {
    let (_directory, path) = place();
    for content in ["", "not a region", &"not a region".repeat(100)] {
        fs::write(&path, content).unwrap();
        let error = load_source(&path);
        let Error::Load { reason: source, .. } = &error else {
            panic!("{error}");
        };
        assert!(error.to_string().contains(&source.to_string()));
        assert_says_all(&error);
        assert!(matches!(
            **source,
            Error::Header(HeaderError::Length { .. })
                | Error::Header(HeaderError::NotRegion { .. })
        ));
    }
    Frozen::freeze("other", &1_u32)
        .unwrap()
        .region()
        .save(&path)
        .unwrap();
    assert!(matches!(
        load_source(&path),
        Error::Load { reason: source, .. } if matches!(*source, Error::SchemaMismatch { .. })
    ));
}

#[test]
fn links_are_followed() {
    let (directory, path) = place();
    texts(3).region().save(&path).unwrap();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(Frozen::<Texts>::load(&link).unwrap().len(), 3);
}

/// A loaded region is a copy: what happens to the file cannot reach a reader.
#[test]
fn a_file_that_changes_after_it_was_loaded() {
    let (_directory, path) = place();
    let frozen = texts(50_000);
    frozen.region().save(&path).unwrap();
    let loaded = Frozen::<Texts>::load(&path).unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    file.write_all(&[0xff; 4096]).unwrap();
    assert_eq!(loaded.region().bytes(), frozen.region().bytes());
    file.set_len(0).unwrap();
    assert_eq!(loaded.region().bytes(), frozen.region().bytes());
    fs::remove_file(&path).unwrap();
    assert_eq!(loaded.region().bytes(), frozen.region().bytes());
}

/// A writer cuts and restores the file while it is loaded: each time an error or the whole.
#[test]
fn a_file_that_changes_while_it_is_loaded() {
    let (_directory, path) = place();
    let frozen = texts(2000);
    let bytes = frozen.region().bytes();
    frozen.region().save(&path).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().write(true).open(&path).unwrap();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(bytes.len() as u64 / 2).unwrap();
                file.rewind().unwrap();
                file.write_all(bytes).unwrap();
                file.write_all(b"more").unwrap();
                file.set_len(bytes.len() as u64).unwrap();
            }
        });
        for _ in 0..300 {
            match Frozen::<Texts>::load(&path) {
                Ok(loaded) => assert_eq!(loaded.region().bytes(), bytes),
                Err(Error::Load { reason: source, .. }) => assert!(
                    matches!(
                        *source,
                        Error::Header(HeaderError::Length { .. })
                            | Error::Header(HeaderError::Damaged { .. })
                    ),
                    "{source}"
                ),
                Err(other) => panic!("{other}"),
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_is_longer_than_its_header_says() {
    let (_directory, path) = place();
    texts(10).region().save(&path).unwrap();
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"x").unwrap();
    assert!(matches!(
        load_source(&path),
        Error::Load { reason: source, .. } if matches!(*source, Error::Header(HeaderError::Length { .. }))
    ));
}
