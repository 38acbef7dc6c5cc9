//! Caches of entries that are built one by one.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

use rkyv::Deserialize;
use rkyv::de::Pool;
use rkyv::rancor::{BoxedError, Strategy};

use super::build::{Build, BuildResult, Built, Counts, Due, Earlier, Job};
use super::evict::evict;
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::{Content, Frozen};
use crate::map::{
    EntryRef, Key, Map, MapBuilder, MapKey, Moved, Places, entries_are_independent, offset_of_unit,
    unit,
};
use crate::region::Backing;
use crate::region::format::SectionKind;
use crate::store::inputs::{Input, Inputs, Sets, SetsBuilder, encode};
use crate::sys::threads;

/// Values on the heap, being built or waiting until those of the keys before are serialised: as
/// many as have about so many bytes, by those that were serialised before them,
const BYTES_AHEAD: usize = 16 << 20;
/// but no more than that, and at least one for each processor.
const MOST_AHEAD: usize = 1024;
/// Garbage below this is not worth building everything again, where that is the way to be rid of
/// it.
const LITTLE_GARBAGE: u64 = 1 << 20;

/// What keys a cache of a store: it can be read back from the map, sorted, and sent to threads.
///
/// Implemented for every such type.
pub trait StoreKey:
    MapKey<Archived: PartialEq<Self> + Deserialize<Self, Strategy<Pool, BoxedError>>>
    + Ord
    + Debug
    + Send
    + Sync
    + Sized
{
}

impl<K> StoreKey for K where
    K: MapKey<Archived: PartialEq<K> + Deserialize<K, Strategy<Pool, BoxedError>>>
        + Ord
        + Debug
        + Send
        + Sync
{
}

/// Builds a list of keys by one closure and the value of each by another.
pub(super) struct Keyed<K, V> {
    pub(super) keys: Box<ListKeys<K>>,
    pub(super) build: Box<BuildValue<K, V>>,
}

type ListKeys<K> = dyn Fn(&mut Inputs) -> BuildResult<Vec<K>> + Send + Sync;
type BuildValue<K, V> = dyn Fn(&K, &mut Inputs) -> BuildResult<V> + Send + Sync;

/// What becomes of the entries of an earlier generation.
struct Plan<'a, K: StoreKey, V: Value> {
    earlier: Earlier<'a, Map<K, V>>,
    /// The keys to build, ascending.
    build: Vec<K>,
    /// The entries that are built anew.
    dirty: HashSet<EntryRef<'a, K, V>>,
    /// The entries that go and are not built anew.
    vanished: HashSet<EntryRef<'a, K, V>>,
    /// Offsets of entries that nobody asks for now, and when somebody last did.
    idle: HashMap<u64, u64>,
    /// What the list of keys was made from, if it was made anew.
    list: Option<BTreeSet<Input>>,
}

/// Entries that were built, in a builder of their own.
struct Fresh<K, V> {
    builder: MapBuilder<K, V>,
    /// Hash, offset in the builder, and number of the set of inputs.
    entries: Vec<(u64, u64, u32)>,
    sets: SetsBuilder,
}

impl<K: StoreKey, V: Value + Send> Build<Map<K, V>> for Keyed<K, V> {
    fn build(&self, job: &Job<'_, Map<K, V>>) -> Result<Built<Map<K, V>>> {
        let built = match (job.earlier, &job.due) {
            (Some(earlier), Some(due)) => self.build_due(job, earlier, due)?,
            _ => self.build_all(job)?,
        };
        evict(job, built)
    }

    fn check_sets(&self, frozen: &Frozen<Map<K, V>>, sets: &Sets) -> Result<(), &'static str> {
        check_units(frozen, sets)
    }

    fn size(&self, frozen: &Frozen<Map<K, V>>) -> (u64, u64) {
        (frozen.len() as u64, frozen.garbage())
    }
}

