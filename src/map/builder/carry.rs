//! The next generation of a map: the entries that stay keep their places, and most of them their
//! pages.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::super::assembly::Inserted;
use super::super::index::OFFSET_UNIT;
use super::super::raw::EntryRef;
use super::super::{Map, MapKey};
use super::MapBuilder;
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::Frozen;
use crate::region::{Backing, Label, Unsealed};

/// Where the entries of an earlier generation, and those that are new, stand in the next.
pub(crate) struct Moved {
    /// Archive offset of the first new entry; they follow each other as in their own builder.
    pub(crate) shift: u64,
    /// Earlier and next offsets, ascending by the earlier ones, if the entries were written one by
    /// one. Otherwise they stand where they stood.
    compacted: Option<Vec<(u64, u64)>>,
}

impl Moved {
    /// The next offset of an earlier entry that stays.
    pub(crate) fn of(&self, earlier: u64) -> Option<u64> {
        let Some(pairs) = &self.compacted else {
            return Some(earlier);
        };
        let found = pairs.binary_search_by_key(&earlier, |(earlier, _)| *earlier);
        found.ok().map(|at| pairs[at].1)
    }
}

impl<K: MapKey, V: Value> MapBuilder<K, V> {
    /// An empty map that will be a generation of a cache.
    pub(crate) fn next_generation(label: Label, backing: Backing) -> Result<Self> {
        Ok(Self::from_unsealed(Unsealed::create(label, backing)?))
    }

    /// Archive offset of the next entry.
    pub(crate) fn next_offset(&self) -> u64 {
        self.assembly.end()
    }

    /// The entries inserted so far, checked.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn inserted(&mut self) -> Result<Inserted<'_, K, V>> {
        self.assembly.inserted()
    }

    /// Puts an inputs section into the region.
    pub(crate) fn with_inputs(mut self, inputs: Vec<u8>) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// The entries of this builder and those of an earlier generation, without the ones in `going`.
    ///
    /// The pages of the earlier archive are shared where they can be, and its index as far as it
    /// serves. A new entry takes the place of the earlier one with its key, which must be among
    /// those going. `inputs` makes the inputs section.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn carry(
        self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<EntryRef<'_, K, V>>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        self.assembly.carry(earlier, going, |shift| {
            let compacted = None;
            inputs(&Moved { shift, compacted })
        })
    }

    /// The same without garbage, by copying each entry for itself. Only for entries that
    /// [are independent](crate::map::entries_are_independent); every byte is checked anew.
    pub(crate) fn compact(
        self,
        earlier: &Frozen<Map<K, V>>,
        going: &HashSet<EntryRef<'_, K, V>>,
        inputs: impl FnOnce(&Moved) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let mut next = self.assembly.create_beside()?;
        let mut pairs = Vec::with_capacity(earlier.len());
        for entry in earlier.entries().filter(|entry| !going.contains(entry)) {
            pairs.push((entry.offset(), next.end()));
            next.copy_entry(entry)?;
        }
        let moved = Moved {
            shift: next.end(),
            compacted: Some(pairs),
        };
        next.merge(self.assembly)?;
        next.finish(false, Some(&inputs(&moved)))
    }
}

/// The unit of the entry at an archive offset, by which inputs know it.
///
/// # Errors
/// [`Error::TooLarge`] for a map of more than 16 GiB.
pub(crate) fn unit(name: &str, offset: u64) -> Result<u32> {
    u32::try_from(offset / OFFSET_UNIT).map_err(|_| Error::TooLarge {
        name: name.to_owned(),
        most: OFFSET_UNIT << u32::BITS,
    })
}

/// The archive offset of a unit.
pub(crate) fn offset_of_unit(unit: u32) -> u64 {
    u64::from(unit) * OFFSET_UNIT
}
