//! Maps of small entries whose digests are right, and whose slots, pilots or counts lie.

use std::collections::HashSet;

use floe::dynamic::Described;
use floe::format::SectionKind;
use floe::map::MapKey;
use floe::{Error, Frozen, Key, Map, MapBuilder, Schema};
use rkyv::{Archive, Serialize};

use crate::forge::{Forgery, put_u32};
use crate::index::put_u64;
use crate::refusal::refused;
use crate::sign::u64_at;

type Small<K> = Map<K, u64>;

/// Bytes of the index before the pilots.
const HEADER: usize = 64;
/// Bytes of an entry of two numbers.
const ENTRY: usize = 16;
const PART: usize = 256;
const PART_BUCKETS: usize = 64;

/// A map of the keys 0, 1, ..; where they lie, follows from their hashes.
fn freeze<K: MapKey>(entries: u64, key: impl Fn(u64) -> K) -> Forgery {
    let mut builder = MapBuilder::<K, u64>::on_heap("slots").unwrap();
    (0..entries).for_each(|it| builder.insert(&key(it), &it).unwrap());
    Forgery::of(&builder.finish().unwrap())
}

/// Six entries in one part of eight slots and two buckets.
fn few() -> Forgery {
    freeze(6, |it| it)
}

/// Six hundred entries in four parts.
fn many() -> Forgery {
    freeze(600, |it| it)
}

/// Which slots of a map have entries.
fn live(forged: &mut Forgery) -> Vec<bool> {
    let index = forged.index();
    let (buckets, slots) = (u64_at(index, 16) as usize, u64_at(index, 24) as usize);
    let start = HEADER + buckets.next_multiple_of(8);
    let bit = |slot: usize| index[start + slot / 8] >> (slot % 8) & 1 != 0;
    (0..buckets.div_ceil(PART_BUCKETS) * slots)
        .map(bit)
        .collect()
}

/// Where the live bit of a slot is.
fn live_bit(forged: &mut Forgery, slot: usize) -> (usize, u8) {
    let buckets = u64_at(forged.index(), 16) as usize;
    let start = HEADER + buckets.next_multiple_of(8);
    (start + slot / 8, 1 << (slot % 8))
}

/// Bytes that lie are refused for a reason, by whoever has the types and who has not.
#[track_caller]
fn refuses<K: MapKey>(forged: &Forgery, expected: SectionKind, because: &str) {
    match refused::<Small<K>>(&forged.bytes()) {
        Error::Invalid {
            section, reason, ..
        } if section == expected => assert!(reason.contains(because), "{reason}"),
        other => panic!("expected an invalid {expected} section, got: {other}"),
    }
}

/// The same for a schema that tells the hashes of keys.
#[track_caller]
fn refuses_without_types(forged: &Forgery) {
    let described = Described::from_bytes(&forged.bytes());
    assert!(described.and_then(|it| it.check()).is_err());
}

#[track_caller]
fn refuses_both(forged: &Forgery, expected: SectionKind, because: &str) {
    refuses::<u64>(forged, expected, because);
    refuses_without_types(forged);
}

#[test]
fn the_forgeries_start_from_valid_maps() {
    for (mut forged, entries, parts) in [(few(), 6, 1), (many(), 600, 4)] {
        let frozen = Frozen::<Small<u64>>::from_bytes(&forged.bytes()).unwrap();
        assert!((0..entries).all(|it| frozen[&it] == it));
        Described::from_bytes(&forged.bytes())
            .unwrap()
            .check()
            .unwrap();
        let found = live(&mut forged);
        assert_eq!(found.iter().filter(|it| **it).count() as u64, entries);
        let slots = if parts == 1 { 8 } else { PART * parts };
        assert_eq!(
            (found.len(), forged.archive().len()),
            (slots, slots * ENTRY)
        );
    }
}

