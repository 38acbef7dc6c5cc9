//! Which entries a merged cache lets go to keep within its bounds.

use std::collections::{HashMap, HashSet};

use super::StoreKey;
use crate::map::{EntryRef, Key, Map, offset_of_unit};
use crate::overlay::{Delta, OverlayValue, Plan};
use crate::store::build::{Earlier, Job};

/// When the entries of a map were last used.
pub(super) struct Uses<'a, K: StoreKey, V: OverlayValue> {
    /// In the order of the map; `None` for those that are used now.
    last: Vec<(EntryRef<'a, K, V>, Option<LastUse>)>,
}

/// In which generation, and whether nothing was used since: a merge that makes no generation tells
/// only those apart that it uses.
type LastUse = (u64, bool);

impl<'a, K: StoreKey, V: OverlayValue> Uses<'a, K, V> {
    /// As the earlier generation has it, but for what deltas bring or have noted.
    pub(super) fn of(earlier: Earlier<'a, Map<K, V>>, deltas: &[Delta<K, V>]) -> Self {
        let Earlier { frozen, sets } = earlier;
        let mut now: HashSet<u64> = HashSet::new();
        for delta in deltas {
            now.extend(delta.used());
            now.extend(delta.added().keys().map(Key::key_hash));
        }
        let idle = sets.idle().iter();
        let idle: HashMap<u64, u64> = idle
            .map(|(unit, generation)| (offset_of_unit(*unit), *generation))
            .collect();
        let newest = frozen.region().generation();
        let last = |entry: EntryRef<'a, K, V>| match now.contains(&entry.key().key_hash()) {
            true => (entry, None),
            false => {
                let listed = idle.get(&entry.offset());
                let last = listed.map_or((newest, true), |generation| (*generation, false));
                (entry, Some(last))
            }
        };
        Self {
            last: frozen.entries().map(last).collect(),
        }
    }

    /// The entries that are not used now, by their offsets, and when they last were.
    pub(super) fn idle(&self) -> impl Iterator<Item = (u64, u64)> {
        let idle = self.last.iter();
        idle.filter_map(|(entry, last)| Some((entry.offset(), (*last)?.0)))
    }

    /// Lets entries go until the next generation keeps within the bounds of its policy; returns how
    /// many.
    pub(super) fn bound(&mut self, job: &Job<'_, Map<K, V>>, plan: &mut Plan<'a, K, V>) -> u64 {
        let policy = job.policy;
        let next = job.label.generation;
        let mut stay = self.last.clone();
        stay.retain(|(entry, _)| !plan.going.contains(entry));
        let mut evicted = 0;
        if let Some(most) = policy.max_idle_generations {
            stay.retain(|(entry, last)| {
                let stays = last.is_none_or(|(last, _)| next.saturating_sub(last) <= most);
                if !stays {
                    plan.going.insert(*entry);
                    evicted += 1;
                }
                stays
            });
        }
        let mut entries = (stay.len() + plan.fresh.len()) as u64;
        let mut bytes = policy.max_bytes.map_or(0, |_| {
            let kept = stay.iter().map(|(entry, _)| entry.length());
            let fresh = plan.fresh.iter().map(|fresh| fresh.entry().length());
            kept.chain(fresh).sum()
        });
        let most_entries = policy.max_entries.unwrap_or(u64::MAX);
        let most_bytes = policy.max_bytes.unwrap_or(u64::MAX);
        let is_over = |entries: u64, bytes: u64| entries > most_entries || bytes > most_bytes;
        if is_over(entries, bytes) {
            // Stable, so that of those last used in one generation the first go first.
            stay.sort_by_key(|(_, last)| last.unwrap_or((u64::MAX, true)));
        }
        let mut oldest = stay.into_iter();
        while is_over(entries, bytes)
            && let Some((entry, _)) = oldest.next()
        {
            plan.going.insert(entry);
            entries -= 1;
            bytes = bytes.saturating_sub(entry.length());
            evicted += 1;
        }
        let mut first = 0;
        while is_over(entries, bytes) && first < plan.fresh.len() {
            entries -= 1;
            bytes = bytes.saturating_sub(plan.fresh[first].entry().length());
            first += 1;
        }
        plan.fresh.drain(..first);
        evicted + first as u64
    }
}
