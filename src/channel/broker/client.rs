//! Asking a broker.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::Uid;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::access::is_own;
use super::address::Target;
use super::protocol::{LONGEST, Reply, Request, read_list};
use super::socket::new_socket;
use crate::channel::{ChannelStatus, ControlPage, Live, Subscription};
use crate::error::{BrokerError, Error, Result};
use crate::frozen::{Content, Trust};
use crate::region::format::check_name;
use crate::sys::memfd::SealedFile;
use crate::sys::message::{receive, send};
use crate::sys::peer;

/// How long a client waits for a broker that is busy or dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between attempts to connect to a broker whose queue is full, or that is busy.
const PAUSE: Duration = Duration::from_millis(2);

/// A client of the broker on a socket: [`list`], [`fetch`] and [`Live::connect`] with options.
///
/// A client accepts a broker only if its process belongs to this user, to root, or to a user
/// trusted by [`trust_user`](Self::trust_user): the broker decides what a client reads.
///
/// ```
/// use std::time::Duration;
/// use floe::{Broker, Client, Frozen, Publisher};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("floe.sock");
/// let serve = |answer: u32| {
///     let publisher = Publisher::new(&Frozen::freeze("answer", &answer)?)?;
///     Broker::serve(&path, [&publisher])
/// };
/// let first = serve(41)?;
/// let client = Client::new(&path).reconnect_every(Duration::from_millis(1));
/// let mut live = client.follow::<u32>("answer")?;
/// assert_eq!(*live.get()?, 41);
///
/// // The owner ends, and another one begins.
/// drop(first);
/// let _second = serve(42)?;
/// assert!(live.wait_newer(Duration::from_secs(10)));
/// assert_eq!(*live.get()?, 42);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
    trusted: Vec<Uid>,
    reconnect_every: Option<Duration>,
}

