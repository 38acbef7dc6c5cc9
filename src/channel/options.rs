//! The options of a socket that hostile processes share.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc;

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
