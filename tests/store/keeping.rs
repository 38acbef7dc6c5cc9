//! What the directory of a store has of a cache, whatever becomes of the directory.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use floe::store::Outcome;
use floe::{Cache, Clock, Frozen, Moment, Policy, Store};
use nix::fcntl::{Flock, FlockArg};

use crate::fixture::{Sources, contents, refresh};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_nanos(1);

/// A cache of a number that counts the builds, if it is to change, or stays 7.
fn number(store: &Store, policy: Policy, changes: bool) -> (Cache<u32>, Arc<AtomicU32>) {
    let builds = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&builds);
    let cache = store.cache("number", policy.backoff(SOON, SOON), move |_| {
        let build = counted.fetch_add(1, Ordering::Relaxed);
        Ok(if changes { build } else { 7 })
    });
    (cache.unwrap(), builds)
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn saved_generation(path: &Path) -> u64 {
    Frozen::<u32>::load(path).unwrap().region().generation()
}

#[test]
fn a_directory_that_was_removed_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let (directory, file) = (
        home.path().join("caches"),
        home.path().join("caches/number.floe"),
    );
    let store = Store::open(&directory).unwrap();
    let (cache, builds) = number(&store, Policy::new(), true);
    refresh(&store);
    fs::remove_dir_all(&directory).unwrap();
    let report = refresh(&store);
    assert_eq!((report.outcome, report.error), (Outcome::Fresh, None));
    assert_eq!(saved_generation(&file), 1);
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    fs::remove_dir_all(&directory).unwrap();
    store.invalidate("number").unwrap();
    let report = refresh(&store);
    assert_eq!((report.outcome, report.error), (Outcome::Published, None));
    assert_eq!(saved_generation(&file), 2);

    // Where that cannot be, building goes on, and it is told once.
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "no directory").unwrap();
    for told in [true, false] {
        store.invalidate("number").unwrap();
        let report = refresh(&store);
        assert_eq!(report.outcome, Outcome::Published);
        assert_eq!(report.error.is_some(), told, "{:?}", report.error);
        let status = store.status().unwrap().remove(0);
        assert!(status.directory.unwrap().contains("caches"));
    }
    assert_eq!(
        (*cache.get().unwrap(), builds.load(Ordering::Relaxed)),
        (3_u32.into(), 4)
    );
    fs::remove_file(&directory).unwrap();
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);
    assert_eq!(saved_generation(&file), 4);
    let status = store.status().unwrap().remove(0);
    assert_eq!((status.directory, status.last_error), (None, None));
}

#[test]
fn a_save_that_failed_is_tried_again_and_no_number_is_given_twice() {
    let home = tempfile::tempdir().unwrap();
    let open = || {
        let store = Store::open(home.path().join("caches")).unwrap();
        let (cache, _) = number(&store, Policy::new(), true);
        (store, cache)
    };
    let (first, _) = open();
    let file = home.path().join("caches/number.floe");
    symlink("nowhere", &file).unwrap();
    let report = refresh(&first);
    assert_eq!((report.outcome, report.generation), (Outcome::Published, 1));
    assert!(report.error.unwrap().contains("symbolic link"));
    // Told once, and in the status as long as it lasts.
    assert_eq!(refresh(&first).error, None);
    let status = first.status().unwrap().remove(0);
    assert!(status.last_error.unwrap().contains("symbolic link"));

    // Another process knows of the number, though nothing was saved under it.
    let (second, cache) = open();
    assert_eq!(refresh(&second).generation, 2);

    fs::remove_file(&file).unwrap();
    assert_eq!(refresh(&first).outcome, Outcome::Fresh);
    assert_eq!(first.status().unwrap()[0].last_error, None);
    assert_eq!(saved_generation(&file), 1);
    assert_eq!(refresh(&second).outcome, Outcome::Fresh);
    assert_eq!(saved_generation(&file), 2);
    let report = refresh(&first);
    assert_eq!((report.outcome, report.generation), (Outcome::Loaded, 2));
    assert_eq!(cache.get().unwrap().region().generation(), 2);
}

