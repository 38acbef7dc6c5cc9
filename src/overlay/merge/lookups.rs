//! What can be found out of the entries of deltas before any of them is decided, on all processors.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::frozen::Frozen;
use crate::map::{EntryRef, Key, Map};
use crate::overlay::{Delta, OverlayKey, OverlayValue};
use crate::sys::panics::catch;
use crate::sys::threads;

/// From how many keys on threads look for them.
const MANY: usize = 1 << 14;
/// How many lines of the map's index are asked for at once.
const AT_ONCE: usize = 32;
/// Bits of each key by which those are found that several deltas change: the more, the fewer others
/// seem to be among them.
const BITS: usize = 16;

/// What a delta adds, and what the map has under the same keys.
pub(super) struct LookedUp<'a, K: OverlayKey, V: OverlayValue> {
    /// With the hashes of their keys.
    added: Vec<(u64, EntryRef<'a, K, V>)>,
    /// Of the map, by the numbers of those, ascending.
    found: Vec<(usize, EntryRef<'a, K, V>)>,
}

impl<'a, K: OverlayKey, V: OverlayValue> LookedUp<'a, K, V> {
    /// Hashes of keys, entries, and those of the map with the same keys.
    pub(super) fn added(
        &self,
    ) -> impl Iterator<Item = (u64, EntryRef<'a, K, V>, Option<EntryRef<'a, K, V>>)> {
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
) -> (Vec<Result<LookedUp<'a, K, V>, String>>, Contested) {
    let keys = deltas.iter().map(Delta::len).sum();
    let contested = Contested::among(if deltas.len() > 1 { keys } else { 0 });
    let look_up = |delta: &&'a Delta<K, V>| catch(|| look_up(map, delta, &contested));
    let all: Vec<&Delta<K, V>> = deltas.iter().collect();
    let looked_up = match keys {
        MANY.. => {
            let looked_up = threads::map(&all, |delta| Ok::<_, Infallible>(look_up(delta)));
            looked_up.unwrap_or_else(|never| match never {})
        }
        _ => all.iter().map(look_up).collect(),
    };
    (looked_up, contested)
}

fn look_up<'a, K: OverlayKey, V: OverlayValue>(
    map: &'a Frozen<Map<K, V>>,
    delta: &'a Delta<K, V>,
    contested: &Contested,
) -> LookedUp<'a, K, V> {
    let mut looked_up = LookedUp {
        added: Vec::with_capacity(delta.added().len()),
        found: Vec::new(),
    };
    if delta.name() != map.region().name() {
        return looked_up;
    }
    for entry in delta.added().entries() {
        let hash = entry.key().key_hash();
        contested.note(hash);
        looked_up.added.push((hash, entry));
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
    for key in delta.removed() {
        contested.note(key.key_hash());
    }
    looked_up
}

/// The keys that several deltas change, and some others. Most have none, and then nobody needs a
/// table of what was changed.
pub(super) struct Contested {
    /// Bits of hashes that were noted.
    once: Vec<AtomicU64>,
    /// And again.
    twice: Vec<AtomicU64>,
}

impl Contested {
    /// Empty, with room for so many keys; without room, no key is contested.
    fn among(keys: usize) -> Self {
        let words = match keys {
            0 => 0,
            _ => (keys * BITS).div_ceil(64).next_power_of_two(),
        };
        let zeros = || (0..words).map(|_| AtomicU64::new(0)).collect();
        Self {
            once: zeros(),
            twice: zeros(),
        }
    }

    fn note(&self, hash: u64) {
        let Some((word, bit)) = self.place(hash) else {
            return;
        };
        if self.once[word].fetch_or(bit, Ordering::Relaxed) & bit != 0 {
            self.twice[word].fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether several deltas may change a key with a hash.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let place = self.place(hash);
        place.is_some_and(|(word, bit)| self.twice[word].load(Ordering::Relaxed) & bit != 0)
    }

    /// The word of a hash, and its bit there.
    fn place(&self, hash: u64) -> Option<(usize, u64)> {
        let last = self.once.len().checked_sub(1)?;
        Some(((hash >> 6) as usize & last, 1 << (hash % 64)))
    }
}
