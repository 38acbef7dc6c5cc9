//! Building the next generation of a cache, if it is due.

use std::sync::Mutex;

use super::super::Turns;
use super::super::build::{Built, Counts, Due, Job};
use super::super::directory::{Claim, Turn, TurnTaken};
use super::super::report::{CacheReport, Outcome};
use super::judging::Reason;
use super::{Attempts, Known, Slot, Work, draw, joined, lock};
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::Label;
use crate::store::inputs::Sets;
use crate::sys::panics::catch;

impl<T: Content> Slot<T> {
    /// Judges and builds; what is found wrong with the directory is told once.
    pub(super) fn refresh_now(&self, work: &mut Work, turns: &Turns<'_>) -> CacheReport {
        let mut notes = Vec::new();
        let report = self.refresh_and_note(work, turns, &mut notes);
        let (trouble, is_new) = work.keeping.trouble();
        notes.extend(trouble.clone().filter(|_| is_new));
        if let Some(directory) = &self.shared.directory {
            notes.extend(directory.lacks().tell());
        }
        lock(&self.tally).trouble = trouble;
        let error = report.error.or_else(|| joined(notes));
        CacheReport { error, ..report }
    }

    fn refresh_and_note(
        &self,
        work: &mut Work,
        turns: &Turns<'_>,
        notes: &mut Vec<String>,
    ) -> CacheReport {
        let loaded = self.adopt(work, notes);
        let now = self.shared.clock.now();
        let Some(reason) = self.judge(work, now) else {
            self.keep_later(work);
            return match loaded {
                true => self.report(Outcome::Loaded),
                false => self.report(Outcome::Fresh),
            };
        };
        let facts = self.facts(work, &work.known, None, now);
        let waits = !self.policy.wait(&facts, now).is_zero();
        if waits && !lock(&self.invalid).any() && !self.is_mended(work) {
            let error = lock(&self.tally).last_failure.clone();
            return CacheReport {
                why: Some(reason.why),
                error,
                ..self.report(Outcome::Waiting)
            };
        }
        let turn = match self.take_turn(work, turns) {
            Some(TurnTaken::Taken(turn)) => turn,
            Some(TurnTaken::Busy) => return self.busy(Some(reason.why)),
            // What cannot be shared is built all the same.
            Some(TurnTaken::Unshared(error)) => {
                work.keeping.failed(&error, now);
                return self.rebuild(work, reason, None);
            }
            None => return self.rebuild(work, reason, None),
        };
        // Whoever had the turn before may have built what is due here.
        let reason = match self.adopt(work, notes) {
            false => reason,
            true => match self.judge(work, now) {
                Some(reason) => reason,
                None => return self.report(Outcome::Loaded),
            },
        };
        self.rebuild(work, reason, Some(&turn))
    }

    /// Takes the turn to build, where a directory is shared.
    fn take_turn(&self, work: &mut Work, turns: &Turns<'_>) -> Option<TurnTaken> {
        let directory = self.shared.directory.as_ref()?;
        let patience = turns.patience(self.shared.lock_timeout);
        let waits = turns.waits || self.generation() == 0;
        let turn = directory.turn(&self.name, waits.then_some(&patience));
        if let TurnTaken::Unshared(_) = turn {
            let highest = directory.highest(&self.name);
            work.keeping.told = work.keeping.told.max(highest);
        }
        Some(turn)
    }

    fn rebuild(&self, work: &mut Work, reason: Reason, turn: Option<&Turn>) -> CacheReport {
        let Reason {
            why,
            kind,
            touched,
            checked,
        } = reason;
        // Taken once: what is said from here on is for the next build.
        let taken = std::mem::take(&mut *lock(&self.invalid));
        let due = touched.filter(|_| !taken.everything).map(|touched| Due {
            touched,
            hashes: taken.hashes.clone(),
        });
        let started = self.shared.clock.now();
        // What is carried over was neither built nor, it may be, checked.
        let (since, checked) = match due {
            None => (Some(started), Some(started)),
            Some(_) => (work.known.built, checked.or(work.known.checked)),
        };
        let told = self.generation().max(work.keeping.told);
        let claim = turn.map(|turn| turn.claim(told));
        let number = claim.map_or(told.saturating_add(1), |claim| claim.number);
        let label = Label {
            name: self.name.clone(),
            generation: number,
            built: since.filter(|_| due.is_some()),
        };
        let (built, failed) = self.run(work, label, due);
        match built {
            Ok(built) => {
                *lock(&self.tally).reasons.entry(kind).or_default() += 1;
                let known = Known {
                    sets: built.sets,
                    built: since,
                    checked,
                };
                if built.frozen.is_none() {
                    give_back(turn, claim);
                }
                let outcome = self.succeeded(work, known, built.frozen);
                match turn {
                    Some(turn) => self.keep(work, turn),
                    None if self.shared.directory.is_none() => {}
                    None => work.keeping.told = work.keeping.told.max(number),
                }
                self.counted(outcome, why, built.counts)
            }
            Err(error) => {
                give_back(turn, claim);
                lock(&self.invalid).restore(taken);
                let report = self.failed(work, why, error);
                work.attempts.failed = failed;
                report
            }
        }
    }

