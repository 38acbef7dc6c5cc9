//! A descriptor on its way through a Unix socket.

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::{io, ptr};

use nix::errno::Errno;
use nix::libc;

/// Room for the header of a control message and one descriptor, aligned like the header.
type Control = [MaybeUninit<libc::cmsghdr>; 2];

/// A message of one byte with room for a descriptor.
fn with_message<R>(act: impl FnOnce(&mut libc::msghdr) -> R) -> R {
    let mut byte = 0_u8;
    let mut data = libc::iovec {
        iov_base: ptr::from_mut(&mut byte).cast(),
        iov_len: 1,
    };
    let mut control: Control = [const { MaybeUninit::zeroed() }; 2];
    // SAFETY: all zeros are a valid message: one without address, data and control.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut data;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the macro only calculates.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) } as usize;
    assert!(message.msg_controllen <= size_of::<Control>());
    act(&mut message)
}

pub(crate) fn send(socket: &UnixStream, fd: BorrowedFd) -> io::Result<()> {
    with_message(|message| {
        // SAFETY: `with_message` made room for one header and one descriptor behind it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
            libc::CMSG_DATA(header)
                .cast::<RawFd>()
                .write_unaligned(fd.as_raw_fd());
            Errno::result(libc::sendmsg(socket.as_raw_fd(), message, 0))?;
        }
        Ok(())
    })
}

pub(crate) fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    with_message(|message| {
        let flags = libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the message has valid places for one byte and for its control message.
        Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), message, flags) })?;
        // SAFETY: the kernel has filled the control message, or says that there is none.
        let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() };
        let header = header.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!(header.cmsg_type, libc::SCM_RIGHTS);
        // SAFETY: a message of this type carries a descriptor, which the kernel has just opened
        // for this process alone.
        unsafe {
            let fd = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            Ok(OwnedFd::from_raw_fd(fd))
        }
    })
}