impl<K: StoreKey, V: Value + Send> Keyed<K, V> {
    /// Builds every entry.
    fn build_all(&self, job: &Job<'_, Map<K, V>>) -> Result<Built<Map<K, V>>> {
        let (mut keys, list) = self.list(job)?;
        // All are asked for now, so those that would be evicted are the last. Where entries point
        // to each other, they would stay as garbage, and call for the next build of everything.
        let most = job.policy.max_entries.unwrap_or(u64::MAX);
        let evicted = (keys.len() as u64).saturating_sub(most);
        keys.truncate(keys.len() - evicted as usize);
        let Fresh {
            builder,
            entries,
            sets,
        } = self.fill(job, &keys, SetsBuilder::default())?;
        let mut composed = Ok(Sets::default());
        let frozen = builder.finish_with(|places| {
            composed = compose(job, sets, list, &entries, places);
            composed.as_ref().map(encode).unwrap_or_default()
        })?;
        let sets = composed?;
        let built = || {
            let entries = frozen.entries();
            entries.map(|entry| (entry.key().key_hash(), entry))
        };
        let same = |earlier: &&Frozen<Map<K, V>>| {
            earlier.len() == frozen.len() && all_stand_in(earlier, built())
        };
        let earlier = job.earlier.map(|earlier| earlier.frozen);
        let vanished = earlier.map_or(0, |earlier| {
            let found = |(hash, entry): &(u64, EntryRef<'_, K, V>)| {
                earlier.find_entry(*hash, entry.key()).is_some()
            };
            earlier.len() - built().filter(found).count()
        });
        let counts = Counts {
            rebuilt: entries.len() as u64,
            dropped: vanished as u64,
            evicted,
            ..Counts::default()
        };
        let Some(earlier) = earlier.filter(same) else {
            return Ok(Built {
                frozen,
                sets,
                counts,
            });
        };
        // The earlier generation stays, and the entries stand elsewhere in it.
        let place = |offset| place_in(earlier, frozen.entry_at(offset)?);
        let name = &job.label.name;
        let sets = sets.with_units(|it| unit(name, place(offset_of_unit(it))?).ok());
        Ok(Built {
            frozen: earlier.clone(),
            sets,
            counts,
        })
    }

    /// Builds the entries that are due, and carries the others over.
    fn build_due(
        &self,
        job: &Job<'_, Map<K, V>>,
        earlier: Earlier<'_, Map<K, V>>,
        due: &Due,
    ) -> Result<Built<Map<K, V>>> {
        let plan = self.plan(job, earlier, due)?;
        let Earlier {
            frozen: earlier,
            sets: earlier_sets,
        } = earlier;
        let garbage = earlier.garbage() + plan.going().map(EntryRef::length).sum::<u64>();
        let total = archive(earlier).len() as u64;
        let independent = entries_are_independent(&Map::<K, V>::describe());
        let compacts = garbage * 4 > total;
        if compacts && !independent && garbage > LITTLE_GARBAGE {
            return self.build_all(job);
        }
        let mut fresh = self.fill(job, &plan.build, SetsBuilder::after(earlier_sets))?;
        let going: HashSet<EntryRef<'_, K, V>> = plan.going().collect();
        if plan.vanished.is_empty() && plan.adds_nothing() && fresh.equals(earlier)? {
            return fresh.unchanged(job, plan);
        }
        let counts = Counts {
            carried: (earlier.len() - going.len()) as u64,
            rebuilt: fresh.entries.len() as u64,
            dropped: plan.vanished.len() as u64,
            evicted: 0,
        };
        let Fresh {
            builder,
            entries,
            sets: known,
        } = fresh;
        let total = earlier.len() - going.len() + entries.len();
        let gone: HashSet<u64> = going.iter().map(|entry| entry.offset()).collect();
        let mut sets = Ok(Sets::default());
        let inputs = |moved: &Moved| {
            let stays = |at: &u64| !gone.contains(at);
            let place = |at: u64| Some(at).filter(stays).and_then(|at| moved.earlier.of(at));
            let built = |(_, at, set): &(u64, u64, u32)| Some((moved.fresh.of(*at)?, *set));
            let entries = entries.iter().filter_map(built);
            sets = plan.compose(job, known, place, entries, total);
            sets.as_ref().map(encode).unwrap_or_default()
        };
        let frozen = match compacts && independent {
            true => builder.compact(earlier, &going, inputs)?,
            false => builder.carry(earlier, &going, inputs)?,
        };
        Ok(Built {
            frozen,
            sets: sets?,
            counts,
        })
    }

