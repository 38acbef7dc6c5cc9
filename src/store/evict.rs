//! Bounds on the size of a map.

use std::collections::{HashMap, HashSet};

use super::build::{Built, Job};
use super::keyed::{StoreKey, all_stand_in, place_in};
use crate::archive::Value;
use crate::error::Result;
use crate::frozen::{Content, Frozen};
use crate::map::{
    EntryRef, Key, Map, MapBuilder, Moved, entries_are_independent, offset_of_unit, unit,
};
use crate::region::Backing;
use crate::store::inputs::{Sets, SetsBuilder, encode};

/// Lets entries go until a new generation keeps within the bounds of its policy: those first that
/// were not asked for the longest, and of those of one generation the last by key.
pub(super) fn evict<K: StoreKey, V: Value>(
    job: &Job<'_, Map<K, V>>,
    mut built: Built<Map<K, V>>,
) -> Result<Built<Map<K, V>>> {
    let number = |frozen: &Frozen<Map<K, V>>| frozen.region().generation();
    let earlier = job.earlier.map(|earlier| earlier.frozen);
    let frozen = &built.frozen;
    if earlier.is_some_and(|earlier| number(earlier) == number(frozen)) {
        return Ok(built);
    }
    let victims = victims(job, frozen, &built.sets)?;
    if victims.is_empty() {
        return Ok(built);
    }
    built.counts.evicted += victims.len() as u64;
    let gone: HashSet<u64> = victims.iter().map(|entry| entry.offset()).collect();
    let name = job.label.name.as_str();
    let keep = |place: &dyn Fn(u64) -> Option<u64>| {
        let stays = |offset: u64| (!gone.contains(&offset)).then(|| place(offset)).flatten();
        let moved = |it: u32| unit(name, stays(offset_of_unit(it))?).ok();
        let mut kept = SetsBuilder::after(&built.sets);
        let whole = kept.carry(&built.sets, moved);
        for (idle, generation) in built.sets.idle() {
            if let Some(unit) = moved(*idle) {
                kept.idle_since(unit, *generation);
            }
        }
        kept.finish(whole, frozen.len() - victims.len())
            .with_keyed_by(built.sets.keyed_by())
    };
    if let Some(earlier) = earlier
        && what_stays_is_earlier(earlier, frozen, &victims)
    {
        built.sets = keep(&|offset| place_in(earlier, frozen.entry_at(offset)?));
        built.frozen = earlier.clone();
        return Ok(built);
    }
    let builder = MapBuilder::next_generation(job.label.clone(), Backing::Memfd)?;
    let mut sets = Sets::default();
    let inputs = |moved: &Moved| {
        sets = keep(&|offset| moved.earlier.of(offset));
        encode(&sets)
    };
    // Nothing but the victims is garbage where each entry can be copied for itself.
    let smaller = match entries_are_independent(&Map::<K, V>::describe()) {
        true => builder.compact(frozen, &victims, inputs)?,
        false => builder.carry(frozen, &victims, inputs)?,
    };
    built.frozen = smaller;
    built.sets = sets;
    Ok(built)
}

/// Whether the entries that stay are those of the earlier generation. Unknown, and so no, where
/// they may point into the others.
fn what_stays_is_earlier<K: StoreKey, V: Value>(
    earlier: &Frozen<Map<K, V>>,
    frozen: &Frozen<Map<K, V>>,
    victims: &HashSet<EntryRef<'_, K, V>>,
) -> bool {
    let stays = frozen.entries().filter(|entry| !victims.contains(entry));
    let stays = stays.map(|entry| (entry.key().key_hash(), entry));
    entries_are_independent(&Map::<K, V>::describe())
        && earlier.len() == frozen.len() - victims.len()
        && all_stand_in(earlier, stays)
}

/// The entries that go.
fn victims<'a, K: StoreKey, V: Value>(
    job: &Job<'_, Map<K, V>>,
    frozen: &'a Frozen<Map<K, V>>,
    sets: &Sets,
) -> Result<HashSet<EntryRef<'a, K, V>>> {
    let most_entries = job.policy.max_entries.unwrap_or(u64::MAX);
    let most_bytes = job.policy.max_bytes.unwrap_or(u64::MAX);
    let mut entries = frozen.len() as u64;
    let lengths = || frozen.entries().map(EntryRef::length);
    let mut bytes = job.policy.max_bytes.map_or(0, |_| lengths().sum());
    if entries <= most_entries && bytes <= most_bytes {
        return Ok(HashSet::new());
    }
    let idle: HashMap<u64, u64> = sets
        .idle()
        .iter()
        .map(|(unit, generation)| (offset_of_unit(*unit), *generation))
        .collect();
    let mut queue = Vec::with_capacity(frozen.len());
    for entry in frozen.entries() {
        let last = idle.get(&entry.offset()).copied();
        let last = last.unwrap_or(job.label.generation);
        let key = super::keyed::thaw::<K>(&job.label.name, entry.key())?;
        queue.push((last, key, entry));
    }
    queue.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(&one.1)));
    let mut victims = HashSet::new();
    for (_, _, entry) in queue {
        if entries <= most_entries && bytes <= most_bytes {
            break;
        }
        entries -= 1;
        bytes = bytes.saturating_sub(entry.length());
        victims.insert(entry);
    }
    Ok(victims)
}
