//! Caches that are several named values.
#![forbid(unsafe_code)]

use super::Store;
use super::build::{Build, BuildResult, Built, Counts, Job};
use super::cache::Cache;
use crate::error::{Error, PolicyError, Result};
use crate::frozen::Frozen;
use crate::region::Backing;
use crate::roots::{Roots, RootsBuilder};
use crate::store::inputs::{Inputs, Sets, encode};
use crate::store::policy::Policy;

impl Store {
    /// Adds a cache of [several named values](crate::roots), which share what they intern. The
    /// closure is given a builder without roots, and gives it back with those that `R` declares.
    ///
    /// A rebuild builds all of them; what is equal to the generation before, up to the first root
    /// that changed, shares its pages.
    ///
    /// ```
    /// use floe::{Map, Policy, Root, Roots, Store};
    ///
    /// #[derive(Roots)]
    /// struct Words {
    ///     all: Root<Vec<String>>,
    ///     lengths: Root<Map<String, u64>>,
    /// }
    ///
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("words");
    /// std::fs::write(&path, "ice floe").unwrap();
    /// let store = Store::new();
    /// let words = store.roots::<Words>("words", Policy::new(), move |inputs, roots| {
    ///     let text = inputs.read_to_string(&path)?.unwrap_or_default();
    ///     let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    ///     let lengths = words.iter().map(|word| (word.clone(), word.len() as u64));
    ///     Ok(roots.value(Words::ALL, &words)?.map(Words::LENGTHS, lengths)?)
    /// })?;
    /// store.refresh()?;
    /// assert_eq!(words.get()?.lengths["floe"], 4);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`cache`](Self::cache).
    pub fn roots<R: Roots>(
        &self,
        name: &str,
        policy: Policy,
        build: impl Fn(&mut Inputs, RootsBuilder) -> BuildResult<RootsBuilder> + Send + Sync + 'static,
    ) -> Result<Cache<R>> {
        if policy.evicts() {
            return Err(Error::Policy {
                name: name.to_owned(),
                reason: PolicyError::WholeValue,
            });
        }
        self.add(name, policy, AllRoots(build))
    }
}

/// Builds all roots by a closure.
struct AllRoots<F>(F);

impl<R, F> Build<R> for AllRoots<F>
where
    R: Roots,
    F: Fn(&mut Inputs, RootsBuilder) -> BuildResult<RootsBuilder> + Send + Sync,
{
    fn build(&self, job: &Job<'_, R>) -> Result<Built<R>> {
        let empty = RootsBuilder::with_label(job.label.clone(), Backing::Memfd)?;
        let (roots, inputs) = job.run(|| None, |inputs| (self.0)(inputs, empty))?;
        let sets = Sets::of_whole(inputs.into_found()).with_keyed_by(job.policy.keyed_by);
        let built: Frozen<R> = roots.finish_with(Some(&encode(&sets)))?;
        let earlier = job.earlier.map(|earlier| earlier.frozen);
        let frozen = match earlier {
            Some(earlier) if earlier.content_digest() == built.content_digest() => earlier.clone(),
            Some(earlier) => built.sharing(earlier.region())?,
            None => built,
        };
        Ok(Built {
            frozen,
            sets,
            counts: Counts {
                rebuilt: R::NAMES.len() as u64,
                ..Counts::default()
            },
        })
    }

    fn check_sets(&self, _: &Frozen<R>, _: &Sets) -> Result<(), &'static str> {
        Ok(())
    }

    fn size(&self, _: &Frozen<R>) -> (u64, u64) {
        (R::NAMES.len() as u64, 0)
    }
}
