//! Frozen maps against `std::collections::HashMap` as the oracle.

use floe_testkit::zoo;

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use floe::map::MapKey;
use floe::{Error, Frozen, Key, Map, MapBuilder};
use proptest::prelude::*;
use zoo::recipe;

/// Freezes the pairs of a map and compares every way of reading with the map itself. `absent`
/// are keys that are not in it.
fn agree<K, V>(pairs: &HashMap<K, V>, absent: &[K]) -> Frozen<Map<K, V>>
where
    K: MapKey + Clone + Eq + Hash + Ord + Debug,
    K::Archived: PartialEq<K>,
    V: floe::Value + Debug,
    V::Archived: PartialEq<V> + Debug,
{
    let frozen = Map::freeze("oracle", pairs.iter()).unwrap();
    assert_eq!(
        (frozen.len(), frozen.is_empty()),
        (pairs.len(), pairs.is_empty())
    );
    for (key, value) in pairs {
        assert!(frozen.get(key).unwrap() == value);
        assert!(frozen.get_key_value(key).unwrap().0 == key);
        assert!(frozen.contains_key(key) && frozen[key] == *value);
    }
    for key in absent.iter().filter(|key| !pairs.contains_key(*key)) {
        assert!(frozen.get(key).is_none() && !frozen.contains_key(key));
    }
    let asked: Vec<&K> = pairs.keys().chain(absent).collect();
    let found: Vec<_> = frozen.get_many(asked.iter().copied()).collect();
    assert_eq!(found.len(), asked.len());
    for (key, value) in asked.iter().zip(found) {
        match pairs.get(*key) {
            Some(expected) => assert!(value.unwrap() == expected),
            None => assert!(value.is_none()),
        }
    }
    assert_eq!(
        (frozen.iter().len(), frozen.keys().count()),
        (pairs.len(), pairs.len())
    );
    // Each walked entry is found as itself, so that no key is walked twice.
    for (key, value) in frozen.iter() {
        let (found, held) = frozen.get_key_value(key).unwrap();
        assert!(std::ptr::eq(found, key) && std::ptr::eq(held, value));
    }
    frozen
}

fn reopened<K, V>(frozen: &Frozen<Map<K, V>>) -> Frozen<Map<K, V>>
where
    K: MapKey,
    V: floe::Value,
{
    Frozen::from_fd(frozen.region().try_clone_fd().unwrap()).unwrap()
}

macro_rules! oracle {
    ($($name:ident: $key:ty;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(40))]
            $(
                #[test]
                fn $name(
                    pairs in prop::collection::hash_map(any::<$key>(), any::<u32>(), 0..200),
                    absent in prop::collection::vec(any::<$key>(), 0..20),
                ) {
                    reopened(&agree(&pairs, &absent));
                }
            )*
        }
    };
}

oracle! {
    string_keys: String;
    byte_string_keys: Vec<u8>;
    digest_keys: [u8; 32];
    u8_keys: u8;
    u16_keys: u16;
    u32_keys: u32;
    u64_keys: u64;
    u128_keys: u128;
    i8_keys: i8;
    i16_keys: i16;
    i32_keys: i32;
    i64_keys: i64;
    i128_keys: i128;
    char_keys: char;
    bool_keys: bool;
    unit_keys: ();
    option_keys: Option<String>;
    pair_keys: (String, u32);
    nested_keys: (Option<(u8, i64)>, Vec<u32>, [u16; 3]);
}

#[test]
fn maps_of_every_size() {
    for size in [0, 1, 2, 3, 6, 7, 100, 100_000] {
        let pairs: HashMap<String, u64> = (0..size)
            .map(|n| (format!("key number {n}"), n * n))
            .collect();
        let absent: Vec<String> = (size..size + 100)
            .map(|n| format!("key number {n}"))
            .collect();
        reopened(&agree(&pairs, &absent));
    }
}

