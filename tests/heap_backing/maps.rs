//! Keyed maps: every way to build one, and every way to read it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use floe::map::MapKey;
use floe::{Error, Frozen, Key, Map, MapBuilder, Schema, Value};
use floe_testkit::zoo::{Recipe, recipe};
use rkyv::rancor::Fallible;
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::{Archive, Place, Serialize};

fn builder<K: MapKey, V: Value>(pairs: impl IntoIterator<Item = (K, V)>) -> MapBuilder<K, V> {
    let mut builder = MapBuilder::on_heap("map").unwrap();
    for (key, value) in pairs {
        builder.insert(&key, &value).unwrap();
    }
    builder
}

/// The map, and a copy of its bytes that was checked like bytes from elsewhere.
fn finished<K: MapKey, V: Value>(builder: MapBuilder<K, V>) -> [Frozen<Map<K, V>>; 2] {
    let map = builder.finish().unwrap();
    let copy = Frozen::from_bytes(map.region().bytes()).unwrap();
    [map, copy]
}

/// A map of these pairs has them and not the absent ones, whichever way it is asked.
fn agrees<K, V>(pairs: &[(K, V)], absent: &[K])
where
    K: MapKey + Clone,
    V: Value + Clone,
    K::Archived: PartialEq<K>,
    V::Archived: PartialEq<V>,
{
    for map in finished(builder(pairs.iter().cloned())) {
        assert_eq!((map.len(), map.garbage()), (pairs.len(), 0));
        for (key, value) in pairs {
            let (found, held) = map.get_key_value(key).unwrap();
            assert!(found == key && held == value && map[key] == *value);
        }
        assert!(absent.iter().all(|key| !map.contains_key(key)));
        let keys = pairs.iter().map(|(key, _)| key).chain(absent);
        let mut found = map.get_many(keys);
        for (_, value) in pairs {
            assert!(found.next().unwrap().unwrap() == value);
        }
        assert!(found.all(|value| value.is_none()));
        assert!(map.iter().count() == pairs.len());
        for (key, value) in map.iter() {
            let (found, held) = map.get_key_value(key).unwrap();
            assert!(std::ptr::eq(found, key) && std::ptr::eq(held, value));
        }
        assert!(map.clone().keys().len() == map.values().len());
    }
}

fn text(number: u32) -> String {
    format!("a key that is not inline {number}")
}

#[test]
fn texts_as_keys() {
    let pairs: Vec<_> = (0..24).map(|n| (text(n), u64::from(n))).collect();
    agrees(&pairs, &[text(24), String::new()]);
    agrees::<String, u8>(&[], &[text(0)]);
}

#[test]
fn numbers_and_compounds_as_keys() {
    let pairs: Vec<_> = (0..12_u64)
        .map(|n| (n << 48, vec![u128::from(n)]))
        .collect();
    agrees(&pairs, &[1, u64::MAX]);
    let pairs: Vec<_> = (0..5)
        .map(|n| ((text(n), Some(n as u16)), text(n)))
        .collect();
    agrees(&pairs, &[(text(0), None)]);
    // Entries of more than half a cache line ask for the next one too.
    let pairs: Vec<_> = (0..5_u8).map(|n| ([n; 32], [n; 40])).collect();
    agrees(&pairs, &[[9; 32]]);
    agrees(&[((), 1_u8)], &[]);
}

#[derive(Debug, Clone, PartialEq, Eq, Key, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
enum Target {
    All,
    Recipe(String),
    Task { recipe: String, number: u32 },
}

#[test]
fn derived_types_as_keys() {
    let task = |number| Target::Task {
        recipe: text(number),
        number,
    };
    let targets = [Target::All, Target::Recipe(text(1)), task(1), task(2)];
    let pairs: Vec<_> = targets.into_iter().zip(0_u8..).collect();
    agrees(&pairs, &[task(3), Target::Recipe(text(2))]);
}

#[test]
fn derived_types_as_values() {
    for map in finished(builder((0..4).map(|n| (n, recipe(n))))) {
        for (key, value) in map.iter() {
            let back: Recipe = rkyv::deserialize::<_, rkyv::rancor::Error>(value).unwrap();
            assert_eq!(back, recipe(key.to_native()));
        }
    }
}

