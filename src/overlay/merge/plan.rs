//! Deciding what becomes of each key.

use std::collections::HashSet;

use crate::archive::thaw;
use crate::error::{DeltaError, Result};
use crate::frozen::Frozen;
use crate::map::{EntryRef, Key, LoneEntry, LoneWriter, Map};
use crate::overlay::by_key::ByKey;
use crate::overlay::{Choice, Delta, DeltaReport, Equality, OverlayKey, OverlayValue, Rule};
use crate::sys::panics::catch;

/// When the inputs of entries last changed, in nanoseconds.
pub(crate) trait Ages<K: OverlayKey, V: OverlayValue> {
    /// Of an entry of the map.
    fn of_kept(&self, entry: EntryRef<'_, K, V>) -> Option<i64>;
    /// Of an entry of a delta.
    fn of_offered(&self, delta: &Delta<K, V>, entry: EntryRef<'_, K, V>) -> Option<i64>;
    /// Why a delta is refused, by its number.
    fn refuses(&self, delta: usize) -> Option<DeltaError>;
}

/// What a merge does to a map.
pub(crate) struct Plan<'a, K: OverlayKey, V: OverlayValue> {
    /// Entries of the map that go.
    pub(crate) going: HashSet<EntryRef<'a, K, V>>,
    /// Entries that come, in the order of the deltas.
    pub(crate) fresh: Vec<Fresh<'a, K, V>>,
    /// What became of each delta.
    pub(crate) reports: Vec<DeltaReport>,
}

/// An entry that comes.
pub(crate) enum Fresh<'a, K: OverlayKey, V: OverlayValue> {
    /// Of a delta, by its number.
    Offered(usize, EntryRef<'a, K, V>),
    /// Made by the rule.
    Made(LoneEntry<K, V>),
}

impl<K: OverlayKey, V: OverlayValue> Fresh<'_, K, V> {
    pub(crate) fn entry(&self) -> EntryRef<'_, K, V> {
        match self {
            Self::Offered(_, entry) => *entry,
            Self::Made(entry) => entry.entry(),
        }
    }
}

/// A key that some delta has changed.
struct Changed<'a, K: OverlayKey, V: OverlayValue> {
    hash: u64,
    key: &'a K::Archived,
    /// The entry of the map, which goes.
    replaced: Option<EntryRef<'a, K, V>>,
    /// The entry that comes in its place, if one does.
    now: Option<Fresh<'a, K, V>>,
}

/// Where a key stands when a delta is looked at.
enum There<'s, 'a, K: OverlayKey, V: OverlayValue> {
    Nothing,
    Kept(EntryRef<'a, K, V>),
    Brought(&'s Fresh<'a, K, V>),
}

/// What becomes of a key, by one delta.
struct Step<'a, K: OverlayKey, V: OverlayValue> {
    /// Where it is among those that were changed before.
    place: Option<usize>,
    changed: Changed<'a, K, V>,
}

struct Planner<'a, 'r, K: OverlayKey, V: OverlayValue> {
    map: &'a Frozen<Map<K, V>>,
    deltas: &'a [Delta<K, V>],
    rule: &'r Rule<K, V>,
    ages: &'r dyn Ages<K, V>,
    changed: Vec<Changed<'a, K, V>>,
    /// Places of those.
    places: ByKey<u32>,
}

impl<'a, K: OverlayKey, V: OverlayValue> Plan<'a, K, V> {
    /// Decides what becomes of the keys of deltas, in their order.
    pub(crate) fn of(
        map: &'a Frozen<Map<K, V>>,
        deltas: &'a [Delta<K, V>],
        rule: &Rule<K, V>,
        ages: &dyn Ages<K, V>,
    ) -> Self {
        let most = deltas.iter().map(Delta::len).sum();
        let mut planner = Planner {
            map,
            deltas,
            rule,
            ages,
            changed: Vec::with_capacity(most),
            places: ByKey::with_capacity(if deltas.len() > 1 { most } else { 0 }),
        };
        let mut writer = LoneWriter::new(map.region().name());
        let is_last = |number: usize| number + 1 == deltas.len();
        let deltas = deltas.iter().enumerate();
        let reports =
            deltas.map(|(number, delta)| planner.fold(number, delta, is_last(number), &mut writer));
        let reports = reports.collect();
        let mut plan = Self {
            going: HashSet::new(),
            fresh: Vec::with_capacity(planner.changed.len()),
            reports,
        };
        for changed in planner.changed {
            plan.going.extend(changed.replaced);
            plan.fresh.extend(changed.now);
        }
        plan
    }

