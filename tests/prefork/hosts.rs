//! Hosts that do with `SIGCHLD` what they like, and systems without process descriptors.

use std::hint::black_box;
use std::io::{Read, Write};
use std::{fs, process, thread};

use floe::prefork::{self, WorkerError};
use floe_testkit::forking::Resource;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid};

use crate::forking::{Gate, next_descriptor, pid_of, set_limit};
use crate::{alone, set_sigterm, sigterm_is_in};

fn set_sigchld(handler: SigHandler, flags: SaFlags) {
    let action = SigAction::new(handler, flags, SigSet::empty());
    // SAFETY: the handler below calls nothing but `waitpid`.
    unsafe { sigaction(Signal::SIGCHLD, &action) }.unwrap();
}

/// Results of so many pools arrive in a process with this disposition of `SIGCHLD`.
fn pools_in_a_host_with(handler: SigHandler, flags: SaFlags) {
    const POOLS: u32 = 400;
    let host = prefork::spawn(1, |_| {
        set_sigchld(handler, flags);
        for number in 0..POOLS {
            let pool = prefork::spawn(3, |worker| {
                // One or the other ends while the owner is about to watch it.
                (0..number * 50).for_each(|step| {
                    black_box(step);
                });
                (number, worker.index())
            });
            let joined = pool.unwrap().join();
            let expected = [0, 1, 2].map(|index| (number, index));
            assert_eq!(joined.unwrap(), expected);
        }
        let pool = prefork::spawn(2, |worker| -> u8 { process::exit(worker.index() as i32) });
        let ends = pool.unwrap().wait().unwrap();
        assert!(ends.iter().all(|exit| matches!(
            exit.result,
            Err(WorkerError::Lost | WorkerError::Exited { .. })
        )));
    });
    assert_eq!(host.unwrap().join().unwrap(), [()]);
}

pub(crate) fn a_host_may_ignore_sigchld() {
    pools_in_a_host_with(SigHandler::SigIgn, SaFlags::empty());
}

pub(crate) fn a_host_may_want_no_zombies() {
    pools_in_a_host_with(SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT);
}

pub(crate) fn a_host_may_reap_all_children() {
    extern "C" fn reap(_signal: libc::c_int) {
        let ended = |status| !matches!(status, WaitStatus::StillAlive);
        while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(ended) {}
    }
    pools_in_a_host_with(SigHandler::Handler(reap), SaFlags::SA_RESTART);
}

/// There are no descriptors to watch the workers with.
pub(crate) fn want_of_descriptors_delays_no_result_for_ever() {
    let host = prefork::spawn(1, |_| {
        let gate = Gate::new();
        let pool = prefork::spawn(2, |worker| {
            if worker.index() == 0 {
                gate.pass();
            }
            worker.index()
        });
        let mut pool = pool.unwrap();
        set_limit(Resource::RLIMIT_NOFILE, next_descriptor() as u64);
        let first = pool.wait_one().unwrap().unwrap();
        gate.open();
        let second = pool.wait_one().unwrap().unwrap();
        (first.result, second.result) == (Ok(1), Ok(0))
    });
    assert_eq!(host.unwrap().join().unwrap(), [true]);
}

/// A worker has ended, the host wants no zombies, and its number went to a process that is no
/// child of the owner. In a pid namespace of its own nobody else takes that number.
pub(crate) fn a_signal_reaches_nobody_who_has_a_workers_number() {
    alone(|| {
        // SAFETY: the call takes plain numbers; children of this process are in the namespace.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
        alone(|| {
            set_sigterm(SigHandler::Handler(ignore));
            set_sigchld(SigHandler::SigIgn, SaFlags::empty());
            let ended = Gate::new();
            let pool = prefork::spawn(1, |_| ended.open()).unwrap();
            let number = pid_of(&pool, 0);
            ended.pass();
            while kill(number, None).is_ok() {
                thread::yield_now();
            }
            let (ready, signalled, answer) = (Gate::new(), Gate::new(), Gate::new());
            spawn_heir(number, || {
                let mask = SigSet::from(Signal::SIGTERM);
                mask.thread_block().unwrap();
                ready.open();
                signalled.pass();
                let struck = sigterm_is_in("ShdPnd");
                (&answer.writer).write_all(&[struck.into()]).unwrap();
            });
            ready.pass();
            raise(Signal::SIGTERM).unwrap();
            signalled.open();
            let mut struck = [2];
            (&answer.reader).read_exact(&mut struck).unwrap();
            assert_eq!(struck, [0], "a stranger got the signal");
            pool.join().unwrap();
        });
    });
}

extern "C" fn ignore(_signal: libc::c_int) {}

/// Runs a closure in a grandchild with a certain number.
fn spawn_heir(number: Pid, run: impl FnOnce()) {
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }.unwrap() {
        let last = (number.as_raw() - 1).to_string();
        fs::write("/proc/sys/kernel/ns_last_pid", last).unwrap();
        // The first process of the namespace, which is the owner, would inherit an orphan.
        alone(|| {
            assert_eq!(getpid(), number);
            run();
        });
        process::exit(0);
    }
}
