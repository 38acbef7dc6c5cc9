//! Who removes a name, and who does not.

use std::cell::RefCell;
use std::fs;

use floe::{Error, prefork};

use crate::fixture::{Name, in_child, map, numbers, open};

pub(crate) fn a_child_removes_no_name() {
    let (name, frozen) = (Name::new(), numbers(5));
    let published = RefCell::new(Some(frozen.region().publish_posix(&name.0).unwrap()));
    let other = Name::new();
    let other_published = RefCell::new(Some(frozen.region().publish_posix(&other.0).unwrap()));
    let pool = prefork::spawn(1, |_| {
        drop(published.take());
        let refused = other_published.take().unwrap().remove().unwrap_err();
        assert!(matches!(refused, Error::NotOwner { .. }), "{refused}");
        // Neither the drop nor the fork has closed a descriptor of something else.
        let own = Name::new();
        let own_published = frozen.region().publish_posix(&own.0).unwrap();
        assert!(own.listed().unwrap().owner_runs);
        drop(own_published);
        assert!(!own.path().exists());
    });
    pool.unwrap().join().unwrap();
    assert_eq!(open(&name).unwrap().len(), 5);
    assert!(name.listed().unwrap().owner_runs);
    assert!(other.listed().unwrap().owner_runs);
    drop(published.take());
    assert!(!name.path().exists());
}

/// Where a process has closed its standard input, the first file that is opened gets its number.
pub(crate) fn descriptor_0_is_one_like_others() {
    let (name, frozen) = (Name::new(), numbers(5));
    in_child(|| {
        nix::unistd::close(0).unwrap();
        let open = || {
            let entries = fs::read_dir("/proc/self/fd").unwrap();
            entries.count()
        };
        let before = open();
        drop(frozen.region().publish_posix(&name.0).unwrap());
        assert_eq!(open(), before);
        assert!(!name.path().exists());
    });
}

pub(crate) fn what_others_put_under_the_name_stays() {
    let (name, frozen) = (Name::new(), numbers(5));
    let published = frozen.region().publish_posix(&name.0).unwrap();
    let mapped = map(&name).unwrap();
    fs::remove_file(name.path()).unwrap();
    fs::write(name.path(), b"of another program").unwrap();
    published.remove().unwrap();
    assert_eq!(fs::read(name.path()).unwrap(), b"of another program");
    assert_eq!(mapped["key-4"], 4);
}

pub(crate) fn readers_keep_what_they_have() {
    let name = Name::new();
    let published = numbers(5).region().publish_posix(&name.0).unwrap();
    let (copied, mapped) = (open(&name).unwrap(), map(&name).unwrap());
    drop(published);
    let published = numbers(7).region().publish_posix(&name.0).unwrap();
    assert_eq!((copied.len(), mapped.len()), (5, 5));
    assert_eq!((copied["key-4"], mapped["key-4"]), (4.into(), 4.into()));
    assert_eq!(
        (open(&name).unwrap().len(), map(&name).unwrap().len()),
        (7, 7)
    );
    drop(published);
    assert_eq!(mapped.region().bytes(), copied.region().bytes());
}