#[test]
fn a_head_that_lies() {
    let hash = "hash function is unknown";
    let size = "another size";
    let together = "do not go together";
    let many_buckets = "too many buckets";
    let own_length = "its length does not fit";
    let archive_length = "the length of the archive";
    for (place, value, because) in [
        (0, 0, hash),
        (0, 16 << 32 | 1, hash),
        (0, 17 << 32 | 2, size),
        (0, 2, size),
        (8, 5, "it counts 5 entries"),
        (8, u64::MAX, "entries"),
        (16, 0, together),
        (16, 1, together),
        (16, 4, together),
        (16, 64, together),
        (16, u64::MAX, many_buckets),
        (24, 0, together),
        (24, 6, together),
        (24, 4, together),
        (24, 512, many_buckets),
        (24, u64::MAX, many_buckets),
        // With buckets that would make more than 2^64 slots.
        (16, 1 << 62, many_buckets),
        (32, 1, archive_length),
        (32, u64::MAX, archive_length),
        (40, 1, "1 parts without any"),
        (48, 1, "other bytes than zeros"),
        (56, 1 << 56, "other bytes than zeros"),
    ] {
        let mut forged = few();
        put_u64(forged.index(), place, value);
        refuses_both(&forged, SectionKind::Index, because);
    }
    let mut forged = many();
    put_u64(forged.index(), 16, 3 * PART_BUCKETS as u64);
    refuses_both(&forged, SectionKind::Index, own_length);
    for length in [0, 1, HEADER - 1] {
        let mut forged = few();
        forged.index().truncate(length);
        refuses_both(&forged, SectionKind::Index, "shorter than its header");
    }
    for more in [1, 8, 64] {
        let mut forged = few();
        let length = forged.index().len();
        forged.index().resize(length + more, 0);
        refuses_both(&forged, SectionKind::Index, own_length);
        let mut forged = few();
        let length = forged.archive().len();
        forged.archive().resize(length + more, 0);
        refuses_both(&forged, SectionKind::Index, archive_length);
        let mut forged = few();
        forged.archive().truncate(length - more);
        refuses_both(&forged, SectionKind::Index, archive_length);
    }
    // No buckets, and no slots, but entries that stand in the overflow.
    let mut forged = few();
    let index = forged.index();
    index.truncate(HEADER);
    (16..48)
        .step_by(8)
        .for_each(|place| put_u64(index, place, 0));
    put_u64(index, 32, 8);
    refuses_both(&forged, SectionKind::Index, "no part overflows with");
}

#[test]
fn entries_that_stand_where_their_keys_do_not_lead() {
    let lead = "stands where its key does not lead";
    for slot in 0..8 {
        let mut forged = few();
        if live(&mut forged)[slot] {
            // Some other keys lead there, too.
            let key = u64_at(forged.archive(), slot * ENTRY);
            let is_refused = |more: &u64| {
                put_u64(forged.archive(), slot * ENTRY, key + more);
                match Frozen::<Small<u64>>::from_bytes(&forged.bytes()) {
                    Err(error) => !error.to_string().is_empty(),
                    Ok(map) => map[&(key + more)] != key,
                }
            };
            assert!((1000..1020).filter(is_refused).count() > 10);
        } else {
            // A copy that says that it is an entry.
            let (place, bit) = live_bit(&mut forged, slot);
            forged.index()[place] |= bit;
            refuses_both(&forged, SectionKind::Index, lead);
        }
    }
    for bucket in 0..2 {
        let mut forged = few();
        let pilot = &mut forged.index()[HEADER + bucket];
        *pilot = pilot.wrapping_add(1).max(1);
        refuses_both(&forged, SectionKind::Index, lead);
    }
    // In the same slot of another part.
    let mut forged = many();
    let (slots, archive) = (live(&mut forged), forged.archive());
    let both = (0..PART).find(|it| slots[*it] && slots[PART + it]).unwrap();
    let (one, other) = archive.split_at_mut(PART * ENTRY);
    one[both * ENTRY..][..ENTRY].swap_with_slice(&mut other[both * ENTRY..][..ENTRY]);
    let told = refused::<Small<u64>>(&forged.bytes()).to_string();
    assert!(told.contains("part that is not its own") || told.contains("no copy"));
    refuses_without_types(&forged);
}

#[test]
fn slots_without_entries_that_are_no_copies() {
    let copy = "no copy of the first entry";
    for (forged, slots) in [(few(), 8), (many(), 4 * PART)] {
        for slot in (0..slots).step_by(if slots == 8 { 1 } else { 37 }) {
            let mut forged = forged.clone();
            if !live(&mut forged)[slot] {
                forged.archive()[slot * ENTRY + 9] ^= 1;
                refuses_both(&forged, SectionKind::Archive, copy);
            }
        }
    }
    // A live entry that says that it is none.
    let mut forged = few();
    let last = live(&mut forged).iter().rposition(|it| *it).unwrap();
    let (place, bit) = live_bit(&mut forged, last);
    forged.index()[place] ^= bit;
    refuses_both(&forged, SectionKind::Archive, copy);
}

#[test]
fn bytes_that_nothing_looks_at() {
    // Two buckets and six bytes behind them; eight slots and 56 bits.
    for place in HEADER + 2..HEADER + 8 {
        let mut forged = few();
        forged.index()[place] = 1;
        refuses_both(&forged, SectionKind::Index, "behind its pilots");
    }
    for slot in 8..64 {
        let mut forged = few();
        let (place, bit) = live_bit(&mut forged, slot);
        forged.index()[place] |= bit;
        refuses_both(&forged, SectionKind::Index, "live bits behind the slots");
    }
    let mut forged = few();
    *forged.garbage() = vec![0; 8];
    refuses_both(&forged, SectionKind::Garbage, "");
    // Without any entry.
    let mut forged = few();
    let index = forged.index();
    index[HEADER..].fill(0);
    index[HEADER..HEADER + 2].fill(1);
    put_u64(index, 8, 0);
    put_u64(index, 40, 1);
    refuses_both(&forged, SectionKind::Index, "and no entries");
}

