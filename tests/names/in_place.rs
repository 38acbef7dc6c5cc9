//! Files and objects that are mapped where they are.

use std::ffi::c_void;
use std::fs;
use std::path::Path;
use std::ptr::NonNull;

use floe::error::HeaderError;
use floe::format::HEADER_LENGTH;
use floe::{Advice, Error, Frozen, Publisher};
use nix::errno::Errno;
use nix::sys::mman::{ProtFlags, mprotect};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::fixture::{Name, Numbers, map, numbers, open};

fn map_file(path: &Path) -> Result<Frozen<Numbers>, Error> {
    // SAFETY: these tests change no file that they have mapped, and what is mapped was saved as a
    // `Numbers` or is refused by its header.
    unsafe { Frozen::map_file(path) }
}

pub(crate) fn a_file_is_read_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.floe");
    let frozen = numbers(1000);
    frozen.region().save(&path).unwrap();
    let mapped = map_file(&path).unwrap();
    assert_eq!(mapped.region().bytes(), frozen.region().bytes());
    assert_eq!(mapped["key-999"], 999);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(path.to_str().unwrap()), "nothing was copied");

    let (clone, again) = (mapped.clone(), folder.path().join("again.floe"));
    numbers(5).region().save(&path).unwrap();
    assert_eq!(map_file(&path).unwrap().len(), 5);
    fs::remove_file(&path).unwrap();
    drop(mapped);
    assert_eq!(clone.len(), 1000, "the file that was mapped");
    clone.region().save(&again).unwrap();
    assert_eq!(fs::read(&again).unwrap(), frozen.region().bytes());
    for advice in [
        Advice::WillNeed,
        Advice::Populate,
        Advice::NoDump,
        Advice::Dump,
    ] {
        clone.region().advise(advice).unwrap();
    }

    let (name, fds) = (Name::new(), clone.region().as_fds());
    let refused = fds.unwrap_err();
    assert!(matches!(refused, Error::NoDescriptor { .. }), "{refused}");
    assert!(matches!(
        Publisher::new(&clone),
        Err(Error::NoDescriptor { .. })
    ));
    let _published = clone.region().publish_posix(&name.0).unwrap();
    assert_eq!(open(&name).unwrap().len(), 1000);
}

pub(crate) fn what_is_mapped_in_place_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.floe");
    let (name, frozen) = (Name::new(), numbers(10));
    frozen.region().save(&path).unwrap();
    let _published = frozen.region().publish_posix(&name.0).unwrap();
    for mapped in [map_file(&path).unwrap(), map(&name).unwrap()] {
        let range = mapped.region().address_range();
        let start = NonNull::new(range.start as *mut c_void).unwrap();
        let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: it fails, or this test does before anybody writes.
        let got = unsafe { mprotect(start, range.len(), writable) };
        assert_eq!(got, Err(Errno::EACCES));
    }
}

pub(crate) fn headers_are_checked_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.floe");
    let good = numbers(100).region().bytes().to_vec();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        match map_file(&path).unwrap_err() {
            Error::Load { reason, .. } => *reason,
            other => panic!("{other}"),
        }
    };
    for length in (0..good.len()).step_by(997) {
        assert!(
            matches!(refused(&good[..length]), Error::Header(_)),
            "{length}"
        );
    }
    let longer = refused(&[&good[..], b"more"].concat());
    assert!(
        matches!(longer, Error::Header(HeaderError::Length { .. })),
        "{longer}"
    );
    for at in (0..HEADER_LENGTH).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        assert!(matches!(refused(&bytes), Error::Header(_)), "{at}");
    }
    fs::write(&path, &good).unwrap();
    // SAFETY: nothing is mapped of another type.
    let refused = unsafe { Frozen::<Vec<u32>>::map_file(&path) };
    // Not `unwrap_err`, which would show what it is not.
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("holds another type"), "{refused}");

    let absent = map_file(&folder.path().join("absent"));
    assert!(matches!(absent, Err(Error::ReadFile { .. })));
    assert!(matches!(
        map_file(folder.path()),
        Err(Error::ReadFile { .. })
    ));
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::from_bits_truncate(0o600)).unwrap();
    assert!(matches!(map_file(&pipe), Err(Error::ReadFile { .. })));
}
