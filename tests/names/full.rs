//! Folders of shared memory without room, or without themselves.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::fixture::{Name, drafts, in_child, numbers, open};

/// Mounts what only the calling process sees.
fn mount_tmpfs(at: &str, options: &str) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let (none, private) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    mount(none, "/", none, private, none).unwrap();
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options),
    )
    .unwrap();
}

pub(crate) fn a_full_folder_is_told() {
    let (small, large) = (numbers(10), numbers(100_000));
    in_child(|| {
        mount_tmpfs("/dev/shm", "size=65536");
        let name = Name::new();
        let refused = large
            .region()
            .publish_posix(&name.0)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("/dev/shm is full"), "{refused}");
        assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);

        let published = small.region().publish_posix(&name.0).unwrap();
        assert_eq!(open(&name).unwrap().len(), 10);
        assert!(large.region().publish_posix("another").is_err());
        assert_eq!(open(&name).unwrap().len(), 10);
        assert!(drafts().is_empty());
        drop(published);
        assert_eq!(fs::read_dir("/dev/shm").unwrap().count(), 0);
    });
}

pub(crate) fn a_missing_folder_is_told() {
    let frozen = numbers(10);
    in_child(|| {
        mount_tmpfs("/dev", "size=65536");
        let name = Name::new();
        for refused in [
            frozen.region().publish_posix(&name.0).map(drop),
            open(&name).map(drop),
            floe::posix::list().map(drop),
            floe::posix::sweep().map(drop),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(
                refused.contains("nothing is mounted on /dev/shm"),
                "{refused}"
            );
        }
    });
}
