//! What was recorded of the inputs of entries.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::StoreKey;
use crate::error::{DeltaError, shown};
use crate::map::{EntryRef, Key, Map, unit};
use crate::overlay::{Ages, Delta, Origin, OverlayValue};
use crate::store::build::{Earlier, Job};
use crate::store::inputs::{Input, Sets, SetsBuilder, decode};

/// The inputs of the entries of deltas, decoded once where entries share them.
pub(super) struct Recorded<'a> {
    /// By where they stand.
    decoded: HashMap<*const u8, Sets>,
    /// Their numbers in the sets of the next generation.
    numbers: RefCell<HashMap<*const u8, u32>>,
    /// Those of which something has changed since they were recorded.
    changed: HashSet<*const u8>,
    /// Why deltas are refused.
    refused: HashMap<usize, DeltaError>,
    earlier: Option<&'a Sets>,
    name: &'a str,
}

impl<'a> Recorded<'a> {
    pub(super) fn none() -> Self {
        Self {
            decoded: HashMap::new(),
            numbers: RefCell::default(),
            changed: HashSet::new(),
            refused: HashMap::new(),
            earlier: None,
            name: "",
        }
    }

    /// Decodes those of deltas, and compares them with what is there now, where the policy checks
    /// inputs: otherwise what was dropped for a change would come back with a delta that is older, and
    /// be served until the next check.
    pub(super) fn of<K: StoreKey, V: OverlayValue>(
        job: &Job<'_, Map<K, V>>,
        deltas: &[Delta<K, V>],
        earlier: Earlier<'a, Map<K, V>>,
    ) -> Self {
        let mut recorded = Self {
            earlier: Some(earlier.sets),
            name: earlier.frozen.region().name(),
            ..Self::none()
        };
        for (number, delta) in deltas.iter().enumerate() {
            for (key, inputs) in delta.all_recorded() {
                if recorded.decoded.contains_key(&inputs.as_ptr()) {
                    continue;
                }
                match decode(inputs) {
                    Ok(sets) => {
                        recorded.decoded.insert(inputs.as_ptr(), sets);
                    }
                    Err(reason) => {
                        let refused = DeltaError::Inputs {
                            key: shown(key),
                            reason: reason.to_owned(),
                        };
                        recorded.refused.insert(number, refused);
                        break;
                    }
                }
            }
        }
        if job.policy.inputs && !recorded.decoded.is_empty() {
            recorded.compare(job);
        }
        recorded
    }

    /// Finds those that have changed; looks at each input once.
    fn compare<K: StoreKey, V: OverlayValue>(&mut self, job: &Job<'_, Map<K, V>>) {
        let mut builder = SetsBuilder::default();
        let whole = builder.add([]);
        let all: Vec<(*const u8, u32)> = self.decoded.keys().copied().zip(0..).collect();
        for (place, number) in &all {
            if let Some(sets) = self.decoded.get(place) {
                let set = builder.add(sets.of_value());
                builder.set_of(*number, set);
            }
        }
        let mut sets = builder.finish(whole, all.len());
        let changed = sets.check(job.values, job.clock, job.policy.settle_time());
        let touched = sets.touched(&changed);
        let is_touched = |number: &u32| match sets.is_common(*number) {
            true => touched.common,
            false => touched.entries.binary_search(number).is_ok(),
        };
        let changed = all.iter().filter(|(_, number)| is_touched(number));
        self.changed = changed.map(|(place, _)| *place).collect();
    }

    /// The inputs of an entry of which the rule has made another.
    pub(super) fn inputs_of<K: StoreKey, V: OverlayValue>(
        &self,
        deltas: &[Delta<K, V>],
        origin: Origin<'_, K, V>,
    ) -> Vec<Input> {
        match origin {
            Origin::Kept(entry) => {
                let found = self.earlier.zip(unit(self.name, entry.offset()).ok());
                found.map_or_else(Vec::new, |(sets, unit)| sets.of_entry(unit).collect())
            }
            Origin::Offered(delta, entry) => {
                let key = entry.key();
                let recorded = deltas[delta].recorded(key.key_hash(), key);
                let decoded = recorded.and_then(|it| self.decoded.get(&it.as_ptr()));
                decoded.map_or_else(Vec::new, |sets| sets.of_value().collect())
            }
        }
    }

    /// Numbers the inputs of an entry among those of the next generation.
    pub(super) fn add_to(&self, sets: &mut SetsBuilder, inputs: Option<&[u8]>) -> u32 {
        let found = inputs.and_then(|inputs| {
            let place = inputs.as_ptr();
            Some((place, self.decoded.get(&place)?))
        });
        let Some((place, decoded)) = found else {
            return sets.add([]);
        };
        let mut numbers = self.numbers.borrow_mut();
        *numbers
            .entry(place)
            .or_insert_with(|| sets.add(decoded.of_value()))
    }
}

impl<K: StoreKey, V: OverlayValue> Ages<K, V> for Recorded<'_> {
    fn of_kept(&self, entry: EntryRef<'_, K, V>) -> Option<i64> {
        let unit = unit(self.name, entry.offset()).ok()?;
        self.earlier?.last_change_of(unit)
    }

    fn of_offered(&self, delta: &Delta<K, V>, entry: EntryRef<'_, K, V>) -> Option<i64> {
        let inputs = delta.recorded(entry.key().key_hash(), entry.key())?;
        self.decoded.get(&inputs.as_ptr())?.last_change_of_value()
    }

    fn is_outdated(&self, delta: &Delta<K, V>, entry: EntryRef<'_, K, V>) -> bool {
        if self.changed.is_empty() {
            return false;
        }
        let inputs = delta.recorded(entry.key().key_hash(), entry.key());
        inputs.is_some_and(|inputs| self.changed.contains(&inputs.as_ptr()))
    }

    fn refuses(&self, delta: usize) -> Option<DeltaError> {
        self.refused.get(&delta).cloned()
    }
}
