//! The owner's end: the door, and the lanes of all who have come through it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{
    AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, shutdown, socketpair,
};

use super::door::{Door, Tally, count};
use super::limits::Limits;
use super::offer::{self, Offer, Reply};
use super::outcome::{Merged, Outcome};
use super::peers::{Contributor, Peers};
use super::protocol::{CONNECT, LONGEST_REQUEST, goodbye, request};
use super::waker::Waker;
use crate::error::{NotTaken, Result};
use crate::sys::clock;
use crate::sys::limits;
use crate::sys::message::{Received, receive, send};
use crate::sys::owner::Owner;

/// Of the limit on open files, the parts that lanes take, and deltas that wait for each other.
const LANES_PART: u64 = 4;
const BATCH_PART: u64 = 8;
/// Messages that are looked at in one go, for all that is refused: who floods does not keep the
/// owner from its other work.
const MOST_LOOKS: usize = 4096;
/// Connections that are made in one go.
const MOST_CONNECTED: usize = 256;
/// Messages that a lane may hold: more than fit into the buffer of a socket.
const MOST_HELD: usize = 4096;

/// What an owner accepts for one cache.
#[derive(Debug)]
pub(crate) struct Acceptor {
    limits: Limits,
    owner: Owner,
    tally: Arc<Tally>,
    /// Only the owner locks it, so no fork finds it locked.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The owner's end of the door; none while there are no descriptors for another one.
    door: Option<OwnedFd>,
    /// The end that contributors share.
    outside: Door,
    /// Whether it takes the place of one that somebody has shut, and was not given to anybody yet.
    is_replaced: bool,
    /// The one whose turn is next comes first.
    lanes: VecDeque<Lane>,
    peers: Peers,
    waker: Waker,
    tally: Arc<Tally>,
}

/// The owner's end of a connection.
#[derive(Debug)]
struct Lane {
    socket: OwnedFd,
    peer: Contributor,
    /// When something came on it, on the boot clock.
    heard: Duration,
}

