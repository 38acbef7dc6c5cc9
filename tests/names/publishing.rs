//! What is published, and what is left if it is not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use floe::error::PosixError;
use floe::{Error, prefork};
use floe_testkit::forking::{Gate, Resource, next_descriptor, set_limit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use crate::fixture::{Name, drafts, in_child, map, numbers, open};

pub(crate) fn what_is_published_is_opened_and_mapped() {
    let (name, frozen) = (Name::new(), numbers(1000));
    let published = frozen.region().publish_posix(&name.0).unwrap();
    assert_eq!(published.name(), name.0);
    let metadata = fs::metadata(name.path()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(metadata.len(), frozen.region().size());

    let (copied, mapped) = (open(&name).unwrap(), map(&name).unwrap());
    for reader in [&copied, &mapped] {
        assert_eq!(reader.region().bytes(), frozen.region().bytes());
        assert_eq!(reader["key-777"], 777);
        assert_eq!(reader.len(), 1000);
    }
    assert!(copied.region().as_fd().is_ok(), "it is a sealed memfd");

    let listed = name.listed().unwrap();
    assert_eq!(listed.cache.as_deref(), Some("numbers"));
    assert_eq!((listed.generation, listed.owner_runs), (Some(1), true));
    assert_eq!(listed.created, Some(frozen.region().created()));
    published.remove().unwrap();
    assert!(!name.path().exists() && name.listed().is_none());
}

pub(crate) fn of_many_owners_one_gets_the_name() {
    let (name, frozen) = (Name::new(), numbers(10));
    let (start, tried, end) = (Gate::new(), Gate::new(), Gate::new());
    let pool = prefork::spawn(8, |_| {
        start.pass();
        let published = frozen.region().publish_posix(&name.0);
        tried.open();
        // Nobody drops it before all have tried.
        end.pass();
        match published {
            Ok(_) => true,
            Err(Error::Posix(PosixError::Taken { .. })) => false,
            Err(error) => panic!("{error}"),
        }
    });
    for _ in 0..8 {
        start.open();
    }
    for _ in 0..8 {
        tried.pass();
    }
    assert_eq!(open(&name).unwrap().len(), 10);
    for _ in 0..8 {
        end.open();
    }
    let won = pool.unwrap().join().unwrap();
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    assert!(!name.path().exists());
}

pub(crate) fn no_descriptor_and_no_draft_is_left() {
    let (name, frozen) = (Name::new(), numbers(10));
    let (before, drafts_before) = (next_descriptor(), drafts());
    let published = frozen.region().publish_posix(&name.0).unwrap();
    assert!(frozen.region().publish_posix(&name.0).is_err());
    assert!(frozen.region().publish_posix("a/b").is_err());
    let mapped = map(&name).unwrap();
    drop((open(&name).unwrap(), published));
    assert_eq!(next_descriptor(), before, "what is mapped has none");
    assert_eq!(drafts(), drafts_before);
    drop(mapped);
}

pub(crate) fn a_file_size_limit_leaves_nothing() {
    let (name, frozen) = (Name::new(), numbers(10_000));
    in_child(|| {
        // SAFETY: no handler runs.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
        let (descriptor, before) = (next_descriptor(), drafts());
        let limit = set_limit(Resource::RLIMIT_FSIZE, 8192);
        let refused = frozen.region().publish_posix(&name.0).unwrap_err();
        set_limit(Resource::RLIMIT_FSIZE, limit);
        assert!(refused.to_string().contains("ulimit -f"), "{refused}");
        assert_eq!((next_descriptor(), drafts()), (descriptor, before));
    });
    assert!(!name.path().exists());
}

/// The crate that makes objects maps them writable, which children would inherit.
pub(crate) fn no_writable_map_stays() {
    let (name, frozen) = (Name::new(), numbers(10));
    let _published = frozen.region().publish_posix(&name.0).unwrap();
    let _mapped = map(&name).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let own: Vec<&str> = maps.lines().filter(|it| it.contains("/dev/shm")).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(own[0].contains(" r--s "), "{own:?}");
}

/// Neither to root, which may open what has no mode at all, nor to others.
pub(crate) fn the_umask_does_not_show() {
    let frozen = numbers(10);
    for (mask, user) in [(0, 0), (0o777, 0), (0, 65534), (0o777, 65534)] {
        let name = Name::new();
        in_child(|| {
            setgroups(&[]).unwrap();
            setgid(Gid::from_raw(user)).unwrap();
            setuid(Uid::from_raw(user)).unwrap();
            umask(Mode::from_bits_truncate(mask));
            let published = frozen.region().publish_posix(&name.0).unwrap();
            let metadata = fs::metadata(name.path()).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o600, user));
            assert_eq!(open(&name).unwrap().len(), 10);
            drop(published);
        });
        assert!(!name.path().exists());
    }
}
