//! Comparing recorded inputs with what is there now.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3Default;

use super::change::{self, Change, Difference};
use super::input::{Input, Seen, Subject};
use super::stamp::{self, Stamp, existing};
use super::{Sets, listing, open, text_digest};
use crate::clock::Clock;
use crate::parallel;

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
    /// is remembered under its stamp of now.
    pub(crate) fn check(&mut self, values: &Values, clock: &Clock, settle: Duration) -> Changed {
        let check = Check {
            values,
            now: clock.now().wall_nanos,
            settle: settle.as_nanos() as u64,
            renewed: AtomicBool::new(false),
        };
        let shares: Vec<_> = shares(&mut self.inputs)
            .into_iter()
            .map(Mutex::new)
            .collect();
        let checked = parallel::map(&shares, |share| {
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

/// What inputs are compared with: the named values, and in nanoseconds the moment of the check and
/// the age from which on a stamp is trusted.
struct Check<'a> {
    values: &'a Values,
    now: u64,
    settle: u64,
    renewed: AtomicBool,
}

impl Check<'_> {
    fn inputs(&self, inputs: &mut [Arc<Input>]) -> Changed {
        let mut changed = Changed::default();
        for group in inputs.chunk_by_mut(|one, other| one.subject == other.subject) {
            let subject = group[0].subject.clone();
            let found = match &subject {
                Subject::Path(path) => Some(stamp::metadata(Path::new(path))),
                _ => None,
            };
            let found = found.map(|found| found.map(|it| it.as_ref().map(Stamp::of)));
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
        found: Option<&io::Result<Option<Stamp>>>,
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
        found: &io::Result<Option<Stamp>>,
        input: &mut Arc<Input>,
    ) -> Option<Difference> {
        let found = match found {
            Ok(found) => *found,
            Err(error) => return Some(Difference::Unreadable(error.to_string())),
        };
        let Some(found) = found else {
            return (input.seen != Seen::Absent).then_some(Difference::Gone);
        };
        match &input.seen {
            Seen::Absent => Some(Difference::Appeared),
            Seen::Present | Seen::Digest(_) => None,
            Seen::Metadata(stamp) => (*stamp != found).then_some(Difference::Metadata),
            Seen::Content {
                stamp, unsettled, ..
            }
            | Seen::Listing {
                stamp, unsettled, ..
            } if *stamp == found && !*unsettled => None,
            Seen::Content { .. } | Seen::Listing { .. } => {
                let compared = self.compare_content(path, found, &mut Arc::make_mut(input).seen);
                compared.unwrap_or_else(|error| Some(Difference::Unreadable(error.to_string())))
            }
        }
    }

    /// Compares content or names, and keeps the stamp of what is equal.
    fn compare_content(
        &self,
        path: &Path,
        found: Stamp,
        seen: &mut Seen,
    ) -> io::Result<Option<Difference>> {
        let (read, stamp, unsettled) = match seen {
            Seen::Content { stamp, .. } if stamp.size != found.size => {
                return Ok(Some(Difference::Content));
            }
            Seen::Content {
                stamp,
                unsettled,
                digest,
            } => match content(path)? {
                Some((read, now)) if now == *digest => (read, stamp, unsettled),
                _ => return Ok(Some(Difference::Content)),
            },
            Seen::Listing {
                stamp,
                unsettled,
                filter,
                names,
            } => match existing(listing::list(path, filter.as_deref()))? {
                Some(now) if now == *names => (found, stamp, unsettled),
                Some(now) => return Ok(Some(change::names(names, &now))),
                None => return Ok(Some(Difference::Gone)),
            },
            _ => return Ok(None),
        };
        let now = (read, read.is_unsettled(self.now, self.settle));
        if (*stamp, *unsettled) != now {
            (*stamp, *unsettled) = now;
            self.renewed.store(true, Ordering::Relaxed);
        }
        Ok(None)
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
