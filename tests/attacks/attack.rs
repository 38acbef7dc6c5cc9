//! What a worker may try in order to write to memory that is sealed.
#![allow(missing_docs)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use floe::prefork;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, SealFlag, fallocate};
use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mprotect};
use nix::unistd::ftruncate;

/// What a worker has that was forked from the owner of the memory.
pub struct Target<'a> {
    pub fd: BorrowedFd<'a>,
    pub address: NonNull<c_void>,
    pub length: usize,
    pub owner: u32,
}

const GARBAGE: [u8; 16] = [0x55; 16];

pub type Attack = fn(&Target) -> io::Result<()>;

/// Each attack with the refusals that are expected, that of root first.
pub const ATTACKS: [(&str, &[Errno], Attack); 13] = [
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

/// Attacks from a worker; the errno of the refusal, or 0.
pub fn attacked(target: &Target, attack: Attack) -> i32 {
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
