//! The contributor's end of its connection.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Uid, geteuid};

use super::protocol::{CONNECT, LONGEST_REPLY, OFFER, read_goodbye, request};
use crate::error::NotTaken;
use crate::sys::message::{receive_from, send};
use crate::sys::owner::Owner;

/// A connection to the owner of a cache, of the process that has made it.
#[derive(Debug)]
pub(crate) struct Lane {
    socket: OwnedFd,
    maker: Owner,
    user: Uid,
}

impl Lane {
    /// Connects through a door. The owner need not have looked yet.
    ///
    /// # Errors
    /// `WouldBlock` if too many others have connected at which the owner has not looked.
    pub(super) fn open(door: impl AsFd) -> io::Result<Self> {
        let (socket, of_owner) = pair()?;
        send(door, &request(CONNECT), &[of_owner.as_fd()])?;
        Ok(Self {
            socket,
            maker: Owner::here(),
            user: geteuid(),
        })
    }

    /// Whether this process has made it, rather than one that it was forked from, and as the same
    /// user: answers go to nobody else.
    pub(super) fn is_own(&self) -> bool {
        self.is_of_this_process() && self.user == geteuid()
    }

    pub(super) fn is_of_this_process(&self) -> bool {
        self.maker.check("a connection").is_ok()
    }

    /// Sends the files of a delta; returns where the answer comes.
    ///
    /// # Errors
    /// `WouldBlock` if there is no room, `BrokenPipe` and `ConnectionReset` if the owner has closed
    /// the lane.
    pub(super) fn offer(&self, files: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
        let (answer, of_owner) = pair()?;
        let descriptors = [&[of_owner.as_fd()], files].concat();
        send(&self.socket, &request(OFFER), &descriptors)?;
        Ok(answer)
    }

    /// Why the owner, whose process has this number, has closed the lane.
    pub(super) fn goodbye(&self, owner: i32) -> Option<NotTaken> {
        let mut bytes = [0; LONGEST_REPLY];
        let (length, sender) = receive_from(&self.socket, &mut bytes, true).ok()?;
        let is_owner = sender.is_some_and(|it| it.pid() == owner);
        read_goodbye(&bytes[..length]).filter(|_| is_owner)
    }
}

/// The end on which this process hears who says something, and the one for the owner.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (own, of_owner) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    set_socket_passcred(&own, true)?;
    Ok((own, of_owner))
}
