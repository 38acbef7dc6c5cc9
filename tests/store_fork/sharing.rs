//! Processes that share a directory build one at a time.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use floe::store::{BuildResult, Outcome};
use floe::{Cache, Policy, Store, prefork};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};

use crate::forking::{Gate, forever, pid_of};

/// A cache that is the content of a file, and notes each build in another file.
fn noted(folder: &Path) -> (Store, Cache<String>) {
    let store = Store::open(folder.join("caches")).unwrap();
    let (source, notes) = (folder.join("source"), folder.join("notes"));
    let cache = store.cache("noted", Policy::new().revalidate_inputs(), move |inputs| {
        let mut notes = OpenOptions::new().append(true).create(true).open(&notes)?;
        notes.write_all(b".")?;
        Ok(inputs.read_to_string(&source)?.unwrap_or_default())
    });
    (store, cache.unwrap())
}

pub fn one_process_builds_and_the_others_take_it_over() {
    const PROCESSES: usize = 8;
    const ROUNDS: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let (folder, rounds) = (folder.path(), [(); ROUNDS].map(|()| Gate::new()));
    let done = Gate::new();
    fs::write(folder.join("source"), "round 0").unwrap();
    let pool = prefork::spawn(PROCESSES, |_| {
        let (store, cache) = noted(folder);
        let mut sound = true;
        for (round, gate) in rounds.iter().enumerate() {
            gate.pass();
            let report = store.refresh().unwrap();
            sound &=
                !report.has_failures() && cache.get().unwrap().as_str() == format!("round {round}");
            done.open();
        }
        sound
    })
    .unwrap();
    for (round, gate) in rounds.iter().enumerate() {
        fs::write(folder.join("source"), format!("round {round}")).unwrap();
        (0..PROCESSES).for_each(|_| gate.open());
        (0..PROCESSES).for_each(|_| done.pass());
        // Each round was built once, by whoever came first.
        assert_eq!(fs::read(folder.join("notes")).unwrap().len(), round + 1);
    }
    assert!(pool.join().unwrap().iter().all(|sound| *sound));
}

pub fn a_lock_that_a_child_inherited_blocks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (forked, gate) = (Gate::new(), Gate::new());
    let (source, held) = (folder.path().join("source"), &gate);
    fs::write(&source, "text").unwrap();
    let store = Store::open(folder.path().join("caches")).unwrap();
    let pid = std::sync::Arc::new(std::sync::atomic::AtomicI32::new(0));
    let (writer, seen) = (
        forked.writer.try_clone().unwrap(),
        std::sync::Arc::clone(&pid),
    );
    let cache = store.cache("noted", Policy::new(), move |_| {
        // SAFETY: the process has one thread; the child uses nothing of it and is killed.
        match unsafe { libc::fork() } {
            0 => {
                (&writer).write_all(b".")?;
                forever()
            }
            child => seen.store(child, std::sync::atomic::Ordering::Relaxed),
        }
        Ok("built".to_owned())
    });
    let cache = cache.unwrap();
    store.refresh().unwrap();
    forked.pass();
    assert_eq!(cache.get().unwrap().as_str(), "built");
    // The child lives and has the lock's descriptor; another process builds all the same.
    let folder = folder.path();
    fs::remove_file(folder.join("caches/noted.floe")).unwrap();
    let outcome = prefork::spawn(1, |_| {
        let (store, cache) = noted(folder);
        let report = store.refresh_idle().unwrap();
        held.open();
        (
            report.caches[0].outcome == Outcome::Published,
            cache.get().unwrap().as_str().to_owned(),
        )
    });
    gate.pass();
    assert_eq!(
        outcome.unwrap().join().unwrap(),
        [(true, "text".to_owned())]
    );
    let child = nix::unistd::Pid::from_raw(pid.load(std::sync::atomic::Ordering::Relaxed));
    kill(child, Signal::SIGKILL).unwrap();
    nix::sys::wait::waitpid(child, None).unwrap();
}

pub fn a_killed_builder_leaves_the_turn_and_the_generation() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("source"), "first").unwrap();
    let (store, cache) = noted(folder);
    store.refresh().unwrap();
    let building = Gate::new();
    let pool = prefork::spawn(1, |_| {
        let store = Store::open(folder.join("caches")).unwrap();
        let policy = Policy::new().keyed_by("another");
        let begun = building.writer.try_clone().unwrap();
        let cache = store.cache("noted", policy, move |_| -> BuildResult<String> {
            (&begun).write_all(b".")?;
            forever()
        });
        cache.unwrap();
        store.refresh().unwrap();
    });
    let pool = pool.unwrap();
    building.pass();
    // While another builds, the old generation stays.
    fs::write(folder.join("source"), "second").unwrap();
    let report = store.refresh_idle().unwrap().caches.remove(0);
    assert_eq!((report.outcome, report.generation), (Outcome::Busy, 1));
    assert_eq!(cache.get().unwrap().as_str(), "first");
    kill(pid_of(&pool, 0), Signal::SIGKILL).unwrap();
    pool.join().unwrap_err();
    assert_eq!(
        store.refresh_idle().unwrap().caches[0].outcome,
        Outcome::Published
    );
    assert_eq!(cache.get().unwrap().as_str(), "second");
}

pub fn modes_do_not_depend_on_the_umask() {
    for mask in [0o000, 0o777] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("source"), "text").unwrap();
        fs::write(folder.path().join("notes"), "").unwrap();
        let before = umask(Mode::from_bits_truncate(mask));
        let (store, _) = noted(folder.path());
        let report = store.refresh();
        umask(before);
        assert!(!report.unwrap().has_failures());
        let mode = |name: &str| {
            let metadata = fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode("caches"), 0o700);
        assert_eq!(
            (mode("caches/noted.floe"), mode("caches/noted.lock")),
            (0o600, 0o600)
        );
    }
}
