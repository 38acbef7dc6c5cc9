//! Nobody writes to a region.

use std::{fs::File, os::fd::AsFd, process, ptr::NonNull};

use floe::prefork::{self, Failure};
use memmap2::{Mmap, MmapMut};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    sys::memfd::{MFdFlags, memfd_create},
};

use crate::{
    attacks::{ATTACKS, Target, attacked},
    fixture::{MIB, digest, large_map},
    forking::Gate,
};

pub(crate) fn a_worker_that_writes_dies_alone() {
    let map = large_map(MIB);
    let expected = digest(map.as_bytes());
    let gate = Gate::new();
    let mut pool = prefork::spawn(3, |worker| {
        if worker.index() == 0 {
            // SAFETY: there is none, which is the point: the page is read-only, so the store ends
            // the process before it has an effect.
            unsafe { map.as_bytes().as_ptr().cast_mut().write_volatile(7) };
        } else {
            gate.pass();
        }
        digest(map.as_bytes())
    })
    .unwrap();
    let killed = Failure::Killed {
        signal: libc::SIGSEGV,
    };
    assert_eq!(pool.wait_one().unwrap().unwrap().result, Err(killed));
    (0..2).for_each(|_| gate.open());
    assert_eq!(pool.join().unwrap(), [expected; 2]);
    assert_eq!(digest(map.as_bytes()), expected);
}

pub(crate) fn no_attack_changes_a_region() {
    let map = large_map(MIB);
    let expected = digest(map.as_bytes());
    let bytes = map.as_bytes();
    let target = Target {
        fd: map.as_fd().unwrap(),
        address: NonNull::from_ref(&bytes[0]).cast(),
        length: bytes.len(),
        owner: process::id(),
    };
    let state = || {
        let file = File::from(target.fd.try_clone_to_owned().unwrap());
        // SAFETY: what this test is about: nobody can change the file.
        let fresh = unsafe { Mmap::map(&file) }.unwrap();
        let seals = fcntl(target.fd, FcntlArg::F_GET_SEALS).unwrap();
        (seals, fresh.len(), digest(&fresh), digest(map.as_bytes()))
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
