//! The next generation of a cache that grows by merges.
//!
//! # Merges that are not saved
//! Who cannot have the turn, or cannot save, merges all the same, apart from what others save meanwhile.
//! It remembers from which generation it has gone its own way. When it finds another one in the
//! directory, it brings what it has over that generation to what was found, and goes on from there. So
//! nothing of either is lost, while both live.

use std::sync::Arc;

use super::super::Turns;
use super::super::build::{Built, Counts, Earlier, Job};
use super::super::directory::{Turn, TurnTaken};
use super::super::report::Outcome;
use super::building::give_back;
use super::state::{Generation, Owes, Work};
use super::{ManagedCache, joined, lock};
use crate::error::{DeltaError, Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::Label;
use crate::sys::panics::catch;

/// How often what another process saves under another value of `keyed_by` is built again.
const ATTEMPTS: u32 = 3;

/// Brings what one generation has over an earlier one to that of the job: given the first, and the
/// earlier one if there was any.
pub(in crate::store) type Join<T> =
    dyn Fn(&Job<'_, T>, Earlier<'_, T>, Option<Earlier<'_, T>>) -> Result<Built<T>> + Send + Sync;

/// Merges that the directory does not have.
pub(super) struct Unsaved<T: Content> {
    /// The generation before the first of them.
    base: Option<Generation<T>>,
    /// How they go on from what another process has saved.
    join: Arc<Join<T>>,
}

/// What came of it.
pub(in crate::store) struct Extended<T: Content> {
    pub(in crate::store) frozen: Frozen<T>,
    /// Whether that is a new generation.
    pub(in crate::store) changed: bool,
    /// Whether the directory has it.
    pub(in crate::store) saved: bool,
    pub(in crate::store) counts: Counts,
    /// What is wrong with the directory, or the channel.
    pub(in crate::store) trouble: Option<String>,
}

impl<T: Content> ManagedCache<T> {
    /// Makes the next generation from the newest one, whatever the policy says, and publishes it.
    /// Waits for whoever builds. `join` is for later, if it cannot be saved.
    pub(in crate::store) fn extend(
        &self,
        turns: &Turns<'_>,
        build: impl FnOnce(&Job<'_, T>, Earlier<'_, T>) -> Result<Built<T>>,
        join: Arc<Join<T>>,
    ) -> Result<Extended<T>> {
        self.shared.owner.check("a store")?;
        let mut work = lock(&self.work);
        let mut notes = Vec::new();
        let extended = self.extend_now(&mut work, &mut notes, turns, build, join);
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
        turns: &Turns<'_>,
        build: impl FnOnce(&Job<'_, T>, Earlier<'_, T>) -> Result<Built<T>>,
        join: Arc<Join<T>>,
    ) -> Result<Extended<T>> {
        let turns = Turns::waiting(turns.pause);
        let turn = self.turn_to_extend(work, notes, &turns)?;
        let Some(newest) = work.newest.as_ref().filter(|it| self.has_same_key(it)) else {
            let name = self.name.clone();
            return Err(Error::NotBuilt { name });
        };
        let (since, checked, revoked) = (newest.known().built, newest.checked, newest.revoked);
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
        // What is due stays so, and what could not be built is no better for a merge.
        let mut newest = Generation::built(built, since, checked, work.newest.as_ref());
        newest.revoked = revoked;
        let (outcome, earlier) = self.conclude(work, newest, "merge", turn.as_ref(), numbered);
        let owes = work.newest.as_ref().map(|it| it.owes);
        let has_directory = self.shared.directory.is_some();
        let is_saved = has_directory && owes.is_some_and(|it| !it.generation);
        if has_directory && owes.is_none_or(Owes::is_apart) {
            let base = match work.unsaved.take() {
                Some(unsaved) => unsaved.base,
                None => earlier,
            };
            work.unsaved = Some(Unsaved { base, join });
        }
        Ok(Extended {
            frozen,
            changed: outcome == Outcome::Published,
            saved: is_saved,
            counts,
            trouble: None,
        })
    }

    /// Takes the turn, where a directory is shared, and what others have saved; before that, what was
    /// built under another value of `keyed_by` is built again.
    ///
    /// # Errors
    /// If this is to end before the turn comes.
    fn turn_to_extend(
        &self,
        work: &mut Work<T>,
        notes: &mut Vec<String>,
        turns: &Turns<'_>,
    ) -> Result<Option<Turn>> {
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
                Some(TurnTaken::Busy) => {
                    return Err(Error::Delta {
                        name: self.name.clone(),
                        reason: DeltaError::Stopped,
                    });
                }
                None => {}
            }
            self.adopt(work, notes);
            if is_ready(work) {
                break;
            }
        }
        Ok(turn)
    }

    /// Whether this process has merged what is not in a generation of another one, from the directory.
    pub(super) fn is_apart_from(&self, work: &Work<T>, saved: &Frozen<T>) -> bool {
        let (Some(_), Some(newest)) = (&work.unsaved, &work.newest) else {
            return false;
        };
        let own = newest.frozen();
        let is_own = saved.region().generation() == own.region().generation()
            && saved.content_digest() == own.content_digest();
        let same_key = saved.region().keyed_by() == Some(self.policy.keyed_by);
        newest.owes.generation && same_key && !is_own
    }

    /// Brings what was merged here and not saved to what another process has saved, as the next
    /// generation.
    pub(super) fn join(&self, work: &mut Work<T>, theirs: Generation<T>) -> Result<()> {
        let (Some(unsaved), Some(ours)) = (&work.unsaved, &work.newest) else {
            return Ok(());
        };
        let region = theirs.frozen().region();
        let own = ours.frozen().region().generation();
        work.keeping.sees_generation(own.max(region.generation()));
        let number = work.keeping.highest_generation_seen.saturating_add(1);
        let since = theirs.known().built;
        let label = Label {
            built: Some(since),
            ..Label::after(region, number)
        };
        let job = self.job(label, Some(theirs.as_earlier()), None);
        let base = unsaved.base.as_ref().map(Generation::as_earlier);
        // Keys that users compare, and rules, may panic.
        let joined = catch(|| (unsaved.join)(&job, ours.as_earlier(), base));
        let joined = joined.unwrap_or_else(|message| Err(self.panicked(message)))?;
        let mut newest = Generation::built(joined, since, None, Some(&theirs));
        newest.revoked = ours.revoked;
        let join = Arc::clone(&unsaved.join);
        work.keeping
            .sees_generation(newest.frozen().region().generation());
        // What was seen of the inputs of the one before is nothing to this one.
        work.keeping.inputs = None;
        work.unsaved = newest.owes.generation.then(|| Unsaved {
            base: Some(theirs),
            join,
        });
        work.newest = Some(newest);
        work.tally.published += 1;
        self.show(work);
        Ok(())
    }

    fn has_same_key(&self, generation: &Generation<T>) -> bool {
        generation.known().sets.keyed_by() == self.policy.keyed_by
    }
}
