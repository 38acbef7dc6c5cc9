//! Keeping the current generation in the directory.
//!
//! A generation is saved once, under its number. What is learnt of it later leaves its bytes and
//! its number alone, so that nobody has to map it again: that its files were only touched, or that
//! a build gave the same again, from other inputs or at a later time. That is saved beside it, as
//! inputs that name the generation to which they belong.

use super::super::directory::{Directory, Kept, Turn, TurnTaken};
use super::Slot;
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
    /// The highest number that a saved file told, which may have been refused: the next generation
    /// gets a higher one, since others may have that one already.
    pub(super) told: u64,
    /// Why nothing is known of the saved generation.
    pub(super) unread: Option<String>,
    failure: Option<Failure>,
    /// What was last told of all that.
    told_trouble: Option<String>,
}

/// What keeps it from being saved.
struct Failure {
    message: String,
    attempts: u32,
    last: Moment,
}

impl Keeping {
    /// Notes what keeps the cache from being saved.
    pub(super) fn failed(&mut self, error: &Error, now: Moment) {
        let attempts = self.failure.as_ref().map_or(0, |it| it.attempts);
        self.failure = Some(Failure {
            message: error.to_string(),
            attempts: attempts.saturating_add(1),
            last: now,
        });
    }

    /// What is wrong.
    pub(super) fn trouble(&self) -> Option<String> {
        let failure = self.failure.as_ref().map(|it| it.message.clone());
        super::joined(self.unread.clone().into_iter().chain(failure))
    }

    /// The same, if it was not told yet.
    pub(super) fn tell(&mut self) -> Option<String> {
        let trouble = self
            .trouble()
            .filter(|it| self.told_trouble.as_ref() != Some(it));
        self.told_trouble = self.trouble();
        trouble
    }

    fn waits(&self, policy: &crate::store::policy::Policy, draw: f64, now: Moment) -> bool {
        self.failure.as_ref().is_some_and(|failure| {
            let facts = Facts {
                failures: failure.attempts,
                last_failure: Some(failure.last),
                draw,
                ..Facts::of(now)
            };
            !policy.wait(&facts, now).is_zero()
        })
    }
}

impl<T: Content> Slot<T> {
    /// Saves what was not saved yet, as far as the turn of the cache can be had, and not before it
    /// is time to try again.
    pub(super) fn keep_later(&self, work: &mut Work<T>) {
        let owes = work.newest.as_ref().is_some_and(|it| it.owes.any());
        let now = self.shared.clock.now();
        let Some(directory) = self.shared.directory.as_ref().filter(|_| owes) else {
            // Nothing is left to be saved, so nothing keeps it from that.
            work.keeping.failure = None;
            return;
        };
        if work.keeping.waits(&self.policy, work.attempts.draw, now) {
            return;
        }
        match directory.turn(&self.name, None) {
            TurnTaken::Taken(turn) => {
                // Another process may have saved meanwhile: that is for the next refresh.
                let found = directory.identity(Kept::Generation, &self.name);
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
        match self.save(directory, newest, &mut work.keeping) {
            Ok(()) => work.keeping.failure = None,
            Err(error) => work.keeping.failed(&error, self.shared.clock.now()),
        }
    }

    fn save(
        &self,
        directory: &Directory,
        newest: &mut Generation<T>,
        keeping: &mut Keeping,
    ) -> Result<()> {
        let identity = |kept| directory.identity(kept, &self.name).ok().flatten();
        if newest.owes.generation {
            let saved = directory.save(Kept::Generation, newest.frozen());
            // An error may also mean that it is there, and may not be for long.
            keeping.generation = identity(Kept::Generation);
            saved?;
            newest.owes.generation = false;
        }
        if newest.owes.inputs {
            let inputs = self.freeze_inputs(newest)?;
            let saved = directory.save(Kept::Inputs, &inputs);
            keeping.inputs = identity(Kept::Inputs);
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
