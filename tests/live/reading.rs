//! What reading costs, and what it does not need.

use floe::error::ChannelError;
use std::time::Duration;

use floe::{Broker, Counters, Error, prefork};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getpid};

use crate::fixture::{Socket, channel, publish_next, read};
use crate::forking::{next_descriptor, set_limit};
use floe_testkit::forking::Resource;

pub(crate) fn a_get_that_finds_nothing_new_makes_no_system_call() {
    let (_publisher, mut live) = channel();
    live.get_stale();
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 7)));
        }
        // SAFETY: the calls take plain numbers. From the first on, the kernel kills this process
        // for any call but read, write, sigreturn and the exit of a thread.
        ForkResult::Child => unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT);
            let mut sum = 0;
            for _ in 0..1000 {
                sum += live.get_stale()[0].to_native();
            }
            libc::syscall(libc::SYS_exit, if sum == 1000 { 7 } else { 1 });
            unreachable!();
        },
    }
}

/// Moving to the next generation takes a descriptor, which it keeps, and addresses.
pub(crate) fn want_of_resources_keeps_the_generation() {
    let (publisher, live) = channel();
    for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_AS] {
        let mut live = live.clone();
        let last = publish_next(&publisher);
        let most = match resource {
            Resource::RLIMIT_NOFILE => next_descriptor() as u64,
            _ => 1 << 20,
        };
        let lifted = set_limit(resource, most);
        let seen = (read(&mut live), live.last_error().map(is_passing));
        set_limit(resource, lifted);
        assert_eq!(seen, (1, Some(true)));
        assert!(live.wait_newer(Duration::from_secs(60)));
        assert_eq!((read(&mut live), live.last_error().is_none()), (last, true));
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Channel(ChannelError::Mailbox { .. }) | Error::Descriptor { .. }
    )
}

pub(crate) fn counts_outlive_the_workers_that_counted() {
    let (publisher, _live) = channel();
    let counters = Counters::for_workers(4).unwrap();
    let pool = prefork::spawn(4, |worker| {
        let counter = counters.of(worker.index());
        for number in 0..1000 {
            counter.count((number % 10 > 0).then_some(number));
        }
        kill(getpid(), Signal::SIGKILL).unwrap();
    });
    let mut pool = pool.unwrap();
    while let Some(exit) = pool.wait_one().unwrap() {
        assert!(exit.result.is_err());
    }
    assert_eq!((counters.lookups(), counters.misses()), (4000, 400));

    let socket = Socket::new();
    let _broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    assert_eq!(floe::broker::list(&socket.path).unwrap()[0].lookups, None);
    publisher.report(&counters).unwrap();
    let status = floe::broker::list(&socket.path).unwrap().remove(0);
    assert_eq!((status.lookups, status.misses), (Some(4000), Some(400)));
    assert!(Counters::for_workers(usize::MAX).is_err());
    assert_eq!(Counters::for_workers(0).unwrap().lookups(), 0);
}
