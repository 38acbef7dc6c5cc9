//! The locks by which processes that share a directory take turns, and the numbers that they give.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Directory, SWEEP, failed};
use crate::error::{Error, Result};
use crate::region::where_known;
use crate::sys::owner::Owner;

/// The file that those lock who write into the directory. Files of caches have an ending.
const WRITERS: &str = "writers";
/// The longest pause between two looks at a lock that somebody holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(32);
/// Digits of a number in a lock file, so that a greater one takes no more of the disk.
const DIGITS: usize = 20;

/// How long to wait for a lock that somebody holds.
pub(in crate::store) struct Patience<'a> {
    pub(in crate::store) most: Duration,
    /// Pauses for some time, or less; true if there is nothing to wait for any more.
    pub(in crate::store) pause: &'a dyn Fn(Duration) -> bool,
}

/// What came of taking a turn.
pub(in crate::store) enum TurnTaken {
    Taken(Turn),
    /// Somebody else has it, and there is no waiting, or no more of it.
    Busy,
    /// It cannot be had, for this reason.
    Unshared(Error),
}

/// How the file of the writers is locked.
#[derive(Clone, Copy)]
pub(super) enum LockMode {
    Shared,
    /// Or not at all, if somebody else has it.
    Alone,
}

impl Directory {
    /// Takes the turn to build a cache. A file system without locks gives it to all who ask.
    pub(in crate::store) fn turn(&self, name: &str, patience: Option<&Patience<'_>>) -> TurnTaken {
        let file = format!("{name}.lock");
        let opened = self.establish().and_then(|()| self.open_lock(&file));
        let file = match opened {
            Ok(file) => file,
            Err(error) => return TurnTaken::Unshared(error),
        };
        let path = self.path.join(format!("{name}.lock"));
        let failed = |reason| TurnTaken::Unshared(failed(&path, "lock")(reason));
        match lock(&file, FlockOperation::NonBlockingLockExclusive, patience) {
            Ok(Locked::Yes) => TurnTaken::Taken(Turn::of(file)),
            Ok(Locked::Unknown) => {
                self.lack(
                    "the file system has no locks: \
                     processes that share the directory may build at the same time",
                );
                TurnTaken::Taken(Turn::of(file))
            }
            Ok(Locked::No) => TurnTaken::Busy,
            Ok(Locked::TooLate) => failed(io::Error::other(format!(
                "another process has been building for {} s; the cache is built here too",
                patience.map_or(0, |it| it.most.as_secs())
            ))),
            Err(errno) => failed(errno.into()),
        }
    }

    /// Locks the file of the writers; none if that cannot be, or not soon.
    pub(super) fn lock_writers(&self, mode: LockMode) -> Option<Turn> {
        let file = self.open_lock(WRITERS).ok()?;
        let pause = |time| {
            std::thread::sleep(time);
            false
        };
        let patience = Patience {
            most: SWEEP,
            pause: &pause,
        };
        let locked = match mode {
            LockMode::Shared => lock(
                &file,
                FlockOperation::NonBlockingLockShared,
                Some(&patience),
            ),
            LockMode::Alone => lock(&file, FlockOperation::NonBlockingLockExclusive, None),
        };
        matches!(locked, Ok(Locked::Yes)).then(|| Turn::of(file))
    }

    /// Opened for reading and writing: where locks are kept by a server, a shared one is for
    /// readers and the other for writers.
    fn open_lock(&self, file: &str) -> Result<File> {
        let path = self.path.join(file);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = self.open_own(&mut options, &path);
        let (file, metadata) = opened.map_err(failed(&path, "open"))?;
        if metadata.mode() & 0o700 != 0o600 {
            // Made under a umask, a moment ago or by somebody who was killed then.
            let set = file.set_permissions(Permissions::from_mode(0o600));
            where_known(set).map_err(failed(&path, "set the mode"))?;
        }
        Ok(file)
    }

    /// The highest number that was given to a generation of a cache, for those who have no turn.
    pub(in crate::store) fn highest(&self, name: &str) -> u64 {
        let path = self.path.join(format!("{name}.lock"));
        let opened = self.open_own(OpenOptions::new().read(true), &path);
        opened.map_or(0, |(file, _)| number(&file))
    }
}

enum Locked {
    Yes,
    No,
    TooLate,
    /// The file system knows no locks.
    Unknown,
}

fn lock(
    file: &File,
    how: FlockOperation,
    patience: Option<&Patience<'_>>,
) -> Result<Locked, Errno> {
    let (start, mut pause) = (Instant::now(), Duration::from_millis(1));
    loop {
        match uninterrupted(file, how) {
            Ok(()) => return Ok(Locked::Yes),
            Err(Errno::WOULDBLOCK) => {}
            Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                return Ok(Locked::Unknown);
            }
            Err(errno) => return Err(errno),
        }
        let Some(patience) = patience else {
            return Ok(Locked::No);
        };
        let left = patience.most.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(Locked::TooLate);
        }
        if (patience.pause)(pause.min(left)) {
            return Ok(Locked::No);
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// The turn to build a cache. It is given back explicitly: a child that was forked meanwhile has
/// the same lock, and would keep it.
#[derive(Debug)]
pub(in crate::store) struct Turn {
    file: File,
    owner: Owner,
}

/// A number for the next generation, which nobody else gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Claim {
    pub(in crate::store) number: u64,
    before: u64,
}

impl Turn {
    fn of(file: File) -> Self {
        let owner = Owner::here();
        Self { file, owner }
    }

    /// Takes the number behind all that were given, and behind those that are known, and writes it
    /// down: who cannot save what it numbers gives it to readers all the same.
    pub(in crate::store) fn claim(&self, known: u64) -> Claim {
        let before = number(&self.file).max(known);
        let number = before.saturating_add(1);
        note(&self.file, number);
        Claim { number, before }
    }

    /// Gives a number back that no generation got.
    pub(in crate::store) fn give_back(&self, claim: Claim) {
        if number(&self.file) == claim.number {
            note(&self.file, claim.before);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Unlocking in a child would take the turn from its parent.
        if self.owner.check("a turn").is_err() {
            return;
        }
        // Where that fails otherwise, closing the file has to do.
        let _ = uninterrupted(&self.file, FlockOperation::Unlock);
    }
}

/// Locks or unlocks, in spite of signals. A file system may say that for ever.
fn uninterrupted(file: &File, how: FlockOperation) -> Result<(), Errno> {
    const SIGNALS: usize = 100;
    let mut attempts = std::iter::repeat_with(|| flock(file, how)).take(SIGNALS);
    attempts
        .find(|done| *done != Err(Errno::INTR))
        .unwrap_or(Err(Errno::INTR))
}

/// The number in a lock file; zero if there is none.
fn number(file: &File) -> u64 {
    let mut digits = [0; DIGITS];
    let read = file.read_exact_at(&mut digits, 0);
    let text = read.ok().and_then(|()| str::from_utf8(&digits).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Writes a number into a lock file. Where that fails, the headers of the saved files have to do.
fn note(file: &File, number: u64) {
    let _ = file.write_all_at(format!("{number:0DIGITS$}\n").as_bytes(), 0);
}