#[test]
fn values_that_are_not_valid_are_told_with_their_entry() {
    let map = Map::<u32, bool>::freeze("values", [(7, true)]).unwrap();
    let mut forged = Forgery::of(&map);
    assert_eq!(forged.archive().len() % 8, 0);
    for slot in forged.archive().chunks_exact_mut(8) {
        slot[4] = 2;
    }
    match refused::<Map<u32, bool>>(&forged.bytes()) {
        Error::Invalid {
            section: SectionKind::Archive,
            reason,
            ..
        } => assert!(reason.contains(": value: "), "{reason}"),
        other => panic!("{other}"),
    }
    refuses_without_types(&forged);
    // In a free slot too, which a lookup may read.
    let mut forged = Forgery::of(&map);
    forged.archive()[12] = 2;
    assert!(Frozen::<Map<u32, bool>>::from_bytes(&forged.bytes()).is_err());
}

/// A key of which all have one of few hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Schema), compare(PartialEq))]
struct Crowded(u64);

impl Key for Crowded {
    fn key_hash(&self) -> u64 {
        (self.0 % 3).key_hash()
    }
}

impl Key for ArchivedCrowded {
    fn key_hash(&self) -> u64 {
        Crowded(self.0.to_native()).key_hash()
    }
}

/// Keys that all belong to the first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Schema), compare(PartialEq))]
struct Skewed(u64);

impl Key for Skewed {
    fn key_hash(&self) -> u64 {
        self.0.key_hash() >> 24
    }
}

impl Key for ArchivedSkewed {
    fn key_hash(&self) -> u64 {
        Skewed(self.0.to_native()).key_hash()
    }
}

/// Entries in the overflow, by their numbers there.
fn overflow(forged: &mut Forgery) -> std::ops::Range<usize> {
    let slots = live(forged).len();
    slots..forged.archive().len() / ENTRY
}

#[test]
fn overflows_out_of_order() {
    let crowded = || freeze(900, Crowded);
    let honest = overflow(&mut crowded());
    assert!(honest.len() > 100);
    let swap = |one: usize, other: usize| {
        let mut forged = crowded();
        let archive = forged.archive();
        for byte in 0..ENTRY {
            archive.swap(one * ENTRY + byte, other * ENTRY + byte);
        }
        forged
    };
    let order = "order of the overflow";
    refuses::<Crowded>(
        &swap(honest.start, honest.start + 1),
        SectionKind::Index,
        order,
    );
    // The same entry twice.
    let mut forged = crowded();
    let entry = honest.start * ENTRY..(honest.start + 1) * ENTRY;
    forged.archive().copy_within(entry.clone(), entry.end);
    refuses::<Crowded>(&forged, SectionKind::Index, order);
    // One that is in the part, too.
    let mut forged = crowded();
    let last = live(&mut forged).iter().rposition(|it| *it).unwrap();
    let last = last * ENTRY..(last + 1) * ENTRY;
    forged.archive().copy_within(last, entry.start);
    let told = refused::<Small<Crowded>>(&forged.bytes()).to_string();
    assert!(told.contains("overflow"), "{told}");
}

#[test]
fn entries_without_pilots_out_of_order() {
    let mut forged = freeze(30, Crowded);
    let slots: Vec<usize> = (0..live(&mut forged).len()).collect();
    let slots: Vec<usize> = slots
        .into_iter()
        .filter(|it| live(&mut forged)[*it])
        .collect();
    let archive = forged.archive();
    for byte in 0..ENTRY {
        archive.swap(slots[3] * ENTRY + byte, slots[4] * ENTRY + byte);
    }
    let order = "order of those without a pilot";
    refuses::<Crowded>(&forged, SectionKind::Index, order);
}

#[test]
fn overflows_of_parts_that_have_none() {
    // A pilot for a bucket with entries in the overflow.
    let mut forged = freeze(900, Crowded);
    let index = forged.index();
    let buckets = u64_at(index, 16) as usize;
    for pilot in index[HEADER..HEADER + buckets]
        .iter_mut()
        .filter(|it| **it == 0)
    {
        *pilot = 1;
    }
    let told = refused::<Small<Crowded>>(&forged.bytes()).to_string();
    assert!(
        told.contains("does not lead") || told.contains("has a pilot"),
        "{told}"
    );
    // An overflow that no part has claimed.
    let mut forged = many();
    let entry = forged.archive()[..ENTRY].to_vec();
    forged.archive().extend(entry);
    put_u64(forged.index(), 8, 601);
    put_u64(forged.index(), 32, 1);
    let told = refused::<Small<u64>>(&forged.bytes()).to_string();
    assert!(told.contains("overflow"), "{told}");
    refuses_without_types(&forged);
}

