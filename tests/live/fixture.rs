//! What the tests publish.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::{fs, thread};

use floe::{Frozen, Live, Publisher};
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
};
use nix::unistd::getpid;
use tempfile::TempDir;

/// A value that shows whether it is whole: equal numbers.
pub(crate) type Numbers = Vec<u64>;

const COUNT: usize = 1000;

pub(crate) fn numbers(generation: u64) -> Numbers {
    vec![generation; COUNT]
}

/// A publisher of the first generation, and a handle for its workers.
pub(crate) fn channel() -> (Publisher, Live<Numbers>) {
    let first = Frozen::freeze("numbers", &numbers(1)).unwrap();
    let publisher = Publisher::new(&first).unwrap();
    let live = publisher.subscribe().unwrap();
    (publisher, live)
}

pub(crate) fn publish_next(publisher: &Publisher) -> u64 {
    let generation = publisher
        .freeze(&Numbers::new())
        .unwrap()
        .region()
        .generation();
    let next = publisher.freeze(&numbers(generation)).unwrap();
    publisher.publish(&next).unwrap();
    generation
}

/// The generation that a handle reads, all of whose numbers agree.
pub(crate) fn read(live: &mut Live<Numbers>) -> u64 {
    let values = live.get_stale();
    let first = values[0];
    assert_eq!(values.len(), COUNT);
    assert!(values.iter().all(|value| *value == first), "torn");
    assert_eq!(live.generation(), first);
    first.to_native()
}

/// The descriptors of this process that lead to files of such names, in their order.
pub(crate) fn descriptors(name: &str) -> Vec<RawFd> {
    let entries = fs::read_dir(format!("/proc/{}/fd", getpid())).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let leads = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|link| link.to_string_lossy().contains(name))
    };
    let number = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
    let mut found: Vec<RawFd> = paths.filter(leads).filter_map(number).collect();
    found.sort_unstable();
    found
}

/// What a hostile worker gets hold of: the owner's end of the mailbox and the readers' end.
pub(crate) fn mailbox() -> [BorrowedFd<'static>; 2] {
    let sockets = descriptors("socket:");
    assert_eq!(sockets.len(), 2, "there is one mailbox in this process");
    // SAFETY: the channel of the test, which is inherited, keeps them open.
    [sockets[0], sockets[1]].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A path for a socket in a directory of its own.
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

impl Socket {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            path: directory.path().join("broker"),
            _directory: directory,
        }
    }

    /// A client that has said nothing yet.
    pub(crate) fn connect(&self) -> OwnedFd {
        let socket = seqpacket();
        let address = UnixAddr::new(&self.path).unwrap();
        while let Err(errno) = socket::connect(socket.as_raw_fd(), &address) {
            assert_eq!(errno, Errno::EAGAIN);
            thread::yield_now();
        }
        socket
    }

    /// What a hostile broker listens on.
    pub(crate) fn listen(&self) -> OwnedFd {
        let listener = seqpacket();
        let address = UnixAddr::new(&self.path).unwrap();
        socket::bind(listener.as_raw_fd(), &address).unwrap();
        socket::listen(&listener, Backlog::MAXCONN).unwrap();
        listener
    }
}

fn seqpacket() -> OwnedFd {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// Sends a message with descriptors.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[RawFd]) -> nix::Result<usize> {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let socket = socket.as_fd().as_raw_fd();
    socket::sendmsg::<()>(socket, &[IoSlice::new(bytes)], rights, flags, None)
}
