//! What a worker has added and removed.

use std::sync::Arc;

use super::by_key::ByKey;
use super::{Equality, OverlayKey, OverlayValue};
use crate::map::{ArchivedMap, EntryRef, Key, LoneEntry};

/// What a worker has to say of a key.
pub(super) enum Own<K, V> {
    Added(Addition<K, V>),
    Removed(LoneEntry<K, ()>),
}

/// An entry of a worker.
pub(super) struct Addition<K, V> {
    pub(super) entry: LoneEntry<K, V>,
    /// The inputs that it was built from, if they were recorded, as a store encodes them.
    pub(super) inputs: Option<Arc<[u8]>>,
}

impl<K: OverlayKey, V: OverlayValue> Own<K, V> {
    pub(super) fn key(&self) -> &K::Archived {
        match self {
            Self::Added(addition) => addition.entry.entry().key(),
            Self::Removed(mark) => mark.entry().key(),
        }
    }

    pub(super) fn added(&self) -> Option<EntryRef<'_, K, V>> {
        match self {
            Self::Added(addition) => Some(addition.entry.entry()),
            Self::Removed(_) => None,
        }
    }
}

/// What was said, and when, by a number.
type Told<K, V> = (u64, Own<K, V>);

/// All that a worker has added and removed, over a map.
pub(super) struct OwnTable<K, V> {
    /// In the order of their numbers, which is that in which they were told.
    table: ByKey<Told<K, V>>,
    next: u64,
    /// Additions under keys that the map does not have.
    fresh: usize,
    /// Marks; all are of keys that the map has.
    marks: usize,
}

impl<K: OverlayKey, V: OverlayValue> OwnTable<K, V> {
    pub(super) fn new() -> Self {
        Self {
            table: ByKey::default(),
            next: 0,
            fresh: 0,
            marks: 0,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many entries a map has with these changes.
    pub(super) fn entries_over(&self, map: usize) -> usize {
        map + self.fresh - self.marks
    }

    pub(super) fn find<Q>(&self, hash: u64, key: &Q) -> Option<&Own<K, V>>
    where
        Q: ?Sized,
        K::Archived: PartialEq<Q>,
    {
        let found = self.table.find(hash, |(_, own)| own.key() == key);
        found.map(|(_, own)| own)
    }

    /// Says something of a key, instead of what was said before.
    pub(super) fn say(&mut self, own: Own<K, V>, map: &ArchivedMap<K, V>) {
        let key = own.key();
        let hash = key.key_hash();
        let is_there = map.find_entry(hash, key).is_some();
        self.withdraw(hash, own.key(), is_there);
        match own {
            Own::Added(_) => self.fresh += usize::from(!is_there),
            // Nothing is left to be removed.
            Own::Removed(_) if !is_there => return,
            Own::Removed(_) => self.marks += 1,
        }
        let number = self.next;
        self.next += 1;
        self.table.put(hash, |_| false, (number, own));
    }

    /// Takes back what was said of a key, which the map has or not.
    pub(super) fn withdraw(&mut self, hash: u64, key: &K::Archived, is_there: bool) {
        match self.table.take(hash, |(_, own)| own.key() == key) {
            Some((_, Own::Added(_))) => self.fresh -= usize::from(!is_there),
            Some((_, Own::Removed(_))) => self.marks -= 1,
            None => {}
        }
    }

    /// Goes over to another map: what that has already is dropped.
    pub(super) fn move_over(&mut self, map: &ArchivedMap<K, V>, mut equality: Equality<'_, K, V>) {
        let mut earlier: Vec<(u64, Told<K, V>)> = self.table.drain().collect();
        earlier.sort_unstable_by_key(|(_, (number, _))| *number);
        (self.fresh, self.marks) = (0, 0);
        for (hash, (_, own)) in earlier {
            let found = map.find_entry(hash, own.key());
            let is_done = match (own.added(), found) {
                (Some(added), Some(found)) => equality.is_equal(added, found),
                _ => false,
            };
            if !is_done {
                self.say(own, map);
            }
        }
    }

    /// All of it, in the order in which it was told.
    pub(super) fn in_order(&self) -> Vec<&Own<K, V>> {
        let mut all: Vec<&Told<K, V>> = self.table.iter().collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, own)| own).collect()
    }
}

/// An entry, and its inputs if they were recorded.
type WithInputs<'a, K, V> = (EntryRef<'a, K, V>, Option<&'a [u8]>);

/// What is to be sealed.
pub(super) struct OwnChanges<'a, K: OverlayKey, V: OverlayValue> {
    pub(super) added: Vec<WithInputs<'a, K, V>>,
    pub(super) removed: Vec<EntryRef<'a, K, ()>>,
    pub(super) used: Vec<u64>,
}

impl<'a, K: OverlayKey, V: OverlayValue> OwnChanges<'a, K, V> {
    pub(super) fn of(own: &'a OwnTable<K, V>, used: Vec<u64>) -> Self {
        let mut changes = Self {
            added: Vec::new(),
            removed: Vec::new(),
            used,
        };
        for own in own.in_order() {
            match own {
                Own::Added(addition) => {
                    let inputs = addition.inputs.as_deref();
                    changes.added.push((addition.entry.entry(), inputs));
                }
                Own::Removed(mark) => changes.removed.push(mark.entry()),
            }
        }
        changes
    }

    /// More bytes than the archive will have.
    pub(super) fn most_bytes(&self) -> u64 {
        let added = self.added.iter().map(|(entry, inputs)| {
            let inputs = inputs.map_or(0, |inputs| 2 * entry.length() + inputs.len() as u64 + 64);
            entry.length() + inputs
        });
        let removed = self.removed.iter().map(|entry| entry.length());
        added.chain(removed).sum::<u64>() + 8 * self.used.len() as u64 + (4 << 10)
    }
}
