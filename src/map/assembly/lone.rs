//! Entries that are written one by one, each into private memory of its own.
#![forbid(unsafe_code)]

use super::{Assembly, LoneEntry};
use crate::archive::Value;
use crate::error::Result;
use crate::frozen::Content;
use crate::map::check::entries_are_independent;
use crate::map::raw::EntryCheck;
use crate::map::{Map, MapKey};
use crate::region::{Backing, Label, Unsealed};

/// Writes entries one by one, and checks each like bytes from elsewhere.
///
/// It serves a forked child of its maker too: what it writes to is private memory.
pub(crate) struct LoneWriter<K, V> {
    name: String,
    independent: bool,
    assembly: Option<Assembly<K, V>>,
}

impl<K: MapKey, V: Value> LoneWriter<K, V> {
    /// A writer for entries of a cache, which is named in errors.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            independent: entries_are_independent(&Map::<K, V>::describe()),
            assembly: None,
        }
    }

    /// Whether entries point to nothing in other entries, wherever they are.
    pub(crate) fn entries_are_independent(&self) -> bool {
        self.independent
    }

    /// The entry of a key and a value.
    ///
    /// # Errors
    /// Those of [`MapBuilder::insert`](crate::MapBuilder::insert), and of the check in
    /// [`MapBuilder::finish`](crate::MapBuilder::finish).
    pub(crate) fn write(&mut self, key: &K, value: &V) -> Result<LoneEntry<K, V>> {
        // What an entry that was refused, or panicked, has left is not gone on with.
        let mut assembly = match self.assembly.take() {
            Some(assembly) if assembly.is_own() => assembly,
            _ => Assembly::kept(&self.name)?,
        };
        assembly.insert(key, value)?;
        let entry = LoneEntry::copied(&mut assembly)?;
        assembly.clear();
        self.assembly = Some(assembly);
        Ok(entry)
    }
}

impl<K: MapKey, V: Value> Assembly<K, V> {
    /// An empty assembly whose entries stay in its buffer.
    fn kept(name: &str) -> Result<Self> {
        let mut assembly = Self::from_unsealed(Unsealed::create(Label::new(name), Backing::Heap)?);
        assembly.sink.keep();
        assembly.complete = assembly.sink.offset();
        assembly.check = EntryCheck::starting_at(0);
        Ok(assembly)
    }

    /// Whether this process made it.
    fn is_own(&self) -> bool {
        self.sink.unsealed.check_owner().is_ok()
    }

    /// Forgets all entries.
    fn clear(&mut self) {
        self.sink.truncate(0);
        self.scratch.interner.forget_from(0);
        self.records.clear();
        self.check.restart();
        self.compared = 0;
        self.complete = 0;
    }
}
