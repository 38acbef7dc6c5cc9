//! Judging a generation.

use std::fmt;
use std::time::Duration;

use super::Policy;
use crate::sys::clock::Moment;

/// What is known of a generation when it is judged.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Facts {
    /// When all of it was built, or a rebuild last gave the same value.
    pub built: Moment,
    /// The first changed input in words; `None` if no input changed, or the inputs were not
    /// checked.
    pub changed: Option<String>,
    /// Whether it was built under the current value of [`Policy::keyed_by`].
    pub same_key: bool,
    /// Whether the cache or an entry was [invalidated](crate::Store::invalidate).
    pub invalidated: bool,
    /// Entries of a map; 1 for a whole value.
    pub entries: u64,
    /// Length of the region in bytes.
    pub bytes: u64,
    /// Builds that have failed since the last success.
    pub failures: u32,
    /// When the last build failed.
    pub last_failure: Option<Moment>,
    /// A random number for this generation, from 0 to below 1, for jitter.
    pub draw: f64,
}

impl Facts {
    /// The facts of a generation that was built at this moment and has nothing wrong with it.
    #[must_use]
    pub fn of(built: Moment) -> Self {
        Self {
            built,
            changed: None,
            same_key: true,
            invalidated: false,
            entries: 1,
            bytes: 0,
            failures: 0,
            last_failure: None,
            draw: 0.0,
        }
    }
}

/// What to do with a generation, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Serve it; nothing is due.
    Fresh,
    /// Serve it, and build a newer one.
    RefreshDue(String),
    /// Do not serve it; build a newer one.
    Expired(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh => f.write_str("fresh"),
            Self::RefreshDue(why) => write!(f, "refresh due: {why}"),
            Self::Expired(why) => write!(f, "expired: {why}"),
        }
    }
}

impl Policy {
    /// Judges a generation by its facts at a moment. The strictest verdict of all statements
    /// counts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use floe::{Facts, Moment, Policy, Verdict};
    ///
    /// let (minute, built) = (Duration::from_secs(60), Moment::now());
    /// let policy = Policy::new().refresh_after(minute).expire_after(5 * minute);
    /// let verdict = |age| policy.verdict(&Facts::of(built), built + age);
    /// assert_eq!(verdict(minute / 2), Verdict::Fresh);
    /// assert_eq!(verdict(2 * minute), Verdict::RefreshDue("it is 120 s old".into()));
    /// assert!(matches!(verdict(6 * minute), Verdict::Expired(_)));
    /// ```
    #[must_use]
    pub fn verdict(&self, facts: &Facts, now: Moment) -> Verdict {
        let mut verdict = self.by_age(facts, now);
        if let Some(change) = facts.changed.as_ref().filter(|_| self.inputs) {
            verdict = verdict.max(Verdict::RefreshDue(change.clone()));
        }
        if facts.invalidated {
            verdict = verdict.max(Verdict::RefreshDue("it was invalidated".to_owned()));
        }
        if !facts.same_key {
            let why = "it was built under another value of keyed_by";
            verdict = verdict.max(Verdict::Expired(why.to_owned()));
        }
        if let Some(custom) = &self.custom {
            verdict = verdict.max(custom(facts, now));
        }
        verdict
    }

    /// Whether a verdict of the user's own says that the generation is no longer served.
    pub(crate) fn revokes(&self, facts: &Facts, now: Moment) -> bool {
        let custom = self.custom.as_ref().map(|custom| custom(facts, now));
        matches!(custom, Some(Verdict::Expired(_)))
    }

    fn by_age(&self, facts: &Facts, now: Moment) -> Verdict {
        if self.refresh_after.is_none() && self.expire_after.is_none() {
            return Verdict::Fresh;
        }
        let Some(age) = now.since(&facts.built) else {
            return Verdict::Expired("its time stamp lies in the future".to_owned());
        };
        let why = format!("it is {} s old", age.as_secs());
        if self.expire_after.is_some_and(|most| age >= most) {
            return Verdict::Expired(why);
        }
        match self.refresh_age(facts) {
            Some(due) if age >= due => Verdict::RefreshDue(why),
            _ => Verdict::Fresh,
        }
    }

    /// Time until the generation is due by its age; zero if it is due, `None` if it never is.
    pub(crate) fn due_in(&self, facts: &Facts, now: Moment) -> Option<Duration> {
        let due = self.refresh_age(facts).or(self.expire_after)?;
        let age = now.since(&facts.built).unwrap_or(due);
        Some(due.saturating_sub(age))
    }

    /// How long the generation may still be served; `None` if for ever, zero if no longer.
    pub(crate) fn served_for(&self, facts: &Facts, now: Moment) -> Option<Duration> {
        if !facts.same_key {
            return Some(Duration::ZERO);
        }
        let mut most = self.expire_after?;
        if facts.failures > 0 {
            most = most.saturating_add(self.stale_if_error.unwrap_or_default());
        }
        let age = now.since(&facts.built).unwrap_or(most);
        Some(most.saturating_sub(age))
    }

