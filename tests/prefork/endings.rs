//! How workers end, and how the owner learns of it.

use std::io::{self, PipeWriter, Read, Write};
use std::time::Instant;
use std::{fmt, panic, process};

use floe::Error;
use floe::prefork::{self, GRACE, Pool, Worker, WorkerError};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, kill, raise};
use nix::sys::wait::waitpid;

use crate::forking::{Gate, forever, pid_of};
use crate::{assert_no_children, set_sigterm};

pub(crate) fn wait_one_follows_the_order_of_exit() {
    let gates: Vec<Gate> = (0..3).map(|_| Gate::new()).collect();
    let mut pool = prefork::spawn(3, |worker| {
        gates[worker.index()].pass();
        worker.index()
    })
    .unwrap();
    let pids = pool.pids();
    for index in [2, 0] {
        gates[index].open();
        let exit = pool.wait_one().unwrap().unwrap();
        assert_eq!(
            (exit.worker, exit.pid, exit.result),
            (index, pids[index], Ok(index))
        );
    }
    assert_eq!(pool.pids(), [pids[1]]);
    gates[1].open();
    let rest = pool.wait().unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].worker, 1);
}

pub(crate) fn each_failure_is_told_apart() {
    let realtime = libc::SIGRTMIN() + 1;
    let pool = prefork::spawn(8, |worker| match worker.index() {
        0 => panic!("out of {}", "cheese"),
        1 => panic!("plain"),
        2 => process::exit(3),
        3 => process::exit(0),
        4 => raise(Signal::SIGKILL).unwrap(),
        // SAFETY: `raise` takes a plain number.
        5 => drop(unsafe { libc::raise(realtime) }),
        6 => panic::panic_any(7),
        _ => {}
    });
    let exits = pool.unwrap().wait().unwrap();
    let panicked = |message: &str| WorkerError::Panicked {
        message: message.to_owned(),
    };
    let expected = [
        Err(panicked("out of cheese")),
        Err(panicked("plain")),
        Err(WorkerError::Exited { code: 3 }),
        Err(WorkerError::Exited { code: 0 }),
        Err(WorkerError::Killed {
            signal: libc::SIGKILL,
        }),
        Err(WorkerError::Killed { signal: realtime }),
        Err(panicked("(a payload that is not text)")),
        Ok(()),
    ];
    let results: Vec<_> = exits.into_iter().map(|exit| exit.result).collect();
    assert_eq!(results, expected);
    assert_eq!(
        WorkerError::Killed { signal: 9 }.to_string(),
        "killed by SIGKILL"
    );
}

/// An error that prints more when it is asked for all.
struct Chained;

impl fmt::Display for Chained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if f.alternate() { "top: root" } else { "top" })
    }
}

pub(crate) fn an_error_of_a_worker_is_the_error_of_join() {
    let work = |worker: Worker| match worker.index() {
        0 => Ok("done".to_owned()),
        1 => Err(Chained),
        _ => panic!("broken"),
    };
    let exits = prefork::spawn_try(3, work).unwrap().wait().unwrap();
    let results: Vec<_> = exits.into_iter().map(|exit| exit.result).collect();
    let message = "top: root".to_owned();
    let broken = "broken".to_owned();
    let expected = [
        Ok("done".to_owned()),
        Err(WorkerError::Failed { message }),
        Err(WorkerError::Panicked { message: broken }),
    ];
    assert_eq!(results, expected);

    let failed = prefork::spawn_try(2, work).unwrap().join().unwrap_err();
    assert!(matches!(failed, Error::WorkerFailed { worker: 1, .. }));
    let line = failed.to_string();
    assert!(
        line.ends_with("gave no result: failed: top: root"),
        "{line}"
    );
    let done = prefork::spawn_try(1, work).unwrap().join().unwrap();
    assert_eq!(done, ["done"]);
    assert_no_children();
}

