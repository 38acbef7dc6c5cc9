//! Handles tell when their owner has ended.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

use floe::{Broker, Live, Watch, prefork};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::alarm;

use crate::fixture::{Numbers, Socket, channel, publish_next, read};
use crate::forking::{Gate, forever, pid_of};
use crate::programs::inheriting;

const LONG: Duration = Duration::from_secs(60);

fn is_told(watch: &Watch, timeout: impl Into<PollTimeout>) -> bool {
    let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, timeout.into()) == Ok(1)
}

pub(crate) fn a_dropped_publisher_is_told() {
    let (publisher, mut live) = channel();
    let clone = publisher.clone();
    // A child has all of the owner's descriptors.
    let keeper = prefork::spawn::<_, ()>(1, |_| forever());
    let watch = live.watch().unwrap();
    watch.clear();
    drop(publisher);
    assert!(!live.is_orphaned() && !is_told(&watch, PollTimeout::ZERO));
    publish_next(&clone);
    watch.clear();
    drop(clone);
    assert!(live.is_orphaned() && is_told(&watch, PollTimeout::ZERO));
    let mut late = live.clone();
    assert_eq!((read(&mut live), read(&mut late)), (2, 2));
    assert!(!live.wait_newer(LONG), "nothing will come");
    drop(keeper);
}

/// A child, a program that it has started, and an unrelated process; the child holds what the owner
/// held.
pub(crate) fn a_killed_owner_is_told_beside_its_children() {
    let (served, told, said) = (Gate::new(), Gate::new(), Gate::new());
    let socket = Socket::new();
    let mut owners = prefork::spawn::<_, ()>(1, |_| {
        let (publisher, live) = channel();
        let begun = Gate::new();
        let _child = prefork::spawn::<_, ()>(1, |_| {
            alarm::set(60);
            let watch = live.watch().unwrap();
            watch.clear();
            assert!(!live.is_orphaned() && !is_told(&watch, PollTimeout::ZERO));
            begun.open();
            assert!(is_told(&watch, 60_000_u16));
            assert!(live.is_orphaned() && live.watch().is_ok());
            told.open();
        });
        begun.pass();
        let mut command = inheriting("numbers");
        publisher.pass_to(&mut command).unwrap();
        command.stdin(Stdio::piped());
        command.stdout(said.writer.try_clone().unwrap());
        let program = command.spawn().unwrap();
        writeln!(program.stdin.as_ref().unwrap(), "orphaned").unwrap();
        let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
        served.open();
        forever()
    })
    .unwrap();
    served.pass();
    let mut program = BufReader::new(said.reader).lines();
    assert_eq!(program.next().unwrap().unwrap(), "1 0");
    let mut unrelated = Live::<Numbers>::connect(&socket.path, "numbers").unwrap();
    let watch = unrelated.watch().unwrap();
    watch.clear();
    assert!(!unrelated.is_orphaned() && !is_told(&watch, PollTimeout::ZERO));

    kill(pid_of(&owners, 0), Signal::SIGKILL).unwrap();
    told.pass();
    assert_eq!(program.next().unwrap().unwrap(), "orphaned");
    assert!(is_told(&watch, 60_000_u16));
    watch.clear();
    assert!(!is_told(&watch, PollTimeout::ZERO), "it is told once");
    assert!(unrelated.is_orphaned());
    assert!(!unrelated.wait_newer(LONG));
    assert_eq!(read(&mut unrelated), 1);
    assert!(owners.wait_one().unwrap().unwrap().result.is_err());
}
