//! Caches for processes that the owner did not start: a broker on a Unix socket hands out the
//! descriptors of channels.
//!
//! ```text
//! request = magic | 1                        list the caches
//!         | magic | 2 | name                 follow a cache
//! reply   = magic | 1 + memfd          list: JSON in a sealed memfd
//!         | magic | 2 + control page, mailbox, and a door to contribute through, if there is one
//!         | magic | 3 + memfd          there is no such cache, but these
//!         | magic | 4                        refused: another user
//!         | magic | 5                        busy: ask again later
//! ```
//! Each connection (`SOCK_SEQPACKET`) carries one request and one reply, each in one message, so
//! the broker never waits for the rest of a message.

mod access;
mod address;
mod client;
mod lock;
mod protocol;
mod server;
mod socket;

use std::collections::BTreeMap;
use std::io::{self, PipeWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::{fmt, mem};

use nix::unistd::Gid;

use crate::channel::Publisher;
use crate::error::{BrokerError, Error, Result};
use crate::sys::owner::Owner;

pub use client::{Client, fetch, list};

use access::Access;
use server::{Server, Stop};
use socket::Place;

/// A thread of the owner that lets unrelated processes follow its caches.
///
/// Clients use [`Live::connect`](crate::Live::connect) and [`list`]; once they have a handle, they
/// do not need the broker. The socket has mode 0600, and the broker answers only processes of the
/// same user and of root, or of a group with [`Broker::serve_group`].
///
/// Serve in a folder that no other user can write to, such as `$XDG_RUNTIME_DIR` or `/run/NAME`. In
/// `/tmp` another user can take the path first; clients then [refuse](BrokerError::Foreign) that
/// user's broker.
///
/// A client that does not receive its answer keeps descriptors in flight, which the kernel counts
/// for the broker's user. So the broker has at most 32 unreceived answers at a time, and tells
/// other clients to ask again.
///
/// The broker is a thread, so [`prefork::spawn`](crate::prefork::spawn) refuses while it runs: fork
/// first, then serve. A child that is forked nevertheless has the socket open but no thread, and
/// dropping the broker there does nothing. If the owner is killed then, clients get no answer until
/// the next owner serves. That one replaces the socket; before Linux 6.5 it can do so only once the
/// child has ended too.
///
/// Dropping the broker ends the thread and removes the socket.
///
/// ```
/// use floe::{Broker, Frozen, Live, Publisher};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("floe.sock");
/// let publisher = Publisher::new(&Frozen::freeze("answer", &42_u32)?)?;
/// let broker = Broker::serve(&path, [&publisher])?;
///
/// // In any other process of the same user:
/// let mut live = Live::<u32>::connect(&path, "answer")?;
/// assert_eq!(*live.get()?, 42);
/// assert_eq!(floe::broker::list(&path)?[0].name, "answer");
/// # Ok::<(), floe::Error>(())
/// ```
#[must_use = "dropping a broker ends it"]
pub struct Broker {
    caches: Caches,
    place: Place,
    owner: Owner,
    /// Ends the thread, once it wakes.
    stopped: Arc<AtomicBool>,
    /// A byte in this pipe, or its end, wakes the thread.
    wake: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// The caches that a broker offers, by name.
#[derive(Clone, Default)]
struct Caches(Arc<Mutex<BTreeMap<String, Publisher>>>);

impl Caches {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Publisher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// Starts a broker on a new socket. Replaces the socket of a broker that has died.
    ///
    /// The folder need not be readable. While the broker starts, a file `.floe-*.lock` stands
    /// beside the socket. Paths above 108 bytes need `/proc`.
    ///
    /// # Errors
    /// [`BrokerError::Serve`], with `AddrInUse` if a live broker or another kind of file is there.
    /// [`Error::NotOwner`] for publishers of another process.
    pub fn serve<'a>(
        path: impl AsRef<Path>,
        publishers: impl IntoIterator<Item = &'a Publisher>,
    ) -> Result<Self> {
        Self::start(path.as_ref(), Access::default(), publishers)
    }

    /// Starts a broker that also answers the members of a group, given by its number: processes
    /// that have it as their own or a supplementary group. The socket has mode 0660 and belongs
    /// to the group. This process must be a member of it, or root's.
    ///
    /// Members can read every offered cache and write to none, unless a cache
    /// [accepts](crate::contribute::Limits::other_users) what they contribute. Like workers they can
    /// keep others from getting a newer generation. Members that are other users must
    /// [trust](Client::trust_user) the user of this process explicitly.
    ///
    /// # Errors
    /// Those of [`serve`](Self::serve).
    pub fn serve_group<'a>(
        path: impl AsRef<Path>,
        group: u32,
        publishers: impl IntoIterator<Item = &'a Publisher>,
    ) -> Result<Self> {
        let group = Some(Gid::from_raw(group));
        Self::start(path.as_ref(), Access { group }, publishers)
    }

    fn start<'a>(
        path: &Path,
        access: Access,
        publishers: impl IntoIterator<Item = &'a Publisher>,
    ) -> Result<Self> {
        let caches = Caches::default();
        for publisher in publishers {
            publisher.check_owner()?;
            offer(&caches, publisher);
        }
        let failed = |source| {
            Error::Broker(BrokerError::Serve {
                path: path.to_owned(),
                reason: source,
            })
        };
        let (woken, wake) = io::pipe().map_err(failed)?;
        let (listener, place) = socket::listen(path, access).map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Stop {
            woken,
            stopped: Arc::clone(&stopped),
        };
        let server = Server::new(listener, stop, caches.clone(), access);
        let thread = thread::Builder::new()
            .name("floe-broker".to_owned())
            .spawn(|| server.run())
            .inspect_err(|_| place.remove())
            .map_err(failed)?;
        Ok(Self {
            caches,
            place,
            owner: Owner::here(),
            stopped,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Offers another cache, or replaces the publisher of the same name.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub fn offer(&self, publisher: &Publisher) -> Result<()> {
        self.owner.check("a broker")?;
        publisher.check_owner()?;
        offer(&self.caches, publisher);
        Ok(())
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Ends the thread, so that this process can fork again, and removes the socket.
    pub fn stop(self) {}
}

fn offer(caches: &Caches, publisher: &Publisher) {
    let name = publisher.name().to_owned();
    caches.lock().insert(name, publisher.clone());
}

impl Drop for Broker {
    fn drop(&mut self) {
        let thread = self.thread.take();
        if self.owner.check("a broker").is_err() {
            // The thread is not in this process; what the handle refers to may be another by now.
            mem::forget(thread);
            return;
        }
        self.place.remove();
        self.stopped.store(true, Relaxed);
        // Either wakes it: the byte also where a child has the pipe open, the end also where
        // nothing can be written.
        if let Some(mut wake) = self.wake.take() {
            let _ = wake.write_all(b".");
        }
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
