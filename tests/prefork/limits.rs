//! What is refused, and what is left when the system runs out of something.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    process,
    sync::mpsc,
    thread,
};

use floe::{
    Error,
    memory::Memory,
    prefork::{self, MOST_WORKERS},
};
use nix::libc;

use crate::{assert_no_children, forever, sigterm_is_in};

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// The lowest descriptor that is free: a leak would occupy it.
fn next_descriptor() -> i32 {
    File::open("/dev/null").unwrap().as_raw_fd()
}

pub(crate) fn the_harness_has_one_thread() {
    assert_eq!(threads(), 1);
}

/// Runs `test` while another thread exists.
fn beside_a_thread(test: impl FnOnce()) {
    let (stop, stopped) = mpsc::channel::<()>();
    let other = thread::spawn(move || stopped.recv());
    test();
    drop(stop);
    other.join().unwrap().unwrap_err();
}

pub(crate) fn several_threads_are_refused() {
    beside_a_thread(|| {
        let refused = prefork::spawn(1, |_| ()).unwrap_err();
        assert!(
            matches!(refused, Error::Multithreaded { threads: 2 }),
            "{refused:?}"
        );
    });
    assert_eq!(prefork::spawn(1, |_| ()).unwrap().join().unwrap(), [()]);
}

pub(crate) fn several_threads_can_be_vouched_for() {
    beside_a_thread(|| {
        // SAFETY: the other thread only waits on a channel that the closure does not touch.
        let pool = unsafe { prefork::spawn_multithreaded(2, |_| threads()) };
        assert_eq!(pool.unwrap().join().unwrap(), [1, 1]);
    });
}

pub(crate) fn a_joined_thread_is_no_thread() {
    for _ in 0..200 {
        thread::spawn(|| ()).join().unwrap();
        prefork::spawn(1, |_| ()).unwrap().join().unwrap();
    }
}

pub(crate) fn too_many_workers_are_refused() {
    let pool = prefork::spawn(2, |_| ()).unwrap();
    let error = prefork::spawn(MOST_WORKERS, |_| ()).unwrap_err();
    let Error::TooManyWorkers {
        asked: MOST_WORKERS,
        most,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(most, MOST_WORKERS - 2);
    pool.join().unwrap();
    assert_no_children();
}

pub(crate) fn no_descriptor_stays() {
    let before = next_descriptor();
    prefork::spawn(4, |_| ()).unwrap().join().unwrap();
    assert_eq!(next_descriptor(), before);
    drop(prefork::spawn(4, |_| ()).unwrap());
    assert_eq!(next_descriptor(), before);
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: the pointer is to a limit on the stack.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
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
    let error = poor(|| limit(libc::RLIMIT_NOFILE, next_descriptor() as u64 + 3));
    assert_eq!(error, "AnswerMemory { worker: 3, source: EMFILE }");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
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
        limit(libc::RLIMIT_NPROC, 3);
    });
    let (started, rest) = error
        .strip_prefix("Fork { worker: ")
        .unwrap()
        .split_once(',')
        .unwrap();
    assert_eq!(rest, " source: EAGAIN }");
    // Somebody who is not root has processes of his own already.
    assert!(started == "2" || !is_root(), "{started}");
}

pub(crate) fn another_users_memory_is_refused() {
    if !is_root() {
        return;
    }
    let owner = process::id();
    let said = prefork::spawn(1, |_| {
        become_somebody();
        Memory::of(owner).unwrap_err().to_string()
    });
    let said = said.unwrap().join().unwrap().remove(0);
    assert!(
        said.contains(&format!("not permitted for process {owner}")),
        "{said}"
    );
}