#[test]
fn keys_with_weak_bits_find_their_slots() {
    for stride in [1_u64 << 16, 1 << 32, 1 << 48, 3 << 60] {
        let pairs: HashMap<u64, u64> = (0..10_000_u64)
            .map(|n| (n.wrapping_mul(stride), n))
            .collect();
        agree(&pairs, &[]);
    }
}

#[test]
fn lookups_take_borrowed_forms_of_keys() {
    let names = Map::freeze("names", [("zlib".to_owned(), 1_u8), (String::new(), 2)]).unwrap();
    assert_eq!((names["zlib"], names[""]), (1, 2));
    assert_eq!(names.get(&"zlib".to_owned()).copied(), Some(1));
    let bytes = Map::freeze("bytes", [(b"abc".to_vec(), 1_u8)]).unwrap();
    assert_eq!((bytes[b"abc"], bytes[&b"abc"[..]]), (1, 1));
    let pairs = Map::freeze("pairs", [(("zlib".to_owned(), Some(4_u16)), 1_u8)]).unwrap();
    assert_eq!(
        (
            pairs.get(&("zlib", Some(4_u16))),
            pairs.get(&("zlib", None::<u16>))
        ),
        (Some(&1), None)
    );
    let sizes = Map::freeze("sizes", [(5_usize, 1_u8)]).unwrap();
    assert_eq!(sizes.get(&5_u32), Some(&1));
}

#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Key, rkyv::Archive, rkyv::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, floe::Schema), compare(PartialEq))]
enum Target {
    All,
    Recipe(String),
    Task { recipe: String, number: Option<u32> },
}

#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Key, rkyv::Archive, rkyv::Serialize,
)]
#[rkyv(derive(Debug, PartialEq, Eq, Key, floe::Schema), compare(PartialEq))]
struct Scoped {
    layer: u8,
    inner: Target,
}

#[test]
fn own_types_can_be_keys() {
    let task = |recipe: &str, number| Target::Task {
        recipe: recipe.into(),
        number,
    };
    let targets = [
        Target::All,
        Target::Recipe("a".into()),
        task("a", None),
        task("a", Some(1)),
    ];
    let pairs: HashMap<Target, u32> = targets.clone().into_iter().zip(0..).collect();
    agree(&pairs, &[task("b", None), Target::Recipe("b".into())]);
    let pairs: HashMap<Scoped, u32> = targets
        .into_iter()
        .map(|inner| Scoped { layer: 7, inner })
        .zip(0..)
        .collect();
    agree(
        &pairs,
        &[Scoped {
            layer: 8,
            inner: Target::All,
        }],
    );
}

#[test]
fn a_duplicate_key_is_named() {
    let mut builder = MapBuilder::<String, u32>::new("duplicates").unwrap();
    for (key, value) in [("a", 1), ("zlib", 2), ("b", 3), ("zlib", 4)] {
        builder.insert(&key.to_owned(), &value).unwrap();
    }
    let error = builder.finish().unwrap_err();
    assert!(
        matches!(&error, Error::DuplicateKey { name, key } if name == "duplicates" && key == "\"zlib\"")
    );
}

#[test]
fn the_last_entry_of_a_key_wins_if_the_builder_asks_for_it() {
    let mut builder = MapBuilder::<String, u32>::new("last").unwrap().last_wins();
    for round in 0..3 {
        for number in 0..1000 {
            builder
                .insert(&format!("key {number}"), &(round * 1000 + number))
                .unwrap();
        }
    }
    let frozen = builder.finish().unwrap();
    for frozen in [reopened(&frozen), frozen] {
        assert_eq!((frozen.len(), frozen.iter().count()), (1000, 1000));
        assert_eq!(
            (0..1000)
                .map(|n| frozen[&format!("key {n}")].to_native())
                .sum::<u32>(),
            2_499_500
        );
        assert_eq!(frozen.garbage(), 2000 * 16);
        assert!(
            frozen
                .iter()
                .all(|(key, value)| frozen[key] == *value && *value >= 2000)
        );
    }
}

