//! How a descriptor comes into another process, and how it does not.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitCode};

use floe::map::MapShard;
use floe::{MapBuilder, prefork};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

use crate::fixture::{Large, MIB, Meeting, digest, large_map, regions_held};
use crate::rights;

/// The argument that makes this program print the digest of the region in a descriptor.
pub(crate) const DIGEST: &str = "digest-of-descriptor";

/// Opens a region as somebody who knows nothing of its origin.
fn digest_of(fd: OwnedFd) -> Result<u64, String> {
    let map = Large::from_fd(fd).map_err(|error| error.to_string())?;
    assert_eq!(map.iter().map(|(_, value)| value.len()).sum::<usize>(), MIB);
    Ok(digest(map.region().bytes()))
}

/// What this program does instead of running tests.
pub(crate) fn digest_of_descriptor(number: &str) -> ExitCode {
    let fd: RawFd = number.parse().unwrap();
    // SAFETY: whoever started this program says that it has left this descriptor open for it.
    match digest_of(unsafe { OwnedFd::from_raw_fd(fd) }) {
        Ok(digest) => println!("{digest}"),
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

pub(crate) fn exec_inherits_no_descriptor() {
    let map = large_map(MIB);
    let loaded = {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large.floe");
        map.region().save(&path).unwrap();
        Large::load(path).unwrap()
    };
    let mut builder = MapBuilder::<u32, u32>::new("begun").unwrap();
    builder.insert(&1, &2).unwrap();
    let shard = MapShard::new("shard").unwrap();
    let meeting = Meeting::new();
    let descriptors_after_exec = || {
        let output = Command::new("ls").args(["-l", "/proc/self/fd"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let pool = prefork::spawn(1, |_| {
        let seen = descriptors_after_exec();
        meeting.attend();
        seen
    })
    .unwrap();
    // The answer of the worker is open as well while it lives.
    let in_owner = meeting.hold(1, descriptors_after_exec);
    assert_eq!(regions_held(), (2, 4), "there is something to inherit");
    for seen in pool.join().unwrap().into_iter().chain([in_owner]) {
        assert!(seen.contains("/proc/"), "{seen}");
        assert!(!seen.contains("/memfd:floe"), "{seen}");
    }
    drop((loaded, builder, shard));
}

pub(crate) fn exec_opens_a_descriptor_that_was_handed_over() {
    let map = large_map(MIB);
    let fd = map.region().as_fd().unwrap().as_raw_fd();
    let keep_open = move || {
        // SAFETY: `map` outlives the command, so the child has inherited its descriptor.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    };
    let mut command = Command::new("/proc/self/exe");
    command.args([DIGEST, &fd.to_string()]);
    // SAFETY: the closure makes one system call, and neither allocates nor locks.
    unsafe { command.pre_exec(keep_open) };
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.trim_end(), digest(map.region().bytes()).to_string());
    assert!(output.status.success());
}

pub(crate) fn a_socket_carries_a_descriptor() {
    let map = large_map(MIB);
    let expected = digest(map.region().bytes());
    let map = RefCell::new(Some(map));
    let (here, there) = UnixStream::pair().unwrap();
    let pool = prefork::spawn(1, |_| {
        drop(map.take());
        let held = regions_held();
        (held, digest_of(rights::receive(&there).unwrap()))
    })
    .unwrap();
    let map = map.take().unwrap();
    rights::send(&here, map.region().as_fd().unwrap()).unwrap();
    // The message alone keeps the region, until it is received.
    drop(map);
    assert_eq!(pool.join().unwrap(), [((0, 0), Ok(expected))]);
}

pub(crate) fn another_user_only_reads_what_it_inherited() {
    let map = large_map(MIB);
    let fd = map.region().as_fd().unwrap().as_raw_fd();
    let paths = [
        format!("/proc/{}/fd/{fd}", process::id()),
        format!("/proc/self/fd/{fd}"),
    ];
    let pool = prefork::spawn(1, |_| {
        become_nobody();
        let open = |path: &String, write| File::options().read(true).write(write).open(path);
        let attempts = paths
            .iter()
            .flat_map(|path| [open(path, false), open(path, true)]);
        let refused: Vec<Option<i32>> = attempts.map(|tried| errno_of(&tried)).collect();
        (refused, digest(map.region().bytes()))
    });
    let (refused, read) = pool.unwrap().join().unwrap().remove(0);
    assert_eq!(refused, [Some(libc::EACCES); 4]);
    assert_eq!(read, digest(map.region().bytes()));
}

fn errno_of<T>(tried: &io::Result<T>) -> Option<i32> {
    tried.as_ref().err().and_then(io::Error::raw_os_error)
}

fn become_nobody() {
    const NOBODY: u32 = 65534;
    // SAFETY: the calls take plain numbers and an empty list.
    unsafe {
        Errno::result(libc::setgroups(0, std::ptr::null())).unwrap();
        Errno::result(libc::setgid(NOBODY)).unwrap();
        Errno::result(libc::setuid(NOBODY)).unwrap();
    }
}
