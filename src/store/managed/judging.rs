//! Judging the generation of a cache by its policy.

use super::state::{Generation, Work};
use super::{ManagedCache, lock};
use crate::frozen::Content;
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

impl<T: Content> ManagedCache<T> {
    /// What is known of the newest generation; of one that was built now, if there is none.
    pub(super) fn facts(&self, work: &Work<T>, now: Moment) -> Facts {
        let newest = work.newest.as_ref();
        let frozen = newest.map(Generation::frozen);
        let known = newest.map(Generation::known);
        Facts {
            same_key: known.is_none_or(|it| it.sets.keyed_by() == self.policy.keyed_by),
            invalidated: lock(&self.invalid).any(),
            entries: frozen.map_or(0, |it| self.build.size(it).0),
            bytes: frozen.map_or(0, |it| it.region().size()),
            failures: work.attempts.failures,
            last_failure: work.attempts.last_failure,
            draw: work.attempts.draw,
            ..Facts::of(known.map_or(now, |it| it.built))
        }
    }

    /// Judges the newest generation.
    pub(super) fn judge(&self, work: &mut Work<T>, now: Moment) -> Option<Reason> {
        let mut facts = self.facts(work, now);
        let Some(newest) = &mut work.newest else {
            return Some(Reason {
                why: "it has never been built".to_owned(),
                kind: "first build",
                touched: None,
                checked: None,
            });
        };
        let mut touched = Touched::default();
        let checks = self.policy.checks_inputs(newest.checked, now);
        if checks {
            let (values, clock) = (&self.shared.values, &self.shared.clock);
            let settle = self.policy.settle_time();
            let changed = newest.check(values, clock, settle);
            facts.changed = summary(&changed);
            if facts.changed.is_some() {
                touched = newest.known().sets.touched(&changed);
            } else {
                newest.checked = Some(now);
            }
        }
        let verdict = self.policy.verdict(&facts, now);
        newest.revoked = self.policy.revokes(&facts, now);
        if verdict == Verdict::Fresh && work.attempts.failures > 0 {
            // What could not be built is no longer asked for.
            work.attempts = work.attempts.forgotten();
        }
        self.show(work);
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
    pub(super) fn is_mended(&self, work: &mut Work<T>) -> bool {
        let (values, clock) = (&self.shared.values, &self.shared.clock);
        let settle = self.policy.settle_time();
        let changed = work.attempts.failed.check(values, clock, settle);
        !changed.changes.is_empty()
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
