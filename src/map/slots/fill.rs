//! The places of the entries of one part.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::ops::Range;

use super::{
    PART_BUCKETS, PART_SLOTS, PART_WORDS, SlotHeader, bucket_of, is_live, lowest, set_live,
    slot_in_part,
};

/// A part that was filled.
pub(super) struct FilledPart {
    pilots: [u8; PART_BUCKETS as usize],
    pub(super) live: [u64; PART_WORDS],
    /// The slot of each member, as far as there are slots.
    pub(super) places: [u8; PART_SLOTS as usize],
}

impl FilledPart {
    /// Fills a part with members whose hashes these are, ascending; what it has no slots for goes
    /// into the overflow.
    ///
    /// The result depends on the hashes, the number of buckets and that of slots, and on nothing
    /// else. Costs at most 255 looks at each member.
    pub(super) fn new(header: &SlotHeader, hashes: &[u64]) -> Self {
        let slots = header.part_slots as usize;
        let bucket =
            |number: usize| (bucket_of(hashes[number], header.buckets) % PART_BUCKETS) as usize;
        let mut part = Self {
            pilots: [1; PART_BUCKETS as usize],
            live: [0; PART_WORDS],
            places: [0; PART_SLOTS as usize],
        };
        let mut runs: Vec<Range<usize>> = Vec::with_capacity(PART_BUCKETS as usize);
        let mut end = 0;
        while end < hashes.len() {
            let start = end;
            while end < hashes.len() && bucket(end) == bucket(start) {
                end += 1;
            }
            // Those that are searched for have no pilot, be they here or in the overflow.
            if end > slots {
                part.pilots[bucket(start)] = 0;
            }
            if start < slots {
                runs.push(start..end.min(slots));
            }
        }
        // Large ones first, while there is room.
        runs.sort_by_key(|run| (Reverse(run.len()), run.start));
        let mut rest = Vec::new();
        for run in runs {
            let bucket = bucket(run.start);
            let pilot = (part.pilots[bucket] != 0)
                .then(|| part.place(&hashes[run.clone()], slots as u64 - 1));
            match pilot.flatten() {
                Some(pilot) => {
                    part.pilots[bucket] = pilot;
                    for member in run {
                        let slot = slot_in_part(hashes[member], pilot, slots as u64 - 1);
                        part.places[member] = slot as u8;
                    }
                }
                None => {
                    part.pilots[bucket] = 0;
                    rest.extend(run);
                }
            }
        }
        part.place_anywhere(rest);
        part
    }

    /// The least pilot that gives free slots to members of one bucket, which are then taken.
    fn place(&mut self, hashes: &[u64], mask: u64) -> Option<u8> {
        let taken = |pilot: u8| {
            let mut live = self.live;
            for hash in hashes {
                let slot = slot_in_part(*hash, pilot, mask) as usize;
                if is_live(&live, slot) {
                    return None;
                }
                set_live(&mut live, slot);
            }
            Some((pilot, live))
        };
        let (pilot, live) = (1..=u8::MAX).find_map(taken)?;
        self.live = live;
        Some(pilot)
    }

    /// Gives the free slots to members in their order.
    fn place_anywhere(&mut self, mut members: Vec<usize>) {
        members.sort_unstable();
        let mut slot = 0;
        for member in members {
            while is_live(&self.live, slot) {
                slot += 1;
            }
            set_live(&mut self.live, slot);
            self.places[member] = slot as u8;
        }
    }

    /// The bytes of pilots.
    pub(super) fn pilots(&self, header: &SlotHeader) -> &[u8] {
        &self.pilots[..header.part_buckets() as usize]
    }

    /// The bytes of live bits.
    pub(super) fn live(&self, header: &SlotHeader) -> impl Iterator<Item = u8> + use<'_> {
        let words = self.live[..header.words() as usize].iter();
        words.flat_map(|word| word.to_le_bytes())
    }

    /// The bytes of all slots. `members` are those that the part was filled with, in their order.
    pub(super) fn write_slots<'a>(
        &self,
        slots: &mut [u8],
        size: usize,
        members: impl Iterator<Item = &'a [u8]>,
    ) {
        let count = slots.len() / size;
        for (entry, place) in members.take(count).zip(self.places) {
            slots[usize::from(place) * size..][..size].copy_from_slice(entry);
        }
        if let Some(first) = lowest(&self.live) {
            fill_free(slots, size, &self.live, first);
        }
    }
}

/// Makes all slots that are not live copies of one of the part's.
pub(super) fn fill_free(slots: &mut [u8], size: usize, live: &[u64], of: usize) {
    for slot in 0..slots.len() / size {
        if !is_live(live, slot) {
            slots.copy_within(of * size..(of + 1) * size, slot * size);
        }
    }
}
