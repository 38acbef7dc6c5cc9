//! Messages on Unix sockets that carry descriptors. Nothing here ever blocks or raises `SIGPIPE`.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{self, ControlMessageOwned, MsgFlags, UnixCredentials};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors that a message of ours carries: the page files of a region. The kernel takes
/// 253.
pub(crate) const MOST_DESCRIPTORS: usize = 32;

/// What a message was.
pub(crate) struct Received {
    /// Bytes written into the buffer.
    pub(crate) length: usize,
    /// The first descriptors of the message, closed on exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    /// The buffer was too small for the bytes, or this process may open no more descriptors.
    pub(crate) truncated: bool,
}

/// Sends one message whole, or nothing.
pub(crate) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let pushed = control.push(SendAncillaryMessage::ScmRights(descriptors));
        debug_assert!(pushed, "a message carries {MOST_DESCRIPTORS} descriptors");
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags)?;
    Ok(())
}

/// Receives one message, with `PEEK` a copy of it. However many descriptors somebody has put into
/// it, the kernel opens no more than there is room for; of those, the surplus is closed here.
pub(crate) fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(carried) = part {
            descriptors.extend(carried);
        }
    }
    descriptors.truncate(MOST_DESCRIPTORS);
    Ok(Received {
        length: message.bytes,
        descriptors,
        truncated: message
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC),
    })
}

/// Receives one message without descriptors, from whom the kernel says that it is: its process, as
/// this one sees it, if the socket was told to [say so](rustix::net::sockopt::set_socket_passcred).
/// Returns its length too, 0 once the other end is closed.
pub(crate) fn receive_from(
    socket: impl AsFd,
    buffer: &mut [u8],
    peeks: bool,
) -> io::Result<(usize, Option<UnixCredentials>)> {
    let mut space = nix::cmsg_space!(UnixCredentials);
    let mut flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    flags.set(MsgFlags::MSG_PEEK, peeks);
    let mut slices = [IoSliceMut::new(buffer)];
    let raw = socket.as_fd().as_raw_fd();
    // There is no room for descriptors, so the kernel opens none.
    let message = socket::recvmsg::<()>(raw, &mut slices, Some(&mut space), flags)?;
    let sender = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(sender) => Some(sender),
        _ => None,
    });
    Ok((message.bytes, sender))
}
