//! What is refused, and what is left when the system runs out of something.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::{fs, process, thread};

use floe::Error;
use floe::prefork::{self, MOST_WORKERS, SpawnError};
use floe::usage::Usage;
use nix::libc;

use crate::forking::{Resource, forever, is_root, next_descriptor, set_limit};
use crate::{assert_no_children, sigterm_is_in};

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

pub(crate) fn the_harness_has_one_thread() {
    assert_eq!(threads(), 1);
}

/// Runs `test` while another thread exists, which prints all the time.
fn beside_a_thread(test: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                print!("");
                eprint!("");
            }
        });
        let tested = panic::catch_unwind(AssertUnwindSafe(test));
        stop.store(true, Relaxed);
        tested.unwrap_or_else(|failure| panic::resume_unwind(failure));
    });
}

pub(crate) fn several_threads_are_refused() {
    beside_a_thread(|| {
        let refused = prefork::spawn(1, |_| ()).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Fork {
                    reason: SpawnError::Multithreaded { threads: 2 }
                }
            ),
            "{refused:?}"
        );
    });
    assert_eq!(prefork::spawn(1, |_| ()).unwrap().join().unwrap(), [()]);
}

pub(crate) fn several_threads_can_be_vouched_for() {
    beside_a_thread(|| {
        for _ in 0..50 {
            // SAFETY: the other thread only prints and reads an atomic of its own.
            let may_fork = unsafe { prefork::MayFork::multithreaded() };
            let pool = prefork::spawn_with(&may_fork, 2, |_| {
                print!("");
                eprint!("");
                threads()
            });
            assert_eq!(pool.unwrap().join().unwrap(), [1, 1]);
        }
    });
}

pub(crate) fn a_thread_that_is_ending_is_waited_for() {
    for _ in 0..1000 {
        // A scope ends when the work of its threads is done, which is before they are gone.
        thread::scope(|scope| drop(scope.spawn(|| ())));
        drop(prefork::spawn(0, |_| ()).unwrap());
    }
}

pub(crate) fn too_many_workers_are_refused() {
    let pool = prefork::spawn(2, |_| ()).unwrap();
    let error = prefork::spawn(MOST_WORKERS, |_| ()).unwrap_err();
    let most = MOST_WORKERS - 2;
    let expected =
        format!("expected at most {most} more workers in this process, got {MOST_WORKERS}");
    assert!(error.to_string().contains(&expected), "{error}");
    pool.join().unwrap();
    assert_no_children();
}

pub(crate) fn places_are_given_back() {
    for _ in 0..=MOST_WORKERS / 64 {
        prefork::spawn(64, |_| ()).unwrap().join().unwrap();
    }
}

pub(crate) fn no_descriptor_stays() {
    let before = next_descriptor();
    prefork::spawn(4, |_| ()).unwrap().join().unwrap();
    assert_eq!(next_descriptor(), before);
    drop(prefork::spawn(4, |_| ()).unwrap());
    assert_eq!(next_descriptor(), before);
}

/// What a spawn of eight workers comes to in a process made poor: the error, if nothing is left.
fn poor(impoverish: impl FnOnce()) -> String {
    let owner = prefork::spawn(1, |_| {
        impoverish();
        let before = next_descriptor();
        let error = prefork::spawn(8, |_| -> () { forever() }).unwrap_err();
        assert_eq!(next_descriptor(), before);
        assert_no_children();
        assert!(!sigterm_is_in("SigCgt"));
        format!("{error:?}")
    });
    owner.unwrap().join().unwrap().remove(0)
}

pub(crate) fn want_of_descriptors_leaves_nothing() {
    let error = poor(|| {
        set_limit(Resource::RLIMIT_NOFILE, next_descriptor() as u64 + 3);
    });
    assert!(
        error.starts_with("Fork { reason: AnswerMemory { worker: 3, reason: Os { code: 24"),
        "{error}"
    );
}

/// Becomes a user that has no other process, if it is root.
fn become_somebody() {
    // SAFETY: the call takes a plain number.
    unsafe { libc::setuid(54321) };
}

pub(crate) fn want_of_processes_leaves_nothing() {
    let error = poor(|| {
        // Root is above the limit.
        become_somebody();
        set_limit(Resource::RLIMIT_NPROC, 3);
    });
    let (started, rest) = error
        .strip_prefix("Fork { reason: Kernel { worker: ")
        .unwrap()
        .split_once(',')
        .unwrap();
    assert!(rest.starts_with(" reason: Os { code: 11,"), "{rest}");
    // Somebody who is not root has processes of his own already.
    assert!(started == "2" || !is_root(), "{started}");
}

pub(crate) fn another_users_memory_is_refused() {
    let owner = process::id();
    let said = prefork::spawn(1, |_| {
        become_somebody();
        Usage::of(owner).unwrap_err().to_string()
    });
    let said = said.unwrap().join().unwrap().remove(0);
    assert!(
        said.contains(&format!("of process {owner}: not permitted")),
        "{said}"
    );
}