    /// Entries go, and none come.
    pub(crate) fn dropping(going: HashSet<EntryRef<'a, K, V>>) -> Self {
        Self {
            going,
            fresh: Vec::new(),
            reports: Vec::new(),
        }
    }

    pub(crate) fn changes_nothing(&self) -> bool {
        self.going.is_empty() && self.fresh.is_empty()
    }
}

impl<'a, K: OverlayKey, V: OverlayValue> Planner<'a, '_, K, V> {
    /// Takes a delta, or nothing of it. Behind the last one, nobody looks for what was changed.
    fn fold(
        &mut self,
        number: usize,
        delta: &'a Delta<K, V>,
        is_last: bool,
        writer: &mut LoneWriter<K, V>,
    ) -> DeltaReport {
        if delta.name() != self.map.region().name() {
            return DeltaReport::refused(DeltaError::OtherCache {
                got: delta.name().to_owned(),
            });
        }
        if let Some(reason) = self.ages.refuses(number) {
            return DeltaReport::refused(reason);
        }
        // Keys that users compare, and rules, may panic.
        let decided = catch(|| self.decide_all(number, delta, writer));
        let decided = decided.unwrap_or_else(|message| Err(DeltaError::Panicked { message }));
        match decided {
            Ok((report, steps)) => {
                steps.into_iter().for_each(|step| self.take(step, is_last));
                report
            }
            Err(reason) => DeltaReport::refused(reason),
        }
    }

    fn take(&mut self, step: Step<'a, K, V>, is_last: bool) {
        let Step { place, changed } = step;
        match place {
            Some(place) => self.changed[place].now = changed.now,
            None => {
                if !is_last {
                    // A key stands in a delta once, and was looked for before.
                    let place = self.changed.len() as u32;
                    self.places.put(changed.hash, |_| false, place);
                }
                self.changed.push(changed);
            }
        }
    }

    fn decide_all(
        &self,
        number: usize,
        delta: &'a Delta<K, V>,
        writer: &mut LoneWriter<K, V>,
    ) -> Result<(DeltaReport, Vec<Step<'a, K, V>>), DeltaError> {
        let mut report = DeltaReport::default();
        let mut steps = Vec::with_capacity(delta.len());
        for entry in delta.added().entries() {
            steps.extend(self.decide_added(number, entry, writer, &mut report)?);
        }
        let same_lineage = delta.is_of_lineage(self.map.region());
        for key in delta.removed() {
            // What another owner had says nothing of what this one has.
            match same_lineage {
                true => steps.extend(self.decide_removed(key, writer, &mut report)?),
                false => report.kept += 1,
            }
        }
        Ok((report, steps))
    }

    /// The place of a key among those that were changed, and where it stands.
    fn find(&self, hash: u64, key: &K::Archived) -> (Option<usize>, There<'_, 'a, K, V>) {
        let changed = &self.changed;
        let place = match self.places.is_empty() {
            true => None,
            false => self
                .places
                .find(hash, |place| changed[*place as usize].key == key),
        };
        if let Some(place) = place {
            let place = *place as usize;
            let there = changed[place].now.as_ref();
            return (Some(place), there.map_or(There::Nothing, There::Brought));
        }
        let found = self.map.find_entry(hash, key);
        (None, found.map_or(There::Nothing, There::Kept))
    }

    fn decide_added(
        &self,
        number: usize,
        offered: EntryRef<'a, K, V>,
        writer: &mut LoneWriter<K, V>,
        report: &mut DeltaReport,
    ) -> Result<Option<Step<'a, K, V>>, DeltaError> {
        let (key, hash) = (offered.key(), offered.key().key_hash());
        let (place, there) = self.find(hash, key);
        let step = |replaced, now| Step {
            place,
            changed: Changed {
                hash,
                key,
                replaced,
                now: Some(now),
            },
        };
        let (kept, replaced) = match &there {
            There::Nothing => {
                report.added += 1;
                return Ok(Some(step(None, Fresh::Offered(number, offered))));
            }
            There::Kept(kept) => (*kept, Some(*kept)),
            There::Brought(brought) => (brought.entry(), None),
        };
        if Equality::with(writer).is_equal(kept, offered) {
            report.equal += 1;
            return Ok(None);
        }
        let now = match self.choose(number, &there, kept, offered) {
            Choice::Keep => {
                report.kept += 1;
                return Ok(None);
            }
            Choice::Take => Fresh::Offered(number, offered),
            Choice::Value(value) => made(key, &value, writer)?,
        };
        report.replaced += 1;
        Ok(Some(step(replaced, now)))
    }

    fn choose(
        &self,
        number: usize,
        there: &There<'_, 'a, K, V>,
        kept: EntryRef<'_, K, V>,
        offered: EntryRef<'a, K, V>,
    ) -> Choice<V> {
        let takes = match self.rule {
            Rule::FirstWins => false,
            Rule::LastWins => true,
            Rule::Newest => {
                let age = match there {
                    There::Brought(Fresh::Offered(delta, entry)) => {
                        self.ages.of_offered(&self.deltas[*delta], *entry)
                    }
                    There::Kept(entry) => self.ages.of_kept(*entry),
                    There::Brought(Fresh::Made(_)) | There::Nothing => None,
                };
                self.ages.of_offered(&self.deltas[number], offered) > age
            }
            Rule::By(decide) => {
                return decide(offered.key(), kept.value(), Some(offered.value()));
            }
        };
        if takes { Choice::Take } else { Choice::Keep }
    }

    fn decide_removed(
        &self,
        key: &'a K::Archived,
        writer: &mut LoneWriter<K, V>,
        report: &mut DeltaReport,
    ) -> Result<Option<Step<'a, K, V>>, DeltaError> {
        let hash = key.key_hash();
        let (place, there) = self.find(hash, key);
        let (kept, replaced) = match &there {
            There::Nothing => {
                report.equal += 1;
                return Ok(None);
            }
            There::Kept(kept) => (*kept, Some(*kept)),
            There::Brought(brought) => (brought.entry(), None),
        };
        let choice = match self.rule {
            Rule::FirstWins | Rule::Newest => Choice::Keep,
            Rule::LastWins => Choice::Take,
            Rule::By(decide) => decide(key, kept.value(), None),
        };
        let now = match choice {
            Choice::Keep => {
                report.kept += 1;
                return Ok(None);
            }
            Choice::Take => {
                report.removed += 1;
                None
            }
            Choice::Value(value) => {
                report.replaced += 1;
                Some(made(key, &value, writer)?)
            }
        };
        let changed = Changed {
            hash,
            key,
            replaced,
            now,
        };
        Ok(Some(Step { place, changed }))
    }
}

/// An entry that a rule has made.
fn made<'a, K: OverlayKey, V: OverlayValue>(
    key: &K::Archived,
    value: &V,
    writer: &mut LoneWriter<K, V>,
) -> Result<Fresh<'a, K, V>, DeltaError> {
    let made = thaw::<K>(key).and_then(|key| writer.write(&key, value));
    match made {
        Ok(entry) => Ok(Fresh::Made(entry)),
        Err(error) => Err(DeltaError::Value {
            key: format!("{key:?}"),
            reason: error.to_string(),
        }),
    }
}
