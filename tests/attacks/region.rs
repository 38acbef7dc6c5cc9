//! A worker cannot change a region.

use std::fs::File;
use std::os::fd::AsFd;
use std::process;
use std::ptr::NonNull;

use floe::Frozen;
use memmap2::{Mmap, MmapMut};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use xxhash_rust::xxh3::xxh3_64;

use crate::attack::{ATTACKS, Target, attacked};

const MIB: usize = 1 << 20;

pub(crate) fn no_attack_changes_a_region() {
    let map = Frozen::freeze("bytes", &vec![0xa5_u8; MIB]).unwrap();
    let expected = xxh3_64(map.region().bytes());
    let bytes = map.region().bytes();
    let target = Target {
        fd: map.region().as_fd().unwrap(),
        address: NonNull::from_ref(&bytes[0]).cast(),
        length: bytes.len(),
        owner: process::id(),
    };
    let state = || {
        let file = File::from(target.fd.try_clone_to_owned().unwrap());
        // SAFETY: what this test is about: nobody can change the file.
        let fresh = unsafe { Mmap::map(&file) }.unwrap();
        let seals = fcntl(target.fd, FcntlArg::F_GET_SEALS).unwrap();
        (
            seals,
            fresh.len(),
            xxh3_64(&fresh),
            xxh3_64(map.region().bytes()),
        )
    };
    let before = state();
    for (name, refusals, attack) in ATTACKS {
        let got = attacked(&target, attack);
        let refused = refusals.contains(&Errno::from_raw(got));
        assert!(refused, "{name}: {}", Errno::from_raw(got));
        assert_eq!(state(), before, "{name}");
    }
    assert_eq!((before.2, before.3), (expected, expected));
}

/// The attacks are real: where nothing is sealed, each of them does what it says.
pub(crate) fn the_attacks_succeed_on_unsealed_memory() {
    for (name, _, attack) in ATTACKS {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = File::from(memfd_create("unsealed", flags).unwrap());
        file.set_len(MIB as u64).unwrap();
        // SAFETY: only the attack touches the file, and nobody reads the map.
        let map = unsafe { MmapMut::map_mut(&file) }.unwrap();
        let target = Target {
            fd: file.as_fd(),
            address: NonNull::from_ref(&map[0]).cast(),
            length: MIB,
            owner: process::id(),
        };
        assert_eq!(attacked(&target, attack), 0, "{name}");
    }
}
