//! What is refused: names, what else has them, and what is in it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use floe::error::{HeaderError, NameError, PosixError};
use floe::{Error, Frozen};
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::fixture::{Name, drafts, map, numbers, open};

#[track_caller]
fn assert_no_name<T>(got: Result<T, Error>, expected: NameError) {
    match got.map(drop) {
        Err(Error::Posix(PosixError::Name { reason, .. })) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn what_is_no_name_is_refused() {
    let frozen = numbers(1);
    let long = "x".repeat(256);
    for (name, reason) in [
        ("", NameError::Empty),
        (".", NameError::Folder),
        ("..", NameError::Folder),
        ("/numbers", NameError::Character),
        ("../dev/shm/numbers", NameError::Character),
        ("a\0b", NameError::Character),
        ("a\nb", NameError::Character),
        (&long, NameError::TooLong { most: 255 }),
    ] {
        assert_no_name(frozen.region().publish_posix(name), reason);
        assert_no_name(Frozen::<Vec<u32>>::open_posix(name), reason);
        // SAFETY: nothing is mapped by a name that is refused.
        assert_no_name(unsafe { Frozen::<Vec<u32>>::map_posix(name) }, reason);
    }
    let longest = Name("y".repeat(255));
    let _published = frozen.region().publish_posix(&longest.0).unwrap();
    assert_eq!(open(&longest).unwrap().len(), 1);
}

pub(crate) fn absent_names_are_told() {
    let name = Name::new();
    for refused in [open(&name), map(&name)] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(&name.0), "{refused}");
        assert!(refused.contains("owner has not published"), "{refused}");
    }
}

type Squatter = (&'static str, fn(&Path));

fn file(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn region() -> Vec<u8> {
    numbers(5).region().bytes().to_vec()
}

const SQUATTERS: [Squatter; 10] = [
    ("another file", |path| file(path, b"not a region", 0o600)),
    ("an empty file", |path| file(path, b"", 0o600)),
    ("0666", |path| file(path, &region(), 0o666)),
    ("0640", |path| file(path, &region(), 0o640)),
    ("4600", |path| file(path, &region(), 0o4600)),
    ("a symbolic link", |path| {
        // To what would be good in its place.
        let saved = std::env::temp_dir().join(path.file_name().unwrap());
        file(&saved, &region(), 0o600);
        symlink(saved, path).unwrap();
    }),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a named pipe", |path| {
        mkfifo(path, Mode::from_bits_truncate(0o600)).unwrap();
    }),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("holes", |path| {
        // The header is good, and so is the length.
        file(path, numbers(5000).region().bytes(), 0o600);
        let file = File::options().write(true).open(path).unwrap();
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(file, punch, 8192, 8192).unwrap();
    }),
];

/// What somebody else has put under a name is neither opened, replaced nor removed.
pub(crate) fn whoever_has_the_name_keeps_it() {
    let (frozen, before) = (numbers(5), drafts());
    for (what, put) in SQUATTERS {
        let name = Name::new();
        put(&name.path());
        let look = || fs::symlink_metadata(name.path()).map(|it| (it.ino(), it.len(), it.mode()));
        let there = look().unwrap();
        let refused = frozen.region().publish_posix(&name.0).unwrap_err();
        assert!(refused.to_string().contains(&name.0), "{what}: {refused}");
        for refused in [open(&name), map(&name)] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(&name.0), "{what}: {refused}");
        }
        assert!(name.listed().is_none(), "{what}");
        assert_eq!(look().unwrap(), there, "{what}");
    }
    let (name, other) = (Name::new(), Name::new());
    let published = frozen.region().publish_posix(&name.0).unwrap();
    fs::hard_link(name.path(), other.path()).unwrap();
    for refused in [open(&name), map(&name)] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("expected a number of names of 1, got 2"),
            "{refused}"
        );
    }
    drop(published);
    assert_eq!(drafts(), before);
}

pub(crate) fn content_is_checked() {
    let (name, good) = (Name::new(), region());
    let put = |bytes: &[u8]| file(&name.path(), bytes, 0o600);
    put(&good);
    assert_eq!(open(&name).unwrap()["key-3"], 3);
    let refused = Frozen::<Vec<u32>>::open_posix(&name.0).unwrap_err();
    assert!(
        refused.to_string().contains("holds another type"),
        "{refused}"
    );
    for length in (0..good.len()).step_by(97) {
        put(&good[..length]);
        assert!(open(&name).is_err() && map(&name).is_err(), "{length}");
    }
    for at in (0..good.len()).step_by(31) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        put(&bytes);
        assert!(open(&name).is_err(), "{at}");
    }
    put(&[&good[..], &[0]].concat());
    for refused in [open(&name), map(&name)] {
        match refused.unwrap_err() {
            Error::Load { reason, .. } => {
                let reason = *reason;
                assert!(
                    matches!(reason, Error::Header(HeaderError::Length { .. })),
                    "{reason}"
                );
            }
            other => panic!("{other}"),
        }
    }
}

pub(crate) fn other_users_are_refused() {
    let (name, frozen) = (Name::new(), numbers(5));
    let published = frozen.region().publish_posix(&name.0).unwrap();
    chown(name.path(), Some(65534), None).unwrap();
    for refused in [open(&name), map(&name)] {
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("expected the user 0, got 65534"),
            "{refused}"
        );
    }
    let refused = numbers(1).region().publish_posix(&name.0).unwrap_err();
    assert!(
        refused.to_string().contains("expected the user 0"),
        "{refused}"
    );
    assert!(name.listed().is_none());
    drop(published);
}
