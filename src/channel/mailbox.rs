//! The mailbox: a socket pair whose queue holds one message, with the region of the newest
//! generation.
//!
//! Readers peek, which copies the descriptor and leaves the message in place. The owner takes the
//! old message out at the same end, once the new one is in.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{
    AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, recv, shutdown, socketpair,
};

use super::options::restore;
use crate::sys::message::{Received, receive, send};

/// A message is the number of a generation.
const MESSAGE: usize = 8;
/// How many messages are removed in one go: more than the buffer of a socket holds.
const MOST_REMOVED: usize = 4096;

/// A message in a mailbox.
pub(crate) struct Letter {
    pub(crate) generation: u64,
    pub(crate) region: OwnedFd,
}

/// Both ends of a new mailbox: the owner's, and the one that readers share and can send nothing
/// with.
pub(super) fn create() -> io::Result<(OwnedFd, OwnedFd)> {
    let (sender, receiver) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    shutdown(&receiver, Shutdown::Write)?;
    Ok((sender, receiver))
}

/// Looks at the oldest message.
///
/// # Errors
/// `WouldBlock` if there is none; `InvalidData` if it is not of the owner's making; `EMFILE` if
/// there is no room for its descriptor.
pub(super) fn peek(receiver: impl AsFd) -> io::Result<Letter> {
    look(&receiver).or_else(|_| {
        restore(&receiver);
        look(&receiver)
    })
}

fn look(receiver: impl AsFd) -> io::Result<Letter> {
    let mut generation = [0; MESSAGE];
    let Received {
        length,
        mut descriptors,
        truncated,
    } = receive(receiver, &mut generation, RecvFlags::PEEK)?;
    match (length, descriptors.len()) {
        (MESSAGE, 1) => Ok(Letter {
            generation: u64::from_ne_bytes(generation),
            region: descriptors.remove(0),
        }),
        (MESSAGE, 0) if truncated => Err(Errno::MFILE.into()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whether readers find a generation. Without a descriptor to look with, it is taken to be there.
pub(super) fn holds(receiver: impl AsFd, generation: u64) -> bool {
    match peek(receiver) {
        Ok(letter) => letter.generation == generation,
        Err(error) => matches!(
            Errno::from_io_error(&error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
        ),
    }
}

/// Whether sending failed for what another process has done to the mailbox.
pub(super) fn is_spoiled(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::PermissionDenied
    )
}

/// Sends a message; where others have filled the queue or let it take no descriptors, makes room
/// first.
pub(super) fn put(
    sender: impl AsFd,
    receiver: impl AsFd,
    generation: u64,
    region: BorrowedFd<'_>,
) -> io::Result<()> {
    let put = || send(&sender, &generation.to_ne_bytes(), &[region]);
    match put() {
        Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
            (0..MOST_REMOVED).any(|_| !remove(&receiver));
            put()
        }
        Err(refused) if refused.kind() == io::ErrorKind::PermissionDenied => {
            restore(&receiver);
            put()
        }
        other => other,
    }
}

/// Removes the oldest message; `false` if there is none.
pub(super) fn remove(receiver: impl AsFd) -> bool {
    // Without room for descriptors, the kernel opens none.
    recv(receiver, &mut [0_u8; 1], RecvFlags::DONTWAIT).is_ok()
}

/// Removes messages until what is left is the length of one.
pub(super) fn keep_newest(receiver: impl AsFd) {
    let waiting = || ioctl_fionread(&receiver).unwrap_or(0);
    for _ in 0..MOST_REMOVED {
        if waiting() <= MESSAGE as u64 || !remove(&receiver) {
            break;
        }
    }
}