    /// The keys, ascending and each once, and what their list was made from.
    fn list(&self, job: &Job<'_, Map<K, V>>) -> Result<(Vec<K>, BTreeSet<Input>)> {
        let (mut keys, inputs) = job.run(|| None, &self.keys)?;
        keys.sort_unstable();
        keys.dedup();
        Ok((keys, inputs.into_found()))
    }

    /// Builds entries on all processors, and serialises them in the order of their keys.
    fn fill(&self, job: &Job<'_, Map<K, V>>, keys: &[K], sets: SetsBuilder) -> Result<Fresh<K, V>> {
        let mut fresh = Fresh {
            builder: MapBuilder::next_generation(job.label.clone(), Backing::Memfd)?,
            entries: Vec::with_capacity(keys.len()),
            sets,
        };
        let build = |key: &K| {
            let named = || Some(format!("{key:?}"));
            job.run(named, |inputs| (self.build)(key, inputs))
        };
        let mut large = 0;
        threads::in_order(keys, build, |key, (value, inputs)| {
            let offset = fresh.builder.next_offset();
            fresh.builder.insert(key, &value)?;
            let set = fresh.sets.add(inputs.into_found());
            fresh.entries.push((key.key_hash(), offset, set));
            let length = (fresh.builder.next_offset() - offset) as usize;
            // The largest of the last ones: one large value does not slow all others down.
            large = length.max(large - large / 64);
            Ok((BYTES_AHEAD / large.max(1)).min(MOST_AHEAD))
        })?;
        Ok(fresh)
    }

    /// Decides what becomes of each entry.
    fn plan<'a>(
        &self,
        job: &Job<'_, Map<K, V>>,
        earlier: Earlier<'a, Map<K, V>>,
        due: &Due,
    ) -> Result<Plan<'a, K, V>> {
        let Earlier { frozen, sets } = earlier;
        let offsets = due.touched.entries.iter().map(|it| offset_of_unit(*it));
        let entries = offsets.filter_map(|offset| frozen.entry_at(offset));
        let mut dirty: HashSet<EntryRef<'a, K, V>> = entries.collect();
        let hashes = due.hashes.iter();
        dirty.extend(hashes.filter_map(|hash| frozen.find_hash(*hash)));
        if due.touched.common {
            let unit = |entry: &EntryRef<'_, K, V>| unit(&job.label.name, entry.offset());
            let is_common = |entry: &_| unit(entry).is_ok_and(|it| sets.is_common(it));
            dirty.extend(frozen.entries().filter(is_common));
        }
        let mut plan = Plan {
            earlier,
            build: Vec::new(),
            dirty,
            vanished: HashSet::new(),
            idle: sets
                .idle()
                .iter()
                .map(|(unit, generation)| (offset_of_unit(*unit), *generation))
                .collect(),
            list: None,
        };
        if due.touched.whole {
            let (keys, list) = self.list(job)?;
            plan.list = Some(list);
            plan.ask_for(keys);
        } else {
            plan.ask_for_the_same(job)?;
        }
        plan.drop_idle(job);
        Ok(plan)
    }
}

