//! Deciding what becomes of each key.

use std::collections::HashSet;

use super::lookups::{Added, Contested, Looked, LookedUp, look_up_all};
use crate::archive::thaw;
use crate::error::{DeltaError, Result, shown};
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
    /// Whether something of what an entry of a delta was built from has changed since.
    fn is_outdated(&self, delta: &Delta<K, V>, entry: EntryRef<'_, K, V>) -> bool;
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
    Offered {
        /// The number of its delta.
        delta: usize,
        entry: EntryRef<'a, K, V>,
        /// Of its key.
        hash: u64,
    },
    /// Made by the rule, of others.
    Made(LoneEntry<K, V>, Vec<Origin<'a, K, V>>),
}

/// An entry of which the rule has made another one.
pub(crate) enum Origin<'a, K: OverlayKey, V: OverlayValue> {
    /// Of the map.
    Kept(EntryRef<'a, K, V>),
    /// Of a delta, by its number.
    Offered(usize, EntryRef<'a, K, V>),
}

impl<K: OverlayKey, V: OverlayValue> Fresh<'_, K, V> {
    pub(crate) fn entry(&self) -> EntryRef<'_, K, V> {
        match self {
            Self::Offered { entry, .. } => *entry,
            Self::Made(entry, _) => entry.entry(),
        }
    }

    /// The hash of its key.
    pub(crate) fn hash(&self) -> u64 {
        match self {
            Self::Offered { hash, .. } => *hash,
            Self::Made(entry, _) => entry.entry().key().key_hash(),
        }
    }
}

/// Where a key stands that some delta has changed, and others may change.
struct Place<'a, K: OverlayKey> {
    key: &'a K::Archived,
    /// Among what comes.
    at: usize,
}

/// Where a key stands when a delta is looked at.
enum There<'s, 'a, K: OverlayKey, V: OverlayValue> {
    Nothing,
    Kept(EntryRef<'a, K, V>),
    Brought(&'s Fresh<'a, K, V>),
}

impl<K: OverlayKey, V: OverlayValue> Clone for Origin<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: OverlayKey, V: OverlayValue> Copy for Origin<'_, K, V> {}

impl<'a, K: OverlayKey, V: OverlayValue> There<'_, 'a, K, V> {
    /// What an entry is made of that is made of this one.
    fn origins(&self) -> Vec<Origin<'a, K, V>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Kept(entry) => vec![Origin::Kept(*entry)],
            Self::Brought(Fresh::Offered { delta, entry, .. }) => {
                vec![Origin::Offered(*delta, *entry)]
            }
            Self::Brought(Fresh::Made(_, origins)) => origins.clone(),
        }
    }
}

/// What a delta does beside bringing entries, done once all of it is decided.
struct Steps<'a, K: OverlayKey, V: OverlayValue> {
    going: Vec<EntryRef<'a, K, V>>,
    /// By the hashes of their keys.
    placed: Vec<(u64, Place<'a, K>)>,
    /// What comes in the place of what an earlier delta has changed.
    exchanged: Vec<(usize, Option<Fresh<'a, K, V>>)>,
}

/// A key that a delta changes.
struct Change<'a, K: OverlayKey, V: OverlayValue> {
    hash: u64,
    key: &'a K::Archived,
    /// Where it is among those that were changed before.
    place: Option<usize>,
    /// The entry of the map, which goes.
    replaced: Option<EntryRef<'a, K, V>>,
    /// The entry that comes in its place, if one does.
    now: Option<Fresh<'a, K, V>>,
}

struct Planner<'a, 'r, K: OverlayKey, V: OverlayValue> {
    map: &'a Frozen<Map<K, V>>,
    deltas: &'a [Delta<K, V>],
    rule: &'r Rule<K, V>,
    ages: &'r dyn Ages<K, V>,
    going: HashSet<EntryRef<'a, K, V>>,
    /// What comes; nothing, in the place of what is removed after all.
    fresh: Vec<Option<Fresh<'a, K, V>>>,
    /// Keys that several deltas may change.
    contested: &'r Contested,
    /// Those of them that one has changed.
    places: ByKey<Place<'a, K>>,
}