/// A key of which all have one of two home lines, and one of three tags.
#[derive(Debug, Clone, PartialEq, Archive, Serialize)]
#[rkyv(derive(Debug, PartialEq, Schema), compare(PartialEq))]
struct Crowded(u32);

impl Key for Crowded {
    fn key_hash(&self) -> u64 {
        crowded_hash(self.0)
    }
}

impl Key for ArchivedCrowded {
    fn key_hash(&self) -> u64 {
        crowded_hash(self.0.to_native())
    }
}

/// The last line and the first: what overflows the last goes on in the first.
fn crowded_hash(number: u32) -> u64 {
    let home = if number.is_multiple_of(2) {
        0
    } else {
        0xff << 56
    };
    home | u64::from(number % 3)
}

#[test]
fn lines_that_overflow() {
    let pairs: Vec<_> = (0..30).map(|n| (Crowded(n), text(n))).collect();
    let absent: Vec<_> = (30..36).map(Crowded).collect();
    agrees(&pairs, &absent);
}

/// Where so many keys have one hash, no pilot places them.
#[test]
fn keys_that_are_searched_for_in_their_part() {
    let pairs: Vec<_> = (0..30).map(|n| (Crowded(n), n)).collect();
    let absent: Vec<_> = (30..36).map(Crowded).collect();
    agrees(&pairs, &absent);
}

#[test]
fn merged_and_appended_maps() {
    let part = |numbers: std::ops::Range<u32>| builder(numbers.map(|n| (text(n), recipe(n))));
    let mut merged = part(0..2);
    let other = std::thread::scope(|scope| scope.spawn(|| part(2..3)).join().unwrap());
    merged.merge(other).unwrap();
    merged.insert(&text(3), &recipe(3)).unwrap();
    merged.append(&part(4..5).finish().unwrap()).unwrap();
    merged.insert(&text(5), &recipe(5)).unwrap();
    for map in finished(merged) {
        assert_eq!(map.len(), 6);
        for number in 0..6 {
            let value = &map[&text(number)];
            assert_eq!(value.name, recipe(number).name);
            assert_eq!(value.license.as_str(), recipe(number).license);
        }
    }
}

#[test]
fn duplicate_keys() {
    let pairs = || (0..12).map(|n| (text(n % 8), n));
    let refused = builder(pairs()).finish().unwrap_err();
    assert!(matches!(refused, Error::DuplicateKey { key, .. } if key.contains("inline 0")));
    for map in finished(builder(pairs()).last_wins()) {
        assert_eq!((map.len(), map.iter().count()), (8, 8));
        assert!(map.garbage() > 0);
        for n in 0..8 {
            assert_eq!(map[&text(n)], if n < 4 { n + 8 } else { n });
        }
        // What is garbage stays where it was.
        let mut appended = builder([("new".to_owned(), 1)]);
        appended.append(&map).unwrap();
        let appended = appended.finish().unwrap();
        assert_eq!((appended.len(), appended.garbage()), (9, map.garbage()));
    }
}

/// Writes a text, and then panics if it is told to.
struct Fragile(bool);

impl Archive for Fragile {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        text(0).resolve(resolver, out);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for Fragile
where
    String: Serialize<S>,
{
    fn serialize(&self, serializer: &mut S) -> Result<StringResolver, S::Error> {
        let written = text(0).serialize(serializer);
        assert!(!self.0, "told to panic");
        written
    }
}

#[test]
fn insertions_that_panic() {
    let mut builder = builder([(1_u32, Fragile(false))]);
    let insertion = AssertUnwindSafe(|| builder.insert(&2, &Fragile(true)));
    assert!(catch_unwind(insertion).is_err());
    builder.insert(&3, &Fragile(false)).unwrap();
    for map in finished(builder) {
        assert!(map.keys().eq(&[1, 3]));
        assert!(map.values().all(|value| value.as_str() == text(0)));
    }
}
