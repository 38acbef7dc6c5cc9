//! The next generation of a map: the entries that stay keep their places, and most of them their
//! pages.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::super::assembly::{Carried, Inserted};
use super::super::index::OFFSET_UNIT;
use super::super::raw::EntryRef;
use super::super::{Map, MapKey};
use super::MapBuilder;
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::Frozen;
use crate::region::{Backing, Label, Unsealed};

/// Where entries come to stand that stood elsewhere.
pub(crate) struct Places {
    /// Offsets before and after, ascending by the first.
    listed: Vec<(u64, u64)>,
    /// How far all others move, if they stay.
    shift: Option<u64>,
}

impl Places {
    /// All entries move as far.
    pub(in crate::map) fn shifted(shift: u64) -> Self {
        Self {
            listed: Vec::new(),
            shift: Some(shift),
        }
    }

    /// Only these entries stay.
    pub(in crate::map) fn listed(mut listed: Vec<(u64, u64)>) -> Self {
        listed.sort_unstable();
        Self {
            listed,
            shift: None,
        }
    }

    /// These entries move, and the others stay where they are.
    pub(in crate::map) fn some_listed(listed: Vec<(u64, u64)>) -> Self {
        Self {
            shift: Some(0),
            ..Self::listed(listed)
        }
    }

    /// Where the entry stands that stood at an offset, if it stays.
    pub(crate) fn of(&self, offset: u64) -> Option<u64> {
        let found = self.listed.binary_search_by_key(&offset, |(from, _)| *from);
        match found {
            Ok(at) => Some(self.listed[at].1),
            Err(_) => Some(offset + self.shift?),
        }
    }

    /// The same for entries whose offsets are counted from `start` on.
    fn from(&self, start: u64) -> Self {
        let listed = self.listed.iter().filter(|(from, _)| *from >= start);
        Self {
            listed: listed.map(|(from, to)| (from - start, *to)).collect(),
            shift: self.shift.map(|shift| shift + start),
        }
    }
}

/// Where the entries of an earlier generation, and those that are new, stand in the next.
pub(crate) struct Moved {
    pub(crate) earlier: Places,
    /// By their offsets in their own builder.
    pub(crate) fresh: Places,
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

    /// [Finishes](Self::finish) the map, with an inputs section that `inputs` makes of the places
    /// of the entries.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(crate) fn finish_with(
        self,
        inputs: impl FnOnce(&Places) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        self.assembly.finish(self.last_wins, Some(Box::new(inputs)))
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
        let mut inputs = Some(inputs);
        let mut once = |moved: &Moved| inputs.take().map_or_else(Vec::new, |it| it(moved));
        match self.assembly.carry(earlier, going, &mut once)? {
            Carried::Done(next) => Ok(next),
            Carried::Afresh(assembly) => {
                let builder = Self {
                    assembly: *assembly,
                    last_wins: self.last_wins,
                    earlier: self.earlier,
                };
                builder.compact(earlier, going, once)
            }
        }
    }

    /// The same without garbage, by copying each entry for itself. Only for entries that
    /// [are independent](crate::map::entries_are_independent).
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
        let shift = next.end();
        next.merge(self.assembly)?;
        let inputs = |places: &Places| {
            let kept = pairs
                .iter()
                .filter_map(|(from, to)| Some((*from, places.of(*to)?)));
            inputs(&Moved {
                earlier: Places::listed(kept.collect()),
                fresh: places.from(shift),
            })
        };
        next.finish(false, Some(Box::new(inputs)))
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
