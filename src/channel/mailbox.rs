//! The mailbox: a socket pair whose queue holds one message, with the page files of the newest
//! generation.
//!
//! Readers peek, which copies the descriptors and leaves the message in place. The owner takes the
//! old message out at the same end, once the new one is in. Only where the user may have no more
//! descriptors in flight it comes first: readers that find nothing look again.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use std::{io, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
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
/// How often a message is sent again when others have taken the room that was made for it, and how
/// long to wait in between.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(2);

/// A message in a mailbox.
pub(crate) struct Letter {
    pub(crate) generation: u64,
    /// The page files of its region, in their order.
    pub(crate) files: Vec<OwnedFd>,
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
/// there is no room for its descriptors.
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
        descriptors,
        truncated,
    } = receive(receiver, &mut generation, RecvFlags::PEEK)?;
    match (length, descriptors.len()) {
        (MESSAGE, _) if truncated => Err(Errno::MFILE.into()),
        (MESSAGE, 1..) => Ok(Letter {
            generation: u64::from_ne_bytes(generation),
            files: descriptors,
        }),
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

/// Whether the user of this process may have no more descriptors in flight: more than
/// `RLIMIT_NOFILE` in messages that nobody has received yet, of all its processes.
pub(crate) fn is_crowded(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::TOOMANYREFS)
}

/// Sends a message; where others have filled the queue or let it take no descriptors, or where the
/// user has too many of them in flight, makes room first.
///
/// # Errors
/// Those of sending. If the user [still](is_crowded) has too many in flight, the mailbox is empty.
pub(super) fn put(
    sender: impl AsFd,
    receiver: impl AsFd,
    generation: u64,
    files: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let put = || send(&sender, &generation.to_ne_bytes(), files);
    let first = put();
    let Err(error) = &first else { return first };
    if is_crowded(error) {
        for _ in 1..ATTEMPTS {
            clear(&receiver);
            match put() {
                Err(error) if is_crowded(&error) => thread::sleep(PAUSE),
                other => return other,
            }
        }
        return put();
    }
    match error.kind() {
        io::ErrorKind::WouldBlock => clear(&receiver),
        io::ErrorKind::PermissionDenied => restore(&receiver),
        _ => return first,
    }
    put()
}

/// Wakes those who poll a mailbox that holds the message of a generation: by the same once more, or
/// by a byte behind it where that cannot be sent.
pub(super) fn wake(
    sender: impl AsFd,
    receiver: impl AsFd,
    generation: u64,
    files: &[BorrowedFd<'_>],
) {
    match send(&sender, &generation.to_ne_bytes(), files) {
        Ok(()) => keep_newest(receiver, generation),
        // The next publication takes it out again.
        Err(error) if is_crowded(&error) => drop(send(&sender, b".", &[])),
        Err(_) => {
            let _ = put(&sender, &receiver, generation, files);
            keep_newest(receiver, generation);
        }
    }
}

/// Whether there is nothing to peek at.
pub(super) fn is_empty(receiver: impl AsFd) -> bool {
    ioctl_fionread(receiver).is_ok_and(|bytes| bytes == 0)
}

/// Tells all readers that nothing will come any more. What is in the mailbox stays.
pub(super) fn close(sender: impl AsFd) {
    let _ = shutdown(sender, Shutdown::Both);
}

/// Whether nothing will come any more: it was closed, or nobody has the owner's end.
pub(super) fn is_closed(receiver: BorrowedFd<'_>) -> bool {
    // Readers can send nothing, so it is hung up as soon as they can receive nothing more.
    let mut polled = [PollFd::new(receiver, PollFlags::POLLHUP)];
    poll(&mut polled, PollTimeout::ZERO) == Ok(1)
}

fn clear(receiver: impl AsFd) {
    (0..MOST_REMOVED).any(|_| !remove(&receiver));
}

/// Removes the oldest message; `false` if there is none.
fn remove(receiver: impl AsFd) -> bool {
    // Without room for descriptors, the kernel opens none.
    recv(receiver, &mut [0_u8; 1], RecvFlags::DONTWAIT).is_ok()
}

/// Removes messages, the oldest first, until what is left is the length of one.
pub(super) fn keep_newest(receiver: impl AsFd, newest: u64) {
    for _ in 0..MOST_REMOVED {
        let surplus = match ioctl_fionread(&receiver) {
            Ok(bytes) => bytes > MESSAGE as u64,
            // Where the kernel does not tell how much is there, the message in front does.
            Err(_) => oldest(&receiver).is_some_and(|generation| generation != newest),
        };
        if !surplus || !remove(&receiver) {
            break;
        }
    }
}

/// The generation of the message in front, without opening its descriptor.
fn oldest(receiver: impl AsFd) -> Option<u64> {
    let mut generation = [0; MESSAGE];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (length, _) = recv(receiver, &mut generation, flags).ok()?;
    (length == MESSAGE).then(|| u64::from_ne_bytes(generation))
}