/// A payload that must not be dropped where nothing catches a panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// Stands in the owner's frames, and tells when another process unwinds them.
struct Frame {
    owner: u32,
    strayed: PipeWriter,
}

impl Drop for Frame {
    fn drop(&mut self) {
        if process::id() != self.owner {
            self.strayed.write_all(b"!").unwrap();
        }
    }
}

pub(crate) fn no_worker_unwinds_the_owners_frames() {
    let (mut reader, strayed) = io::pipe().unwrap();
    let owner = process::id();
    let frame = Frame { owner, strayed };
    let pool: Pool<()> = prefork::spawn(1, |_| panic::panic_any(Bomb)).unwrap();
    assert!(pool.join().is_err());
    drop(frame);
    let mut told = Vec::new();
    reader.read_to_end(&mut told).unwrap();
    assert!(told.is_empty());
}

pub(crate) fn join_names_the_worker_and_ends_the_others() {
    let work = |worker: Worker| {
        if worker.index() == 1 {
            panic!("boom");
        }
        forever()
    };
    let pool: Pool<()> = prefork::spawn(3, work).unwrap();
    let expected = pool.pids()[1];
    let error = pool.join().unwrap_err();
    let Error::WorkerFailed {
        worker: 1,
        pid,
        reason: source,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(pid, expected);
    assert_eq!(source.to_string(), "panicked: boom");
    assert_no_children();
}

pub(crate) fn a_reaped_worker_is_lost() {
    let pool = prefork::spawn(2, |worker| {
        if worker.index() == 1 {
            process::exit(0);
        }
        7_u8
    })
    .unwrap();
    waitpid(pid_of(&pool, 0), None).unwrap();
    waitpid(pid_of(&pool, 1), None).unwrap();
    let results: Vec<_> = pool
        .wait()
        .unwrap()
        .into_iter()
        .map(|exit| exit.result)
        .collect();
    assert_eq!(results, [Ok(7), Err(WorkerError::Lost)]);
}

pub(crate) fn drop_ends_and_reaps() {
    let started = Instant::now();
    let pool: Pool<()> = prefork::spawn(3, |_| forever()).unwrap();
    let pids = [0, 1, 2].map(|worker| pid_of(&pool, worker));
    drop(pool);
    assert!(
        started.elapsed() < GRACE,
        "workers that end at once need no grace"
    );
    for pid in pids {
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }
    assert_no_children();
}

pub(crate) fn drop_kills_what_ignores_sigterm() {
    let ready = Gate::new();
    let pool: Pool<()> = prefork::spawn(1, |_| {
        set_sigterm(SigHandler::SigIgn);
        ready.open();
        forever()
    })
    .unwrap();
    ready.pass();
    let started = Instant::now();
    drop(pool);
    assert!(started.elapsed() >= GRACE);
    assert_no_children();
}

pub(crate) fn terminate_tells_the_ends() {
    let ready = Gate::new();
    let pool = prefork::spawn(2, |worker| {
        if worker.index() == 0 {
            return 1_u8;
        }
        ready.open();
        forever()
    });
    let mut pool = pool.unwrap();
    ready.pass();
    let first = pool.wait_one().unwrap().unwrap();
    assert_eq!(first.result, Ok(1));
    let rest = pool.terminate().unwrap().remove(0);
    assert_eq!(
        rest.result,
        Err(WorkerError::Killed {
            signal: libc::SIGTERM
        })
    );
    assert_no_children();
}

pub(crate) fn the_owners_death_ends_no_worker() {
    let (ready, gate, done) = (Gate::new(), Gate::new(), Gate::new());
    let owner: Pool<()> = prefork::spawn(1, |_| {
        let _pool = prefork::spawn(1, |_| {
            ready.open();
            gate.pass();
            done.open();
        });
        forever()
    })
    .unwrap();
    ready.pass();
    kill(pid_of(&owner, 0), Signal::SIGKILL).unwrap();
    owner.wait().unwrap();
    gate.open();
    done.pass();
}
