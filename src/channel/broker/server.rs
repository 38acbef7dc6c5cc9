//! The thread of a broker.

use std::collections::VecDeque;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use nix::errno::Errno as PollError;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::unistd::Uid;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, accept_with};

use super::Caches;
use super::access::{Access, is_own};
use super::protocol::{LONGEST, Reply, Request, write_list};
use crate::sys::limits;
use crate::sys::message::{receive, send};

/// Clients that may be silent at the same time; of more, the one that has been so longest is
/// dismissed.
const MOST_SILENT: usize = 64;
/// Clients that may keep an answer for themselves at the same time, whatever the limit on open
/// files: each has up to three descriptors in flight.
const MOST_ANSWERED: usize = 32;
/// Of the limit on open files, the part that has a client with an answer.
const PER_ANSWER: u64 = 32;
/// How long it waits when this process may open no more descriptors, or may not ask for what it
/// needs.
const RECOVERY: Duration = Duration::from_millis(50);

/// How it is told to stop: the flag says so, the other end of the pipe wakes it.
pub(super) struct Stop {
    pub(super) woken: PipeReader,
    pub(super) stopped: Arc<AtomicBool>,
}

pub(super) struct Server {
    listener: OwnedFd,
    stop: Stop,
    caches: Caches,
    access: Access,
    /// Connected, and nothing heard of yet; the oldest first.
    silent: VecDeque<OwnedFd>,
    /// Answered, and still connected: they may not have received the descriptors yet, which count
    /// as in flight, and which cannot be taken back.
    answered: Vec<(OwnedFd, Uid)>,
}

impl Server {
    pub(super) fn new(listener: OwnedFd, stop: Stop, caches: Caches, access: Access) -> Self {
        Self {
            listener,
            stop,
            caches,
            access,
            silent: VecDeque::new(),
            answered: Vec::new(),
        }
    }

    /// Answers clients until it is told to stop.
    pub(super) fn run(mut self) {
        // Signals are for the threads of the program.
        let _ = SigSet::all().thread_block();
        while !self.stop.stopped.load(Relaxed) {
            let Ok(ready) = self.wait() else {
                // It may poll fewer descriptors than it has, or none at all.
                self.silent.clear();
                self.recover();
                continue;
            };
            self.forget(&ready.answered);
            // From behind, so that the places of those before stay.
            for place in (0..self.silent.len())
                .rev()
                .filter(|place| ready.silent[*place])
            {
                if let Some(client) = self.silent.remove(place) {
                    self.serve(client);
                }
            }
            if ready.listener && self.accept().is_err() && self.silent.pop_front().is_none() {
                self.recover();
            }
        }
    }

    fn wait(&self) -> nix::Result<Ready> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut polled = vec![
            readable(self.stop.woken.as_fd()),
            readable(self.listener.as_fd()),
        ];
        polled.extend(self.silent.iter().map(|client| readable(client.as_fd())));
        let hung_up = |fd| PollFd::new(fd, PollFlags::POLLHUP);
        let answered = self.answered.iter();
        polled.extend(answered.map(|(client, _)| hung_up(client.as_fd())));
        match poll(&mut polled, PollTimeout::NONE) {
            // An interrupt leaves nothing ready.
            Ok(_) | Err(PollError::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        let mut ready = polled.iter().map(|it| it.any().unwrap_or(true)).skip(1);
        Ok(Ready {
            listener: ready.next().unwrap_or_default(),
            silent: ready.by_ref().take(self.silent.len()).collect(),
            answered: ready.collect(),
        })
    }

    /// Takes one connection. What its client has sent before is answered in the next round.
    fn accept(&mut self) -> io::Result<()> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let client = match accept_with(&self.listener, flags) {
            Ok(client) => client,
            // The client is gone already, or it was an interrupt.
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(()),
            // Whatever it is, it is still the same at once.
            Err(errno) => return Err(errno.into()),
        };
        if self.silent.len() == MOST_SILENT {
            self.silent.pop_front();
        }
        self.silent.push_back(client);
        Ok(())
    }

    /// Lets go of clients that have hung up.
    fn forget(&mut self, hung_up: &[bool]) {
        let mut places = hung_up.iter();
        self.answered
            .retain(|_| !places.next().is_some_and(|hung_up| *hung_up));
    }

    /// Answers a client that has said something. Whoever asks nonsense, does not read, or is gone,
    /// gets no answer.
    fn serve(&mut self, client: OwnedFd) {
        let mut bytes = [0; LONGEST];
        let Ok(received) = receive(&client, &mut bytes, RecvFlags::empty()) else {
            return;
        };
        let request = bytes.get(..received.length).and_then(Request::decode);
        let Some(request) = request.filter(|_| !received.truncated) else {
            return;
        };
        let Some(user) = self.access.admit(&client) else {
            let _ = send(&client, &Reply::Refused.encode(), &[]);
            return;
        };
        if self.has_room_for(user) && self.answer(&client, user, request).is_ok() {
            self.answered.push((client, user));
        } else {
            // It may be that no more descriptors may be in flight.
            let _ = send(&client, &Reply::Busy.encode(), &[]);
        }
    }

    /// Whether another answer may be out for a user. Other users leave room for each other and for
    /// the own one.
    fn has_room_for(&self, user: Uid) -> bool {
        let limit = limits::most_descriptors();
        let most = usize::try_from(limit / PER_ANSWER).unwrap_or(usize::MAX);
        let most = most.clamp(4, MOST_ANSWERED);
        let of_user = || {
            let all = self.answered.iter();
            all.filter(|(_, other)| *other == user).count()
        };
        self.answered.len() < most && (is_own(user) || of_user() < most / 4)
    }

    fn answer(&self, client: &OwnedFd, user: Uid, request: Request) -> io::Result<()> {
        let reply = |reply: Reply, fds: &[BorrowedFd]| send(client, &reply.encode(), fds);
        let Request::Follow { name } = request else {
            return reply(Reply::List, &[self.list()?.as_fd()]);
        };
        let publisher = self.caches.lock().get(&name).cloned();
        match publisher {
            Some(publisher) => {
                let subscription = publisher.subscription().map_err(io::Error::other)?;
                let mut channel = vec![subscription.control.as_fd(), subscription.mailbox()];
                let may_contribute = is_own(user) || publisher.accepts_other_users();
                let door = subscription.door().filter(|_| may_contribute);
                channel.extend(door.map(|door| door.as_fd()));
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

    /// Waits for things to become better, unless it is to stop.
    fn recover(&self) {
        let mut polled = [PollFd::new(self.stop.woken.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, RECOVERY.as_millis() as u16).is_err() {
            thread::sleep(RECOVERY);
        }
    }
}

/// What can be read without waiting.
struct Ready {
    listener: bool,
    /// One for each of the silent clients.
    silent: Vec<bool>,
    /// Whether they have hung up: one for each of those that were answered.
    answered: Vec<bool>,
}
