//! Nobody writes to a region.

use std::{
    ffi::c_void,
    fs::File,
    io,
    num::NonZeroUsize,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::FileExt,
    },
    process,
    ptr::NonNull,
};

use floe::prefork::{self, Failure};
use memmap2::{Mmap, MmapMut};
use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl},
    libc,
    sys::{
        memfd::{MFdFlags, memfd_create},
        mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect},
    },
    unistd::ftruncate,
};

use crate::{
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

/// What a worker has that was forked from the owner of a region.
struct Target<'a> {
    fd: BorrowedFd<'a>,
    address: NonNull<c_void>,
    length: usize,
    owner: u32,
}

const GARBAGE: [u8; 16] = [0x55; 16];

type Attack = fn(&Target) -> io::Result<()>;

/// Each attack with the refusals that are expected, that of root first.
const ATTACKS: [(&str, &[Errno], Attack); 13] = [
    ("make it writable", &[Errno::EACCES], make_writable),
    (
        "map it writable",
        &[Errno::EPERM, Errno::EACCES],
        map_writable,
    ),
    ("write to the file", &[Errno::EPERM], |target| {
        write_to(target.fd)
    }),
    ("shrink", &[Errno::EPERM], |target| {
        Ok(ftruncate(target.fd, 1)?)
    }),
    ("grow", &[Errno::EPERM], |target| {
        Ok(ftruncate(target.fd, target.length as i64 * 2)?)
    }),
    ("punch a hole", &[Errno::EPERM], punch_hole),
    (
        "remove pages",
        &[Errno::EACCES, Errno::EINVAL],
        remove_pages,
    ),
    ("write to the memory", &[Errno::EIO], write_to_memory),
    ("reopen it", &[Errno::EPERM, Errno::EACCES], reopen),
    (
        "write to the owner's memory",
        &[Errno::EFAULT, Errno::EPERM],
        write_to_owner,
    ),
    ("read a file into it", &[Errno::EFAULT], read_into),
    ("add a seal", &[Errno::EPERM], |target| {
        set_seals(target, SealFlag::F_SEAL_FUTURE_WRITE)
    }),
    ("remove the seals", &[Errno::EPERM], |target| {
        set_seals(target, SealFlag::empty())
    }),
];

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

/// Attacks from a worker; the errno of the refusal, or 0.
fn attacked(target: &Target, attack: Attack) -> i32 {
    let attacker = prefork::spawn(1, |_| match attack(target) {
        Ok(()) => 0,
        Err(refused) => refused.raw_os_error().unwrap(),
    });
    attacker.unwrap().join().unwrap()[0]
}

fn written(count: usize) -> io::Result<()> {
    assert_eq!(count, GARBAGE.len());
    Ok(())
}

fn make_writable(target: &Target) -> io::Result<()> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the range is a whole mapping of this process, and stays readable.
    unsafe { mprotect(target.address, target.length, protection)? };
    Ok(())
}

fn map_writable(target: &Target) -> io::Result<()> {
    let length = NonZeroUsize::new(target.length).unwrap();
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses where the new mapping lies; nobody uses it.
    unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, target.fd, 0)? };
    Ok(())
}

fn write_to(fd: BorrowedFd) -> io::Result<()> {
    let file = File::from(fd.try_clone_to_owned()?);
    written(file.write_at(&GARBAGE, 0)?)
}

fn punch_hole(target: &Target) -> io::Result<()> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(target.fd, mode, 0, procfs::page_size() as i64)?;
    Ok(())
}

fn remove_pages(target: &Target) -> io::Result<()> {
    let page = procfs::page_size() as usize;
    // SAFETY: the range is one page of a mapping of this process, which stays mapped.
    unsafe { madvise(target.address, page, MmapAdvise::MADV_REMOVE)? };
    Ok(())
}

fn write_to_memory(target: &Target) -> io::Result<()> {
    let memory = File::options().write(true).open("/proc/self/mem")?;
    written(memory.write_at(&GARBAGE, target.address.as_ptr() as u64)?)
}

fn reopen(target: &Target) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", target.fd.as_raw_fd());
    let file = File::options().read(true).write(true).open(path)?;
    written(file.write_at(&GARBAGE, 0)?)
}

/// The region lies at the same address in the owner.
fn write_to_owner(target: &Target) -> io::Result<()> {
    let local = libc::iovec {
        iov_base: GARBAGE.as_ptr().cast_mut().cast(),
        iov_len: GARBAGE.len(),
    };
    let remote = libc::iovec {
        iov_base: target.address.as_ptr(),
        iov_len: GARBAGE.len(),
    };
    let owner = target.owner.cast_signed();
    // SAFETY: both pointers are to one vector each; the call only reads from the local one.
    let count = unsafe { libc::process_vm_writev(owner, &local, 1, &remote, 1, 0) };
    written(Errno::result(count)? as usize)
}

fn read_into(target: &Target) -> io::Result<()> {
    let source = File::open("/dev/zero")?;
    let (address, length) = (target.address.as_ptr(), GARBAGE.len());
    // SAFETY: the kernel writes to the mapping, or refuses; nobody here refers to its bytes.
    let count = unsafe { libc::read(source.as_raw_fd(), address, length) };
    written(Errno::result(count)? as usize)
}

/// Seals are only ever added: an empty set asks for none, as removing would.
fn set_seals(target: &Target, seals: SealFlag) -> io::Result<()> {
    let fd = target.fd.as_raw_fd();
    // SAFETY: the call takes plain numbers.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals.bits()) })?;
    Ok(())
}