#[test]
fn too_many_overflow_with_one_hash() {
    let entry = |it: u64| [it.to_le_bytes(), it.to_le_bytes()].concat();
    let mut forged = freeze(900, Crowded);
    let range = overflow(&mut forged);
    let last = u64_at(forged.archive(), (range.end - 1) * ENTRY);
    // Behind the last one, in the order of the bytes of keys, with its hash.
    let mut more: Vec<u64> = (1..400_000_u64).map(|it| last % 3 + it * 3).collect();
    let known: HashSet<u64> = (0..900).collect();
    more.retain(|it| !known.contains(it) && it.to_le_bytes() > last.to_le_bytes());
    more.sort_by_key(|it| it.to_le_bytes());
    more.truncate(300);
    let added = more.len() as u64;
    assert!(added > 256);
    forged.archive().extend(more.into_iter().flat_map(entry));
    put_u64(forged.index(), 8, 900 + added);
    put_u64(forged.index(), 32, range.len() as u64 + added);
    refuses::<Crowded>(&forged, SectionKind::Index, "the hash of too many others");
}

#[test]
fn parts_without_entries_that_lie() {
    let skewed = || freeze(900, Skewed);
    let mut honest = skewed();
    let found = live(&mut honest);
    let empty = found
        .chunks(PART)
        .position(|part| part.iter().all(|it| !it))
        .unwrap();
    assert_eq!(u64_at(honest.index(), 40) as usize, found.len() / PART - 1);
    let mut forged = skewed();
    forged.index()[HEADER + empty * PART_BUCKETS] = 2;
    refuses::<Skewed>(&forged, SectionKind::Index, "without entries has pilots");
    let mut forged = skewed();
    forged.archive()[(empty * PART + 17) * ENTRY] ^= 1;
    refuses::<Skewed>(&forged, SectionKind::Archive, "no copy of the first entry");
}

/// Whatever is changed: a map is refused, or it holds each key that it walks once, and finds it.
#[test]
fn changed_bits() {
    fn agrees<K: MapKey>(bytes: &[u8]) -> bool {
        let Ok(map) = Frozen::<Small<K>>::from_bytes(bytes) else {
            return false;
        };
        assert_eq!(map.iter().count(), map.len());
        for (key, value) in map.iter() {
            let (found, held) = map.get_key_value(key).expect("each is found");
            assert!(std::ptr::eq(found, key) && std::ptr::eq(held, value));
        }
        if let Ok(described) = Described::from_bytes(bytes) {
            let entries = described.entries().unwrap();
            assert_eq!(entries.filter(Result::is_ok).count(), map.len());
        }
        true
    }
    let (mut accepted, mut refused, mut state) = (0, 0, 5_u64);
    let mut next = |end: usize| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 33) as usize % end
    };
    let honest = [few(), many(), freeze(900, Crowded)];
    for round in 0..600 {
        let mut forged = honest[round % 3].clone();
        for _ in 0..1 + next(2) {
            let section = match next(2) {
                0 => forged.index(),
                _ => forged.archive(),
            };
            let place = next(section.len());
            section[place] ^= 1 << next(8);
        }
        let is_accepted = match round % 3 {
            2 => agrees::<Crowded>(&forged.bytes()),
            _ => agrees::<u64>(&forged.bytes()),
        };
        match is_accepted {
            true => accepted += 1,
            false => refused += 1,
        }
    }
    // A value may be any number.
    assert!(accepted > 20 && refused > 200, "{accepted} {refused}");
}

#[test]
fn keys_that_are_not_there() {
    for forged in [few(), many()] {
        let map = Frozen::<Small<u64>>::from_bytes(&forged.bytes()).unwrap();
        let absent: Vec<u64> = (0..10_000).map(|it| u64::MAX - it * 977).collect();
        assert!(absent.iter().all(|key| map.get(key).is_none()));
        assert!(map.get_many(&absent).all(|found| found.is_none()));
    }
    let empty = freeze(0, |it| it);
    let map = Frozen::<Small<u64>>::from_bytes(&empty.bytes()).unwrap();
    assert!(map.get(&0).is_none() && map.iter().next().is_none());
    let mut forged = empty.clone();
    put_u32(forged.index(), 8, 1);
    refuses_both(&forged, SectionKind::Index, "it counts 1 entries");
}
