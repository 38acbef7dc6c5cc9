//! Building a generation: what a cache asks for, and what it gets.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::region::Label;
use crate::store::inputs::{Input, Inputs, Sets, Touched, Values};
use crate::store::policy::Policy;
use crate::sys::clock::Clock;
use crate::sys::panics::catch;

/// What a build closure gives: a value, or any error.
pub type BuildResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How the content of a cache comes about.
pub(super) trait Build<T: Content>: Send + Sync {
    /// Builds the next generation, or finds that it would be like the earlier one.
    fn build(&self, job: &Job<'_, T>) -> Result<Built<T>>;

    /// Refuses sets from a file that do not fit the generation that they came with.
    fn check_sets(&self, frozen: &Frozen<T>, sets: &Sets) -> Result<(), &'static str>;

    /// Entries and bytes of garbage.
    fn size(&self, frozen: &Frozen<T>) -> (u64, u64);

    /// Whether the cache grows by what is merged into it.
    fn grows_by_merges(&self) -> bool {
        false
    }
}

/// What is to be built.
pub(super) struct Job<'a, T: Content> {
    /// Name and number of the next generation.
    pub(super) label: Label,
    pub(super) earlier: Option<Earlier<'a, T>>,
    /// Which part of the earlier generation is due; all of it if there is nothing more to say.
    pub(super) due: Option<Due>,
    pub(super) policy: &'a Policy,
    pub(super) clock: &'a Clock,
    pub(super) values: &'a Values,
    /// What closures that failed had read until then.
    pub(super) failed: Mutex<BTreeSet<Input>>,
}

/// The generation that there is.
pub(super) struct Earlier<'a, T: Content> {
    pub(super) frozen: &'a Frozen<T>,
    /// What it was built from.
    pub(super) sets: &'a Sets,
}

impl<T: Content> Clone for Earlier<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Content> Copy for Earlier<'_, T> {}

/// The part of a generation that is due.
pub(super) struct Due {
    pub(super) touched: Touched,
    /// Hashes of keys that somebody said are no longer valid.
    pub(super) hashes: HashSet<u64>,
}

/// What was built.
pub(super) struct Built<T: Content> {
    /// The new generation; the earlier one if it would be like that.
    pub(super) frozen: Frozen<T>,
    /// What it was built from, by the places in this very generation.
    pub(super) sets: Sets,
    pub(super) counts: Counts,
}

/// What became of the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) carried: u64,
    pub(super) rebuilt: u64,
    pub(super) dropped: u64,
    pub(super) evicted: u64,
}

impl<T: Content> Job<'_, T> {
    /// The inputs of the closures that failed, as those of one build.
    pub(super) fn into_failed(self) -> Sets {
        Sets::of_whole(
            self.failed
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Runs a build closure on fresh inputs. What goes wrong in it is told with the key.
    pub(super) fn run<R>(
        &self,
        key: impl Fn() -> Option<String>,
        closure: impl FnOnce(&mut Inputs) -> BuildResult<R>,
    ) -> Result<(R, Inputs)> {
        let mut inputs = Inputs::with(
            self.clock.clone(),
            self.values.clone(),
            self.policy.settle_time(),
            self.policy.read_limit,
        );
        let name = || self.label.name.clone();
        let error = match catch(|| closure(&mut inputs)) {
            Ok(Ok(built)) => return Ok((built, inputs)),
            Ok(Err(source)) => Error::Build {
                name: name(),
                key: key(),
                reason: source,
            },
            Err(message) => Error::BuildPanicked {
                name: name(),
                key: key(),
                message,
            },
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.extend(inputs.into_found());
        Err(error)
    }
}
