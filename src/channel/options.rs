//! The options of a socket that hostile processes share.

use std::ffi::c_int;
use std::os::fd::AsFd;

use nix::libc;

use crate::sys::process::set_socket_option;

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
    for (option, value) in DEFAULTS {
        let _ = set_socket_option(&socket, option, value);
    }
}
