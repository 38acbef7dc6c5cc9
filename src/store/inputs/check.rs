//! Comparing recorded inputs with what is there now.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::change::{self, Change, Difference};
use super::input::{Attempt, Input, Seen, Subject};
use super::proof::{Proof, Trust};
use super::reading::{self, failure};
use super::stamp::{Found, Stamp, existing};
use super::{READ_LIMIT, Sets, listing, text_digest};
use crate::sys::clock::Clock;
use crate::sys::threads;

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
    /// Whether something proved equal under another stamp, which is what the inputs have now.
    pub(crate) renewed: bool,
}

/// Inputs that are worth a thread.
const WORTH_A_THREAD: usize = 512;

impl Sets {
    /// Compares every input with what is there now: one system call for each path, on all
    /// processors if there are many. What proved equal in spite of another stamp, or a young one,
    /// is remembered under its stamp of now; what no stamp proves is read every time.
    pub(crate) fn check(&mut self, values: &Values, clock: &Clock, settle: Duration) -> Changed {
        let check = Check {
            values,
            trust: Trust::new(clock.now(), settle),
            renewed: AtomicBool::new(false),
        };
        let shares: Vec<_> = shares(&mut self.inputs)
            .into_iter()
            .map(Mutex::new)
            .collect();
        let checked = threads::map(&shares, |share| {
            let mut share = share.lock().unwrap_or_else(PoisonError::into_inner);
            Ok::<_, Infallible>(check.inputs(&mut share))
        });
        let Ok(checked) = checked;
        let renewed = check.renewed.into_inner();
        let changed = Changed {
            renewed,
            ..Changed::default()
        };
        checked.into_iter().fold(changed, Changed::joined)
    }
}

/// Divides sorted inputs into shares; those of one subject stay together.
fn shares(mut inputs: &mut [Arc<Input>]) -> Vec<&mut [Arc<Input>]> {
    let mut shares = Vec::new();
    while !inputs.is_empty() {
        let mut end = WORTH_A_THREAD.min(inputs.len());
        while end < inputs.len() && inputs[end - 1].subject == inputs[end].subject {
            end += 1;
        }
        let (share, rest) = inputs.split_at_mut(end);
        shares.push(share);
        inputs = rest;
    }
    shares
}

/// What inputs are compared with: the named values, and which stamps are trusted now.
struct Check<'a> {
    values: &'a Values,
    trust: Trust,
    renewed: AtomicBool,
}