impl<'a, K: OverlayKey, V: OverlayValue> Plan<'a, K, V> {
    /// Decides what becomes of the keys of deltas, in their order.
    pub(crate) fn of(
        map: &'a Frozen<Map<K, V>>,
        deltas: &'a [Delta<K, V>],
        rule: &Rule<K, V>,
        ages: &dyn Ages<K, V>,
    ) -> Self {
        let (looked_up, contested) = look_up_all(map, deltas);
        let mut planner = Planner {
            map,
            deltas,
            rule,
            ages,
            going: HashSet::new(),
            fresh: Vec::with_capacity(deltas.iter().map(Delta::len).sum()),
            contested: &contested,
            places: ByKey::default(),
        };
        let mut writer = LoneWriter::new(map.region().name());
        let deltas = deltas.iter().zip(looked_up).enumerate();
        let reports = deltas.map(|(number, delta)| planner.fold(number, delta, &mut writer));
        let reports = reports.collect();
        #[expect(
            clippy::filter_map_identity,
            reason = "`flatten` would move all to other memory"
        )]
        let fresh = planner.fresh.into_iter().filter_map(|it| it).collect();
        Self {
            going: planner.going,
            fresh,
            reports,
        }
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
    /// Takes a delta, or nothing of it.
    fn fold(
        &mut self,
        number: usize,
        (delta, looked_up): (&'a Delta<K, V>, Looked<'a, K, V>),
        writer: &mut LoneWriter<K, V>,
    ) -> DeltaReport {
        if delta.name() != self.map.region().name() {
            return DeltaReport::refused(DeltaError::OtherCache {
                got: delta.name().to_owned(),
            });
        }
        // What no store has made says nothing of it.
        let keys = self.map.region().keyed_by().zip(delta.region().keyed_by());
        if let Some((expected, got)) = keys.filter(|(expected, got)| expected != got) {
            let [expected, got] = [expected, got].map(|digest| format!("{digest:032x}"));
            return DeltaReport::refused(DeltaError::OtherKey { expected, got });
        }
        if let Some(reason) = self.ages.refuses(number) {
            return DeltaReport::refused(reason);
        }
        let before = self.fresh.len();
        // Keys that users compare, and rules, may panic.
        let decided = looked_up.and_then(|looked_up| {
            let mut steps = Steps::default();
            let decided =
                catch(|| self.decide_all(number, (delta, &looked_up), writer, &mut steps));
            decided.map(|decided| decided.map(|report| (report, steps)))
        });
        let decided = decided.unwrap_or_else(|message| Err(DeltaError::Panicked { message }));
        match decided {
            Ok((report, steps)) => {
                self.take(steps);
                report
            }
            Err(reason) => {
                self.fresh.truncate(before);
                DeltaReport::refused(reason)
            }
        }
    }

    fn take(&mut self, steps: Steps<'a, K, V>) {
        self.going.extend(steps.going);
        for (at, now) in steps.exchanged {
            self.fresh[at] = now;
        }
        for (hash, place) in steps.placed {
            // A key stands in a delta once, and was looked for before.
            self.places.put(hash, |_| false, place);
        }
    }

    fn decide_all(
        &mut self,
        number: usize,
        (delta, looked_up): (&'a Delta<K, V>, &LookedUp<'a, K, V>),
        writer: &mut LoneWriter<K, V>,
        steps: &mut Steps<'a, K, V>,
    ) -> Result<DeltaReport, DeltaError> {
        let mut report = DeltaReport::default();
        for added in looked_up.added() {
            if let Some(change) = self.decide_added(number, added, writer, &mut report)? {
                self.bring(change, steps);
            }
        }
        let same_lineage = delta.is_of_lineage(self.map.region());
        for key in delta.removed() {
            // What another owner had says nothing of what this one has.
            if !same_lineage {
                report.kept += 1;
            } else if let Some(change) = self.decide_removed(key, writer, &mut report)? {
                self.bring(change, steps);
            }
        }
        Ok(report)
    }

    /// Brings what comes in a new place. The rest becomes true once all of the delta is decided: no
    /// other key of it is concerned.
    fn bring(&mut self, change: Change<'a, K, V>, steps: &mut Steps<'a, K, V>) {
        let Change { hash, key, .. } = change;
        steps.going.extend(change.replaced);
        if let Some(at) = change.place {
            steps.exchanged.push((at, change.now));
        } else if self.contested.may_have(hash) {
            let at = self.fresh.len();
            steps.placed.push((hash, Place { key, at }));
            self.fresh.push(change.now);
        } else if change.now.is_some() {
            self.fresh.push(change.now);
        }
    }

    /// The place of a key among those that were changed, and where it stands; `find` finds it in the
    /// map.
    fn find(
        &self,
        hash: u64,
        key: &K::Archived,
        find: impl FnOnce() -> Option<EntryRef<'a, K, V>>,
    ) -> (Option<usize>, There<'_, 'a, K, V>) {
        let place = match self.contested.may_have(hash) {
            true => self.places.find(hash, |place| place.key == key),
            false => None,
        };
        match place {
            Some(place) => {
                let there = self.fresh[place.at].as_ref();
                (Some(place.at), there.map_or(There::Nothing, There::Brought))
            }
            None => (None, find().map_or(There::Nothing, There::Kept)),
        }
    }

    fn decide_added(
        &self,
        number: usize,
        (hash, offered, kept): Added<'a, K, V>,
        writer: &mut LoneWriter<K, V>,
        report: &mut DeltaReport,
    ) -> Result<Option<Change<'a, K, V>>, DeltaError> {
        let key = offered.key();
        if self.ages.is_outdated(&self.deltas[number], offered) {
            report.outdated += 1;
            return Ok(None);
        }
        let (place, there) = self.find(hash, key, || kept);
        let change = |replaced, now| Change {
            hash,
            key,
            place,
            replaced,
            now: Some(now),
        };
        let taken = Fresh::Offered {
            delta: number,
            entry: offered,
            hash,
        };
        let (kept, replaced) = match &there {
            There::Nothing => {
                report.added += 1;
                return Ok(Some(change(None, taken)));
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
            Choice::Take => taken,
            Choice::Value(value) => {
                let mut origins = there.origins();
                origins.push(Origin::Offered(number, offered));
                made(key, &value, origins, writer)?
            }
        };
        report.replaced += 1;
        Ok(Some(change(replaced, now)))
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
                    There::Brought(Fresh::Offered { delta, entry, .. }) => {
                        self.ages.of_offered(&self.deltas[*delta], *entry)
                    }
                    There::Kept(entry) => self.ages.of_kept(*entry),
                    There::Brought(Fresh::Made(..)) | There::Nothing => None,
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
    ) -> Result<Option<Change<'a, K, V>>, DeltaError> {
        let hash = key.key_hash();
        let (place, there) = self.find(hash, key, || self.map.find_entry(hash, key));
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
                Some(made(key, &value, there.origins(), writer)?)
            }
        };
        Ok(Some(Change {
            hash,
            key,
            place,
            replaced,
            now,
        }))
    }
}

impl<K: OverlayKey, V: OverlayValue> Default for Steps<'_, K, V> {
    fn default() -> Self {
        Self {
            going: Vec::new(),
            placed: Vec::new(),
            exchanged: Vec::new(),
        }
    }
}

/// An entry that a rule has made.
fn made<'a, K: OverlayKey, V: OverlayValue>(
    key: &K::Archived,
    value: &V,
    origins: Vec<Origin<'a, K, V>>,
    writer: &mut LoneWriter<K, V>,
) -> Result<Fresh<'a, K, V>, DeltaError> {
    let made = thaw::<K>(key).and_then(|key| writer.write(&key, value));
    match made {
        Ok(entry) => Ok(Fresh::Made(entry, origins)),
        Err(error) => Err(DeltaError::Value {
            key: shown(key),
            reason: error.to_string(),
        }),
    }
}
