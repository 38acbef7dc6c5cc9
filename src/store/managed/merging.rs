//! The next generation of a cache that grows by merges.

use std::time::Duration;

use super::super::Turns;
use super::super::build::{Built, Counts, Earlier, Job};
use super::super::directory::{Turn, TurnTaken};
use super::super::report::Outcome;
use super::building::give_back;
use super::state::{Generation, Work};
use super::{ManagedCache, joined, lock};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};

/// How often what another process saves under another value of `keyed_by` is built again.
const ATTEMPTS: u32 = 3;

/// What came of it.
pub(in crate::store) struct Extended<T: Content> {
    pub(in crate::store) frozen: Frozen<T>,
    /// Whether that is a new generation.
    pub(in crate::store) changed: bool,
    pub(in crate::store) counts: Counts,
    /// What is wrong with the directory, or the channel.
    pub(in crate::store) trouble: Option<String>,
}

impl<T: Content> ManagedCache<T> {
    /// Makes the next generation from the newest one, whatever the policy says, and publishes it.
    /// Waits for whoever builds.
    pub(in crate::store) fn extend(
        &self,
        build: impl FnOnce(&Job<'_, T>, Earlier<'_, T>) -> Result<Built<T>>,
    ) -> Result<Extended<T>> {
        self.shared.owner.check("a store")?;
        let mut work = lock(&self.work);
        let mut notes = Vec::new();
        let extended = self.extend_now(&mut work, &mut notes, build);
        notes.extend(work.keeping.report_new());
        if let Some(directory) = &self.shared.directory {
            notes.extend(directory.lacks().report_new());
        }
        self.show(&work);
        drop(work);
        let handed_over = self.hand_over();
        let extended = extended?;
        notes.extend(handed_over.err().map(|error| error.to_string()));
        Ok(Extended {
            trouble: joined(notes),
            ..extended
        })
    }

    fn extend_now(
        &self,
        work: &mut Work<T>,
        notes: &mut Vec<String>,
        build: impl FnOnce(&Job<'_, T>, Earlier<'_, T>) -> Result<Built<T>>,
    ) -> Result<Extended<T>> {
        let pause = |time: Duration| {
            std::thread::sleep(time);
            false
        };
        let turns = Turns {
            waits: true,
            pause: &pause,
        };
        let turn = self.turn_to_extend(work, notes, &turns);
        let Some(newest) = work.newest.as_ref().filter(|it| self.has_same_key(it)) else {
            let name = self.name.clone();
            return Err(Error::NotBuilt { name });
        };
        let (since, checked) = (newest.known().built, newest.checked);
        let numbered = self.number(work, turn.as_ref());
        let label = self.label(work, numbered.number, Some(since));
        let (built, _) = self.run(work, label, None, |job| match job.earlier {
            Some(earlier) => build(job, earlier),
            None => Err(Error::NotBuilt {
                name: self.name.clone(),
            }),
        });
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                give_back(turn.as_ref(), numbered.claim);
                return Err(error);
            }
        };
        let (counts, frozen) = (built.counts, built.frozen.clone());
        let newest = Generation::built(built, since, checked, work.newest.as_ref());
        let outcome = self.conclude(work, newest, "merge", turn.as_ref(), numbered);
        Ok(Extended {
            frozen,
            changed: outcome == Outcome::Published,
            counts,
            trouble: None,
        })
    }

    /// Takes the turn, where a directory is shared, and what others have saved; before that, what was
    /// built under another value of `keyed_by` is built again.
    fn turn_to_extend(
        &self,
        work: &mut Work<T>,
        notes: &mut Vec<String>,
        turns: &Turns<'_>,
    ) -> Option<Turn> {
        let mut turn = None;
        for _ in 0..ATTEMPTS {
            drop(turn.take());
            let is_ready = |work: &Work<T>| {
                let newest = work.newest.as_ref();
                newest.is_some_and(|it| self.has_same_key(it))
            };
            if !is_ready(work) {
                notes.extend(self.refresh_now(work, turns).error);
            }
            match self.take_turn(work, turns) {
                Some(TurnTaken::Taken(taken)) => turn = Some(taken),
                Some(TurnTaken::Unshared(error)) => {
                    work.keeping.failed(&error, self.shared.clock.now());
                }
                Some(TurnTaken::Busy) | None => {}
            }
            self.adopt(work, notes);
            if is_ready(work) {
                break;
            }
        }
        turn
    }

    fn has_same_key(&self, generation: &Generation<T>) -> bool {
        generation.known().sets.keyed_by() == self.policy.keyed_by
    }
}