impl Check<'_> {
    fn inputs(&self, inputs: &mut [Arc<Input>]) -> Changed {
        let mut changed = Changed::default();
        for group in inputs.chunk_by_mut(|one, other| one.subject == other.subject) {
            let subject = group[0].subject.clone();
            let found = match &subject {
                Subject::Path(path) => Some(existing(Found::at(Path::new(path)))),
                _ => None,
            };
            for input in group {
                let difference = self.compare(&subject, found.as_ref(), input);
                changed.note(&subject, difference);
            }
        }
        changed
    }

    /// How an input differs from what is found now, at its path if it has one.
    fn compare(
        &self,
        subject: &Subject,
        found: Option<&io::Result<Option<Found>>>,
        input: &mut Arc<Input>,
    ) -> Option<Difference> {
        let now = match (subject, found) {
            (Subject::Path(path), Some(found)) => {
                return self.compare_path(Path::new(path), found, input);
            }
            (Subject::Value(name), _) => self.values.get(name).map(Seen::Digest),
            (Subject::Environment(name) | Subject::Path(name), _) => Some(variable(name)),
        };
        (now.as_ref() != Some(&input.seen)).then_some(Difference::Value)
    }

    fn compare_path(
        &self,
        path: &Path,
        found: &io::Result<Option<Found>>,
        input: &mut Arc<Input>,
    ) -> Option<Difference> {
        let found = match (found, &input.seen) {
            (Ok(found), _) => found.as_ref(),
            (
                Err(error),
                Seen::Failed {
                    failure: before, ..
                },
            ) if failure(error) == *before => {
                return None;
            }
            (Err(error), _) => return Some(Difference::Unreadable(error.to_string())),
        };
        let Some(found) = found else {
            return (input.seen != Seen::Absent).then_some(Difference::Gone);
        };
        match &input.seen {
            Seen::Absent => Some(Difference::Appeared),
            Seen::Present | Seen::Digest(_) => None,
            Seen::Metadata { stamp, digest } => {
                let now = (found.stamp, found.metadata_digest());
                ((*stamp, *digest) != now).then_some(Difference::Metadata)
            }
            Seen::TooLarge { stamp, most } => {
                let fits = found.stamp.size <= *most && found.stamp != *stamp;
                fits.then_some(Difference::Readable)
            }
            Seen::Failed {
                attempt,
                failure: before,
            } => match try_again(path, attempt) {
                Err(error) if failure(&error) == *before => None,
                Err(error) => Some(Difference::Unreadable(error.to_string())),
                Ok(()) => Some(Difference::Readable),
            },
            Seen::Content { stamp, proof, .. } | Seen::Listing { stamp, proof, .. }
                if self.trust.proves(*proof, stamp, found) =>
            {
                None
            }
            Seen::Content { .. } | Seen::Listing { .. } => {
                let compared = self.compare_content(path, found, &mut Arc::make_mut(input).seen);
                compared.unwrap_or_else(|error| Some(Difference::Unreadable(error.to_string())))
            }
        }
    }

    /// Compares content or names. What is equal is recorded under its stamp of now, if that proves
    /// something: what has to be compared every time keeps the record that it has.
    fn compare_content(
        &self,
        path: &Path,
        found: &Found,
        seen: &mut Seen,
    ) -> io::Result<Option<Difference>> {
        let (read, now, stamp, proof) = match seen {
            Seen::Content {
                stamp,
                proof,
                length,
                digest,
            } => {
                let is_size = |stamp: &Stamp| stamp.size == *length;
                if is_size(stamp) && !is_size(&found.stamp) {
                    return Ok(Some(Difference::Content));
                }
                let Some(opened) = existing(reading::open(path))? else {
                    return Ok(Some(Difference::Gone));
                };
                let (read, times) = (opened.found, opened.times);
                if opened.digest(*length)? != Some(*digest) {
                    return Ok(Some(Difference::Content));
                }
                (
                    read.stamp,
                    self.trust.proof_of_content(&read, times, *length),
                    stamp,
                    proof,
                )
            }
            Seen::Listing {
                stamp,
                proof,
                filter,
                names,
            } => {
                let Some(now) = existing(listing::list(path, filter.as_deref()))? else {
                    return Ok(Some(Difference::Gone));
                };
                if now.names != *names {
                    return Ok(Some(change::names(names, &now.names)));
                }
                (
                    now.found.stamp,
                    self.trust.proof(&now.found, now.times),
                    stamp,
                    proof,
                )
            }
            _ => return Ok(None),
        };
        if now != Proof::Nothing && (*stamp, *proof) != (read, now) {
            (*stamp, *proof) = (read, now);
            self.renewed.store(true, Ordering::Relaxed);
        }
        Ok(None)
    }
}

/// Tries what failed. A file is read to its end, since that may be where it fails.
fn try_again(path: &Path, attempt: &Attempt) -> io::Result<()> {
    match attempt {
        Attempt::Find => Ok(()),
        Attempt::Read => reading::open(path)?.digest(READ_LIMIT).map(drop),
        Attempt::List(filter) => listing::list(path, filter.as_deref()).map(drop),
    }
}

impl Changed {
    fn note(&mut self, subject: &Subject, difference: Option<Difference>) {
        self.flags.push(difference.is_some());
        let Some(difference) = difference else {
            return;
        };
        let change = Change {
            subject: subject.clone(),
            difference,
        };
        // A path that was read by several builds at different times is told of once.
        if self.changes.last() != Some(&change) {
            self.changes.push(change);
        }
    }

    fn joined(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self.flags.extend(other.flags);
        self
    }
}

/// What stands in the environment under a name.
pub(super) fn variable(name: &OsStr) -> Seen {
    let value = std::env::var_os(name);
    value.map_or(Seen::Absent, |value| Seen::Digest(text_digest(&value)))
}
