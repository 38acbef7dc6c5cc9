//! Small entries beside a `HashMap`: whatever changes, generation after generation.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use rkyv::{Archive, Serialize};

use super::super::slots::SlotHeader;
use super::{count, has_no_others};
use crate::archive::Value;
use crate::error::Error;
use crate::frozen::Frozen;
use crate::inspect::census::{Census, Options};
use crate::inspect::dynamic::Described;
use crate::map::{EntryRef, Key, Map, MapBuilder, MapKey, Moved};
use crate::region::{Backing, Label};

/// Numbers that follow each other without a pattern.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// A key of which very many have few hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, crate::Schema), compare(PartialEq))]
struct Crowded(u64);

impl Key for Crowded {
    fn key_hash(&self) -> u64 {
        (self.0 % 7).key_hash()
    }
}

impl Key for ArchivedCrowded {
    fn key_hash(&self) -> u64 {
        Crowded(self.0.to_native()).key_hash()
    }
}

/// A key all of which belong to one part, with different hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, crate::Schema), compare(PartialEq))]
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

/// What a test needs of a key.
trait Number: MapKey + Copy + Eq + Hash + Debug {
    fn of(number: u64) -> Self;
}

impl Number for u64 {
    fn of(number: u64) -> Self {
        number
    }
}

