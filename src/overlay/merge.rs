//! Folding deltas into the next generation of a map.

mod lookups;
mod plan;
mod write;

use std::time::Instant;

use super::{Delta, MergeReport, OverlayKey, OverlayValue, Rule};
use crate::archive::thaw;
use crate::error::{DeltaError, Result};
use crate::frozen::Frozen;
use crate::map::{EntryRef, LoneEntry, LoneWriter, Map};
use crate::region::Label;

pub(super) use lookups::Contested;
pub(crate) use plan::{Ages, Fresh, Origin, Plan};
pub(crate) use write::Stands;

/// Merges deltas into the next generation of a map, in their order.
///
/// What the map has already, or what a delta before has brought, counts as one. A delta of another
/// cache is refused, and so is one on which the closure of the rule panics; the others go on, and the
/// report says what became of each. If nothing changes, the map comes back as it is.
///
/// The pages of the map are shared, so that a merge costs what changes: its entries, and a copy of the
/// lines of the index that lead to them. Entries are copied as bytes; where they
/// [intern](crate::Intern), all are written anew, so that what the map has interned is found again.
///
/// The next generation is published by a [`Publisher`](crate::Publisher). See
/// [the module](crate::overlay) for an example.
///
/// # Errors
/// As [`MapBuilder::finish`](crate::MapBuilder::finish); [`Error::Thaw`](crate::Error::Thaw) for
/// entries with interned values.
pub fn merge<K: OverlayKey, V: OverlayValue>(
    map: &Frozen<Map<K, V>>,
    deltas: &[Delta<K, V>],
    rule: &Rule<K, V>,
) -> Result<(Frozen<Map<K, V>>, MergeReport)> {
    let start = Instant::now();
    let plan = Plan::of(map, deltas, rule, &NoAges);
    let next = match plan.changes_nothing() {
        true => map.clone(),
        false => {
            let region = map.region();
            let label = Label::after(region, region.generation() + 1);
            plan.write(map, label, |_| Vec::new())?
        }
    };
    let region = next.region();
    let report = MergeReport {
        name: region.name().to_owned(),
        generation: region.generation(),
        changed: !plan.changes_nothing(),
        saved: false,
        entries: next.len() as u64,
        evicted: 0,
        deltas: plan.reports,
        seconds: start.elapsed().as_secs_f64(),
        trouble: None,
    };
    Ok((next, report))
}

/// No inputs are recorded.
struct NoAges;

impl<K: OverlayKey, V: OverlayValue> Ages<K, V> for NoAges {
    fn of_kept(&self, _: EntryRef<'_, K, V>) -> Option<i64> {
        None
    }

    fn of_offered(&self, _: &Delta<K, V>, _: EntryRef<'_, K, V>) -> Option<i64> {
        None
    }

    fn is_outdated(&self, _: &Delta<K, V>, _: EntryRef<'_, K, V>) -> bool {
        false
    }

    fn refuses(&self, _: usize) -> Option<DeltaError> {
        None
    }
}

/// Tells whether entries are equal.
pub(crate) struct Equality<'w, K, V> {
    writer: &'w mut LoneWriter<K, V>,
}

impl<'w, K: OverlayKey, V: OverlayValue> Equality<'w, K, V> {
    pub(crate) fn with(writer: &'w mut LoneWriter<K, V>) -> Self {
        Self { writer }
    }

    /// Whether two entries, wherever they are, have equal keys and values. What cannot be thawed, where
    /// values are interned, is equal to nothing.
    pub(crate) fn is_equal(&mut self, one: EntryRef<'_, K, V>, other: EntryRef<'_, K, V>) -> bool {
        if self.writer.entries_are_independent() {
            return one.bytes() == other.bytes();
        }
        let (one, other) = (self.alone(one), self.alone(other));
        match (one, other) {
            (Ok(one), Ok(other)) => one.entry().bytes() == other.entry().bytes(),
            _ => false,
        }
    }

    /// An entry with all that it points to.
    fn alone(&mut self, entry: EntryRef<'_, K, V>) -> Result<LoneEntry<K, V>> {
        let (key, value) = (thaw::<K>(entry.key())?, thaw::<V>(entry.value())?);
        self.writer.write(&key, &value)
    }
}
