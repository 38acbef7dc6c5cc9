//! Building the next generation of a cache, if it is due.

use std::sync::Mutex;

use super::super::Turns;
use super::super::build::{Built, Counts, Due, Earlier, Job};
use super::super::directory::{Claim, Turn, TurnTaken};
use super::super::report::{CacheReport, Outcome};
use super::judging::Reason;
use super::state::{Attempts, Generation, Work};
use super::{ManagedCache, joined, lock};
use crate::error::{Error, Result};
use crate::frozen::Content;
use crate::region::Label;
use crate::store::inputs::Sets;
use crate::sys::clock::Moment;
use crate::sys::panics::catch;

impl<T: Content> ManagedCache<T> {
    /// Judges and builds. Reports once what is wrong with the directory.
    pub(super) fn refresh_now(&self, work: &mut Work<T>, turns: &Turns<'_>) -> CacheReport {
        work.tally.refreshes += 1;
        let mut notes = Vec::new();
        let report = self.refresh_and_note(work, turns, &mut notes);
        notes.extend(work.keeping.report_new());
        if let Some(directory) = &self.shared.directory {
            notes.extend(directory.lacks().report_new());
        }
        self.show(work);
        let error = report.error.or_else(|| joined(notes));
        CacheReport { error, ..report }
    }

    fn refresh_and_note(
        &self,
        work: &mut Work<T>,
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
        let facts = self.facts(work, now);
        let waits = !self.policy.wait(&facts, now).is_zero();
        if waits && !lock(&self.invalid).any() && !self.is_mended(work) {
            let error = work.attempts.message.clone();
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
    pub(super) fn take_turn(&self, work: &mut Work<T>, turns: &Turns<'_>) -> Option<TurnTaken> {
        let directory = self.shared.directory.as_ref()?;
        let patience = turns.patience(self.shared.lock_timeout);
        let waits = turns.waits || work.generation() == 0;
        let turn = directory.turn(&self.name, waits.then_some(&patience));
        if let TurnTaken::Unshared(_) = turn {
            let highest = directory.highest(&self.name);
            work.keeping.sees_generation(highest);
        }
        Some(turn)
    }

    fn rebuild(&self, work: &mut Work<T>, reason: Reason, turn: Option<&Turn>) -> CacheReport {
        let Reason {
            why,
            kind,
            touched,
            checked,
        } = reason;
        // What is said from here on is for the next build.
        let said = lock(&self.invalid).said();
        let due = touched.filter(|_| !said.everything).map(|touched| Due {
            touched,
            hashes: said.hashes.clone(),
        });
        let started = self.shared.clock.now();
        // What is carried over was neither built nor, it may be, checked.
        let carried = work.newest.as_ref().filter(|_| due.is_some());
        let (since, checked) = match carried {
            None => (started, Some(started)),
            Some(earlier) => (earlier.known().built, checked.or(earlier.checked)),
        };
        let numbered = self.number(work, turn);
        let label = self.label(work, numbered.number, carried.map(|_| since));
        let (built, failed) = self.run(work, label, due, |job| self.build.build(job));
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                give_back(turn, numbered.claim);
                return self.failed(work, why, &error, failed);
            }
        };
        let counts = built.counts;
        let newest = Generation::built(built, since, checked, work.newest.as_ref());
        work.attempts = Attempts::succeeded();
        let (outcome, _) = self.conclude(work, newest, kind, turn, numbered);
        lock(&self.invalid).settle(&said);
        self.counted(outcome, why, counts)
    }

    /// The number of the next generation.
    pub(super) fn number(&self, work: &Work<T>, turn: Option<&Turn>) -> Numbered {
        let highest = work.generation().max(work.keeping.highest_generation_seen);
        let claim = turn.map(|turn| turn.claim(highest));
        let number = claim.map_or(highest.saturating_add(1), |claim| claim.number);
        Numbered { number, claim }
    }

    /// What it is called; `built` is when all of it was, if that was before.
    pub(super) fn label(&self, work: &Work<T>, number: u64, built: Option<Moment>) -> Label {
        let label = match &work.newest {
            Some(newest) => Label::after(newest.frozen().region(), number),
            None => Label {
                generation: number,
                ..Label::new(&self.name)
            },
        };
        Label { built, ..label }
    }

    /// Takes over what was built, and keeps it; also gives the generation before.
    pub(super) fn conclude(
        &self,
        work: &mut Work<T>,
        newest: Generation<T>,
        kind: &'static str,
        turn: Option<&Turn>,
        numbered: Numbered,
    ) -> (Outcome, Option<Generation<T>>) {
        let (outcome, earlier) = self.succeeded(work, newest, kind);
        if outcome == Outcome::Unchanged {
            give_back(turn, numbered.claim);
        }
        match turn {
            Some(turn) => self.keep(work, turn),
            None if self.shared.directory.is_none() => {}
            None => work.keeping.sees_generation(numbered.number),
        }
        (outcome, earlier)
    }

    /// Runs the closures; the second are the inputs of those that failed.
    pub(super) fn run(
        &self,
        work: &Work<T>,
        label: Label,
        due: Option<Due>,
        build: impl FnOnce(&Job<'_, T>) -> Result<Built<T>>,
    ) -> (Result<Built<T>>, Sets) {
        let earlier = work.newest.as_ref().map(Generation::as_earlier);
        let job = self.job(label, earlier, due);
        // A closure may also panic where keys are compared.
        let built = catch(|| build(&job));
        let built = built.unwrap_or_else(|message| Err(self.panicked(message)));
        (built, job.into_failed())
    }

    pub(super) fn job<'a>(
        &'a self,
        label: Label,
        earlier: Option<Earlier<'a, T>>,
        due: Option<Due>,
    ) -> Job<'a, T> {
        Job {
            label,
            earlier,
            due,
            policy: &self.policy,
            clock: &self.shared.clock,
            values: &self.shared.values,
            failed: Mutex::default(),
        }
    }

    fn succeeded(
        &self,
        work: &mut Work<T>,
        newest: Generation<T>,
        kind: &'static str,
    ) -> (Outcome, Option<Generation<T>>) {
        let outcome = match newest.frozen().region().generation() == work.generation() {
            true => Outcome::Unchanged,
            false => Outcome::Published,
        };
        let earlier = work.newest.replace(newest);
        work.tally.published += u64::from(outcome == Outcome::Published);
        work.tally.unchanged += u64::from(outcome == Outcome::Unchanged);
        *work.tally.reasons.entry(kind).or_default() += 1;
        self.show(work);
        (outcome, earlier)
    }

    pub(super) fn failed(
        &self,
        work: &mut Work<T>,
        why: String,
        error: &Error,
        failed: Sets,
    ) -> CacheReport {
        let (message, now) = (error.to_string(), self.shared.clock.now());
        work.attempts = work.attempts.failed(message.clone(), failed, now);
        work.tally.failures += 1;
        self.show(work);
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
        let shown = self.shown.load_full();
        let current = shown.newest.as_ref().map(|it| &it.frozen);
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

/// The number of a generation, and the claim on it, if it was given in a turn.
#[derive(Clone, Copy)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) claim: Option<Claim>,
}

/// Gives back the number of a generation that did not come about.
pub(super) fn give_back(turn: Option<&Turn>, claim: Option<Claim>) {
    if let (Some(turn), Some(claim)) = (turn, claim) {
        turn.give_back(claim);
    }
}
