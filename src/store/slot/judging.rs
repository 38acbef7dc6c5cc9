//! Judging the generation of a cache by its policy.

use std::sync::Arc;
use std::time::Duration;

use super::{Current, Known, Slot, Work, lock};
use crate::frozen::{Content, Frozen};
use crate::store::inputs::{Changed, Touched};
use crate::store::policy::{Facts, Verdict};
use crate::sys::clock::Moment;

/// A cache that is due, and why.
pub(super) struct Reason {
    pub(super) why: String,
    pub(super) kind: &'static str,
    /// What of it changes of inputs touch, if nothing calls for all of it but, it may be, somebody
    /// who said that it is no longer valid.
    pub(super) touched: Option<Touched>,
    /// When the inputs were checked, if they were.
    pub(super) checked: Option<Moment>,
}

impl<T: Content> Slot<T> {
    /// What is known of a generation; it was built now, if nothing is known of that.
    pub(super) fn facts(
        &self,
        work: &Work,
        known: &Known,
        frozen: Option<&Frozen<T>>,
        now: Moment,
    ) -> Facts {
        Facts {
            same_key: known.sets.keyed_by() == self.policy.keyed_by,
            invalidated: lock(&self.invalid).any(),
            entries: frozen.map_or(0, |it| self.build.size(it).0),
            bytes: frozen.map_or(0, |it| it.region().size()),
            failures: work.attempts.failures,
            last_failure: work.attempts.last_failure,
            draw: work.draw,
            ..Facts::of(known.built.unwrap_or(now))
        }
    }

    /// Judges the current generation.
    pub(super) fn judge(&self, work: &mut Work, now: Moment) -> Option<Reason> {
        let Some(current) = self.current.load_full() else {
            return Some(Reason {
                why: "it was never built".to_owned(),
                kind: "first build",
                touched: None,
                checked: None,
            });
        };
        let mut facts = self.facts(work, &work.known, Some(&current.frozen), now);
        let mut touched = Touched::default();
        let checks = self.policy.checks_inputs(work.known.checked, now);
        if checks {
            let (values, clock) = (&self.shared.values, &self.shared.clock);
            let changed = work
                .known
                .sets
                .check(values, clock, self.policy.settle_time());
            work.keeping.owes_inputs |= changed.renewed;
            facts.changed = summary(&changed);
            if facts.changed.is_some() {
                touched = work.known.sets.touched(&changed);
            } else {
                work.known.checked = Some(now);
            }
        }
        let verdict = self.policy.verdict(&facts, now);
        work.revoked = self.policy.revokes(&facts, now);
        if verdict == Verdict::Fresh && work.attempts.failures > 0 {
            // What could not be built is no longer asked for.
            (work.attempts.failures, work.attempts.last_failure) = (0, None);
            (facts.failures, facts.last_failure) = (0, None);
            lock(&self.tally).last_failure = None;
        }
        self.note_deadlines(work, &facts, now);
        let (Verdict::RefreshDue(why) | Verdict::Expired(why)) = verdict else {
            return None;
        };
        // Only what changed is built, unless another statement calls for everything.
        let partly = Facts {
            changed: None,
            invalidated: false,
            ..facts.clone()
        };
        let partly = self.policy.verdict(&partly, now) == Verdict::Fresh;
        let touched = partly.then_some(touched);
        let kind = match facts {
            Facts {
                changed: Some(_), ..
            } => "inputs",
            Facts {
                invalidated: true, ..
            } => "invalidated",
            Facts {
                same_key: false, ..
            } => "key",
            _ => "age or custom",
        };
        Some(Reason {
            why,
            kind,
            touched,
            checked: checks.then_some(now),
        })
    }

    /// Whether what the last build failed on has changed since, so that there is no need to wait.
    pub(super) fn is_mended(&self, work: &mut Work) -> bool {
        let (values, clock) = (&self.shared.values, &self.shared.clock);
        let settle = self.policy.settle_time();
        let changed = work.attempts.failed.check(values, clock, settle);
        !changed.changes.is_empty()
    }

    /// Until when a generation is served; none for ever.
    pub(super) fn served_until(&self, work: &Work, facts: &Facts, now: Moment) -> Option<Moment> {
        let served_for = match work.revoked {
            true => Some(Duration::ZERO),
            false => self.policy.served_for(facts, now),
        };
        served_for.map(|time| now + time)
    }

    /// Notes until when the current generation is served, and when it is due.
    pub(super) fn note_deadlines(&self, work: &Work, facts: &Facts, now: Moment) {
        let served_until = self.served_until(work, facts, now);
        if let Some(current) = self.current.load_full()
            && current.served_until != served_until
        {
            let frozen = current.frozen.clone();
            let current = Current {
                frozen,
                served_until,
            };
            self.current.store(Some(Arc::new(current)));
        }
        let wait = self.policy.wait(facts, now);
        let due_in = match wait.is_zero() {
            true => self.policy.due_in(facts, now),
            false => Some(wait),
        };
        let mut tally = lock(&self.tally);
        (tally.built, tally.due_in) = (Some(facts.built), due_in);
    }
}

/// What changed first, and how much more did.
fn summary(changed: &Changed) -> Option<String> {
    let first = changed.changes.first()?;
    Some(match changed.changes.len() - 1 {
        0 => first.to_string(),
        more => format!("{first}, and {more} more"),
    })
}
