//! Who is at the other end of a socket, as the kernel knows it: whoever made the pair, or began to
//! listen.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::{PeerCredentials, PeerPidfd};
use nix::unistd::{Gid, Uid};
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};

/// The process at the other end.
pub(crate) enum Process {
    /// A descriptor that is readable once it has ended.
    Known(OwnedFd),
    Ended,
    /// It is in another pid namespace, and the kernel tells no more.
    Unknown,
}

/// Finds the process at the other end.
///
/// Before Linux 6.5 it goes by the number of the process, which another may have by then.
pub(crate) fn process(socket: impl AsFd) -> Process {
    match getsockopt(&socket, PeerPidfd) {
        Ok(process) => Process::Known(process),
        // Kernels that have no descriptor for a process that is gone say so by one of these.
        Err(Errno::ESRCH | Errno::EINVAL) => Process::Ended,
        Err(_) => by_number(socket),
    }
}

fn by_number(socket: impl AsFd) -> Process {
    let credentials = getsockopt(&socket, PeerCredentials);
    let pid = credentials.map_or(0, |credentials| credentials.pid());
    // It is 0 for one in another namespace.
    let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 0) else {
        return Process::Unknown;
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => Process::Known(process),
        Err(_) if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) => Process::Ended,
        Err(_) => Process::Unknown,
    }
}

/// Whether the process at the other end has ended; `false` where that is not known.
pub(crate) fn has_ended(socket: impl AsFd) -> bool {
    match process(socket) {
        Process::Known(process) => {
            let mut polled = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::ZERO) == Ok(1)
        }
        Process::Ended => true,
        Process::Unknown => false,
    }
}

/// The number of the process at the other end, 0 if it is in another pid namespace, and its user.
pub(crate) fn number_and_user(socket: impl AsFd) -> io::Result<(i32, Uid)> {
    let credentials = getsockopt(&socket, PeerCredentials)?;
    Ok((credentials.pid(), Uid::from_raw(credentials.uid())))
}

/// The user and the group of the process at the other end.
pub(crate) fn credentials(socket: impl AsFd) -> io::Result<(Uid, Gid)> {
    let credentials = getsockopt(&socket, PeerCredentials)?;
    let (user, group) = (credentials.uid(), credentials.gid());
    Ok((Uid::from_raw(user), Gid::from_raw(group)))
}
