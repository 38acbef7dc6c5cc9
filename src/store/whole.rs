//! Caches that are one value.

use super::build::{Build, BuildResult, Built, Counts, Job};
use crate::archive::Value;
use crate::error::Result;
use crate::frozen::Frozen;
use crate::region::format::SectionKind;
use crate::store::inputs::{Inputs, Sets, encode};

/// Builds a whole value by a closure.
pub(super) struct Whole<F>(pub(super) F);

impl<T, F> Build<T> for Whole<F>
where
    T: Value,
    F: Fn(&mut Inputs) -> BuildResult<T> + Send + Sync,
{
    fn build(&self, job: &Job<'_, T>) -> Result<Built<T>> {
        let (value, inputs) = job.run(|| None, &self.0)?;
        let sets = Sets::of_whole(inputs.into_found()).with_keyed_by(job.policy.keyed_by);
        let built = Frozen::freeze_generation(job.label.clone(), &value, &encode(&sets))?;
        let earlier = job.earlier.map(|earlier| earlier.frozen);
        let frozen = match earlier {
            Some(earlier) if archive(earlier)? == archive(&built)? => earlier.clone(),
            Some(earlier) => built.sharing(earlier.region())?,
            None => built,
        };
        Ok(Built {
            frozen,
            sets,
            counts: Counts {
                rebuilt: 1,
                ..Counts::default()
            },
        })
    }

    fn check_sets(&self, _: &Frozen<T>, _: &Sets) -> Result<(), &'static str> {
        Ok(())
    }

    fn size(&self, _: &Frozen<T>) -> (u64, u64) {
        (1, 0)
    }
}

fn archive<T: Value>(frozen: &Frozen<T>) -> Result<&[u8]> {
    frozen.region().section(SectionKind::Archive)
}