impl Acceptor {
    pub(crate) fn new(limits: Limits) -> io::Result<Self> {
        let (door, outside) = pair()?;
        let waker = Waker::new(Some(&door))?;
        let most = limits::most_descriptors();
        let part = |of: u64| usize::try_from(most / of).unwrap_or(usize::MAX).max(1);
        let other_users = limits.other_users;
        let limits = Limits {
            peers: limits.peers.min(part(LANES_PART)),
            batch: limits.batch.min(part(BATCH_PART)),
            ..limits
        };
        let tally = Arc::<Tally>::default();
        let state = State {
            door: Some(door),
            outside: Door {
                outside: Arc::new(outside),
                other_users,
                tally: Arc::clone(&tally),
            },
            is_replaced: false,
            lanes: VecDeque::new(),
            peers: Peers::new(limits.clone()),
            waker,
            tally: Arc::clone(&tally),
        };
        Ok(Self {
            limits,
            owner: Owner::here(),
            tally,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether this process has made it, rather than one that it was forked from.
    pub(crate) fn is_own(&self) -> bool {
        self.owner.check("an acceptor").is_ok()
    }

    /// What contributors are given.
    pub(crate) fn door(&self) -> Door {
        self.lock().outside.clone()
    }

    /// Gives contributors another door, if somebody has shut the one before; again next time, if
    /// that fails.
    pub(crate) fn give_replaced_door(&self, give: impl FnOnce(Door) -> Result<()>) {
        let door = {
            let state = self.lock();
            state.is_replaced.then(|| state.outside.clone())
        };
        if let Some(door) = door
            && give(door).is_ok()
        {
            self.lock().is_replaced = false;
        }
    }

    /// A descriptor that becomes readable when something may have come.
    pub(crate) fn waker(&self) -> Arc<OwnedFd> {
        self.lock().waker.descriptor()
    }

    /// Takes what has come, so many deltas at most and none once they have so many bytes, of all
    /// lanes in turn. Never waits. `woken` says that something should be there.
    pub(crate) fn receive(&self, most: usize, most_bytes: u64, woken: bool) -> Vec<Offer> {
        let mut state = self.lock();
        let (mut offers, mut bytes, mut looks) = (Vec::new(), 0, 0);
        if most == 0 || most_bytes == 0 {
            return offers;
        }
        let is_full = |offers: &[Offer], bytes| offers.len() == most || bytes >= most_bytes;
        if state.door.is_none() {
            state.replace_door(&self.limits);
        }
        while !is_full(&offers, bytes) && looks < MOST_LOOKS {
            let Some(ready) = state.ready() else {
                break;
            };
            if ready.door {
                looks += state.connect_all(&self.limits);
            }
            if ready.is_shut {
                state.replace_door(&self.limits);
            }
            // Those that were connected just now come behind.
            for is_ready in ready.lanes {
                if is_full(&offers, bytes) {
                    break;
                }
                let Some(lane) = state.lanes.pop_front() else {
                    break;
                };
                if !is_ready {
                    state.lanes.push_back(lane);
                    continue;
                }
                looks += 1;
                if let Some(offer) = state.take(lane) {
                    bytes += offer.length;
                    offers.push(offer);
                }
            }
            looks += 1;
        }
        let State {
            door, lanes, waker, ..
        } = &mut *state;
        match looks {
            0 if !woken => {}
            0 => waker.found_nothing(door.as_ref(), lanes.iter().map(|lane| lane.socket.as_fd())),
            _ => waker.found_something(),
        }
        let connected = &self.tally.connected;
        connected.store(lanes.len() as u64, Relaxed);
        offers
    }

    /// Counts the entries of a delta, and the bytes that they come to beyond those of its region.
    ///
    /// # Errors
    /// If they are too many.
    pub(crate) fn count_content(
        &self,
        offer: &Offer,
        entries: u64,
        expanded: u64,
    ) -> Result<(), NotTaken> {
        let now = clock::boot_now();
        let more = expanded.saturating_sub(offer.length);
        let mut state = self.lock();
        state.peers.content(offer.peer, entries, more, now)
    }

    /// Lets a contributor know that its delta was merged.
    pub(crate) fn merged(&self, offer: Offer, merged: Merged) {
        count(&self.tally.merged);
        offer.reply.send(&Outcome::Merged(merged));
    }

    /// Lets a contributor know that nothing of its delta was taken.
    pub(crate) fn refuse(&self, offer: Offer, why: NotTaken) {
        self.lock().refuse(offer.peer, Some(offer.reply), why);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // In a child they are the same sockets, which the owner still needs.
        if !self.is_own() {
            return;
        }
        let mut state = self.lock();
        state.connect_rest(&self.limits);
        if let Some(door) = state.door.take() {
            let _ = shutdown(door, Shutdown::Both);
        }
        while let Some(lane) = state.lanes.pop_front() {
            state.close(lane, &NotTaken::Closed);
        }
    }
}

/// A door: the owner's end, through which it says nothing, and the one that contributors share.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (door, outside) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    shutdown(&door, Shutdown::Write)?;
    Ok((door, outside))
}

/// What can be received without waiting.
struct Ready {
    door: bool,
    /// Somebody has shut the end of the door that all share, and nothing more can come.
    is_shut: bool,
    /// One for each lane, in their order.
    lanes: Vec<bool>,
}

impl State {
    /// `None` if there is nothing.
    fn ready(&self) -> Option<Ready> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let lanes = self.lanes.iter().map(|lane| lane.socket.as_fd());
        let mut polled: Vec<PollFd> = lanes
            .chain(self.door.as_ref().map(AsFd::as_fd))
            .map(readable)
            .collect();
        match poll(&mut polled, PollTimeout::ZERO) {
            Ok(1..) => {}
            Ok(_) => return None,
            // It may poll fewer descriptors than it has: then each is tried.
            Err(_) => {
                return Some(Ready {
                    door: true,
                    is_shut: false,
                    lanes: vec![true; self.lanes.len()],
                });
            }
        }
        let (lanes, door) = polled.split_at(self.lanes.len());
        let is_ready = |it: &PollFd| it.any().unwrap_or(true);
        // The owner has shut its own direction, so both are.
        let is_shut = |it: &PollFd| {
            it.revents()
                .is_some_and(|what| what.contains(PollFlags::POLLHUP))
        };
        Some(Ready {
            door: door.iter().any(is_ready),
            is_shut: door.iter().any(is_shut),
            lanes: lanes.iter().map(is_ready).collect(),
        })
    }

    /// Opens another door, when a hostile contributor has shut the end that it shared. Who is
    /// connected stays so; others need a handle that is made from now on.
    fn replace_door(&mut self, limits: &Limits) {
        self.connect_rest(limits);
        if let Some(shut) = self.door.take() {
            self.waker.remove(shut);
        }
        let opened = pair().and_then(|(door, outside)| {
            self.waker.add(&door)?;
            Ok((door, outside))
        });
        if let Ok((door, outside)) = opened {
            self.door = Some(door);
            self.outside.outside = Arc::new(outside);
            self.is_replaced = true;
        }
    }

    /// Takes the lanes of all who have knocked, at a door at which nobody will any more.
    fn connect_rest(&mut self, limits: &Limits) {
        for _ in 0..MOST_HELD / MOST_CONNECTED {
            if self.connect_all(limits) < MOST_CONNECTED {
                break;
            }
        }
    }

    /// Takes the lanes of all who knock; tells how many there were.
    fn connect_all(&mut self, limits: &Limits) -> usize {
        for number in 0..MOST_CONNECTED {
            let Some(door) = &self.door else {
                return number;
            };
            let mut bytes = [0; LONGEST_REQUEST];
            let Ok(received) = receive(door, &mut bytes, RecvFlags::empty()) else {
                return number;
            };
            if received.length == 0 && received.descriptors.is_empty() {
                // An empty message, or the end: the next look tells.
                return number;
            }
            let is_request = received.length == LONGEST_REQUEST && bytes == request(CONNECT);
            let socket = <[OwnedFd; 1]>::try_from(received.descriptors).ok();
            let socket = socket.filter(|[socket]| is_request && offer::is_local(socket));
            let Some([socket]) = socket else {
                count(&self.tally.refused);
                continue;
            };
            if let Some(peer) = offer::of(&socket) {
                self.connect(socket, peer, limits);
            }
        }
        MOST_CONNECTED
    }

    fn connect(&mut self, socket: OwnedFd, peer: Contributor, limits: &Limits) {
        let now = clock::boot_now();
        let lane = Lane {
            socket,
            peer,
            heard: now,
        };
        if let Err(why) = self.peers.connect(peer, now) {
            self.close_unknown(lane, &why);
            return self.refuse(peer, None, why);
        }
        while self.lanes.len() >= limits.peers {
            let silent = self.lanes.iter().enumerate();
            let Some((place, _)) = silent.min_by_key(|(_, lane)| lane.heard) else {
                break;
            };
            if let Some(lane) = self.lanes.remove(place) {
                self.close(lane, &NotTaken::Closed);
            }
        }
        match self.waker.add(&lane.socket) {
            Ok(()) => self.lanes.push_back(lane),
            Err(error) => {
                let reason = error.to_string();
                self.close(lane, &NotTaken::Failed { reason });
            }
        }
    }

    /// Takes one message of a lane, whose turn comes again last.
    fn take(&mut self, mut lane: Lane) -> Option<Offer> {
        let now = clock::boot_now();
        let mut bytes = [0; LONGEST_REQUEST];
        let received = match receive(&lane.socket, &mut bytes, RecvFlags::empty()) {
            Ok(Received { length: 0, .. }) => {
                self.close(lane, &NotTaken::Closed);
                return None;
            }
            Ok(received) => received,
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                        self.lanes.push_back(lane);
                    }
                    _ => self.close(lane, &NotTaken::Closed),
                }
                return None;
            }
        };
        lane.heard = now;
        let peer = lane.peer;
        self.lanes.push_back(lane);
        let (reply, content) = offer::read(received, &bytes, peer);
        let counted = content.and_then(|(files, length)| {
            self.peers.offer(peer, length, now)?;
            Ok((files, length))
        });
        match (counted, reply) {
            (Ok((files, length)), Some(reply)) => Some(Offer {
                files,
                length,
                peer,
                reply,
            }),
            (Ok(_), None) => {
                let reason = "it came without a socket for the answer".to_owned();
                self.refuse(peer, None, NotTaken::Invalid { reason });
                None
            }
            (Err(why), reply) => {
                self.refuse(peer, reply, why);
                None
            }
        }
    }

    /// Says why; cuts off who is to blame for too much.
    fn refuse(&mut self, peer: Contributor, reply: Option<Reply>, why: NotTaken) {
        count(&self.tally.refused);
        let is_to_blame = matches!(
            why,
            NotTaken::Invalid { .. }
                | NotTaken::Forbidden { .. }
                | NotTaken::TooLarge { .. }
                | NotTaken::OverQuota { .. }
        );
        if let Some(reply) = reply {
            reply.send(&Outcome::NotTaken(why));
        }
        let now = clock::boot_now();
        if is_to_blame && self.peers.strike(peer, now) {
            self.cut_off(peer, now);
        }
    }

    /// Closes all lanes of a process.
    fn cut_off(&mut self, peer: Contributor, now: Duration) {
        let Some(why) = self.peers.barred(peer, now) else {
            return;
        };
        count(&self.tally.cut_off);
        for lane in std::mem::take(&mut self.lanes) {
            match lane.peer == peer {
                true => self.close(lane, &why),
                false => self.lanes.push_back(lane),
            }
        }
    }

    /// Closes a lane; all who are on it are told why.
    fn close(&mut self, lane: Lane, why: &NotTaken) {
        self.waker.remove(&lane.socket);
        self.peers.disconnect(lane.peer);
        self.close_unknown(lane, why);
    }

    fn close_unknown(&mut self, lane: Lane, why: &NotTaken) {
        let _ = send(&lane.socket, &goodbye(why), &[]);
        // From here on nothing comes any more, and what came before can be answered.
        let _ = shutdown(&lane.socket, Shutdown::Both);
        for _ in 0..MOST_HELD {
            let mut bytes = [0; LONGEST_REQUEST];
            let Ok(received) = receive(&lane.socket, &mut bytes, RecvFlags::empty()) else {
                return;
            };
            if received.length == 0 {
                return;
            }
            count(&self.tally.refused);
            if let (Some(reply), _) = offer::read(received, &bytes, lane.peer) {
                reply.send(&Outcome::NotTaken(why.clone()));
            }
        }
    }
}
