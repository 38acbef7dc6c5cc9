//! The state of a cache, which changes under one lock: its newest generation with all that is known
//! of it, and the attempts at the next.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::super::build::{Built, Earlier};
use super::keeping::Keeping;
use super::merging::Unsaved;
use crate::frozen::{Content, Frozen};
use crate::store::inputs::{Changed, Sets, Values};
use crate::sys::clock::{Clock, Moment};

/// All that changes when a cache is judged and built.
pub(super) struct Work<T: Content> {
    /// Replaced as a whole.
    pub(super) newest: Option<Generation<T>>,
    /// Merges that are in the newest generation and not in the directory.
    pub(super) unsaved: Option<Unsaved<T>>,
    pub(super) attempts: Attempts,
    pub(super) keeping: Keeping,
    pub(super) tally: Tally,
}

/// A generation and what is known of it.
///
/// The sets name places in the map of this generation, and in another one they name anything or
/// nothing: so neither can be replaced without the other, nor the map at all.
pub(super) struct Generation<T: Content> {
    frozen: Frozen<T>,
    known: Known,
    /// When all of its inputs were last found unchanged, or read.
    pub(super) checked: Option<Moment>,
    /// Whether a verdict of the user's own has ended its serving.
    pub(super) revoked: bool,
    pub(super) owes: Owes,
}

/// What a build, or a file, tells of a generation.
#[derive(PartialEq)]
pub(super) struct Known {
    pub(super) sets: Sets,
    /// When all of it was last built.
    pub(super) built: Moment,
}

/// What of a generation is not in the directory.
#[derive(Default, Clone, Copy)]
pub(super) struct Owes {
    pub(super) generation: bool,
    pub(super) inputs: bool,
    /// Others find the generation there, though it may not last.
    pub(super) is_found: bool,
}

/// Attempts to build that failed, since the last that did not.
pub(super) struct Attempts {
    pub(super) failures: u32,
    pub(super) last_failure: Option<Moment>,
    /// Why the last one failed.
    pub(super) message: Option<String>,
    /// What the closures read that failed last.
    pub(super) failed: Sets,
    /// A number from 0 to below 1, drawn at the last success.
    pub(super) draw: f64,
}

/// What a status counts.
#[derive(Default, Clone)]
pub(super) struct Tally {
    pub(super) refreshes: u64,
    pub(super) published: u64,
    pub(super) unchanged: u64,
    pub(super) failures: u64,
    pub(super) reasons: BTreeMap<&'static str, u64>,
}

impl<T: Content> Work<T> {
    pub(super) fn new() -> Self {
        Self {
            newest: None,
            unsaved: None,
            attempts: Attempts::none(draw()),
            keeping: Keeping::default(),
            tally: Tally::default(),
        }
    }

    /// The number of the newest generation; 0 if there is none.
    pub(super) fn generation(&self) -> u64 {
        let newest = self.newest.as_ref();
        newest.map_or(0, |it| it.frozen.region().generation())
    }
}

impl<T: Content> Generation<T> {
    /// What comes from a file, of which nothing has to be saved.
    pub(super) fn saved(frozen: Frozen<T>, known: Known) -> Self {
        Self {
            frozen,
            known,
            checked: None,
            revoked: false,
            owes: Owes::default(),
        }
    }

    /// What was built when there was an earlier one, if there was; the same generation if that
    /// stays.
    pub(super) fn built(
        built: Built<T>,
        at: Moment,
        checked: Option<Moment>,
        earlier: Option<&Self>,
    ) -> Self {
        let Built { frozen, sets, .. } = built;
        let known = Known { sets, built: at };
        let number = frozen.region().generation();
        let owes = match earlier.filter(|it| it.frozen.region().generation() == number) {
            Some(same) => Owes {
                inputs: same.owes.inputs || same.known != known,
                ..same.owes
            },
            None => Owes {
                generation: true,
                ..Owes::default()
            },
        };
        Self {
            checked,
            owes,
            ..Self::saved(frozen, known)
        }
    }

    /// The same generation, of which a file tells something newer.
    pub(super) fn learnt(&self, known: Known) -> Self {
        Self {
            revoked: self.revoked,
            owes: Owes {
                inputs: false,
                ..self.owes
            },
            ..Self::saved(self.frozen.clone(), known)
        }
    }

    pub(super) fn frozen(&self) -> &Frozen<T> {
        &self.frozen
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Compares its inputs with what is there now; those that are equal get their stamps of now.
    pub(super) fn check(&mut self, values: &Values, clock: &Clock, settle: Duration) -> Changed {
        let changed = self.known.sets.check(values, clock, settle);
        self.owes.inputs |= changed.renewed;
        changed
    }

    pub(super) fn as_earlier(&self) -> Earlier<'_, T> {
        Earlier {
            frozen: &self.frozen,
            sets: &self.known.sets,
        }
    }
}

impl Owes {
    pub(super) fn any(self) -> bool {
        self.generation || self.inputs
    }

    /// Whether others go on without the generation.
    pub(super) fn is_apart(self) -> bool {
        self.generation && !self.is_found
    }
}

impl Attempts {
    fn none(draw: f64) -> Self {
        Self {
            failures: 0,
            last_failure: None,
            message: None,
            failed: Sets::default(),
            draw,
        }
    }

    /// As after a build.
    pub(super) fn succeeded() -> Self {
        Self::none(draw())
    }

    /// As where what failed is no longer asked for.
    pub(super) fn forgotten(&self) -> Self {
        Self::none(self.draw)
    }

    /// One more, which failed on what its closures read.
    pub(super) fn failed(&self, message: String, failed: Sets, now: Moment) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            last_failure: Some(now),
            message: Some(message),
            failed,
            draw: self.draw,
        }
    }
}

/// A number from 0 to below 1.
fn draw() -> f64 {
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
