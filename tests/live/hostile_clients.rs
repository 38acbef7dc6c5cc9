//! Clients of a broker that mean harm.

use floe::error::BrokerError;
use std::os::fd::{AsRawFd, OwnedFd};

use floe::{Broker, Error, Live};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{MsgFlags, recv};
use std::os::fd::AsFd;

use crate::fixture::{Numbers, Socket, channel, publish_next, read, send};
use crate::forking::{next_descriptor, set_limit};
use floe_testkit::forking::Resource;

/// Whether the broker closes a connection without an answer.
fn is_dismissed(client: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, 60_000_u16), Ok(1), "no answer");
    matches!(
        recv(client.as_raw_fd(), &mut [0; 64], MsgFlags::empty()),
        Ok(0) | Err(nix::errno::Errno::ECONNRESET)
    )
}

fn assert_serves(socket: &Socket) {
    let mut live = Live::<Numbers>::connect(&socket.path, "numbers").unwrap();
    assert_eq!(read(&mut live), 1);
}

pub(crate) fn nonsense_gets_no_answer() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let free = next_descriptor();
    let endless = [b'x'; 100_000];
    let unending_name = [b"\x89floebr1\x02", &endless[..]].concat();
    for nonsense in [
        &b"GET / HTTP/1.1"[..],
        b"\x89floe",
        b"\x89floebr1",
        b"\x89floebr1\x07",
        b"\x89floebr1\x02\xff",
        &endless,
        &unending_name,
    ] {
        let client = socket.connect();
        send(&client, nonsense, &[]).unwrap();
        assert!(is_dismissed(&client), "{nonsense:?}");
    }
    let client = socket.connect();
    send(&client, b"with descriptors", &[client.as_raw_fd(); 250]).unwrap();
    assert!(is_dismissed(&client));
    drop(client);
    assert_serves(&socket);
    assert_eq!(next_descriptor(), free);
}

pub(crate) fn ten_thousand_silent_clients_hold_up_nobody() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let mut silent = Vec::new();
    for number in 0..10_000 {
        let client = socket.connect();
        match number % 3 {
            0 => silent.push(client),
            // It asks, and never reads the answer.
            1 => drop(send(&client, b"\x89floebr1\x01", &[])),
            _ => drop(client),
        }
        if silent.len() > 100 {
            silent.remove(0);
        }
        if number % 1000 == 0 {
            assert_serves(&socket);
        }
    }
    assert_serves(&socket);
    assert!(is_dismissed(&silent[0]), "it was silent for too long");
    broker.stop();
    assert!(silent[1..].iter().all(is_dismissed), "none is left open");
}

/// The broker runs in this process, so its clients take its descriptors as well.
pub(crate) fn want_of_descriptors_passes() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    assert_serves(&socket);
    let lifted = set_limit(Resource::RLIMIT_NOFILE, next_descriptor() as u64 + 1);
    let client = socket.connect();
    let asked = send(&client, b"\x89floebr1\x01", &[]);
    set_limit(Resource::RLIMIT_NOFILE, lifted);
    asked.unwrap();
    let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, 60_000_u16), Ok(1), "it has not recovered");
    assert_serves(&socket);
}

/// They count as in flight for the user, who could then publish nothing more.
pub(crate) fn few_answers_wait_to_be_received() {
    let (publisher, mut live) = channel();
    let socket = Socket::new();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let mut waiting = Vec::new();
    let busy = loop {
        let client = socket.connect();
        send(&client, b"\x89floebr1\x02numbers", &[]).unwrap();
        let mut polled = [PollFd::new(client.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut polled, 60_000_u16), Ok(1), "no answer");
        let mut reply = [0; 9];
        let flags = MsgFlags::MSG_PEEK;
        assert_eq!(recv(client.as_raw_fd(), &mut reply, flags), Ok(9));
        if reply[8] == 5 {
            break client;
        }
        waiting.push(client);
        assert!(waiting.len() <= 32, "it has more out");
    };
    assert!(waiting.len() >= 4);
    let refused = floe::broker::list(&socket.path).unwrap_err();
    assert!(
        matches!(refused, Error::Broker(BrokerError::Busy { .. })),
        "{refused}"
    );
    assert_eq!(publish_next(&publisher), 2);
    assert_eq!(read(&mut live), 2);
    // Who is told to ask again costs nothing; who hangs up gives way to others.
    waiting.pop();
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    drop(busy);
}
