//! The options of sockets that no safe crate has: of one that hostile processes share, and the groups
//! of the process at the other end.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Gid;

/// `SO_PASSRIGHTS` of Linux 6.16.
const PASS_RIGHTS: c_int = 83;

/// What a new socket has, of all that decides whether a descriptor in its queue can be peeked at:
/// what is attached to messages would take the room of the descriptor.
const DEFAULTS: [(c_int, c_int); 6] = [
    (libc::SO_PASSCRED, 0),
    (libc::SO_PASSSEC, 0),
    (libc::SO_PASSPIDFD, 0),
    (libc::SO_TIMESTAMP, 0),
    (libc::SO_PEEK_OFF, -1),
    (PASS_RIGHTS, 1),
];

/// Undoes what others have set. A kernel that does not know an option needs no undoing.
pub(super) fn restore(socket: impl AsFd) {
    let socket = socket.as_fd().as_raw_fd();
    for (option, value) in DEFAULTS {
        // SAFETY: `socket` is open while it is borrowed; the kernel reads one `c_int` at the
        // address of `value`, which is one and lives until the call returns.
        unsafe {
            libc::setsockopt(
                socket,
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<c_int>() as libc::socklen_t,
            )
        };
    }
}

/// The supplementary groups of the process at the other end of a socket, as they were when it
/// connected. Linux has as many as 65,536.
///
/// # Errors
/// `ENOPROTOOPT` before Linux 4.13.
pub(crate) fn peer_groups(socket: impl AsFd) -> io::Result<Vec<Gid>> {
    const MOST: usize = 65_536;
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let mut length = size_of_val(&groups[..]) as libc::socklen_t;
        // SAFETY: the socket is open while it is borrowed; the kernel writes at most `length` bytes
        // at the address of `groups`, which has them, and any bytes are valid group numbers.
        let got = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<libc::gid_t>();
        match Errno::result(got) {
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups.into_iter().map(Gid::from_raw).collect());
            }
            // The kernel says how many there are.
            Err(Errno::ERANGE) if count > groups.len() && count <= MOST => groups.resize(count, 0),
            Err(errno) => return Err(errno.into()),
        }
    }
}