impl Client {
    /// Creates a client of the broker on a socket. The socket need not exist yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            trusted: Vec::new(),
            reconnect_every: None,
        }
    }

    /// Also trusts brokers of this user, given by its number.
    #[must_use]
    pub fn trust_user(mut self, user: u32) -> Self {
        self.trusted.push(Uid::from_raw(user));
        self
    }

    /// Makes handles connect again once they are [orphaned](Live::is_orphaned), with this pause
    /// between attempts; see [`Live`].
    #[must_use]
    pub fn reconnect_every(mut self, pause: Duration) -> Self {
        self.reconnect_every = Some(pause);
        self
    }

    /// The caches that the broker offers, by name. If a status cannot be read, its
    /// [`last_error`](ChannelStatus::last_error) says why.
    ///
    /// # Errors
    /// [`BrokerError::Step`] if there is no broker, or it does not answer within 5 seconds.
    /// [`BrokerError::Busy`] if it has no room for another answer until then.
    /// [`BrokerError::NotBroker`] if something else answers. [`BrokerError::Foreign`].
    /// [`BrokerError::Refused`].
    pub fn list(&self) -> Result<Vec<ChannelStatus>> {
        match self.ask(&Request::List, PATIENCE)? {
            (Reply::List, descriptors) => self.received_list(descriptors),
            _ => Err(self.not_broker()),
        }
    }

    /// The sealed memfds of the newest generation of a cache, for tools that read caches of any
    /// type, and for [`Frozen::from_fds`]. Only their seals have been checked.
    ///
    /// # Errors
    /// Those of [`follow`](Self::follow), without those of [`Frozen::from_fd`].
    ///
    /// [`Frozen::from_fd`]: crate::Frozen::from_fd
    /// [`Frozen::from_fds`]: crate::Frozen::from_fds
    pub fn fetch(&self, name: &str) -> Result<Vec<OwnedFd>> {
        let subscription = self.subscribe(name, PATIENCE)?;
        let (_, files) = subscription.patiently(Subscription::fetch)?;
        let sealed = files.into_iter().map(SealedFile::open);
        sealed.map(|it| Ok(File::from(it?).into())).collect()
    }

    /// Follows a cache. The handle does not need the broker afterwards.
    ///
    /// Each generation is checked as by [`Frozen::from_fd`]; an owner that is trusted to have done
    /// that is followed by [`follow_trusting`](Self::follow_trusting).
    ///
    /// # Errors
    /// Those of [`list`](Self::list). [`Error::UnknownCache`]. Those of [`Frozen::from_fd`], such
    /// as [`Error::SchemaMismatch`] for another type.
    ///
    /// [`Frozen::from_fd`]: crate::Frozen::from_fd
    pub fn follow<T: Content>(&self, name: &str) -> Result<Live<T>> {
        Live::of_client(self, self.subscribe(name, PATIENCE)?)
    }

    /// The same, of an owner that is trusted to have checked what it publishes. Takes no time,
    /// whatever the size of the cache.
    ///
    /// # Errors
    /// As [`follow`](Self::follow).
    pub fn follow_trusting<T: Content>(&self, name: &str, trust: Trust<T>) -> Result<Live<T>> {
        let subscription = self.subscribe(name, PATIENCE)?;
        Live::of_client(self, subscription.trusting(&trust))
    }

    pub(crate) fn pause(&self) -> Option<Duration> {
        self.reconnect_every
    }

    /// The channel of a cache, from a broker that need not be honest.
    ///
    /// # Errors
    /// Those of [`list`], [`Error::Name`], [`Error::UnknownCache`] and those of
    /// [`ControlPage::open`].
    pub(crate) fn subscribe(&self, name: &str, patience: Duration) -> Result<Subscription> {
        check_name(name)?;
        let request = Request::Follow {
            name: name.to_owned(),
        };
        match self.ask(&request, patience)? {
            (Reply::Channel, descriptors) => {
                let mut descriptors = descriptors.into_iter();
                let (Some(control), Some(mailbox), door, None) = (
                    descriptors.next(),
                    descriptors.next(),
                    descriptors.next(),
                    descriptors.next(),
                ) else {
                    return Err(self.not_broker());
                };
                let control = ControlPage::open(control)?;
                let channel = Subscription::new(name.to_owned(), control, mailbox);
                Ok(channel.with_door(door.map(Arc::new)))
            }
            (Reply::Unknown, descriptors) => {
                let known = self.received_list(descriptors)?;
                Err(Error::UnknownCache {
                    name: name.to_owned(),
                    place: self.path.display().to_string(),
                    known: known.into_iter().map(|status| status.name).collect(),
                })
            }
            _ => Err(self.not_broker()),
        }
    }

    fn received_list(&self, descriptors: Vec<OwnedFd>) -> Result<Vec<ChannelStatus>> {
        let Ok([list]) = <[OwnedFd; 1]>::try_from(descriptors) else {
            return Err(self.not_broker());
        };
        read_list(list).map_err(self.failed("read the list of"))
    }

    /// Asks until there is an answer.
    fn ask(&self, request: &Request, patience: Duration) -> Result<(Reply, Vec<OwnedFd>)> {
        let until = Instant::now() + patience;
        let mut is_busy = false;
        loop {
            match self.ask_once(request, until) {
                Ok((Reply::Refused, _)) => {
                    return Err(Error::Broker(BrokerError::Refused {
                        path: self.path.clone(),
                    }));
                }
                Ok((Reply::Busy, _)) => is_busy = true,
                // The time ran out before another answer.
                Err(Error::Broker(BrokerError::Step { .. }))
                    if is_busy && Instant::now() >= until => {}
                answered => return answered,
            }
            if Instant::now() >= until {
                return Err(Error::Broker(BrokerError::Busy {
                    path: self.path.clone(),
                }));
            }
            thread::sleep(PAUSE);
        }
    }

    fn ask_once(&self, request: &Request, until: Instant) -> Result<(Reply, Vec<OwnedFd>)> {
        let connected = connected(&self.path, until);
        let socket = connected.map_err(|source| match Errno::from_io_error(&source) {
            Some(Errno::PROTOTYPE) => self.not_broker(),
            _ => self.failed("connect to")(source),
        })?;
        self.check_user(&socket)?;
        send(&socket, &request.encode(), &[]).map_err(self.failed("ask"))?;
        let unanswered = || self.failed("get an answer from");
        wait_readable(&socket, until).map_err(unanswered())?;
        let mut bytes = [0; LONGEST];
        let reply = receive(&socket, &mut bytes, RecvFlags::empty()).map_err(unanswered())?;
        if reply.length == 0 {
            return Err(unanswered()(io::ErrorKind::UnexpectedEof.into()));
        }
        match Reply::decode(&bytes[..reply.length.min(LONGEST)]) {
            Some(kind) => Ok((kind, reply.descriptors)),
            None => Err(self.not_broker()),
        }
    }

    /// Refuses a broker of a user that nobody has said to trust.
    fn check_user(&self, socket: &OwnedFd) -> Result<()> {
        let (user, _) = peer::credentials(socket).map_err(self.failed("ask for the user of"))?;
        if is_own(user) || self.trusted.contains(&user) {
            return Ok(());
        }
        Err(Error::Broker(BrokerError::Foreign {
            path: self.path.clone(),
            user: user.as_raw(),
        }))
    }

    fn failed(&self, step: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.path.clone();
        move |source| {
            Error::Broker(BrokerError::Step {
                path,
                step,
                reason: source,
            })
        }
    }

    fn not_broker(&self) -> Error {
        Error::Broker(BrokerError::NotBroker {
            path: self.path.clone(),
        })
    }
}

/// The caches that the broker on a socket offers, by name: as [`Client::list`].
///
/// # Errors
/// Those of [`Client::list`].
pub fn list(path: impl AsRef<Path>) -> Result<Vec<ChannelStatus>> {
    Client::new(path).list()
}

/// The sealed memfds of the newest generation of a cache: as [`Client::fetch`].
///
/// # Errors
/// Those of [`Client::fetch`].
pub fn fetch(path: impl AsRef<Path>, name: &str) -> Result<Vec<OwnedFd>> {
    Client::new(path).fetch(name)
}

/// A connection; it does not wait for a queue that is full, so that waiting has an end.
fn connected(path: &Path, until: Instant) -> io::Result<OwnedFd> {
    let (target, socket) = (Target::of(path)?, new_socket()?);
    loop {
        match target.connect(&socket) {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= until {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                thread::sleep(PAUSE);
            }
            other => return other.map(|()| socket),
        }
    }
}

fn wait_readable(socket: impl AsFd, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        // Rounded up, so that it does not give up before its time.
        let left = left.as_millis().saturating_add(1);
        match poll(&mut polled, u16::try_from(left).unwrap_or(u16::MAX)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
