//! What `SIGTERM` to the owner does.

use std::io::Read;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::Duration;
use std::{process, thread};

use floe::prefork::{self, Pool, WorkerError};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, kill, raise};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getpid};

use crate::forking::{Gate, forever, pid_of};
use crate::{set_sigterm, sigterm_is_in};

/// Returns once no process but this one holds the writer any more; fails after ten seconds.
fn assert_ends(gate: Gate) {
    let Gate { reader, writer } = gate;
    drop(writer);
    let (sender, ended) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let end = (&reader).read(&mut [0]);
            sender.send(end.unwrap()).unwrap();
        });
        let end = ended.recv_timeout(Duration::from_secs(10));
        if end != Ok(0) {
            eprintln!("workers go on: {end:?}");
            process::exit(101);
        }
    });
}

pub(crate) fn sigterm_reaches_the_workers() {
    let (ready, alive) = (Gate::new(), Gate::new());
    let owner: Pool<()> = prefork::spawn(1, |_| {
        let pool: Pool<()> = prefork::spawn(3, |_| {
            ready.open();
            forever()
        })
        .unwrap();
        pool.join().unwrap();
    })
    .unwrap();
    (0..3).for_each(|_| ready.pass());
    kill(pid_of(&owner, 0), Signal::SIGTERM).unwrap();
    let exit = owner.wait().unwrap().remove(0);
    assert_eq!(
        exit.result,
        Err(WorkerError::Killed {
            signal: libc::SIGTERM
        })
    );
    assert_ends(alive);
}

static HANDLED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    HANDLED.store(signal, SeqCst);
}

extern "C" fn note_sender(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to a handler with SA_SIGINFO.
    HANDLED.store(unsafe { (*info).si_pid() }, SeqCst);
}

pub(crate) fn the_owners_handler_still_runs() {
    let handlers = [
        SigHandler::Handler(note),
        SigHandler::SigAction(note_sender),
    ];
    let expected = [libc::SIGTERM, getpid().as_raw()];
    for (handler, expected) in handlers.into_iter().zip(expected) {
        let ready = Gate::new();
        let owner = prefork::spawn(1, |_| {
            set_sigterm(handler);
            let pool: Pool<()> = prefork::spawn(2, |_| {
                set_sigterm(SigHandler::SigDfl);
                ready.open();
                forever()
            })
            .unwrap();
            let killed = Err(WorkerError::Killed {
                signal: libc::SIGTERM,
            });
            let exits = pool.wait().unwrap();
            (
                exits.iter().all(|exit| exit.result == killed),
                HANDLED.load(SeqCst),
            )
        })
        .unwrap();
        (0..2).for_each(|_| ready.pass());
        kill(pid_of(&owner, 0), Signal::SIGTERM).unwrap();
        assert_eq!(owner.join().unwrap(), [(true, expected)]);
    }
}

pub(crate) fn an_ignored_sigterm_stays_ignored() {
    let owner = prefork::spawn(1, |_| {
        set_sigterm(SigHandler::SigIgn);
        let gate = Gate::new();
        let pool = prefork::spawn(1, |_| gate.pass()).unwrap();
        raise(Signal::SIGTERM).unwrap();
        let during = sigterm_is_in("SigIgn");
        gate.open();
        pool.join().unwrap();
        (during, sigterm_is_in("SigIgn"))
    });
    assert_eq!(owner.unwrap().join().unwrap(), [(true, true)]);
}

pub(crate) fn the_disposition_comes_back() {
    let sets = || ["SigCgt", "SigIgn", "SigBlk"].map(sigterm_is_in);
    assert_eq!(sets(), [false; 3]);
    let gate = Gate::new();
    let first = prefork::spawn(1, |_| {
        gate.pass();
        sets()
    })
    .unwrap();
    let second = prefork::spawn(1, |_| sets()).unwrap();
    assert_eq!(sets(), [true, false, false]);
    assert_eq!(second.join().unwrap(), [[false; 3]]);
    assert_eq!(sets(), [true, false, false], "one pool is left");
    gate.open();
    assert_eq!(first.join().unwrap(), [[false; 3]]);
    assert_eq!(sets(), [false; 3]);
}

pub(crate) fn a_later_handler_is_left_alone() {
    let owner = prefork::spawn(1, |_| {
        let pool = prefork::spawn(1, |_| ()).unwrap();
        set_sigterm(SigHandler::Handler(note));
        drop(pool);
        raise(Signal::SIGTERM).unwrap();
        HANDLED.load(SeqCst)
    });
    assert_eq!(owner.unwrap().join().unwrap(), [libc::SIGTERM]);
}

pub(crate) fn a_foreign_fork_signals_no_worker() {
    let gate = Gate::new();
    let pool = prefork::spawn(1, |_| gate.pass()).unwrap();
    // SAFETY: this process has one thread, and the child only raises a signal.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let _ = raise(Signal::SIGTERM);
            forever()
        }
        ForkResult::Parent { child } => {
            let end = waitpid(child, None).unwrap();
            assert_eq!(end, WaitStatus::Signaled(child, Signal::SIGTERM, false));
        }
    }
    gate.open();
    assert_eq!(pool.join().unwrap(), [()]);
}