#[test]
fn a_file_that_tells_no_number_begins_none_anew() {
    let home = tempfile::tempdir().unwrap();
    let build = || {
        let store = Store::open(home.path().join("caches")).unwrap();
        number(&store, Policy::new(), true);
        let report = refresh(&store);
        (report.outcome, report.generation)
    };
    let file = home.path().join("caches/number.floe");
    assert_eq!(build(), (Outcome::Published, 1));
    for number in 2..5 {
        fs::write(&file, "damaged").unwrap();
        assert_eq!(build(), (Outcome::Published, number));
        assert_eq!(build(), (Outcome::Loaded, number));
    }
    // Whatever stands in the other file.
    let lock = home.path().join("caches/number.lock");
    for content in [
        "",
        "text",
        "99999999999999999999\n",
        "-0000000000000000001\n",
    ] {
        fs::write(&lock, content).unwrap();
        assert_eq!(build().0, Outcome::Loaded);
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(build(), (Outcome::Published, 1));
}

#[test]
fn builds_that_come_to_nothing_take_no_number() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path().join("caches")).unwrap();
    let mood = Arc::new(AtomicU32::new(1));
    let seen = Arc::clone(&mood);
    let policy = Policy::new().backoff(SOON, SOON);
    let cache = store.cache("number", policy, move |_| {
        match seen.load(Ordering::Relaxed) {
            0 => Err("it rains".into()),
            number => Ok(number),
        }
    });
    cache.unwrap();
    for (number, outcome, generation) in [
        (1, Outcome::Published, 1),
        (0, Outcome::Failed, 1),
        (1, Outcome::Unchanged, 1),
        (2, Outcome::Published, 2),
    ] {
        mood.store(number, Ordering::Relaxed);
        store.invalidate("number").unwrap();
        let report = refresh(&store);
        assert_eq!((report.outcome, report.generation), (outcome, generation));
    }
}

#[test]
fn a_new_age_is_saved_without_a_new_generation() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let start = Moment::now();
    let open = |seconds: u32| {
        let clock = Clock::manual(start + seconds * SECOND);
        let store = Store::open(&directory).unwrap().with_clock(clock.clone());
        let policy = Policy::new().refresh_after(10 * SECOND);
        let (_, builds) = number(&store, policy, false);
        let report = refresh(&store);
        assert_eq!((report.generation, report.error), (1, None));
        (
            (store, clock),
            report.outcome,
            builds.load(Ordering::Relaxed),
        )
    };
    let ((other, clock), ..) = open(0);
    let saved = inode(&directory.join("number.floe"));
    let outcome = |seconds| {
        let (_, outcome, builds) = open(seconds);
        (outcome, builds)
    };
    assert_eq!(outcome(9), (Outcome::Loaded, 0));
    assert_eq!(outcome(11), (Outcome::Unchanged, 1));
    assert_eq!(outcome(12), (Outcome::Loaded, 0));
    assert_eq!(outcome(20), (Outcome::Loaded, 0));
    assert_eq!(outcome(22), (Outcome::Unchanged, 1));
    // Nobody has to map anything again, and processes that run take it over.
    assert_eq!(inode(&directory.join("number.floe")), saved);
    clock.set(start + 25 * SECOND);
    assert_eq!(refresh(&other).outcome, Outcome::Fresh);
    assert_eq!(other.status().unwrap()[0].due_in, Some(7 * SECOND));
    // What belongs to another generation is not taken for news.
    fs::remove_file(directory.join("number.floe")).unwrap();
    let store = Store::open(&directory).unwrap();
    number(&store, Policy::new(), true);
    assert_eq!(refresh(&store).generation, 2);
    let status = store.status().unwrap().remove(0);
    assert_eq!(status.directory, None);
}