impl<'a, K: StoreKey, V: Value> Plan<'a, K, V> {
    /// Takes a new list of keys.
    fn ask_for(&mut self, keys: Vec<K>) {
        let earlier = self.earlier.frozen;
        let mut asked = HashSet::with_capacity(keys.len());
        for key in keys {
            match earlier.find_entry(key.key_hash(), &key) {
                Some(entry) => {
                    asked.insert(entry.offset());
                    if self.dirty.contains(&entry) {
                        self.build.push(key);
                    }
                }
                None => self.build.push(key),
            }
        }
        self.idle.retain(|offset, _| !asked.contains(offset));
        if asked.len() < earlier.len() {
            let offsets = earlier.entries().map(EntryRef::offset);
            for offset in offsets.filter(|offset| !asked.contains(offset)) {
                self.idle
                    .entry(offset)
                    .or_insert(earlier.region().generation());
            }
        }
    }

    /// The list of keys is as it was: only what is dirty and was asked for is built.
    fn ask_for_the_same(&mut self, job: &Job<'_, Map<K, V>>) -> Result<()> {
        let is_idle = |entry: &EntryRef<'_, K, V>| self.idle.contains_key(&entry.offset());
        let asked = self.dirty.iter().filter(|entry| !is_idle(entry));
        let key = |entry: &EntryRef<'_, K, V>| thaw(&job.label.name, entry.key());
        self.build = asked.map(key).collect::<Result<_>>()?;
        self.build.sort_unstable();
        Ok(())
    }

    /// Lets entries go that were idle for too long, or whose inputs changed while nobody asked for
    /// them.
    fn drop_idle(&mut self, job: &Job<'_, Map<K, V>>) {
        let most = job.policy.max_idle_generations;
        let dirty: HashSet<u64> = self.dirty.iter().map(|entry| entry.offset()).collect();
        let goes = |offset: &u64, last: &mut u64| {
            let generations = job.label.generation.saturating_sub(*last);
            dirty.contains(offset) || most.is_none_or(|most| generations > most)
        };
        for (offset, _) in self.idle.extract_if(goes) {
            if let Some(entry) = self.earlier.frozen.entry_at(offset) {
                self.dirty.remove(&entry);
                self.vanished.insert(entry);
            }
        }
    }

    /// All entries that go.
    fn going(&self) -> impl Iterator<Item = EntryRef<'a, K, V>> {
        self.dirty.iter().chain(&self.vanished).copied()
    }

    fn adds_nothing(&self) -> bool {
        self.build.len() == self.dirty.len()
    }

    /// The sets of the next generation: of entries that stay, at the offset that `place` gives, of
    /// those that were built, and of the list of keys.
    fn compose(
        self,
        job: &Job<'_, Map<K, V>>,
        mut sets: SetsBuilder,
        place: impl Fn(u64) -> Option<u64>,
        built: impl IntoIterator<Item = (u64, u32)>,
        total: usize,
    ) -> Result<Sets> {
        let name = job.label.name.as_str();
        let moved = |it: u32| unit(name, place(offset_of_unit(it))?).ok();
        let earlier_list = sets.carry(self.earlier.sets, moved);
        let whole = self.list.map_or(earlier_list, |list| sets.add(list));
        for (offset, set) in built {
            sets.set_of(unit(name, offset)?, set);
        }
        for (offset, generation) in self.idle {
            if let Some(offset) = place(offset) {
                sets.idle_since(unit(name, offset)?, generation);
            }
        }
        Ok(sets.finish(whole, total).with_keyed_by(job.policy.keyed_by))
    }
}

impl<K: StoreKey, V: Value> Fresh<K, V> {
    /// Whether every entry is like the earlier one with its key.
    fn equals(&mut self, earlier: &Frozen<Map<K, V>>) -> Result<bool> {
        let inserted = self.builder.inserted()?;
        let hashes = self.entries.iter().map(|(hash, _, _)| *hash);
        Ok(all_stand_in(earlier, hashes.zip(inserted.entries())))
    }

