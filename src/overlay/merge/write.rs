//! Writing the next generation of a map.

use std::collections::HashSet;

use super::{Fresh, Plan};
use crate::archive::thaw;
use crate::error::Result;
use crate::frozen::{Content, Frozen};
use crate::map::{EntryRef, Map, MapBuilder, Moved, Places, entries_are_independent};
use crate::overlay::{OverlayKey, OverlayValue};
use crate::region::{Backing, Label};

/// Where entries stand in the next generation.
pub(crate) struct Stands<'p> {
    earlier: &'p dyn Fn(u64) -> Option<u64>,
    /// Those that came, in their order.
    pub(crate) fresh: Vec<Option<u64>>,
}

impl Stands<'_> {
    /// All stay where they are, and none came.
    pub(crate) fn as_they_are() -> Self {
        Self {
            earlier: &Some,
            fresh: Vec::new(),
        }
    }

    /// Where an entry stands that stood at an offset of the map, if it stays.
    pub(crate) fn of(&self, offset: u64) -> Option<u64> {
        (self.earlier)(offset)
    }
}

impl<K: OverlayKey, V: OverlayValue> Plan<'_, K, V> {
    /// Writes the next generation; `inputs` makes its inputs section.
    pub(crate) fn write(
        &self,
        map: &Frozen<Map<K, V>>,
        label: Label,
        inputs: impl FnOnce(&Stands<'_>) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let backing = match map.region().fds() {
            Some(_) => Backing::Memfd,
            None => Backing::Heap,
        };
        let builder = |label| MapBuilder::next_generation(label, backing);
        match entries_are_independent(&Map::<K, V>::describe()) {
            true => self.copy(map, label, builder, inputs),
            false => self.write_all(builder(label)?, map, inputs),
        }
    }

    /// Copies entries as they are.
    fn copy(
        &self,
        map: &Frozen<Map<K, V>>,
        label: Label,
        builder: impl FnOnce(Label) -> Result<MapBuilder<K, V>>,
        inputs: impl FnOnce(&Stands<'_>) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let entries: Vec<_> = self.fresh.iter().map(Fresh::entry).collect();
        let offset = |end: &mut u64, entry: &EntryRef<'_, K, V>| {
            let start = *end;
            *end += entry.length();
            Some(start)
        };
        let offsets: Vec<u64> = entries.iter().scan(0, offset).collect();
        let gone: HashSet<u64> = self.going.iter().map(|entry| entry.offset()).collect();
        let mut inputs = Some(inputs);
        let mut once = |moved: &Moved| {
            let stays = |offset: u64| Some(offset).filter(|offset| !gone.contains(offset));
            let stands = Stands {
                earlier: &|offset| stays(offset).and_then(|offset| moved.earlier.of(offset)),
                fresh: offsets.iter().map(|at| moved.fresh.of(*at)).collect(),
            };
            inputs.take().map_or_else(Vec::new, |it| it(&stands))
        };
        let going = self.going.iter().map(|entry| entry.length());
        let garbage = map.garbage() + going.sum::<u64>();
        if garbage * 4 <= map.archive().len() as u64 {
            let (label, entries) = (label.clone(), entries.clone());
            let next = Map::carry_entries(label, map, &self.going, entries, &mut once)?;
            if let Some(next) = next {
                return Ok(next);
            }
        }
        let mut builder = builder(label)?;
        entries
            .into_iter()
            .try_for_each(|entry| builder.copy(entry))?;
        builder.compact(map, &self.going, once)
    }

    /// Writes all entries anew, so that each value that they intern is written once.
    fn write_all(
        &self,
        mut builder: MapBuilder<K, V>,
        map: &Frozen<Map<K, V>>,
        inputs: impl FnOnce(&Stands<'_>) -> Vec<u8>,
    ) -> Result<Frozen<Map<K, V>>> {
        let stays = map.entries().filter(|entry| !self.going.contains(entry));
        let mut kept = Vec::with_capacity(map.len());
        for entry in stays {
            kept.push((entry.offset(), builder.next_offset()));
            builder.insert(&thaw::<K>(entry.key())?, &thaw::<V>(entry.value())?)?;
        }
        let mut offsets = Vec::with_capacity(self.fresh.len());
        for entry in self.fresh.iter().map(Fresh::entry) {
            offsets.push(builder.next_offset());
            builder.insert(&thaw::<K>(entry.key())?, &thaw::<V>(entry.value())?)?;
        }
        let next = builder.finish_with(|places: &Places| {
            let earlier = |offset: u64| {
                let found = kept.binary_search_by_key(&offset, |(from, _)| *from);
                places.of(kept[found.ok()?].1)
            };
            inputs(&Stands {
                earlier: &earlier,
                fresh: offsets.iter().map(|at| places.of(*at)).collect(),
            })
        })?;
        next.sharing(map.region())
    }
}
