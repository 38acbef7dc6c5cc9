//! Contributions between the two ends in one process, and what hostile contributors send.

use std::fs::File;
use std::io::{PipeReader, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::protocol::{CONNECT, OFFER, request};
use super::*;
use crate::error::{ChannelError, Error};
use crate::sys::memfd::{self, SealedFile};
use crate::sys::message::send;
use crate::{Frozen, Live, Publisher};

const MOST: u64 = u64::MAX;

/// An owner that accepts contributions, and its channel.
struct Fixture {
    publisher: Publisher,
    acceptor: Acceptor,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let publisher = Publisher::new(&Frozen::freeze("number", &1_u32).unwrap()).unwrap();
        let acceptor = Acceptor::new(limits).unwrap();
        let door = acceptor.door().clone();
        publisher.set_door(Some(door)).unwrap();
        Self {
            publisher,
            acceptor,
        }
    }

    fn contributor(&self) -> Live<u32> {
        self.publisher.subscribe().unwrap()
    }

    fn receive(&self, most: usize) -> Vec<Offer> {
        self.acceptor.receive(most, MOST, false)
    }

    /// Merges whatever has come; the first byte of each.
    fn merge(&self) -> Vec<u8> {
        let offers = self.receive(1000);
        let first = |offer: &Offer| {
            let file = offer.files[0].try_clone().unwrap();
            SealedFile::open(file).unwrap().start(1).unwrap()[0]
        };
        let all = offers.iter().map(first).collect();
        for offer in offers {
            self.acceptor.merged(offer, Merged::default());
        }
        all
    }

    /// A connection as a hostile process makes it.
    fn lane(&self) -> OwnedFd {
        let (lane, of_owner) = socketpair_of(SocketType::SEQPACKET);
        let door = &*self.acceptor.door().outside;
        send(door, &request(CONNECT), &[of_owner.as_fd()]).unwrap();
        lane
    }
}