    /// The earlier generation stays; only the inputs are recorded anew.
    fn unchanged(
        mut self,
        job: &Job<'_, Map<K, V>>,
        plan: Plan<'_, K, V>,
    ) -> Result<Built<Map<K, V>>> {
        let inserted = self.builder.inserted()?;
        let sets = self.entries.iter().map(|(_, _, set)| *set);
        let frozen = plan.earlier.frozen;
        let place = |(entry, set)| Some((place_in(frozen, entry)?, set));
        let places: Vec<_> = inserted.entries().zip(sets).filter_map(place).collect();
        drop(inserted);
        let dirty: HashSet<u64> = plan.dirty.iter().map(|entry| entry.offset()).collect();
        let stays = |at: u64| (!dirty.contains(&at)).then_some(at);
        let sets = plan.compose(job, self.sets, stays, places, frozen.len())?;
        Ok(Built {
            frozen: frozen.clone(),
            sets,
            counts: Counts {
                rebuilt: self.entries.len() as u64,
                ..Counts::default()
            },
        })
    }
}

/// The sets of a generation of which every entry was built, and came to stand at `places`.
fn compose<K: StoreKey, V: Value>(
    job: &Job<'_, Map<K, V>>,
    mut sets: SetsBuilder,
    list: BTreeSet<Input>,
    entries: &[(u64, u64, u32)],
    places: &Places,
) -> Result<Sets> {
    for (_, offset, set) in entries {
        if let Some(offset) = places.of(*offset) {
            sets.set_of(unit(&job.label.name, offset)?, *set);
        }
    }
    let whole = sets.add(list);
    let sets = sets.finish(whole, entries.len());
    Ok(sets.with_keyed_by(job.policy.keyed_by))
}

/// Refuses sets that name entries which a map does not have.
pub(super) fn check_units<K: MapKey, V: Value>(
    frozen: &Frozen<Map<K, V>>,
    sets: &Sets,
) -> Result<(), &'static str> {
    let mut units = sets.units();
    let mut next = units.next();
    for entry in frozen.entries() {
        while next.is_some_and(|unit| offset_of_unit(unit) == entry.offset()) {
            next = units.next();
        }
    }
    match next {
        Some(_) => Err("it names an entry that is not there"),
        None => Ok(()),
    }
}

/// Whether each of some entries, given with the hashes of their keys, stands in an earlier
/// generation too, byte for byte.
///
/// What an entry points to in another one it knows by the distance. So where entries point to each
/// other, equal bytes are equal values only if all entries stand equally far from the earlier ones:
/// then what they point to is among what was compared.
pub(super) fn all_stand_in<'a, K: StoreKey, V: Value>(
    earlier: &Frozen<Map<K, V>>,
    mut entries: impl Iterator<Item = (u64, EntryRef<'a, K, V>)>,
) -> bool {
    let independent = entries_are_independent(&Map::<K, V>::describe());
    let mut distance = None;
    entries.all(|(hash, entry)| {
        let Some(found) = earlier.find_entry(hash, entry.key()) else {
            return false;
        };
        let apart = found.offset().wrapping_sub(entry.offset());
        let near = independent || *distance.get_or_insert(apart) == apart;
        near && found.bytes() == entry.bytes()
    })
}

/// Where a map has the key of an entry of another one.
pub(super) fn place_in<K: StoreKey, V: Value>(
    map: &Frozen<Map<K, V>>,
    entry: EntryRef<'_, K, V>,
) -> Option<u64> {
    let found = map.find_entry(entry.key().key_hash(), entry.key())?;
    Some(found.offset())
}

/// A key as its own type again.
pub(super) fn thaw<K: StoreKey>(name: &str, key: &K::Archived) -> Result<K> {
    rkyv::deserialize::<K, BoxedError>(key).map_err(|error| Error::Serialize {
        name: name.to_owned(),
        reason: error.to_string(),
    })
}

fn archive<K: MapKey, V: Value>(map: &Frozen<Map<K, V>>) -> &[u8] {
    let section = map.region().section(SectionKind::Archive);
    section.unwrap_or_default()
}
