//! Keeping the current generation in the directory.
//!
//! A generation is saved once, under its number. What is learnt of it later leaves its bytes and
//! its number alone, so that nobody has to map it again: that its files were only touched, or that
//! a build gave the same again, from other inputs or at a later time. That is saved beside it, as
//! inputs that name the generation to which they belong.

use super::super::directory::{Directory, Kept, Turn, TurnTaken};
use super::ManagedCache;
use super::adopting::LastSeen;
use super::state::{Generation, Work};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::Label;
use crate::store::inputs::{Sets, SetsBuilder, encode};
use crate::store::policy::Facts;
use crate::sys::clock::Moment;

/// How the directory stands to the current generation.
#[derive(Default)]
pub(super) struct Keeping {
    pub(super) generation: LastSeen,
    pub(super) inputs: LastSeen,
    /// The highest generation number seen in a saved file, even a refused one, or given by this
    /// process without a turn. The next generation gets a higher number: another process may have
    /// published under this one.
    pub(super) highest_generation_seen: u64,
    /// Why the saved generation could not be read.
    pub(super) unread: Option<String>,
    save_error: Option<SaveError>,
    /// What the last report said of both.
    reported: Option<String>,
}

/// Why the current generation could not be saved, and how often in a row.
struct SaveError {
    message: String,
    attempts: u32,
    last: Moment,
}

impl Keeping {
    /// Notes a generation number that another process may have published under.
    pub(super) fn sees_generation(&mut self, number: u64) {
        self.highest_generation_seen = self.highest_generation_seen.max(number);
    }

    /// Notes why the cache could not be saved.
    pub(super) fn failed(&mut self, error: &Error, now: Moment) {
        let attempts = self.save_error.as_ref().map_or(0, |it| it.attempts);
        self.save_error = Some(SaveError {
            message: error.to_string(),
            attempts: attempts.saturating_add(1),
            last: now,
        });
    }

    /// What is wrong with reading or saving the generation.
    pub(super) fn trouble(&self) -> Option<String> {
        let save_error = self.save_error.as_ref().map(|it| it.message.clone());
        super::joined(self.unread.clone().into_iter().chain(save_error))
    }

    /// The same, unless the last report said it already.
    pub(super) fn report_new(&mut self) -> Option<String> {
        let trouble = self
            .trouble()
            .filter(|it| self.reported.as_ref() != Some(it));
        self.reported = self.trouble();
        trouble
    }

    fn waits(&self, policy: &crate::store::policy::Policy, draw: f64, now: Moment) -> bool {
        self.save_error.as_ref().is_some_and(|error| {
            let facts = Facts {
                failures: error.attempts,
                last_failure: Some(error.last),
                draw,
                ..Facts::of(now)
            };
            !policy.wait(&facts, now).is_zero()
        })
    }
}

impl<T: Content> ManagedCache<T> {
    /// Saves what was not saved yet, as far as the turn of the cache can be had, and not before it
    /// is time to try again.
    pub(super) fn keep_later(&self, work: &mut Work<T>) {
        let owes = work.newest.as_ref().is_some_and(|it| it.owes.any());
        let now = self.shared.clock.now();
        let Some(directory) = self.shared.directory.as_ref().filter(|_| owes) else {
            // Nothing is left to be saved, so nothing keeps it from that.
            work.keeping.save_error = None;
            return;
        };
        if work.keeping.waits(&self.policy, work.attempts.draw, now) {
            return;
        }
        match directory.turn(&self.name, None) {
            TurnTaken::Taken(turn) => {
                // Another process may have saved meanwhile: that is for the next refresh.
                let found = directory.stamp(Kept::Generation, &self.name);
                if found.is_ok_and(|found| found == work.keeping.generation) {
                    self.keep(work, &turn);
                }
            }
            TurnTaken::Busy => {}
            TurnTaken::Unshared(error) => work.keeping.failed(&error, now),
        }
    }

    /// Saves what was not saved yet, by who has the turn.
    pub(super) fn keep(&self, work: &mut Work<T>, _turn: &Turn) {
        let (Some(directory), Some(newest)) = (&self.shared.directory, &mut work.newest) else {
            return;
        };
        if work.keeping.unread.is_some() {
            return;
        }
        let saved = self.save(directory, newest, &mut work.keeping);
        if !newest.owes.is_apart() {
            work.unsaved = None;
        }
        match saved {
            Ok(()) => work.keeping.save_error = None,
            Err(error) => work.keeping.failed(&error, self.shared.clock.now()),
        }
    }

    fn save(
        &self,
        directory: &Directory,
        newest: &mut Generation<T>,
        keeping: &mut Keeping,
    ) -> Result<()> {
        let stamp = |kept| directory.stamp(kept, &self.name).ok().flatten();
        if newest.owes.generation {
            let saved = directory.save(Kept::Generation, newest.frozen());
            // An error may also mean that it is there, and may not be for long.
            keeping.generation = stamp(Kept::Generation);
            let is_found = matches!(saved, Ok(()) | Err(Error::PublishedNotDurable { .. }));
            newest.owes.is_found |= is_found;
            saved?;
            newest.owes.generation = false;
        }
        if newest.owes.inputs {
            let inputs = self.freeze_inputs(newest)?;
            let saved = directory.save(Kept::Inputs, &inputs);
            keeping.inputs = stamp(Kept::Inputs);
            saved?;
            newest.owes.inputs = false;
        }
        Ok(())
    }

    /// What is known of the inputs of a generation, as a region that names it.
    fn freeze_inputs(&self, newest: &Generation<T>) -> Result<Frozen<u128>> {
        let (frozen, known) = (newest.frozen(), newest.known());
        let label = Label {
            built: Some(known.built),
            ..Label::after(frozen.region(), frozen.region().generation())
        };
        let entries = self.build.size(frozen).0 as usize;
        let inputs = encode(&in_order(&known.sets, entries));
        Frozen::freeze_generation(label, &frozen.content_digest(), &inputs)
    }
}

/// Sets in their canonical form again, which checks leave when they renew stamps.
fn in_order(sets: &Sets, entries: usize) -> Sets {
    let mut builder = SetsBuilder::after(sets);
    let whole = builder.carry(sets, Some);
    for (unit, generation) in sets.idle() {
        builder.idle_since(*unit, *generation);
    }
    builder
        .finish(whole, entries)
        .with_keyed_by(sets.keyed_by())
}