fn socketpair_of(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

fn unsealed(bytes: &[u8]) -> File {
    let mut file = memfd::create("delta").unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn sealed(bytes: &[u8]) -> File {
    SealedFile::seal(unsealed(bytes)).unwrap().into()
}

fn contribute_byte(live: &mut Live<u32>, byte: u8) -> crate::Result<Sent> {
    live.send_files(&[sealed(&[byte]).as_fd()])
}

/// What an answer says of a contribution that must be refused.
fn refusal(mut sent: Sent) -> NotTaken {
    match sent.outcome() {
        Some(Outcome::NotTaken(why)) => why.clone(),
        other => panic!("{other:?}"),
    }
}

fn not_sent(error: Error) -> NotTaken {
    match error {
        Error::Channel(ChannelError::NotContributed { reason, .. }) => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn contributions_come_in_turn_and_are_answered() {
    let fixture = Fixture::new(Limits::new());
    let (mut one, mut other) = (fixture.contributor(), fixture.contributor());
    let mut all: Vec<Sent> = (0..3)
        .map(|byte| contribute_byte(&mut one, byte).unwrap())
        .collect();
    all.push(contribute_byte(&mut other, 10).unwrap());
    assert!(all.iter_mut().all(|sent| sent.outcome().is_none()));
    assert_eq!(fixture.merge(), [0, 10, 1, 2]);
    for sent in &mut all {
        let answer = sent.wait(Duration::ZERO);
        assert_eq!(answer, Some(&Outcome::Merged(Merged::default())));
    }
    let counts = fixture.acceptor.door().counts();
    assert_eq!((counts.connected, counts.merged, counts.refused), (2, 4, 0));
    drop((one, all));
    assert!(fixture.merge().is_empty());
    assert_eq!(fixture.acceptor.door().counts().connected, 1);
    drop(other);
    assert!(fixture.merge().is_empty());
    assert_eq!(fixture.acceptor.door().counts().connected, 0);
}

#[test]
fn who_floods_holds_up_nobody() {
    let quota = Quota {
        deltas: 20,
        ..Quota::UNLIMITED
    };
    let limits = Limits::new().per_peer(Quota::UNLIMITED).in_all(quota);
    let fixture = Fixture::new(limits);
    let (mut flood, mut other) = (fixture.contributor(), fixture.contributor());
    let mut sent = Vec::new();
    let full = loop {
        match contribute_byte(&mut flood, 1) {
            Ok(more) => sent.push(more),
            Err(error) => break not_sent(error),
        }
        assert!(sent.len() < 10_000, "the queue has an end");
    };
    assert!(
        matches!(full, NotTaken::Full | NotTaken::InFlight { .. }),
        "{full:?}"
    );
    let limit = full != NotTaken::Full;
    if limit {
        // The limit is that of this one process, which plays both.
        drop(fixture.receive(1));
    }
    let mut answered = contribute_byte(&mut other, 2).unwrap();
    let first = fixture.receive(2);
    assert_eq!(first.len(), 2);
    for offer in first {
        fixture.acceptor.merged(offer, Merged::default());
    }
    assert!(matches!(answered.outcome(), Some(Outcome::Merged(_))));
    // Of the rest, no more than the quota of all.
    assert!(fixture.merge().len() < 20);
    let busy = sent.last_mut().map(|it| it.outcome().cloned());
    let busy = busy.flatten();
    assert!(busy.is_none() || matches!(busy, Some(Outcome::NotTaken(NotTaken::Busy { .. }))));
}

/// Sends what nobody would who means well; the answer tells what is wrong, if one can come.
#[test]
fn nonsense_is_refused_and_others_go_on() {
    let fixture = Fixture::new(Limits::new().cut_off(1000, Duration::ZERO));
    let mut other = fixture.contributor();
    let lane = fixture.lane();
    let mut sent = contribute_byte(&mut other, 1).unwrap();
    assert_eq!(fixture.merge(), [1]);
    assert!(matches!(sent.outcome(), Some(Outcome::Merged(_))));
    drop(sent);

    let good = sealed(b"delta");
    let (pipe, _writer): (PipeReader, _) = pipe().unwrap();
    let null = File::open("/dev/null").unwrap();
    let holes = memfd::create("holes").unwrap();
    holes.set_len(1 << 40).unwrap();
    let holes: File = SealedFile::seal(holes).unwrap().into();
    let open = unsealed(b"delta");
    let offer = |files: &[BorrowedFd<'_>]| {
        let (answer, of_owner) = socketpair_of(SocketType::SEQPACKET);
        rustix::net::sockopt::set_socket_passcred(&answer, true).unwrap();
        let all = [&[of_owner.as_fd()], files].concat();
        send(&lane, &request(OFFER), &all).unwrap();
        drop(of_owner);
        assert!(fixture.receive(10).is_empty());
        let mut bytes = [0; protocol::LONGEST_REPLY];
        let (length, _) = crate::sys::message::receive_from(&answer, &mut bytes, false).unwrap();
        match protocol::read_answer(&bytes[..length]) {
            Some(Outcome::NotTaken(NotTaken::Invalid { reason } | NotTaken::Failed { reason })) => {
                reason
            }
            other => panic!("{other:?}"),
        }
    };
    for (files, why) in [
        (&[][..], "no file"),
        (&[open.as_fd()], "F_SEAL_WRITE"),
        (&[good.as_fd(), good.as_fd()], "more descriptors"),
        (&[null.as_fd()], "F_SEAL_WRITE"),
        (&[pipe.as_fd()], "F_SEAL_WRITE"),
        (&[lane.as_fd()], "F_SEAL_WRITE"),
        (&[holes.as_fd()], "bytes"),
    ] {
        let reason = offer(files);
        assert!(reason.contains(why), "{reason}");
    }
    // Where no answer can come.
    let (stream, _end) = socketpair_of(SocketType::STREAM);
    let (_, foreign) = socketpair_of(SocketType::SEQPACKET);
    for (bytes, files) in [
        (&request(OFFER)[..], &[][..]),
        (&request(OFFER), &[good.as_fd(), good.as_fd()]),
        (&request(OFFER), &[null.as_fd(), good.as_fd()]),
        (&request(OFFER), &[stream.as_fd(), good.as_fd()]),
        (&request(CONNECT), &[foreign.as_fd(), good.as_fd()]),
        (b"GET / HTTP/1.1", &[foreign.as_fd()]),
        (&[7; 100_000], &[]),
    ] {
        send(&lane, bytes, files).unwrap();
        assert!(fixture.receive(10).is_empty());
    }
    // At the door.
    let door = &*fixture.acceptor.door().outside;
    for (bytes, files) in [
        (&request(CONNECT)[..], &[][..]),
        (&request(CONNECT), &[null.as_fd()]),
        (&request(CONNECT), &[stream.as_fd()]),
        (&request(CONNECT), &[foreign.as_fd(), foreign.as_fd()]),
        (&request(OFFER), &[foreign.as_fd()]),
        (b"", &[]),
        (b"nonsense", &[]),
    ] {
        send(door, bytes, files).unwrap();
        assert!(fixture.receive(10).is_empty());
    }
    let many = vec![good.as_fd(); crate::sys::message::MOST_DESCRIPTORS];
    send(&lane, &request(OFFER), &many).unwrap();
    assert!(fixture.receive(10).is_empty());
    let mut sent = contribute_byte(&mut other, 2).unwrap();
    assert_eq!(fixture.merge(), [2]);
    assert!(matches!(sent.outcome(), Some(Outcome::Merged(_))));
    assert_eq!(fixture.acceptor.door().counts().refused, 21);
}

#[test]
fn who_is_refused_too_often_is_cut_off() {
    let limits = Limits::new()
        .delta_bytes(1)
        .cut_off(3, Duration::from_secs(60));
    let fixture = Fixture::new(limits);
    let mut live = fixture.contributor();
    let mut large = Vec::new();
    for _ in 0..5 {
        large.push(live.send_files(&[sealed(b"large").as_fd()]).unwrap());
    }
    assert!(fixture.receive(10).is_empty());
    let mut why = large.into_iter().map(refusal);
    for _ in 0..3 {
        assert!(matches!(
            why.next(),
            Some(NotTaken::TooLarge {
                most: 1,
                got: 5,
                ..
            })
        ));
    }
    // What was in the queue is answered too.
    for _ in 3..5 {
        assert!(matches!(why.next(), Some(NotTaken::CutOff { .. })));
    }
    let refused = not_sent(contribute_byte(&mut live, 1).unwrap_err());
    assert!(matches!(refused, NotTaken::CutOff { .. }), "{refused:?}");
    // A new connection is closed as soon as the owner looks.
    let sent = contribute_byte(&mut live, 1).unwrap();
    assert!(fixture.receive(10).is_empty());
    assert!(matches!(refusal(sent), NotTaken::CutOff { .. }));
    let counts = fixture.acceptor.door().counts();
    assert_eq!((counts.cut_off, counts.connected), (1, 0));
}

#[test]
fn room_is_made_for_those_who_come() {
    let fixture = Fixture::new(Limits::new().peers(2));
    let mut all: Vec<Live<u32>> = (0..3).map(|_| fixture.contributor()).collect();
    for round in 0..3 {
        for (byte, live) in all.iter_mut().enumerate() {
            let mut sent = contribute_byte(live, byte as u8).unwrap();
            assert_eq!(fixture.merge(), [byte as u8], "{round}");
            assert!(matches!(sent.outcome(), Some(Outcome::Merged(_))));
        }
        assert_eq!(fixture.acceptor.door().counts().connected, 2);
    }
}

/// A child of the owner has its sockets, and no answer of its is one.
#[test]
fn a_look_comes_to_an_end_however_much_is_no_answer() {
    const FORGED: usize = 100;
    let publisher = Publisher::new(&Frozen::freeze("number", &1_u32).unwrap()).unwrap();
    let (of_owner, outside) = socketpair_of(SocketType::SEQPACKET);
    let door = Door {
        outside: outside.into(),
        other_users: false,
        tally: Default::default(),
    };
    publisher.set_door(Some(door)).unwrap();
    let mut live = publisher.subscribe::<u32>().unwrap();
    let mut sent = contribute_byte(&mut live, 1).unwrap();
    let received = |socket: &OwnedFd| {
        let flags = rustix::net::RecvFlags::empty();
        let received = crate::sys::message::receive(socket, &mut [0; 64], flags);
        received.unwrap().descriptors.remove(0)
    };
    let reply = received(&received(&of_owner));
    for _ in 0..FORGED {
        send(&reply, b"no answer", &[]).unwrap();
    }
    let answer = Outcome::Merged(Merged::default());
    send(&reply, &protocol::answer(&answer), &[]).unwrap();
    assert_eq!(sent.outcome(), None);
    assert_eq!(sent.wait(Duration::from_secs(60)), Some(&answer));
}

#[test]
fn an_owner_that_stops_says_so() {
    let fixture = Fixture::new(Limits::new());
    let mut other = fixture.contributor();
    let received = contribute_byte(&mut fixture.contributor(), 1).unwrap();
    let offers = fixture.receive(1);
    let in_lane = contribute_byte(&mut other, 2).unwrap();
    let behind_door = contribute_byte(&mut fixture.contributor(), 3).unwrap();
    let Fixture {
        publisher,
        acceptor,
    } = fixture;
    drop(acceptor);
    assert_eq!(refusal(in_lane), NotTaken::Closed);
    assert_eq!(refusal(behind_door), NotTaken::Closed);
    drop(offers);
    assert_eq!(refusal(received), NotTaken::Closed);
    let refused = not_sent(contribute_byte(&mut other, 3).unwrap_err());
    assert_eq!(refused, NotTaken::Closed);
    drop(publisher);
    let refused = not_sent(contribute_byte(&mut other, 3).unwrap_err());
    assert_eq!(refused, NotTaken::OwnerEnded);
}

#[test]
fn who_never_looks_at_answers_costs_nothing() {
    let fixture = Fixture::new(Limits::new());
    let mut live = fixture.contributor();
    for byte in 0..100 {
        drop(contribute_byte(&mut live, byte).unwrap());
        assert_eq!(fixture.merge(), [byte]);
    }
    assert_eq!(fixture.acceptor.door().counts().merged, 100);
}

#[test]
fn a_spoiled_waker_is_replaced() {
    let fixture = Fixture::new(Limits::new());
    let spoiled = fixture.acceptor.waker();
    let null = socketpair_of(SocketType::STREAM);
    send(&null.0, b"x", &[]).unwrap();
    let data = rustix::event::epoll::EventData::new_u64(0);
    let flags = rustix::event::epoll::EventFlags::IN;
    rustix::event::epoll::add(&*spoiled, &null.1, data, flags).unwrap();
    for _ in 0..8 {
        assert!(fixture.acceptor.receive(1, MOST, true).is_empty());
    }
    let waker = fixture.acceptor.waker();
    assert_ne!(waker.as_raw_fd(), spoiled.as_raw_fd());
    assert!(!is_readable(&waker));
    let _sent = contribute_byte(&mut fixture.contributor(), 1).unwrap();
    assert!(is_readable(&waker));
}

/// The end that all share is anybody's to shut down.
#[test]
fn a_door_that_somebody_shuts_is_replaced() {
    let fixture = Fixture::new(Limits::new());
    let mut connected = fixture.contributor();
    let mut sent = contribute_byte(&mut connected, 1).unwrap();
    assert_eq!(fixture.merge(), [1]);
    assert!(matches!(sent.outcome(), Some(Outcome::Merged(_))));
    let mut behind_door = contribute_byte(&mut fixture.contributor(), 2).unwrap();

    let shut = fixture.acceptor.door();
    rustix::net::shutdown(&*shut.outside, rustix::net::Shutdown::Both).unwrap();
    // What came before counts.
    assert_eq!(fixture.merge(), [2]);
    assert!(matches!(behind_door.outcome(), Some(Outcome::Merged(_))));
    assert!(!is_readable(&fixture.acceptor.waker()));
    assert!(fixture.receive(10).is_empty());
    assert_eq!(fixture.acceptor.door().counts().refused, 0);

    let _sent = contribute_byte(&mut connected, 3).unwrap();
    assert_eq!(fixture.merge(), [3]);
    let early = not_sent(contribute_byte(&mut fixture.contributor(), 4).unwrap_err());
    assert_eq!(early, NotTaken::Closed);
    let failed = || {
        Err(Error::NotBuilt {
            name: String::new(),
        })
    };
    fixture.acceptor.give_replaced_door(|_| failed());
    let give = |door| fixture.publisher.set_door(Some(door));
    fixture.acceptor.give_replaced_door(give);
    fixture
        .acceptor
        .give_replaced_door(|_| panic!("it was given"));
    let _sent = contribute_byte(&mut fixture.contributor(), 5).unwrap();
    assert!(is_readable(&fixture.acceptor.waker()));
    assert_eq!(fixture.merge(), [5]);
    assert_eq!(fixture.acceptor.door().counts().merged, 4);
}

fn is_readable(fd: &OwnedFd) -> bool {
    let mut polled = [nix::poll::PollFd::new(
        fd.as_fd(),
        nix::poll::PollFlags::POLLIN,
    )];
    nix::poll::poll(&mut polled, nix::poll::PollTimeout::ZERO) == Ok(1)
}
