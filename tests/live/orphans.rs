//! Handles tell when their owner has ended.

use floe::error::BrokerError;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

use floe::{Broker, Client, Error, Live, Watch, prefork};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::alarm;

use crate::fixture::{Numbers, Socket, channel, publish_next, read};
use crate::forking::{Gate, forever, pid_of};
use crate::programs::inheriting;

const LONG: Duration = Duration::from_secs(60);

fn reports(watch: &Watch, timeout: impl Into<PollTimeout>) -> bool {
    let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, timeout.into()) == Ok(1)
}

pub(crate) fn a_dropped_publisher_is_reported() {
    let (publisher, mut live) = channel();
    let clone = publisher.clone();
    // A child has all of the owner's descriptors.
    let keeper = prefork::spawn::<_, ()>(1, |_| forever());
    let watch = live.watch().unwrap();
    watch.clear();
    drop(publisher);
    assert!(!live.is_orphaned() && !reports(&watch, PollTimeout::ZERO));
    publish_next(&clone);
    watch.clear();
    drop(clone);
    assert!(live.is_orphaned() && reports(&watch, PollTimeout::ZERO));
    let mut late = live.clone();
    assert_eq!((read(&mut live), read(&mut late)), (2, 2));
    assert!(!live.wait_newer(LONG), "nothing will come");
    drop(keeper);
}

/// A child, a program that it has started, and an unrelated process; the child holds what the owner
/// held.
pub(crate) fn a_killed_owner_is_reported_beside_its_children() {
    let (served, told, said) = (Gate::new(), Gate::new(), Gate::new());
    let socket = Socket::new();
    let mut owners = prefork::spawn::<_, ()>(1, |_| {
        let (publisher, live) = channel();
        let begun = Gate::new();
        let _child = prefork::spawn::<_, ()>(1, |_| {
            alarm::set(60);
            let watch = live.watch().unwrap();
            watch.clear();
            assert!(!live.is_orphaned() && !reports(&watch, PollTimeout::ZERO));
            begun.open();
            assert!(reports(&watch, 60_000_u16));
            assert!(live.is_orphaned() && live.watch().is_ok());
            told.open();
        });
        begun.pass();
        let mut command = inheriting("numbers");
        publisher.pass_to(&mut command).unwrap();
        command.stdin(Stdio::piped());
        command.stdout(said.writer.try_clone().unwrap());
        let mut program = command.spawn().unwrap();
        writeln!(program.stdin.as_ref().unwrap(), "orphaned").unwrap();
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        served.open();
        // It is killed before.
        program.wait().unwrap();
    })
    .unwrap();
    served.pass();
    let mut program = BufReader::new(said.reader).lines();
    assert_eq!(program.next().unwrap().unwrap(), "1 0");
    let mut unrelated = Live::<Numbers>::connect(&socket.path, "numbers").unwrap();
    let watch = unrelated.watch().unwrap();
    watch.clear();
    assert!(!unrelated.is_orphaned() && !reports(&watch, PollTimeout::ZERO));

    kill(pid_of(&owners, 0), Signal::SIGKILL).unwrap();
    told.pass();
    assert_eq!(program.next().unwrap().unwrap(), "orphaned");
    assert!(reports(&watch, 60_000_u16));
    watch.clear();
    assert!(!reports(&watch, PollTimeout::ZERO), "it reports once");
    assert!(unrelated.is_orphaned());
    assert!(!unrelated.wait_newer(LONG));
    assert_eq!(read(&mut unrelated), 1);
    assert!(owners.wait_one().unwrap().unwrap().result.is_err());
}

pub(crate) fn a_handle_connects_to_the_next_owner() {
    let socket = Socket::new();
    let (served, ended) = (Gate::new(), Gate::new());
    let mut first = prefork::spawn::<_, ()>(1, |_| {
        let (publisher, _live) = channel();
        publish_next(&publisher);
        publish_next(&publisher);
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        served.open();
        forever()
    })
    .unwrap();
    let second = prefork::spawn(1, |_| {
        ended.pass();
        let (publisher, _live) = channel();
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        served.open();
        ended.pass();
    });
    served.pass();
    let client = Client::new(&socket.path).reconnect_every(Duration::ZERO);
    let mut live = client.follow::<Numbers>("numbers").unwrap();
    let mut plain = Live::<Numbers>::connect(&socket.path, "numbers").unwrap();
    assert_eq!((read(&mut live), live.last_error().is_none()), (3, true));
    kill(pid_of(&first, 0), Signal::SIGKILL).unwrap();
    assert!(first.wait_one().unwrap().unwrap().result.is_err());

    assert_eq!(read(&mut live), 3, "it keeps what it has");
    let why = live.last_error().unwrap();
    assert!(
        matches!(why, Error::Broker(BrokerError::Step { .. })),
        "{why}"
    );
    assert!(!live.wait_newer(Duration::from_millis(1)));
    ended.open();
    served.pass();
    let mut waiting = live.clone();
    assert_eq!((read(&mut live), live.last_error().is_none()), (1, true));
    assert!(waiting.wait_newer(LONG) && read(&mut waiting) == 1);
    assert!(!live.is_orphaned() && plain.is_orphaned());
    assert_eq!(read(&mut plain), 3);
    ended.open();
    second.unwrap().join().unwrap();
}
