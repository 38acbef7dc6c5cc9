//! Asking a broker.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
};

use super::protocol::{LONGEST, Reply, Request, read_list};
use crate::channel::{ChannelStatus, ControlPage, Subscription};
use crate::error::{Error, Result};
use crate::region::format::check_name;
use crate::sys::memfd;
use crate::sys::message::{receive, send};

/// How long a client waits for a broker that is busy or dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to connect to a broker whose queue is full.
const PAUSE: Duration = Duration::from_millis(2);

/// The caches that the broker on a socket offers, by name.
///
/// # Errors
/// [`Error::Broker`] if there is none, or it does not answer within 5 seconds;
/// [`Error::NotBroker`] if something else answers; [`Error::BrokerRefused`].
pub fn list(path: impl AsRef<Path>) -> Result<Vec<ChannelStatus>> {
    let path = path.as_ref();
    match ask(path, &Request::List)? {
        (Reply::List, descriptors) => received_list(path, descriptors),
        _ => Err(not_broker(path)),
    }
}

/// The sealed memory file of the newest generation of a cache, for tools that read caches of any
/// type. Nothing but its seals was checked.
///
/// # Errors
/// Those of [`Live::connect`](crate::Live::connect), but for those of [`Frozen::from_fd`].
///
/// [`Frozen::from_fd`]: crate::Frozen::from_fd
pub fn fetch(path: impl AsRef<Path>, name: &str) -> Result<OwnedFd> {
    let subscription = subscribe(path.as_ref(), name)?;
    let (_, region) = subscription.patiently(Subscription::fetch)?;
    memfd::sealed_length(&region, memfd::all_seals())?;
    Ok(region)
}

/// The channel of a cache, from a broker that need not be honest.
///
/// # Errors
/// Those of [`list`], [`Error::Name`], [`Error::UnknownCache`] and those of
/// [`ControlPage::open`].
pub(crate) fn subscribe(path: &Path, name: &str) -> Result<Subscription> {
    check_name(name)?;
    let request = Request::Follow {
        name: name.to_owned(),
    };
    match ask(path, &request)? {
        (Reply::Channel, descriptors) => {
            let Ok([control, mailbox]) = <[OwnedFd; 2]>::try_from(descriptors) else {
                return Err(not_broker(path));
            };
            let control = ControlPage::open(control)?;
            Ok(Subscription::new(name.to_owned(), control, mailbox))
        }
        (Reply::Unknown, descriptors) => {
            let known = received_list(path, descriptors)?;
            Err(Error::UnknownCache {
                name: name.to_owned(),
                place: path.display().to_string(),
                known: known.into_iter().map(|status| status.name).collect(),
            })
        }
        _ => Err(not_broker(path)),
    }
}

fn received_list(path: &Path, descriptors: Vec<OwnedFd>) -> Result<Vec<ChannelStatus>> {
    let Ok([list]) = <[OwnedFd; 1]>::try_from(descriptors) else {
        return Err(not_broker(path));
    };
    read_list(list).map_err(|source| Error::Broker {
        path: path.to_owned(),
        step: "read the list of",
        source,
    })
}

fn ask(path: &Path, request: &Request) -> Result<(Reply, Vec<OwnedFd>)> {
    let failed = |step| {
        move |source| Error::Broker {
            path: path.to_owned(),
            step,
            source,
        }
    };
    let until = Instant::now() + PATIENCE;
    let socket = connected(path, until).map_err(|source| match Errno::from_io_error(&source) {
        Some(Errno::PROTOTYPE) => not_broker(path),
        _ => failed("connect to")(source),
    })?;
    send(&socket, &request.encode(), &[]).map_err(failed("ask"))?;
    wait_readable(&socket, until).map_err(failed("get an answer of"))?;
    let mut bytes = [0; LONGEST];
    let reply = receive(&socket, &mut bytes, RecvFlags::empty());
    let reply = reply.map_err(failed("get an answer of"))?;
    if reply.length == 0 {
        let gone = io::ErrorKind::UnexpectedEof.into();
        return Err(failed("get an answer of")(gone));
    }
    match Reply::decode(&bytes[..reply.length.min(LONGEST)]) {
        Some(Reply::Refused) => Err(Error::BrokerRefused {
            path: path.to_owned(),
        }),
        Some(kind) => Ok((kind, reply.descriptors)),
        None => Err(not_broker(path)),
    }
}

fn not_broker(path: &Path) -> Error {
    Error::NotBroker {
        path: path.to_owned(),
    }
}

/// A connection; it does not wait for a queue that is full, so that waiting has an end.
fn connected(path: &Path, until: Instant) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket),
            Err(Errno::AGAIN) if Instant::now() < until => thread::sleep(PAUSE),
            Err(Errno::AGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn wait_readable(socket: impl AsFd, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, left.as_millis() as u16) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
