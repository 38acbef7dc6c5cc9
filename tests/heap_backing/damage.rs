//! Bytes that are not what was frozen: damage is refused, and lies are refused or harmless.

use std::fmt::Debug;

use floe::{Content, Frozen, Intern, Map, MapBuilder, Schema};
use floe_testkit::forge::Forgery;
use rkyv::{Archive, Serialize};

#[derive(Clone, Archive, Serialize)]
#[rkyv(derive(Debug, Schema))]
struct Part {
    texts: Vec<String>,
    #[rkyv(with = Intern)]
    license: String,
    number: Option<u16>,
}

fn part(number: u16) -> Part {
    Part {
        texts: vec!["inline".to_owned(), format!("a text behind {number}")],
        license: "a license that is shared".to_owned(),
        number: Some(number),
    }
}

fn parts() -> Frozen<Vec<Part>> {
    Frozen::freeze_on_heap("parts", &vec![part(1), part(2)]).unwrap()
}

fn map() -> Frozen<Map<String, Part>> {
    let mut builder = MapBuilder::on_heap("map").unwrap().last_wins();
    for number in [1, 2, 1] {
        let key = format!("a key that is not inline {number}");
        builder.insert(&key, &part(number)).unwrap();
    }
    builder.finish().unwrap()
}

/// All numbers below an end; for an interpreter, one of so many, which is a prime number.
fn numbers(end: usize, one_of: usize) -> impl Iterator<Item = usize> {
    let step = if cfg!(miri) { one_of } else { 1 };
    (0..end).step_by(step)
}

fn each_byte_counts<T: Content>(frozen: &Frozen<T>) {
    let whole = frozen.region().bytes();
    for place in numbers(whole.len(), 139) {
        let mut damaged = whole.to_vec();
        damaged[place] ^= 0x10;
        assert!(Frozen::<T>::from_bytes(&damaged).is_err(), "{place}");
        assert!(Frozen::<T>::from_bytes(&whole[..place]).is_err(), "{place}");
    }
}

#[test]
fn damaged_bytes_are_refused() {
    each_byte_counts(&parts());
    each_byte_counts(&map());
}

/// Reads whatever is accepted of a region with a change in each byte of one section, and right
/// digests; returns how many were refused.
fn lie<T: Content>(honest: &Forgery, section: usize, read: impl Fn(&Frozen<T>)) -> usize {
    let opened = |place: usize, change: u8| {
        let mut forged = honest.clone();
        forged.sections[section].1[place] ^= change;
        Frozen::<T>::from_bytes(&forged.bytes())
    };
    let length = honest.sections[section].1.len();
    let lies = numbers(2 * length, 53).map(|lie| (lie / 2, [1, 0x80][lie % 2]));
    lies.map(|(place, change)| opened(place, change))
        .map(|opened| opened.map(|frozen| read(&frozen)))
        .filter(Result::is_err)
        .count()
}

/// Looks at every byte that a value shows.
fn read_all(value: &impl Debug) {
    assert!(!format!("{value:?}").is_empty());
}

#[test]
fn lies_of_an_archive_are_refused_or_harmless() {
    let read = |frozen: &Frozen<Vec<Part>>| read_all(&frozen.as_slice());
    assert!(lie(&Forgery::of(&parts()), 0, read) > 0);
}

#[test]
fn lies_of_a_map_are_refused_or_harmless() {
    let read = |map: &Frozen<Map<String, Part>>| {
        for (key, value) in map.iter() {
            read_all(&(key, value, map.get(key.as_str()).is_some()));
        }
    };
    let honest = Forgery::of(&map());
    for section in 0..2 {
        assert!(lie(&honest, section, read) > 0);
    }
}