#[test]
fn entries_keep_the_order_of_insertion() {
    let mut builder = MapBuilder::<u32, String>::on_heap("order").unwrap();
    let numbers: Vec<u32> = (0..1000).map(|n| n * 7919 % 1009).collect();
    for number in &numbers {
        builder.insert(number, &number.to_string()).unwrap();
    }
    let frozen = builder.finish().unwrap();
    assert!(frozen.keys().eq(&numbers));
}

#[test]
fn small_entries_have_an_order_of_their_own() {
    let freeze = |numbers: &mut dyn Iterator<Item = u32>| {
        let mut builder = MapBuilder::<u32, u32>::on_heap("order").unwrap();
        numbers.for_each(|number| builder.insert(&number, &(number + 1)).unwrap());
        builder.finish().unwrap()
    };
    let [up, down] = [freeze(&mut (0..1000)), freeze(&mut (0..1000).rev())];
    assert!(up.iter().eq(down.iter()));
    let bytes =
        |map: &Frozen<Map<u32, u32>>| map.region().bytes()[floe::format::HEADER_LENGTH..].to_vec();
    assert_eq!(bytes(&up), bytes(&down));
}

#[test]
fn equal_insertions_give_equal_bytes() {
    let freeze = |name| {
        let mut builder = MapBuilder::new(name).unwrap();
        for number in 0..500 {
            builder.insert(&number, &recipe(number)).unwrap();
        }
        builder.finish().unwrap().region().bytes()[floe::format::HEADER_LENGTH..].to_vec()
    };
    assert_eq!(freeze("first"), freeze("second"));
}

#[test]
fn builders_on_threads_merge_by_concatenation() {
    let build = |numbers: std::ops::Range<u32>| {
        let mut builder = MapBuilder::new("merged").unwrap();
        for number in numbers {
            builder
                .insert(&format!("recipe {number}"), &recipe(number))
                .unwrap();
        }
        builder
    };
    let parts = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..4)
            .map(|n| scope.spawn(move || build(n * 500..n * 500 + 500)))
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    let mut merged = build(2000..2500);
    for part in parts {
        merged.merge(part).unwrap();
    }
    merged.append(&build(2500..3000).finish().unwrap()).unwrap();
    let frozen = reopened(&merged.finish().unwrap());
    assert_eq!(frozen.len(), 3000);
    for number in 0..3000 {
        let archived = &frozen[&format!("recipe {number}")];
        assert_eq!(floe::thaw::<zoo::Recipe>(archived).unwrap(), recipe(number));
    }
}

#[test]
fn a_duplicate_between_merged_builders_is_named() {
    let build = |key: &str| {
        let mut builder = MapBuilder::<String, u8>::new("merged").unwrap();
        builder.insert(&key.to_owned(), &1).unwrap();
        builder
    };
    let mut merged = build("a");
    merged.merge(build("b")).unwrap();
    merged.append(&build("a").finish().unwrap()).unwrap();
    assert!(matches!(merged.finish(), Err(Error::DuplicateKey { key, .. }) if key == "\"a\""));
}

/// Entries begin where the most aligned type inside of their values needs it.
#[test]
fn values_that_lead_to_aligned_numbers() {
    let value = |n: usize| {
        (
            vec![n as u128; n % 3],
            "text behind the numbers"[..n].to_owned(),
        )
    };
    let pairs = (0..20).map(|n| (n as u16, value(n)));
    let map = Map::freeze("aligned", pairs).unwrap();
    for (n, (numbers, text)) in (0..20).zip(map.values().map(|value| (&value.0, &value.1))) {
        assert!(numbers.iter().all(|number| *number == n as u128));
        assert_eq!((numbers.len(), text.len()), (n % 3, n));
    }
}

/// Without rapidhash's last step of mixing, some of these names have equal hashes.
#[test]
fn texts_that_differ_in_a_number_have_hashes_of_their_own() {
    let names = (0..100_000).flat_map(|n| [format!("{n}"), format!("recipe-{n}-dev")]);
    let hashes: HashSet<u64> = names.map(|name| name.key_hash()).collect();
    assert_eq!(hashes.len(), 200_000);
}
