//! What two processes have merged apart from each other.

use std::collections::HashSet;

use super::recorded::Recorded;
use super::{StoreKey, next_generation};
use crate::error::{Error, Result};
use crate::map::{EntryRef, Key, LoneWriter, Map, unit};
use crate::overlay::{Delta, Equality, OverlayValue, Plan, Rule};
use crate::store::build::{Built, Earlier, Job};
use crate::store::inputs::{Sets, encode};

/// Brings what one generation has over an earlier one to that of the job, which another process has
/// saved: as a delta, by the rule. What is gone of the earlier one goes there too, if it is the same.
///
/// Looks at all entries.
pub(super) fn join<K: StoreKey, V: OverlayValue>(
    job: &Job<'_, Map<K, V>>,
    ours: Earlier<'_, Map<K, V>>,
    base: Option<Earlier<'_, Map<K, V>>>,
    rule: &Rule<K, V>,
) -> Result<Built<Map<K, V>>> {
    let name = job.label.name.as_str();
    let theirs = job.earlier.ok_or_else(|| Error::NotBuilt {
        name: name.to_owned(),
    })?;
    let mut writer = LoneWriter::new(name);
    let mut equality = Equality::with(&mut writer);
    let mut added = Vec::new();
    for entry in ours.frozen.entries() {
        let at = unit(name, entry.offset())?;
        let is_as_before = match base.and_then(|base| Some((base, find(base, entry)?))) {
            Some((base, before)) => {
                // It may have been built again from other inputs, and others may have dropped it.
                let its = unit(name, before.offset())?;
                ours.sets.is_from_same(at, base.sets, its) && equality.is_equal(before, entry)
            }
            None => false,
        };
        if !is_as_before {
            let inputs = ours.sets.of_entry(at);
            added.push((entry, encode(&Sets::of_whole(inputs))));
        }
    }
    let mut gone = HashSet::new();
    for entry in base.iter().flat_map(|base| base.frozen.entries()) {
        if find(ours, entry).is_none()
            && let Some(there) = find(theirs, entry)
            && equality.is_equal(there, entry)
        {
            gone.insert(there);
        }
    }
    let added = added.iter();
    let added = added.map(|(entry, inputs)| (*entry, Some(inputs.as_slice())));
    let deltas = [Delta::of_entries(ours.frozen.region(), added)?];
    let recorded = Recorded::of(job, &deltas, theirs);
    let mut plan = Plan::of(theirs.frozen, &deltas, rule, &recorded);
    if let Some(reason) = plan.reports.iter().find_map(|it| it.refused.clone()) {
        let name = name.to_owned();
        return Err(Error::Delta { name, reason });
    }
    plan.going.extend(gone);
    let renumbers = theirs.frozen.region().generation() <= ours.frozen.region().generation();
    next_generation(job, theirs, plan, &deltas, &recorded, renumbers)
}

/// The entry of a generation that has the key of another one.
fn find<'a, K: StoreKey, V: OverlayValue>(
    there: Earlier<'a, Map<K, V>>,
    entry: EntryRef<'_, K, V>,
) -> Option<EntryRef<'a, K, V>> {
    let key = entry.key();
    there.frozen.find_entry(key.key_hash(), key)
}
