//! Comparing recorded inputs with what is there now.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3Default;

use super::change::{self, Change, Difference};
use super::input::{Input, Seen, Subject};
use super::stamp::{self, Stamp, existing};
use super::{Sets, listing, open, text_digest};
use crate::clock::Clock;

/// The named values that count now, by digest. Clones are the same values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Arc<Mutex<BTreeMap<String, u128>>>);

impl Values {
    pub(crate) fn set(&self, name: &str, digest: u128) {
        self.lock().insert(name.to_owned(), digest);
    }

    fn get(&self, name: &str) -> Option<u128> {
        self.lock().get(name).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u128>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a check.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// What changed, in the order of the inputs.
    pub(crate) changes: Vec<Change>,
    /// For each input by its number, whether it changed.
    pub(crate) flags: Vec<bool>,
}

impl Sets {
    /// Compares every input with what is there now: one system call for each path. What proved
    /// equal in spite of another stamp, or a young one, is remembered under its stamp of now.
    pub(crate) fn check(&mut self, values: &Values, clock: &Clock, settle: Duration) -> Changed {
        let mut changed = Changed {
            flags: vec![false; self.inputs.len()],
            changes: Vec::new(),
        };
        let settled_until = Settled {
            now: clock.now().wall_nanos,
            settle: settle.as_nanos() as u64,
        };
        // The inputs are sorted by subject, so those of one path stand together.
        let mut last: Option<Found> = None;
        for (number, input) in self.inputs.iter_mut().enumerate() {
            let difference = match &input.subject {
                Subject::Path(path) => {
                    if last.as_ref().is_none_or(|last| last.path != *path) {
                        last = Some(Found::at(path));
                    }
                    let found = last.as_ref().map(|last| &last.stamp);
                    found.and_then(|found| compare(path, &mut input.seen, found, &settled_until))
                }
                Subject::Environment(name) => {
                    (variable(name) != input.seen).then_some(Difference::Value)
                }
                Subject::Value(name) => {
                    let now = values.get(name).map(Seen::Digest);
                    (now.as_ref() != Some(&input.seen)).then_some(Difference::Value)
                }
            };
            changed.note(number, input, difference);
        }
        changed
    }
}

impl Changed {
    fn note(&mut self, number: usize, input: &Input, difference: Option<Difference>) {
        let Some(difference) = difference else {
            return;
        };
        self.flags[number] = true;
        let subject = input.subject.clone();
        let change = Change {
            subject,
            difference,
        };
        // A path that was read by several builds at different times is told of once.
        if self.changes.last() != Some(&change) {
            self.changes.push(change);
        }
    }
}

/// What stands in the environment under a name.
pub(super) fn variable(name: &OsStr) -> Seen {
    let value = std::env::var_os(name);
    value.map_or(Seen::Absent, |value| Seen::Digest(text_digest(&value)))
}

struct Found {
    path: std::path::PathBuf,
    stamp: io::Result<Option<Stamp>>,
}

impl Found {
    fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            stamp: stamp::metadata(path).map(|found| found.as_ref().map(Stamp::of)),
        }
    }
}

/// The moment of a check, and the time after which a stamp is trusted; in nanoseconds.
struct Settled {
    now: u64,
    settle: u64,
}

/// How what was seen at a path differs from what is found there now.
fn compare(
    path: &Path,
    seen: &mut Seen,
    found: &io::Result<Option<Stamp>>,
    settled: &Settled,
) -> Option<Difference> {
    let found = match found {
        Ok(found) => *found,
        Err(error) => return Some(Difference::Unreadable(error.to_string())),
    };
    let Some(found) = found else {
        return (*seen != Seen::Absent).then_some(Difference::Gone);
    };
    let compared = match seen {
        Seen::Absent => return Some(Difference::Appeared),
        Seen::Present | Seen::Digest(_) => return None,
        Seen::Metadata(stamp) => return (*stamp != found).then_some(Difference::Metadata),
        Seen::Content {
            stamp, unsettled, ..
        }
        | Seen::Listing {
            stamp, unsettled, ..
        } if *stamp == found && !*unsettled => return None,
        Seen::Content { stamp, .. } if stamp.size != found.size => {
            return Some(Difference::Content);
        }
        Seen::Content {
            stamp,
            unsettled,
            digest,
        } => content(path).map(|now| {
            let now = now.filter(|(_, found)| found == digest);
            now.map(|(read, _)| (*stamp, *unsettled) = settled.trust(read))
                .ok_or(Difference::Content)
        }),
        Seen::Listing {
            stamp,
            unsettled,
            filter,
            names,
        } => existing(listing::list(path, filter.as_deref())).map(|now| match now {
            Some(now) if now == *names => {
                (*stamp, *unsettled) = settled.trust(found);
                Ok(())
            }
            Some(now) => Err(change::names(names, &now)),
            None => Err(Difference::Gone),
        }),
    };
    match compared {
        Ok(equal) => equal.err(),
        Err(error) => Some(Difference::Unreadable(error.to_string())),
    }
}

impl Settled {
    /// A stamp that was just found to go with what was seen, and whether it must be proved again.
    fn trust(&self, stamp: Stamp) -> (Stamp, bool) {
        (stamp, stamp.is_unsettled(self.now, self.settle))
    }
}

/// Stamp and digest of a file's content; `None` if there is no file.
fn content(path: &Path) -> io::Result<Option<(Stamp, u128)>> {
    let Some((mut file, metadata)) = existing(open(path))? else {
        return Ok(None);
    };
    let (mut hasher, mut buffer) = (Xxh3Default::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Some((Stamp::of(&metadata), hasher.digest128()))),
            length => hasher.update(&buffer[..length]),
        }
    }
}
