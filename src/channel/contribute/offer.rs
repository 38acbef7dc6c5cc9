//! A contribution as the owner received it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, Shutdown, SocketType, shutdown};

use super::outcome::Outcome;
use super::peers::Contributor;
use super::protocol::{LONGEST_REQUEST, OFFER, answer, request};
use crate::error::NotTaken;
use crate::sys::memfd::SealedFile;
use crate::sys::message::{MOST_DESCRIPTORS, Received, send};
use crate::sys::owner::Owner;
use crate::sys::peer;

/// A contribution: files with all seals, of a length that the limits allow, of which not a byte was
/// read. Dropping it lets its contributor know that it was not taken.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) files: Vec<OwnedFd>,
    pub(super) length: u64,
    pub(super) peer: Contributor,
    pub(super) reply: Reply,
}

impl Offer {
    /// Bytes of the files.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn contributor(&self) -> Contributor {
        self.peer
    }
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Reply {
    socket: OwnedFd,
    owner: Owner,
}

impl Reply {
    /// Refuses anything but a socket that the contributor has made for this: what the owner sends,
    /// it sends in its own name, and so not to whomever somebody else likes.
    pub(super) fn open(socket: OwnedFd, peer: Contributor) -> Option<Self> {
        let is_own = is_local(&socket) && of(&socket) == Some(peer);
        let owner = Owner::here();
        is_own.then_some(Self { socket, owner })
    }

    /// Nobody may be there any more.
    pub(super) fn send(self, outcome: &Outcome) {
        let _ = send(&self.socket, &answer(outcome), &[]);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // A child of the owner may have it open too, and leaves it to the owner.
        if self.owner.check("a contribution").is_ok() {
            let _ = shutdown(&self.socket, Shutdown::Both);
        }
    }
}

/// The process that has made a pair of sockets.
pub(super) fn of(socket: impl AsFd) -> Option<Contributor> {
    let (process, user) = peer::number_and_user(socket).ok()?;
    Some(Contributor {
        user: user.as_raw(),
        process,
    })
}

pub(super) fn is_local(socket: impl AsFd) -> bool {
    socket_domain(&socket) == Ok(AddressFamily::UNIX)
        && socket_type(&socket) == Ok(SocketType::SEQPACKET)
}

/// The files of a delta, with their length in bytes.
type Files = (Vec<OwnedFd>, u64);

/// What a message on a lane was: where its answer goes, and the files.
pub(super) fn read(
    received: Received,
    bytes: &[u8; LONGEST_REQUEST],
    peer: Contributor,
) -> (Option<Reply>, Result<Files, NotTaken>) {
    let invalid = |reason: String| NotTaken::Invalid { reason };
    let is_full = received.descriptors.len() == MOST_DESCRIPTORS;
    let mut descriptors = received.descriptors.into_iter();
    let reply = descriptors.next();
    let reply = reply.and_then(|socket| Reply::open(socket, peer));
    if received.length != LONGEST_REQUEST || *bytes != request(OFFER) {
        return (
            reply,
            Err(invalid("this message is no contribution".to_owned())),
        );
    }
    if is_full {
        let reason = "more descriptors came than a delta has files".to_owned();
        return (reply, Err(invalid(reason)));
    }
    if received.truncated {
        let reason = "more descriptors came than the owner may open".to_owned();
        return (reply, Err(NotTaken::Failed { reason }));
    }
    let mut length = 0_u64;
    let mut files = Vec::with_capacity(descriptors.len());
    for descriptor in descriptors {
        match SealedFile::open(descriptor) {
            Ok(file) => {
                length = length.saturating_add(file.length());
                files.push(File::from(file).into());
            }
            Err(error) => return (reply, Err(invalid(error.to_string()))),
        }
    }
    match files.is_empty() {
        true => (reply, Err(invalid("no file came with it".to_owned()))),
        false => (reply, Ok((files, length))),
    }
}
