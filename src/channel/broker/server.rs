//! The thread of a broker.

use std::collections::VecDeque;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvFlags, SocketFlags, accept_with};
use rustix::process::geteuid;

use super::Caches;
use super::protocol::{LONGEST, Reply, Request, write_list};
use crate::sys::message::{receive, send};

/// Clients that may be silent at the same time; of more, the one that has been so longest is
/// dismissed.
const MOST_SILENT: usize = 64;
/// How long it waits when this process may open no more descriptors.
const RECOVERY: Duration = Duration::from_millis(50);

pub(super) struct Server {
    listener: OwnedFd,
    stopped: PipeReader,
    caches: Caches,
    /// Connected, and nothing heard of yet; the oldest first.
    silent: VecDeque<OwnedFd>,
}

impl Server {
    pub(super) fn new(listener: OwnedFd, stopped: PipeReader, caches: Caches) -> Self {
        Self {
            listener,
            stopped,
            caches,
            silent: VecDeque::new(),
        }
    }

    /// Answers clients until it is told to stop.
    pub(super) fn run(mut self) {
        // Signals are for the threads of the program.
        let _ = SigSet::all().thread_block();
        while let Some(ready) = self.wait(PollTimeout::NONE) {
            // From behind, so that the places of those before stay.
            for place in (0..self.silent.len())
                .rev()
                .filter(|place| ready.clients[*place])
            {
                if let Some(client) = self.silent.remove(place) {
                    self.serve(&client);
                }
            }
            if ready.listener && self.accept().is_err() && self.silent.pop_front().is_none() {
                self.recover();
            }
        }
    }

    /// `None` when it is time to stop.
    fn wait(&self, timeout: PollTimeout) -> Option<Ready> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = vec![
            readable(self.stopped.as_fd()),
            readable(self.listener.as_fd()),
        ];
        polled.extend(self.silent.iter().map(|client| readable(client.as_fd())));
        // An interrupt leaves nothing ready.
        let _ = poll(&mut polled, timeout);
        let mut ready = polled.iter().map(|it| it.any().unwrap_or(false));
        if ready.next()? {
            return None;
        }
        Some(Ready {
            listener: ready.next()?,
            clients: ready.collect(),
        })
    }

    /// Takes one connection. What its client has sent before is answered in the next round.
    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let client = match accept_with(&self.listener, flags) {
            Ok(client) => client,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                return Err(Errno::MFILE.into());
            }
            // The client is gone already.
            Err(_) => return Ok(()),
        };
        if self.silent.len() == MOST_SILENT {
            self.silent.pop_front();
        }
        self.silent.push_back(client);
        Ok(())
    }

    /// Answers a client that has said something, and lets go of it. Whoever asks nonsense, does not
    /// read, or is gone, gets no answer.
    fn serve(&self, client: &OwnedFd) {
        let mut bytes = [0; LONGEST];
        let Ok(received) = receive(client, &mut bytes, RecvFlags::empty()) else {
            return;
        };
        let request = bytes.get(..received.length).and_then(Request::decode);
        if let Some(request) = request.filter(|_| !received.truncated) {
            let _ = self.answer(client, request);
        }
    }

    fn answer(&self, client: &OwnedFd, request: Request) -> io::Result<()> {
        let reply = |reply: Reply, fds: &[BorrowedFd]| send(client, &reply.encode(), fds);
        if !is_welcome(client) {
            return reply(Reply::Refused, &[]);
        }
        let Request::Follow { name } = request else {
            return reply(Reply::List, &[self.list()?.as_fd()]);
        };
        let publisher = self.caches.lock().get(&name).cloned();
        match publisher {
            Some(publisher) => {
                let subscription = publisher.subscription().map_err(io::Error::other)?;
                let channel = [subscription.control.as_fd(), subscription.mailbox()];
                reply(Reply::Channel, &channel)
            }
            None => reply(Reply::Unknown, &[self.list()?.as_fd()]),
        }
    }

    fn list(&self) -> io::Result<OwnedFd> {
        let publishers: Vec<_> = self.caches.lock().values().cloned().collect();
        let list = publishers.iter().map(|publisher| publisher.status());
        let list: Result<Vec<_>, _> = list.collect();
        write_list(&list.map_err(io::Error::other)?)
    }

    /// Waits for descriptors to become free elsewhere in this process, unless it is to stop.
    fn recover(&self) {
        let mut polled = [PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut polled, RECOVERY.as_millis() as u16);
    }
}

/// What can be read without waiting.
struct Ready {
    listener: bool,
    /// One for each of the silent clients.
    clients: Vec<bool>,
}

/// Whether a client belongs to the user of this process, or to root.
fn is_welcome(client: &OwnedFd) -> bool {
    socket_peercred(client).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root())
}