impl Number for Crowded {
    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Number for Skewed {
    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Number for (u8, [u16; 3]) {
    fn of(number: u64) -> Self {
        let part = |shift: u32| (number >> shift) as u16;
        (number as u8, [part(8), part(24), part(40)])
    }
}

impl Number for [u8; 32] {
    fn of(number: u64) -> Self {
        std::array::from_fn(|at| number.to_le_bytes()[at % 8])
    }
}

fn builder<K: Number>() -> MapBuilder<K, u64> {
    let label = Label::first("small").unwrap();
    MapBuilder::next_generation(label, Backing::Heap).unwrap()
}

fn freeze<K: Number>(model: &HashMap<K, u64>) -> Frozen<Map<K, u64>> {
    let mut builder = builder();
    for (key, value) in model {
        builder.insert(key, value).unwrap();
    }
    builder.finish().unwrap()
}

fn header<K: MapKey, V: Value>(map: &Frozen<Map<K, V>>) -> SlotHeader {
    *map.raw().slots()
}

/// A map says what the model says, whichever way it is asked, and so does a copy that was checked
/// like bytes from elsewhere.
fn check<K>(map: &Frozen<Map<K, u64>>, model: &HashMap<K, u64>, absent: &[K])
where
    K: Number,
    K::Archived: PartialEq<K>,
{
    let copy = Frozen::<Map<K, u64>>::from_bytes(map.region().bytes()).unwrap();
    for map in [map, &copy] {
        assert_eq!((map.len(), map.garbage()), (model.len(), 0));
        for (key, value) in model {
            assert_eq!(map.get(key).map(|it| it.to_native()), Some(*value));
        }
        let is_absent = |key: &&K| !model.contains_key(*key);
        let mut others = absent.iter().filter(is_absent);
        assert!(others.all(|key| !map.contains_key(key)));
        let found = map.get_many(model.keys());
        let values = found.map(|value| value.map(|it| it.to_native()));
        assert!(values.eq(model.values().map(|value| Some(*value))));
        // A fold goes its own way, from wherever it begins.
        let asked: Vec<&K> = model.keys().chain(absent).collect();
        for before in [0, 1, 40] {
            let mut many = map.get_many(asked.iter().copied());
            assert_eq!(many.by_ref().take(before).count(), before.min(asked.len()));
            let folded = many.fold(Vec::new(), |mut all, value| {
                all.push(value.map(|it| it.to_native()));
                all
            });
            let expected = asked
                .iter()
                .skip(before)
                .map(|key| model.get(*key).copied());
            assert!(folded.into_iter().eq(expected));
        }
        assert_eq!(map.iter().count(), model.len());
        for (key, value) in map.iter() {
            let (found, held) = map.get_key_value(key).unwrap();
            assert!(std::ptr::eq(found, key) && std::ptr::eq(held, value));
        }
        for entry in map.entries() {
            assert!(map.entry_at(entry.offset()) == Some(entry));
            let hash = entry.key().key_hash();
            assert_eq!(map.find_hash(hash).unwrap().key().key_hash(), hash);
        }
    }
    let described = Described::from_bytes(map.region().bytes()).unwrap();
    described.check().unwrap();
    let census = Census::of(&described, &Options::default()).unwrap();
    assert_eq!(census.entries, Some(model.len() as u64));
    let archive = map.archive().len() as u64;
    let rows = census.by_path.rows.iter().map(|row| row.bytes);
    assert_eq!((census.bytes, rows.sum()), (archive, archive));
}

/// The next generation, by new values for some keys, and without some others.
fn carry<K: Number>(
    map: &Frozen<Map<K, u64>>,
    changes: &HashMap<K, Option<u64>>,
) -> Frozen<Map<K, u64>>
where
    K::Archived: PartialEq<K>,
{
    let going = changes.keys();
    let going = going.filter_map(|key| map.find_entry(key.key_hash(), key));
    let going: HashSet<EntryRef<'_, K, u64>> = going.collect();
    let gone: HashSet<u64> = going.iter().map(|it| it.offset()).collect();
    let mut builder = builder();
    let mut fresh = Vec::new();
    for (key, value) in changes {
        if let Some(value) = value {
            fresh.push((builder.next_offset(), *key));
            builder.insert(key, value).unwrap();
        }
    }
    let mut places = Vec::new();
    let next = builder.carry(map, &going, |moved: &Moved| {
        for entry in map.entries().filter(|it| !gone.contains(&it.offset())) {
            places.push((entry, moved.earlier.of(entry.offset()).unwrap()));
        }
        for (offset, key) in &mut fresh {
            *offset = moved.fresh.of(*offset).expect("it stays");
            let _ = key;
        }
        Vec::new()
    });
    let next = next.unwrap();
    // All stand where the inputs are told.
    for (entry, offset) in places {
        let found = next.entry_at(offset).expect("it stays");
        assert!(found.bytes() == entry.bytes());
    }
    for (offset, key) in fresh {
        assert!(*next.entry_at(offset).expect("it is there").key() == key);
    }
    next
}

/// Random changes of a map that starts with so many entries.
fn model<K>(seed: u64, first: u64, steps: u64)
where
    K: Number,
    K::Archived: PartialEq<K>,
{
    let mut random = Random(seed);
    let mut model: HashMap<K, u64> = HashMap::new();
    for _ in 0..first {
        model.insert(K::of(random.next()), random.next());
    }
    let mut map = freeze(&model);
    for _ in 0..steps {
        let known: Vec<K> = model.keys().copied().collect();
        let mut changes: HashMap<K, Option<u64>> = HashMap::new();
        for _ in 0..1 + random.below(20) {
            let some = known.get(random.below(known.len() as u64) as usize);
            let some = some.copied().unwrap_or(K::of(1));
            let (key, value) = match random.below(4) {
                0 => (K::of(random.next()), Some(random.next())),
                1 | 2 => (some, Some(random.next())),
                _ => (some, None),
            };
            changes.insert(key, value);
        }
        for (key, value) in &changes {
            match value {
                Some(value) => model.insert(*key, *value),
                None => model.remove(key),
            };
        }
        let next = carry(&map, &changes);
        let absent: Vec<K> = (0..30).map(|_| K::of(random.next())).collect();
        check(&next, &model, &absent);
        // What was filled anew is as if it had been made afresh.
        let afresh = freeze(&model);
        if header(&afresh) == header(&next) {
            assert_eq!(afresh.archive(), next.archive());
        }
        map = next;
    }
}

#[test]
fn generations_hold_what_a_hash_map_holds() {
    for (seed, first) in [(1, 0), (2, 1), (3, 30), (4, 220), (5, 240), (6, 1000)] {
        model::<u64>(seed, count(first), count(60));
    }
    model::<(u8, [u16; 3])>(7, count(500), count(20));
    model::<[u8; 32]>(8, count(500), count(20));
}

#[test]
fn keys_with_bad_hashes_are_found() {
    model::<Crowded>(9, count(600), count(30));
    model::<Skewed>(10, count(900), count(30));
}

#[test]
fn maps_of_every_size() {
    let mut random = Random(11);
    for size in (0..if cfg!(miri) { 20 } else { 700 }).chain([count(5000)]) {
        let model: HashMap<u64, u64> = (0..size).map(|it| (random.next(), it)).collect();
        let map = freeze(&model);
        let absent: Vec<u64> = (0..50).map(|_| random.next()).collect();
        check(&map, &model, &absent);
        assert_eq!((header(&map).overflow, header(&map).empty_parts), (0, 0));
    }
}

/// Runs of keys that differ in few bits fill no part more than others.
#[test]
fn keys_with_a_pattern_spread() {
    let entries = if cfg!(miri) { 2000 } else { 300_000 };
    let header = SlotHeader::new(entries);
    for shift in [0, 8, 24, 44] {
        for factor in [1_u64, 3, 1000, 4096] {
            if (entries * factor).leading_zeros() < shift {
                continue;
            }
            let mut parts = vec![0; header.parts() as usize];
            for key in (0..entries).map(|it| (it * factor) << shift) {
                parts[header.part_of(key.key_hash()) as usize] += 1;
            }
            let most = parts.into_iter().max().unwrap();
            assert!(most <= header.part_slots, "{factor} << {shift}: {most}");
        }
    }
}

#[test]
fn a_part_that_overflows() {
    let mut model: HashMap<Crowded, u64> = (0..count(1200)).map(|it| (Crowded(it), it)).collect();
    let map = freeze(&model);
    assert!(cfg!(miri) || header(&map).overflow > 0);
    check(&map, &model, &[Crowded(50_000)]);
    let model_of_skewed: HashMap<Skewed, u64> =
        (0..count(5000)).map(|it| (Skewed(it), it)).collect();
    let skewed = freeze(&model_of_skewed);
    assert!(cfg!(miri) || header(&skewed).overflow > 0 && header(&skewed).empty_parts > 0);
    check(&skewed, &model_of_skewed, &[Skewed(50_000)]);
    model.insert(Crowded(50_000), 1);
    let next = carry(&map, &HashMap::from([(Crowded(50_000), Some(1))]));
    check(&next, &model, &[Crowded(50_001)]);
}

#[test]
fn too_many_keys_of_one_hash_are_refused() {
    let mut builder = MapBuilder::<Crowded, u64>::on_heap("crowded").unwrap();
    (0..600).for_each(|it| builder.insert(&Crowded(it * 7), &it).unwrap());
    assert!(matches!(builder.finish(), Err(Error::Crowded { .. })));
    // Not those that replace each other.
    let mut builder = MapBuilder::<Crowded, u64>::on_heap("crowded")
        .unwrap()
        .last_wins();
    let inserted = count(20_000);
    (0..inserted).for_each(|it| builder.insert(&Crowded(it % 9), &it).unwrap());
    let map = builder.finish().unwrap();
    assert_eq!((map.len(), map.garbage()), (9, 0));
    assert!((0..9).all(|it| map[&Crowded(it)] >= inserted - 9));
}

#[test]
fn a_key_that_is_there_already_is_named() {
    let model: HashMap<u64, u64> = (0..count(300)).map(|it| (it, it)).collect();
    let map = freeze(&model);
    for value in [7, 8] {
        let mut builder = builder::<u64>();
        builder.insert(&7, &value).unwrap();
        let refused = builder.carry(&map, &HashSet::new(), |_| Vec::new());
        assert!(matches!(refused, Err(Error::DuplicateKey { key, .. }) if key == "7"));
    }
    let mut builder = builder::<u64>();
    (0..2).for_each(|value| builder.insert(&5, &value).unwrap());
    assert!(matches!(builder.finish(), Err(Error::DuplicateKey { key, .. }) if key == "5"));
}

#[test]
fn offsets_that_are_no_entries_lead_to_nothing() {
    for entries in [0, 5, count(1000)] {
        let model: HashMap<u64, u64> = (0..entries).map(|it| (it, it)).collect();
        assert!(has_no_others(&freeze(&model)));
    }
}

#[test]
fn maps_are_merged_and_appended() {
    let part = |numbers: std::ops::Range<u64>| {
        let mut builder = builder::<u64>();
        numbers.for_each(|it| builder.insert(&it, &(it * 2)).unwrap());
        builder
    };
    let mut merged = part(0..100);
    merged.merge(part(100..400)).unwrap();
    merged.append(&part(400..900).finish().unwrap()).unwrap();
    merged.insert(&900, &1800).unwrap();
    let model: HashMap<u64, u64> = (0..901).map(|it| (it, it * 2)).collect();
    check(&merged.finish().unwrap(), &model, &[901]);
}

#[test]
fn types_choose_the_layout() {
    fn slots<K: MapKey, V: Value>() -> u64 {
        let builder = MapBuilder::<K, V>::on_heap("layout").unwrap();
        let map = builder.finish().unwrap();
        u64::from(map.lines().is_empty())
    }
    assert_eq!(
        [
            slots::<u8, ()>(),
            slots::<u64, u64>(),
            slots::<[u8; 32], u64>()
        ],
        [1; 3]
    );
    assert_eq!(
        [slots::<(u8, char), Option<bool>>(), slots::<u128, i64>()],
        [1; 2]
    );
    // Without bytes, with more than 40, and with some elsewhere.
    assert_eq!([slots::<(), ()>(), slots::<[u8; 33], u64>()], [0; 2]);
    assert_eq!(
        [slots::<u64, String>(), slots::<u64, Option<Box<u8>>>()],
        [0; 2]
    );
    assert_eq!([slots::<String, u64>(), slots::<u64, Vec<u8>>()], [0; 2]);
}

/// Whatever a section may claim, a sparse file too.
#[test]
fn heads_overflow_nothing() {
    let ends = [
        0,
        1,
        64,
        96,
        1 << 31,
        1 << 57,
        1 << 62,
        u64::MAX - 63,
        u64::MAX,
    ];
    let mut head = SlotHeader::new(6).encode(16);
    for index in ends {
        for (buckets, overflow) in ends
            .into_iter()
            .flat_map(|it| ends.map(|other| (it, other)))
        {
            for part_slots in [0, 1, 256, u64::MAX] {
                for (place, field) in [(16, buckets), (24, part_slots), (32, overflow)] {
                    head[place..place + 8].copy_from_slice(&field.to_le_bytes());
                }
                for archive in [0, u64::MAX] {
                    let header = SlotHeader::decode(&head, index, archive, 16);
                    assert!(header.is_err() || archive == 0);
                }
            }
        }
    }
}
