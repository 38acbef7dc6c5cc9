//! What a worker has added and removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use super::by_key::ByKey;
use super::{Equality, OverlayKey, OverlayValue};
use crate::map::{ArchivedMap, EntryRef, LoneEntry};

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

    /// Whether it says that there is such an entry, or none.
    fn says_what(
        &self,
        found: Option<EntryRef<'_, K, V>>,
        equality: &mut Equality<'_, K, V>,
    ) -> bool {
        match (self.added(), found) {
            (Some(added), Some(found)) => equality.is_equal(added, found),
            (None, None) => true,
            _ => false,
        }
    }
}

/// What was said of a key.
struct Said<K, V> {
    /// When, by a number.
    number: u64,
    own: Own<K, V>,
    /// Whether a delta tells it.
    told: AtomicBool,
    /// Whether a delta has told something else of the key. The owner may come to that at any time, so
    /// this has to be told too, also where the map says the same today.
    corrects: bool,
}

impl<K, V> Said<K, V> {
    /// Whether it goes once the map says the same.
    fn is_told_or_corrects_nothing(&self) -> bool {
        !self.corrects || self.told.load(Relaxed)
    }
}

/// All that a worker has added and removed, over a map.
pub(super) struct OwnTable<K, V> {
    /// In the order of their numbers, which is that in which they were said.
    table: ByKey<Said<K, V>>,
    next: u64,
    /// Additions under keys that the map does not have.
    fresh: usize,
    /// Marks of keys that the map has.
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
        let found = self.table.find(hash, |said| said.own.key() == key);
        found.map(|said| &said.own)
    }

    /// Says something of a key, instead of what was said before; given what the map has under the key.
    /// What the map has already is not kept, unless a delta has told something else.
    pub(super) fn say(
        &mut self,
        own: Own<K, V>,
        hash: u64,
        found: Option<EntryRef<'_, K, V>>,
        equality: &mut Equality<'_, K, V>,
    ) {
        // Types of users may panic when they are compared: then all is as it was.
        let before = self.table.find(hash, |said| said.own.key() == own.key());
        let corrects = before.is_some_and(|before| match before.told.load(Relaxed) {
            true => !own.says_what(before.own.added(), equality),
            false => before.corrects,
        });
        let is_kept = corrects || !own.says_what(found, equality);
        self.take(hash, own.key(), found.is_some());
        if is_kept {
            let told = AtomicBool::new(false);
            self.put(
                hash,
                found.is_some(),
                Said {
                    number: self.next,
                    own,
                    told,
                    corrects,
                },
            );
        }
    }

    fn put(&mut self, hash: u64, is_there: bool, said: Said<K, V>) {
        match said.own {
            Own::Added(_) => self.fresh += usize::from(!is_there),
            Own::Removed(_) => self.marks += usize::from(is_there),
        }
        self.next = self.next.max(said.number + 1);
        self.table.put(hash, |_| false, said);
    }

    fn take(&mut self, hash: u64, key: &K::Archived, is_there: bool) -> Option<Said<K, V>> {
        let taken = self.table.take(hash, |said| said.own.key() == key)?;
        match taken.own {
            Own::Added(_) => self.fresh -= usize::from(!is_there),
            Own::Removed(_) => self.marks -= usize::from(is_there),
        }
        Some(taken)
    }

    /// Notes that a delta tells all of it, which is on its way.
    pub(super) fn note_told(&self) {
        let all = self.table.iter();
        all.for_each(|said| said.told.store(true, Relaxed));
    }

    /// Goes over to another map: what that has already is dropped.
    pub(super) fn move_over(&mut self, map: &ArchivedMap<K, V>, mut equality: Equality<'_, K, V>) {
        // Types of users may panic when they are compared: then all is as it was.
        let judge = |(hash, said): (u64, &Said<K, V>)| {
            let found = map.find_entry(hash, said.own.key());
            let is_done =
                said.is_told_or_corrects_nothing() && said.own.says_what(found, &mut equality);
            (said.number, (!is_done).then_some(found.is_some()))
        };
        let stay: HashMap<u64, Option<bool>> = self.table.with_hashes().map(judge).collect();
        (self.fresh, self.marks) = (0, 0);
        let earlier: Vec<(u64, Said<K, V>)> = self.table.drain().collect();
        for (hash, said) in earlier {
            if let Some(Some(is_there)) = stay.get(&said.number) {
                self.put(hash, *is_there, said);
            }
        }
    }

    /// All of it, in the order in which it was said.
    pub(super) fn in_order(&self) -> Vec<&Own<K, V>> {
        let mut all: Vec<&Said<K, V>> = self.table.iter().collect();
        all.sort_unstable_by_key(|said| said.number);
        all.into_iter().map(|said| &said.own).collect()
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