#[test]
fn renewed_stamps_are_saved_once() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let home = tempfile::tempdir().unwrap();
    // So late that no stamp is young.
    let clock = Clock::manual(Moment::now() + 3600 * SECOND);
    let outcome = || {
        let directory = home.path().join("caches");
        let store = Store::open(directory).unwrap().with_clock(clock.clone());
        let (cache, built) = contents(&store, &sources, Policy::new().revalidate_inputs());
        let report = refresh(&store);
        assert_eq!((report.generation, report.error), (1, None));
        assert_eq!(cache.get().unwrap().len(), 2);
        (report.outcome, built.take().len())
    };
    let saved = |name: &str| {
        let path = home.path().join("caches").join(name);
        fs::metadata(path).map(|it| it.ino()).ok()
    };
    assert_eq!(outcome(), (Outcome::Published, 2));
    let generation = saved("contents.floe");
    assert_eq!(outcome(), (Outcome::Loaded, 0));
    assert_eq!(saved("contents.inputs"), None);
    let mut before = None;
    for name in ["a.txt", "b.txt"] {
        let file = File::options().write(true).open(sources.path(name));
        file.unwrap()
            .set_modified(SystemTime::UNIX_EPOCH + SECOND)
            .unwrap();
        assert_eq!(outcome(), (Outcome::Loaded, 0));
        let renewed = saved("contents.inputs");
        assert!(renewed.is_some() && renewed != before, "{name}");
        // Who finds the stamps as they are has nothing to read, and so nothing to save.
        assert_eq!(outcome(), (Outcome::Loaded, 0));
        assert_eq!(saved("contents.inputs"), renewed);
        before = renewed;
    }
    assert_eq!(saved("contents.floe"), generation);
    // What is damaged, or foreign, is worth a note.
    let inputs = home.path().join("caches/contents.inputs");
    fs::write(&inputs, "damaged").unwrap();
    let store = Store::open(home.path().join("caches")).unwrap();
    contents(&store, &sources, Policy::new().revalidate_inputs());
    let report = refresh(&store);
    assert_eq!(report.outcome, Outcome::Loaded);
    assert!(report.error.unwrap().contains("contents.inputs"));
}

#[test]
fn what_others_may_write_is_not_locked_and_building_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let store = Store::open(&directory).unwrap();
    let (cache, _) = number(&store, Policy::new(), true);
    let lock = directory.join("number.lock");
    fs::write(&lock, "").unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
    let report = refresh(&store);
    assert_eq!(report.outcome, Outcome::Published);
    assert!(report.error.unwrap().contains("number.lock"));
    assert_eq!(*cache.get().unwrap(), 0);
    assert!(!directory.join("number.floe").exists());
    fs::remove_file(&lock).unwrap();
    assert_eq!(refresh(&store).error, None);
    assert_eq!(saved_generation(&directory.join("number.floe")), 1);
}

/// Takes the turn of a cache as another process does, which is stopped then.
fn hold_turn(directory: &Path) -> Flock<File> {
    let path = directory.join("number.lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    Flock::lock(file.unwrap(), FlockArg::LockExclusiveNonblock).unwrap()
}

#[test]
fn a_turn_that_is_never_given_back_is_not_waited_for_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let store = Store::open(&directory).unwrap();
    let store = store.with_lock_timeout(Duration::from_millis(1));
    let (cache, _) = number(&store, Policy::new(), true);
    let turn = hold_turn(&directory);
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Published, 1));
    assert!(
        report
            .error
            .unwrap()
            .contains("another process has been building")
    );
    assert_eq!(*cache.get().unwrap(), 0);
    // With a generation at hand nobody needs to wait.
    store.invalidate("number").unwrap();
    let report = store.refresh_idle().unwrap().caches.remove(0);
    assert_eq!((report.outcome, report.generation), (Outcome::Busy, 1));
    assert!(!directory.join("number.floe").exists());
    drop(turn);
    assert_eq!(refresh(&store).generation, 2);
    assert_eq!(saved_generation(&directory.join("number.floe")), 2);
    assert_eq!(store.status().unwrap()[0].directory, None);
}

#[test]
fn a_background_that_waits_for_a_turn_can_be_dropped() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("caches");
    let store = Store::open(&directory).unwrap();
    let (said, hears) = mpsc::channel();
    let first = store.cache("first", Policy::new(), move |_| Ok(said.send(1)?));
    first.unwrap();
    let (cache, _) = number(&store, Policy::new(), true);
    let _turn = hold_turn(&directory);
    let background = store.refresh_in_background(3600 * SECOND, |_| {}).unwrap();
    hears.recv().unwrap();
    drop(background);
    assert!(cache.get().is_err());
}
