//! Roots whose entries stand in slots, between others.

use std::collections::BTreeMap;
use std::num::NonZero;

use floe::census::{Census, Options};
use floe::dynamic::Described;
use floe::{Frozen, Map, Root, Roots, RootsBuilder};

use crate::forge::Forgery;

#[derive(Debug, Roots)]
struct Numbers {
    names: Root<Map<u32, String>>,
    squares: Root<Map<u32, u64>>,
    ports: Root<Map<u16, u8>>,
    none: Root<Map<u8, u8>>,
    last: Root<Map<String, u64>>,
}

const SQUARES: u32 = 1000;

fn names() -> BTreeMap<u32, String> {
    let name = |number: u32| (number, format!("the name of number {number}"));
    (0..50).map(name).collect()
}

fn squares() -> BTreeMap<u32, u64> {
    let square = |number: u32| (number, u64::from(number).pow(2));
    (0..SQUARES).map(square).collect()
}

fn numbers() -> Frozen<Numbers> {
    let built = RootsBuilder::new("numbers")
        .and_then(|roots| roots.map(Numbers::NAMES, names()))
        .and_then(|roots| roots.map(Numbers::SQUARES, squares()))
        .and_then(|roots| roots.map(Numbers::PORTS, [(22, 1), (80, 2), (443, 3)]))
        .and_then(|roots| roots.map(Numbers::NONE, BTreeMap::<u8, u8>::new()))
        .and_then(|roots| roots.map(Numbers::LAST, [("end".to_owned(), 9)]));
    built.unwrap().finish().unwrap()
}

fn assert_complete(numbers: &Numbers) {
    assert_eq!(numbers.names[&49], *"the name of number 49");
    for (number, square) in squares() {
        assert_eq!(numbers.squares[&number], square);
    }
    assert!(!numbers.squares.contains_key(&SQUARES));
    let iterated = numbers.squares.iter();
    let iterated: BTreeMap<u32, u64> = iterated
        .map(|(key, value)| (key.to_native(), value.to_native()))
        .collect();
    assert_eq!(iterated, squares());
    assert_eq!((numbers.ports.len(), numbers.ports[&443_u16]), (3, 3));
    assert!(numbers.none.is_empty() && numbers.none.get(&0).is_none());
    assert_eq!(numbers.last["end"], 9);
}

#[test]
fn entries_stand_in_slots_between_other_roots() {
    let frozen = numbers();
    assert_complete(&frozen);
    let reopened: Frozen<Numbers> =
        Frozen::from_fds(frozen.region().try_clone_fds().unwrap()).unwrap();
    assert_complete(&reopened);
}

#[test]
fn they_are_read_without_their_types() {
    let described = Described::of(&numbers()).unwrap();
    described.check().unwrap();
    let squares = described.named("squares").unwrap();
    assert_eq!(squares.entry_count(), Some(u64::from(SQUARES)));
    let json = serde_json::to_string(&squares.get("31").unwrap().unwrap());
    assert_eq!(json.unwrap(), "961");
    assert!(squares.get("1000").unwrap().is_none());
    let ports = described.named("ports").unwrap().root().unwrap();
    let ports: BTreeMap<String, u8> =
        serde_json::from_str(&serde_json::to_string(&ports).unwrap()).unwrap();
    let expected = [("22", 1), ("80", 2), ("443", 3)];
    assert_eq!(ports, expected.map(|(k, v)| (k.to_owned(), v)).into());
    let options = Options::default().threads(NonZero::<usize>::MIN);
    let census = Census::of(&described, &options).unwrap();
    assert_eq!(census.by_path.total().1, census.bytes);
}

/// Every entry that a walk meets is found by its key.
fn assert_consistent(numbers: &Numbers) {
    for (key, value) in numbers.squares.iter() {
        assert_eq!(numbers.squares.get(&key.to_native()), Some(value));
    }
    for (key, value) in numbers.ports.iter() {
        assert_eq!(numbers.ports.get(&key.to_native()), Some(value));
    }
    assert_eq!(numbers.squares.iter().count(), numbers.squares.len());
}

#[test]
fn damage_is_refused_or_found_by_all_readers_alike() {
    let honest = Forgery::of(&numbers());
    let (mut refused, mut read) = (0, 0);
    let lengths = honest.sections.iter().map(|(_, bytes)| bytes.len());
    for (section, length) in lengths.take(2).enumerate() {
        for place in (0..length).step_by(5) {
            let mut damaged = honest.clone();
            damaged.sections[section].1[place] ^= 0x11;
            match Frozen::<Numbers>::from_bytes(&damaged.bytes()) {
                Ok(numbers) => {
                    assert_consistent(&numbers);
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    // A number may have any bits.
    assert!(refused > 1000 && read > 100, "{refused} {read}");
}
