//! What can be found out of the entries of deltas before any of them is decided, on all processors.

use std::convert::Infallible;

use crate::frozen::Frozen;
use crate::map::{EntryRef, Key, Map};
use crate::overlay::{Delta, OverlayKey, OverlayValue};
use crate::sys::panics::catch;
use crate::sys::threads;

/// From how many keys on threads look for them.
const MANY: usize = 1 << 14;
/// How many lines of the map's index are asked for at once.
const AT_ONCE: usize = 32;
/// How many deltas may wait for an earlier one.
const DELTAS_AHEAD: usize = 8;
/// Bits of each key by which those are found that several deltas change: the more, the fewer others
/// seem to be among them.
const BITS: usize = 16;

/// The hash of a key, the entry that a delta adds, and the one that the map has.
pub(super) type Added<'a, K, V> = (u64, EntryRef<'a, K, V>, Option<EntryRef<'a, K, V>>);

/// What was found of a delta, or the message of the panic of a key.
pub(super) type Looked<'a, K, V> = Result<LookedUp<'a, K, V>, String>;

/// What a delta adds, and what the map has under the same keys.
pub(super) struct LookedUp<'a, K: OverlayKey, V: OverlayValue> {
    /// With the hashes of their keys.
    added: Vec<(u64, EntryRef<'a, K, V>)>,
    /// Of the map, by the numbers of those, ascending.
    found: Vec<(usize, EntryRef<'a, K, V>)>,
    /// Hashes of the keys that it removes.
    removed: Vec<u64>,
}

impl<'a, K: OverlayKey, V: OverlayValue> LookedUp<'a, K, V> {
    /// Those of all keys that it changes.
    fn hashes(&self) -> impl Iterator<Item = u64> {
        let added = self.added.iter().map(|(hash, _)| *hash);
        added.chain(self.removed.iter().copied())
    }

    /// Hashes of keys, entries, and those of the map with the same keys.
    pub(super) fn added(&self) -> impl Iterator<Item = Added<'a, K, V>> {
        let mut found = self.found.iter().peekable();
        let added = self.added.iter().enumerate();
        added.map(move |(number, (hash, entry))| {
            let found = found.next_if(|(of, _)| *of == number);
            (*hash, *entry, found.map(|(_, entry)| *entry))
        })
    }
}

/// Looks for the keys of deltas in a map. A delta whose keys panic has a message instead.
pub(super) fn look_up_all<'a, K: OverlayKey, V: OverlayValue>(
    map: &'a Frozen<Map<K, V>>,
    deltas: &'a [Delta<K, V>],
) -> (Vec<Looked<'a, K, V>>, Contested) {
    let keys = deltas.iter().map(Delta::len).sum();
    let mut contested = Contested::among(if deltas.len() > 1 { keys } else { 0 });
    let mut looked_up = Vec::with_capacity(deltas.len());
    let look_up = |delta: &&'a Delta<K, V>| catch(|| look_up(map, delta));
    let mut take = |of_delta: Looked<'a, K, V>| {
        if let Ok(of_delta) = &of_delta {
            contested.note_all(of_delta.hashes());
        }
        looked_up.push(of_delta);
    };
    let deltas: Vec<&Delta<K, V>> = deltas.iter().collect();
    match keys {
        MANY.. => {
            let look_up = |delta: &_| Ok::<_, Infallible>(look_up(delta));
            let take = |_: &_, of_delta| {
                take(of_delta);
                Ok(DELTAS_AHEAD)
            };
            threads::in_order(&deltas, look_up, take).unwrap_or_else(|never| match never {});
        }
        _ => deltas.iter().map(look_up).for_each(take),
    }
    (looked_up, contested)
}

fn look_up<'a, K: OverlayKey, V: OverlayValue>(
    map: &'a Frozen<Map<K, V>>,
    delta: &'a Delta<K, V>,
) -> LookedUp<'a, K, V> {
    let mut looked_up = LookedUp {
        added: Vec::with_capacity(delta.added().len()),
        found: Vec::new(),
        removed: Vec::new(),
    };
    if delta.name() != map.region().name() {
        return looked_up;
    }
    for entry in delta.added().entries() {
        looked_up.added.push((entry.key().key_hash(), entry));
    }
    let groups = looked_up.added.chunks(AT_ONCE);
    for (group, first) in groups.zip((0..).step_by(AT_ONCE)) {
        group.iter().for_each(|(hash, _)| map.prefetch(*hash));
        for (number, (hash, entry)) in group.iter().enumerate() {
            let found = map.find_entry(*hash, entry.key());
            looked_up
                .found
                .extend(found.map(|found| (first + number, found)));
        }
    }
    looked_up.removed = delta.removed().map(Key::key_hash).collect();
    looked_up
}

/// The keys that several deltas change, and some others. Most have none, and then nobody needs a
/// table of what was changed.
pub(in crate::overlay) struct Contested {
    /// Bits of hashes that were noted: once, and again.
    noted: Vec<[u64; 2]>,
}

impl Contested {
    /// Empty, with room for so many keys; without room, no key is contested.
    pub(in crate::overlay) fn among(keys: usize) -> Self {
        let words = match keys {
            0 => 0,
            _ => (keys * BITS).div_ceil(64).next_power_of_two(),
        };
        Self {
            noted: vec![[0; 2]; words],
        }
    }

    pub(in crate::overlay) fn note_all(&mut self, hashes: impl Iterator<Item = u64>) {
        for hash in hashes {
            if let Some((word, bit)) = self.place(hash) {
                let [once, again] = &mut self.noted[word];
                *again |= *once & bit;
                *once |= bit;
            }
        }
    }

    /// Whether several deltas may change a key with a hash.
    pub(in crate::overlay) fn may_have(&self, hash: u64) -> bool {
        let place = self.place(hash);
        place.is_some_and(|(word, bit)| self.noted[word][1] & bit != 0)
    }

    /// The word of a hash, and its bit there.
    fn place(&self, hash: u64) -> Option<(usize, u64)> {
        let last = self.noted.len().checked_sub(1)?;
        Some(((hash >> 6) as usize & last, 1 << (hash % 64)))
    }
}
