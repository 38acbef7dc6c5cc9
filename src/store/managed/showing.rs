//! What a cache shows of its state, to readers and to those who ask how it stands.

use std::sync::Arc;
use std::time::Duration;

use super::super::following::Standing;
use super::super::report::Status;
use super::state::{Tally, Work};
use super::{ManagedCache, joined, value_name};
use crate::channel::Publisher;
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::sys::clock::Moment;

/// What follows from the state of a cache: replaced as a whole, and read without a lock.
pub(super) struct Shown<T: Content> {
    pub(super) newest: Option<Served<T>>,
    due_in: Option<Duration>,
    /// Why the next generation could not be built.
    last_failure: Option<String>,
    /// What is wrong with the directory.
    trouble: Option<String>,
    tally: Tally,
}

/// The newest generation.
pub(super) struct Served<T: Content> {
    pub(super) frozen: Frozen<T>,
    built: Moment,
    /// Until either clock is there; for ever, if there is nothing to say.
    until: Option<Moment>,
}

impl<T: Content> Shown<T> {
    /// What a cache shows that was never refreshed.
    pub(super) fn nothing() -> Self {
        Self {
            newest: None,
            due_in: None,
            last_failure: None,
            trouble: None,
            tally: Tally::default(),
        }
    }

    fn last_error(&self) -> Option<String> {
        self.last_failure
            .as_ref()
            .or(self.trouble.as_ref())
            .cloned()
    }
}

impl<T: Content> ManagedCache<T> {
    /// Shows the state: to be called after each change of it.
    pub(super) fn show(&self, work: &Work<T>) {
        let now = self.shared.clock.now();
        let newest = work.newest.as_ref().map(|newest| {
            let frozen = newest.frozen().clone();
            let name = value_name(&self.name);
            self.shared.values.set(&name, frozen.content_digest());
            let served_for = match newest.revoked {
                true => Some(Duration::ZERO),
                false => self.policy.served_for(&self.facts(work, now), now),
            };
            Served {
                frozen,
                built: newest.known().built,
                until: served_for.map(|time| now + time),
            }
        });
        self.shown.store(Arc::new(Shown {
            newest,
            due_in: self.due_in(work, now),
            last_failure: work.attempts.message.clone(),
            trouble: work.keeping.trouble(),
            tally: work.tally.clone(),
        }));
    }

    fn due_in(&self, work: &Work<T>, now: Moment) -> Option<Duration> {
        let facts = self.facts(work, now);
        let wait = self.policy.wait(&facts, now);
        match wait.is_zero() {
            true => work.newest.as_ref().and(self.policy.due_in(&facts, now)),
            false => Some(wait),
        }
    }

    /// The newest generation, as long as it may be served.
    pub(in crate::store) fn get(&self) -> Result<Frozen<T>> {
        let shown = self.shown.load();
        let newest = shown.newest.as_ref().ok_or_else(|| self.not_built())?;
        let Some(until) = newest.until else {
            return Ok(newest.frozen.clone());
        };
        let now = self.shared.clock.now();
        if left(until, now).is_zero() {
            let created = newest.frozen.region().header().created;
            return Err(Error::Expired {
                name: self.name.clone(),
                generation: newest.frozen.region().generation(),
                age: now.since(&created).unwrap_or_default(),
            });
        }
        Ok(newest.frozen.clone())
    }

    /// Tells live workers of the newest generation.
    pub(super) fn hand_over(&self) -> Result<()> {
        // Looked at in turn, so that nobody hands over what another has already replaced.
        self.following.hand_over(|| {
            let shown = self.shown.load_full();
            let newest = shown.newest.as_ref()?;
            let now = self.shared.clock.now();
            let standing = Standing {
                // What seems to come from the future may be of any age.
                age: now.since(&newest.built).unwrap_or(Duration::MAX),
                served_for: newest.until.map(|until| left(until, now)),
                due_in: shown.due_in,
                last_error: shown.last_error(),
            };
            Some((newest.frozen.clone(), standing))
        })
    }

    pub(super) fn open_channel(&self) -> Result<Publisher> {
        let shown = self.shown.load_full();
        let newest = shown.newest.as_ref().ok_or_else(|| self.not_built())?;
        let publisher = self.following.publisher(&newest.frozen)?;
        self.hand_over()?;
        Ok(publisher)
    }

    pub(super) fn standing(&self) -> Status {
        let shown = self.shown.load_full();
        let newest = shown.newest.as_ref();
        let frozen = newest.map(|it| &it.frozen);
        let (entries, garbage) = frozen.map_or((0, 0), |it| self.build.size(it));
        let counted = self.following.status();
        let directory = self.shared.directory.as_ref();
        Status {
            name: self.name.clone(),
            generation: frozen.map_or(0, |it| it.region().generation()),
            age: newest.and_then(|it| self.shared.clock.now().since(&it.built)),
            entries,
            bytes: frozen.map_or(0, |it| it.region().size()),
            garbage,
            due_in: shown.due_in,
            last_error: shown.last_error(),
            directory: directory.and_then(|it| {
                let trouble = shown.trouble.iter().cloned();
                joined(trouble.chain(it.lacks().all()))
            }),
            refreshes: shown.tally.refreshes,
            published: shown.tally.published,
            unchanged: shown.tally.unchanged,
            failures: shown.tally.failures,
            reasons: shown.tally.reasons.clone(),
            lookups: counted.as_ref().and_then(|it| it.lookups),
            misses: counted.as_ref().and_then(|it| it.misses),
            contributions: self.following.contributions(),
        }
    }

    fn not_built(&self) -> Error {
        Error::NotBuilt {
            name: self.name.clone(),
        }
    }
}

/// How long it is until a moment, by the clock on which that is sooner.
fn left(until: Moment, now: Moment) -> Duration {
    let boot = until.boot_nanos.saturating_sub(now.boot_nanos);
    let wall = until.wall_nanos.saturating_sub(now.wall_nanos);
    Duration::from_nanos(boot.min(wall))
}