    /// Runs the closures; the second are the inputs of those that failed.
    fn run(&self, work: &Work, label: Label, due: Option<Due>) -> (Result<Built<T>>, Sets) {
        let current = self.current.load_full();
        let job = Job {
            label,
            earlier: current.as_deref().map(|it| &it.frozen),
            sets: &work.known.sets,
            due,
            policy: &self.policy,
            clock: &self.shared.clock,
            values: &self.shared.values,
            failed: Mutex::default(),
        };
        // A closure may also panic where keys are compared.
        let built = catch(|| self.build.build(&job));
        let built = built.unwrap_or_else(|message| Err(self.panicked(message)));
        (built, job.into_failed())
    }

    fn succeeded(&self, work: &mut Work, known: Known, frozen: Option<Frozen<T>>) -> Outcome {
        (work.attempts, work.draw) = (Attempts::default(), draw());
        work.revoked = false;
        let now = self.shared.clock.now();
        let current = self.current.load_full();
        let newest = frozen.as_ref().or(current.as_deref().map(|it| &it.frozen));
        let facts = self.facts(work, &known, newest, now);
        let until = self.served_until(work, &facts, now);
        let outcome = match frozen {
            None => {
                work.keeping.owes_inputs |=
                    (&work.known.sets, work.known.built) != (&known.sets, known.built);
                work.known = known;
                Outcome::Unchanged
            }
            Some(frozen) => {
                // In one step with what is known of it.
                self.publish(frozen, until);
                work.known = known;
                (work.keeping.owes_generation, work.keeping.owes_inputs) = (true, false);
                Outcome::Published
            }
        };
        self.note_deadlines(work, &facts, now);
        let mut tally = lock(&self.tally);
        tally.published += u64::from(outcome == Outcome::Published);
        tally.unchanged += u64::from(outcome == Outcome::Unchanged);
        tally.last_failure = None;
        outcome
    }

    pub(super) fn failed(&self, work: &mut Work, why: String, error: Error) -> CacheReport {
        let now = self.shared.clock.now();
        work.attempts = Attempts {
            failures: work.attempts.failures.saturating_add(1),
            last_failure: Some(now),
            failed: Sets::default(),
        };
        let message = error.to_string();
        let mut tally = lock(&self.tally);
        tally.failures += 1;
        tally.last_failure = Some(message.clone());
        drop(tally);
        if let Some(current) = self.current.load_full() {
            let facts = self.facts(work, &work.known, Some(&current.frozen), now);
            self.note_deadlines(work, &facts, now);
        }
        CacheReport {
            why: Some(why),
            error: Some(message),
            ..self.report(Outcome::Failed)
        }
    }

    pub(super) fn panicked(&self, message: String) -> Error {
        Error::BuildPanicked {
            name: self.name.clone(),
            key: None,
            message,
        }
    }

    pub(super) fn busy(&self, why: Option<String>) -> CacheReport {
        CacheReport {
            why,
            ..self.report(Outcome::Busy)
        }
    }

    fn counted(&self, outcome: Outcome, why: String, counts: Counts) -> CacheReport {
        let report = self.report(outcome);
        CacheReport {
            kept: match outcome {
                Outcome::Published => 0,
                _ => report.entries,
            },
            why: Some(why),
            carried: counts.carried,
            rebuilt: counts.rebuilt,
            dropped: counts.dropped,
            evicted: counts.evicted,
            ..report
        }
    }

    /// A report of which no more is known than what came of it.
    fn report(&self, outcome: Outcome) -> CacheReport {
        let current = self.current.load_full();
        let current = current.as_deref().map(|it| &it.frozen);
        let (entries, garbage) = current.map_or((0, 0), |it| self.build.size(it));
        CacheReport {
            name: self.name.clone(),
            kept: entries,
            outcome,
            generation: current.map_or(0, |it| it.region().generation()),
            why: None,
            entries,
            carried: 0,
            rebuilt: 0,
            dropped: 0,
            evicted: 0,
            bytes: current.map_or(0, |it| it.region().size()),
            garbage,
            seconds: 0.0,
            error: None,
        }
    }
}

/// Gives back the number of a generation that did not come about.
fn give_back(turn: Option<&Turn>, claim: Option<Claim>) {
    if let (Some(turn), Some(claim)) = (turn, claim) {
        turn.give_back(claim);
    }
}
