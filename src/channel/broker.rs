//! Caches for processes that the owner has not started: a broker on a Unix socket hands out the
//! descriptors of channels.
//!
//! ```text
//! request = magic | 1                        list the caches
//!         | magic | 2 | name                 follow a cache
//! reply   = magic | 1 + memory file          list: JSON in a sealed memory file
//!         | magic | 2 + control page, mailbox
//!         | magic | 3 + memory file          there is no such cache, but these
//!         | magic | 4                        refused: another user
//! ```
//! Each connection (`SOCK_SEQPACKET`) carries one request and one reply, each of them one message,
//! so that the broker never waits for the rest of something.

mod client;
mod protocol;
mod server;
mod socket;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, PipeWriter, Write};
use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::channel::Publisher;
use crate::error::{Error, Result};
use crate::sys::owner::Owner;

pub(crate) use client::subscribe;
pub use client::{fetch, list};

use server::Server;
use socket::Place;

/// A thread of the owner that lets unrelated processes follow its caches.
///
/// They ask for them with [`Live::connect`](crate::Live::connect) and [`list`], and need the broker
/// no more once they have a handle. The socket has mode 0600, and the broker answers processes of
/// the same user and of root only.
///
/// The broker is a thread. So [`prefork::spawn`](crate::prefork::spawn) refuses while it runs: fork
/// first, then serve. A child forked off in spite of it has the socket open but no thread, and dropping
/// the broker there does nothing. Should the owner be killed, clients find nobody who answers until the
/// next owner serves, which takes the place of the socket; before Linux 6.5 it can only do so once the
/// child has ended as well.
///
/// Dropping the broker ends the thread and removes the socket.
///
/// ```
/// use floe::{Broker, Frozen, Live, Publisher};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("floe.sock");
/// let publisher = Publisher::new(&Frozen::freeze("answer", &42_u32)?, None)?;
/// let broker = Broker::serve(&path, [&publisher])?;
///
/// // In any other process of the same user:
/// let mut live = Live::<u32>::connect(&path, "answer")?;
/// assert_eq!(*live.get(), 42);
/// assert_eq!(floe::list(&path)?[0].name, "answer");
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Broker {
    caches: Caches,
    place: Place,
    owner: Owner,
    /// A byte in this pipe ends the thread.
    stop: PipeWriter,
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
    /// Starts a broker on a new socket. What is left of a broker that has died is replaced.
    ///
    /// # Errors
    /// [`Error::Serve`]; with `AddrInUse` if there is a broker that lives, or something else than
    /// a socket. [`Error::NotOwner`] for publishers of another process.
    pub fn serve<'a>(
        path: impl AsRef<Path>,
        publishers: impl IntoIterator<Item = &'a Publisher>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let caches = Caches::default();
        for publisher in publishers {
            publisher.check_owner()?;
            offer(&caches, publisher);
        }
        let failed = |source| Error::Serve {
            path: path.to_owned(),
            source,
        };
        let (stopped, stop) = io::pipe().map_err(failed)?;
        let (listener, place) = socket::listen(path).map_err(failed)?;
        let server = Server::new(listener, stopped, caches.clone());
        let thread = thread::Builder::new()
            .name("floe-broker".to_owned())
            .spawn(|| server.run())
            .inspect_err(|_| place.remove())
            .map_err(failed)?;
        Ok(Self {
            caches,
            place,
            owner: Owner::here(),
            stop,
            thread: Some(thread),
        })
    }

    /// Offers another cache, or another publisher for one of the same name.
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
        // The pipe is empty, so there is room for the byte.
        let _ = self.stop.write_all(b".");
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
