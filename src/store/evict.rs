//! Bounds on the size of a map.

use std::collections::{HashMap, HashSet};

use super::build::{Built, Job};
use super::keyed::{StoreKey, all_stand_in, entry};
use crate::archive::Value;
use crate::error::Result;
use crate::frozen::{Content, Frozen};
use crate::map::{Key, Map, MapBuilder, Moved, entries_are_independent, offset_of_unit, unit};
use crate::region::Backing;
use crate::store::inputs::{Sets, SetsBuilder, encode};

/// Lets entries go until a new generation keeps within the bounds of its policy: those first that
/// were not asked for the longest, and of those of one generation the last by key.
pub(super) fn evict<K: StoreKey, V: Value>(
    job: &Job<'_, Map<K, V>>,
    mut built: Built<Map<K, V>>,
) -> Result<Built<Map<K, V>>> {
    let Some(frozen) = &built.frozen else {
        return Ok(built);
    };
    let victims = victims(job, frozen, &built.sets)?;
    if victims.is_empty() {
        return Ok(built);
    }
    built.counts.evicted += victims.len() as u64;
    let name = job.label.name.as_str();
    let keep = |place: &dyn Fn(u64) -> Option<u64>| {
        let stays = |offset: u64| {
            (!victims.contains(&offset))
                .then(|| place(offset))
                .flatten()
        };
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
    if let Some(earlier) = job.earlier
        && what_stays_is_earlier(earlier, frozen, &victims)
    {
        built.sets = keep(&|offset| {
            let key = frozen.key_at(offset);
            earlier.find_offset(key.key_hash(), key)
        });
        built.frozen = None;
        return Ok(built);
    }
    let builder = MapBuilder::next_generation(job.label.clone(), Backing::Memfd)?;
    let mut sets = Sets::default();
    let inputs = |moved: &Moved| {
        sets = keep(&|offset| moved.of(offset));
        encode(&sets)
    };
    // Nothing but the victims is garbage where each entry can be copied for itself.
    let smaller = match entries_are_independent(&Map::<K, V>::describe()) {
        true => builder.compact(frozen, &victims, inputs)?,
        false => builder.carry(frozen, &victims, inputs)?,
    };
    built.frozen = Some(smaller);
    built.sets = sets;
    Ok(built)
}

/// Whether the entries that stay are those of the earlier generation. Unknown, and so no, where
/// they may point into the others.
fn what_stays_is_earlier<K: StoreKey, V: Value>(
    earlier: &Frozen<Map<K, V>>,
    frozen: &Frozen<Map<K, V>>,
    victims: &HashSet<u64>,
) -> bool {
    let stays = frozen
        .offsets()
        .filter(|(offset, _)| !victims.contains(offset))
        .map(|(offset, key)| (key.key_hash(), offset, key, entry(frozen, offset)));
    entries_are_independent(&Map::<K, V>::describe())
        && earlier.len() == frozen.len() - victims.len()
        && all_stand_in(earlier, stays)
}

/// Offsets of the entries that go.
fn victims<K: StoreKey, V: Value>(
    job: &Job<'_, Map<K, V>>,
    frozen: &Frozen<Map<K, V>>,
    sets: &Sets,
) -> Result<HashSet<u64>> {
    let most_entries = job.policy.max_entries.unwrap_or(u64::MAX);
    let most_bytes = job.policy.max_bytes.unwrap_or(u64::MAX);
    let mut entries = frozen.len() as u64;
    let mut bytes = job.policy.max_bytes.map_or(0, |_| {
        let lengths = frozen
            .offsets()
            .map(|(offset, _)| entry(frozen, offset).len() as u64);
        lengths.sum()
    });
    if entries <= most_entries && bytes <= most_bytes {
        return Ok(HashSet::new());
    }
    let idle: HashMap<u64, u64> = sets
        .idle()
        .iter()
        .map(|(unit, generation)| (offset_of_unit(*unit), *generation))
        .collect();
    let mut queue = Vec::with_capacity(frozen.len());
    for (offset, key) in frozen.offsets() {
        let last = idle.get(&offset).copied().unwrap_or(job.label.generation);
        queue.push((last, super::keyed::thaw::<K>(&job.label.name, key)?, offset));
    }
    queue.sort_unstable_by(|one, other| one.0.cmp(&other.0).then_with(|| other.1.cmp(&one.1)));
    let mut victims = HashSet::new();
    for (_, _, offset) in queue {
        if entries <= most_entries && bytes <= most_bytes {
            break;
        }
        entries -= 1;
        bytes = bytes.saturating_sub(entry(frozen, offset).len() as u64);
        victims.insert(offset);
    }
    Ok(victims)
}
