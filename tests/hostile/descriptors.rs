//! Descriptors that are no sealed memfds.

use floe::error::HeaderError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

use floe::{Error, Frozen};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

pub const ALL_SEALS: SealFlag = SealFlag::F_SEAL_WRITE
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// Forbids new writable maps and writes, but not the stores through a map that exists.
const FUTURE_WRITE: SealFlag = SealFlag::from_bits_retain(0x10);

/// A memfd with these bytes that can be sealed.
pub fn memfd(bytes: &[u8]) -> OwnedFd {
    let fd = memfd_create(
        "hostile",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    );
    let mut file = File::from(fd.unwrap());
    file.write_all(bytes).unwrap();
    file.into()
}

/// A memfd with these bytes and seals.
pub fn sealed(bytes: &[u8], seals: SealFlag) -> OwnedFd {
    let fd = memfd(bytes);
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    fd
}

fn region() -> Vec<u8> {
    Frozen::freeze("seals", &7_u32)
        .unwrap()
        .region()
        .bytes()
        .to_vec()
}

fn refusal(fd: impl Into<OwnedFd>) -> Error {
    Frozen::<u32>::from_fd(fd.into()).unwrap_err()
}

#[test]
fn each_missing_seal_is_named() {
    let region = region();
    let flags = [
        SealFlag::F_SEAL_SEAL,
        SealFlag::F_SEAL_SHRINK,
        SealFlag::F_SEAL_GROW,
        SealFlag::F_SEAL_WRITE,
    ];
    for subset in 0..15_u32 {
        let has = |number: &usize| subset & (1 << number) != 0;
        let seals = (0..4).filter(has).map(|number| flags[number]).collect();
        match refusal(sealed(&region, seals)) {
            Error::Unsealed { missing } => {
                for (number, flag) in flags.iter().enumerate() {
                    let (name, _) = flag.iter_names().next().unwrap();
                    assert_eq!(
                        missing.contains(name),
                        !has(&number),
                        "{seals:?}: {missing}"
                    );
                }
            }
            other => panic!("{seals:?}: {other}"),
        }
    }
    assert_eq!(
        *Frozen::<u32>::from_fd(sealed(&region, ALL_SEALS)).unwrap(),
        7
    );
}

/// A map made before that seal can still be written through.
#[test]
fn a_seal_against_future_writes_is_not_enough() {
    let seals = ALL_SEALS.difference(SealFlag::F_SEAL_WRITE) | FUTURE_WRITE;
    assert!(matches!(
        refusal(sealed(&region(), seals)),
        Error::Unsealed { missing } if missing == "F_SEAL_WRITE"
    ));
    let stricter = sealed(&region(), ALL_SEALS | FUTURE_WRITE);
    assert_eq!(*Frozen::<u32>::from_fd(stricter).unwrap(), 7);
}

#[test]
fn a_memory_file_that_cannot_be_sealed_is_refused() {
    let mut file = File::from(memfd_create("hostile", MFdFlags::MFD_CLOEXEC).unwrap());
    file.write_all(&region()).unwrap();
    assert!(matches!(
        refusal(file),
        Error::Unsealed { missing } if missing.contains("F_SEAL_WRITE")
    ));
}

#[test]
fn other_kinds_of_descriptors_are_refused() {
    let mut regular = tempfile::tempfile().unwrap();
    regular.write_all(&region()).unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let (left, _right) = UnixStream::pair().unwrap();
    let descriptors: [(&str, OwnedFd); 6] = [
        ("regular file", regular.into()),
        ("pipe, reading end", reader.into()),
        ("pipe, writing end", writer.into()),
        ("socket", left.into()),
        ("device", File::open("/dev/null").unwrap().into()),
        ("directory", File::open("/").unwrap().into()),
    ];
    for (kind, fd) in descriptors {
        assert!(matches!(refusal(fd), Error::Unsealed { .. }), "{kind}");
    }
}

#[test]
fn a_descriptor_that_cannot_be_read_is_refused() {
    let sealed = sealed(&region(), ALL_SEALS);
    let link = format!("/proc/self/fd/{}", sealed.as_raw_fd());
    let path_only = File::options()
        .read(true)
        .custom_flags(nix::libc::O_PATH)
        .open(&link);
    assert!(matches!(
        refusal(path_only.unwrap()),
        Error::Descriptor { .. }
    ));
    if let Ok(write_only) = fs::File::options().write(true).open(&link) {
        assert!(matches!(refusal(write_only), Error::Descriptor { .. }));
    }
}

/// Reading a file of holes would fill the memory of whoever opens it, at no cost to its sender.
#[test]
fn a_memory_file_with_holes_is_refused_before_it_is_read() {
    let mut start = region();
    start.resize(4096, 0);
    let file = File::from(memfd(&start));
    file.set_len(1 << 40).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(ALL_SEALS)).unwrap();
    assert!(
        matches!(refusal(file), Error::Header(HeaderError::Sparse { expected, got: 4096 }) if expected == 1 << 40)
    );
}