    /// How long to wait before the next build after a failure; zero if there is nothing to wait
    /// for.
    pub(crate) fn wait(&self, facts: &Facts, now: Moment) -> Duration {
        let (Some(failed), Some(earlier)) = (facts.last_failure, facts.failures.checked_sub(1))
        else {
            return Duration::ZERO;
        };
        let (first, most) = self.backoff;
        let doubled = first.saturating_mul(1_u32.checked_shl(earlier).unwrap_or(u32::MAX));
        let wait = self.shortened(doubled.min(most), facts.draw);
        let waited = now.since(&failed).unwrap_or(wait);
        wait.saturating_sub(waited)
    }

    /// Whether to check the inputs now, if the `last` check was at that moment.
    pub(crate) fn checks_inputs(&self, last: Option<Moment>, now: Moment) -> bool {
        let Some(every) = self.revalidate_every else {
            return self.inputs;
        };
        let passed = last.and_then(|last| now.since(&last));
        passed.is_none_or(|passed| passed >= every)
    }

    fn refresh_age(&self, facts: &Facts) -> Option<Duration> {
        Some(self.shortened(self.refresh_after?, facts.draw))
    }

    fn shortened(&self, time: Duration, draw: f64) -> Duration {
        let share = 1.0 - self.jitter * draw.clamp(0.0, 1.0);
        // The longest times are beyond what such a number tells exactly.
        Duration::try_from_secs_f64(time.as_secs_f64() * share).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, PolicyError};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn contradictions_are_refused() {
        use PolicyError::{
            Backoff, ExpiresBeforeRefresh, Jitter, NeverStale, NoRoom, WithoutInputs,
        };
        let policy = Policy::new;
        let early = policy().refresh_after(2 * SECOND).expire_after(SECOND);
        let without = |statement| WithoutInputs { statement };
        for (contradiction, expected, part) in [
            (early, ExpiresBeforeRefresh, "expire_after"),
            (
                policy().revalidate_every(SECOND),
                without("revalidate_every"),
                "revalidate_every is",
            ),
            (policy().settle(SECOND), without("settle"), "settle is"),
            (
                policy().compare_content(),
                without("compare_content"),
                "compare_content is",
            ),
            (
                policy().stale_if_error(SECOND),
                NeverStale,
                "stale_if_error",
            ),
            (policy().jitter(1.5), Jitter, "jitter"),
            (policy().jitter(f64::NAN), Jitter, "jitter"),
            (policy().backoff(2 * SECOND, SECOND), Backoff, "backoff"),
            (policy().max_entries(0), NoRoom, "max_entries"),
            (policy().max_bytes(0), NoRoom, "max_bytes"),
        ] {
            let error = contradiction.check("name").unwrap_err();
            let line = error.to_string();
            assert!(line.contains(part), "{line}");
            assert!(
                matches!(error, Error::Policy { reason, .. } if reason == expected),
                "{line}"
            );
        }
    }

    #[test]
    fn jitter_shortens_and_never_lengthens() {
        let policy = Policy::new().refresh_after(100 * SECOND).jitter(0.2);
        let mut facts = Facts::of(Moment::now());
        for (draw, due) in [(0.0, 100), (0.5, 90), (1.0, 80)] {
            facts.draw = draw;
            let due_in = policy.due_in(&facts, facts.built);
            assert_eq!(
                due_in.map(|time| time.as_secs_f64().round()),
                Some(f64::from(due))
            );
        }
    }

    #[test]
    fn the_longest_time_is_one_too() {
        let policy = Policy::new()
            .refresh_after(Duration::MAX)
            .backoff(Duration::MAX, Duration::MAX);
        let mut facts = Facts::of(Moment::now());
        let now = facts.built + SECOND;
        assert_eq!(policy.verdict(&facts, now), Verdict::Fresh);
        (facts.failures, facts.last_failure) = (1, Some(facts.built));
        assert!(policy.wait(&facts, now) > SECOND);
    }

    #[test]
    fn waits_double_up_to_the_most() {
        let policy = Policy::new().backoff(SECOND, 300 * SECOND);
        let mut facts = Facts::of(Moment::now());
        facts.last_failure = Some(facts.built);
        for (failures, wait) in [(0, 0), (1, 1), (2, 2), (9, 256), (10, 300), (1000, 300)] {
            facts.failures = failures;
            assert_eq!(policy.wait(&facts, facts.built), wait * SECOND);
        }
    }

    #[test]
    fn the_strictest_verdict_counts() {
        let policy = Policy::new().revalidate_inputs().expire_after(10 * SECOND);
        let mut facts = Facts::of(Moment::now());
        facts.changed = Some("x: content changed".to_owned());
        let verdict = |age| policy.verdict(&facts, facts.built + age);
        assert_eq!(
            verdict(SECOND),
            Verdict::RefreshDue("x: content changed".to_owned())
        );
        assert!(matches!(verdict(10 * SECOND), Verdict::Expired(_)));
        let unasked = Policy::new().verdict(&facts, facts.built);
        assert_eq!(unasked, Verdict::Fresh);
    }
}
