//! What owners leave that end without a word, and what is not theirs.

use std::fs::{self, File, FileTimes};
use std::mem;
use std::time::{Duration, SystemTime};

use floe::posix;
use floe::prefork;
use floe_testkit::forking::{Gate, forever};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, fork, getpid};

use crate::fixture::{Name, numbers, open};

/// An owner that publishes a name and is killed.
fn killed(name: &Name) {
    let pool = prefork::spawn(1, |_| {
        mem::forget(numbers(3).region().publish_posix(&name.0).unwrap());
        kill(getpid(), Signal::SIGKILL).unwrap();
    });
    pool.unwrap().join().unwrap_err();
    let listed = name.listed().unwrap();
    assert!(!listed.owner_runs && listed.cache.as_deref() == Some("numbers"));
}

fn swept() -> Vec<String> {
    let swept = posix::sweep().unwrap();
    swept.into_iter().map(|it| it.name).collect()
}

pub(crate) fn a_killed_owner_is_swept() {
    let (dead, living) = (Name::new(), Name::new());
    killed(&dead);
    let _published = numbers(3).region().publish_posix(&living.0).unwrap();
    assert_eq!(open(&dead).unwrap().len(), 3, "what it has left is good");
    let swept = swept();
    assert!(swept.contains(&dead.0) && !swept.contains(&living.0));
    assert!(!dead.path().exists() && living.path().exists());
}

/// A lock outlives its owner where children have its descriptor.
pub(crate) fn an_owner_is_dead_while_its_children_live() {
    let name = Name::new();
    let (ready, end) = (Gate::new(), Gate::new());
    let pool = prefork::spawn(1, |_| {
        mem::forget(numbers(3).region().publish_posix(&name.0).unwrap());
        // SAFETY: this process has one thread.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                ready.open();
                end.pass();
                forever();
            }
            ForkResult::Parent { child } => {
                ready.pass();
                fs::write(format!("/dev/shm/{}-child", name.0), child.to_string()).unwrap();
                kill(getpid(), Signal::SIGKILL).unwrap();
            }
        }
    });
    pool.unwrap().join().unwrap_err();
    let told = Name(format!("{}-child", name.0));
    let child = fs::read_to_string(told.path()).unwrap().parse().unwrap();
    let child = nix::unistd::Pid::from_raw(child);
    assert!(kill(child, None).is_ok(), "the child lives");
    let is_gone = !name.listed().unwrap().owner_runs;
    kill(child, Signal::SIGKILL).unwrap();
    assert!(is_gone);
}

pub(crate) fn the_next_owner_takes_the_name() {
    let name = Name::new();
    killed(&name);
    let published = numbers(9).region().publish_posix(&name.0).unwrap();
    assert_eq!(open(&name).unwrap().len(), 9);
    assert!(name.listed().unwrap().owner_runs);
    drop(published);
    assert!(!name.path().exists());
}

pub(crate) fn drafts_are_swept_when_they_are_old() {
    let (old, young) = (
        Name(".floe-posix-0123456789abcdef".into()),
        Name(".floe-posix-fedcba9876543210".into()),
    );
    for (name, age) in [(&old, 61), (&young, 1)] {
        let file = File::create(name.path()).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
    }
    assert!(!old.listed().unwrap().owner_runs);
    assert!(young.listed().is_none());
    let swept = swept();
    assert!(
        swept.contains(&old.0) && !swept.contains(&young.0),
        "{swept:?}"
    );
}

pub(crate) fn what_no_owner_published_is_not_swept() {
    let (saved, other, almost) = (Name::new(), Name::new(), Name(".floe-posix-mine".into()));
    numbers(3).region().save(saved.path()).unwrap();
    fs::write(other.path(), "text").unwrap();
    fs::write(almost.path(), "text").unwrap();
    let swept = swept();
    for name in [&saved, &other, &almost] {
        assert!(!swept.contains(&name.0) && name.path().exists());
        assert!(name.listed().is_none());
    }
    // Nor is it replaced by an owner.
    let refused = numbers(9).region().publish_posix(&saved.0).unwrap_err();
    assert!(
        refused.to_string().contains("an owner has published"),
        "{refused}"
    );
    assert_eq!(open(&saved).unwrap().len(), 3);
}
