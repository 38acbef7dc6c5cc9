//! Lists of garbage that lie.

use std::collections::BTreeSet;

use floe::dynamic::Described;
use floe::{Frozen, MapBuilder};

use crate::forge::{Forgery, put_u32};
use crate::index::{ENTRIES, ENTRY, Numbers, UNIT, numbers, put_u64};
use crate::refusal::{assert_invalid_archive, assert_invalid_garbage, assert_invalid_index};

#[test]
fn garbage_that_is_none_and_none_that_is() {
    let mut builder = MapBuilder::<u64, String>::on_heap("garbage")
        .unwrap()
        .last_wins();
    for value in 0..8_u64 {
        builder.insert(&(value / 2), &value.to_string()).unwrap();
    }
    let frozen = builder.finish().unwrap();
    assert_eq!(frozen.garbage(), 4 * ENTRY as u64);
    for number in 0..8_u64 {
        let mut forged = Forgery::of(&frozen);
        let mut offsets: BTreeSet<u64> = (0..8).step_by(2).map(|it| it * ENTRY as u64).collect();
        assert_eq!(*forged.garbage(), list(&offsets));
        let offset = number * ENTRY as u64;
        if !offsets.remove(&offset) {
            offsets.insert(offset);
        }
        *forged.garbage() = list(&offsets);
        assert_invalid_index::<Numbers>(&forged.bytes());
        // With a count of garbage that agrees.
        let count = if number % 2 == 0 { 3 } else { 5 };
        put_u64(forged.index(), 24, count * ENTRY as u64);
        assert_invalid_index::<Numbers>(&forged.bytes());
    }
}

/// The bytes of a list of garbage.
fn list<'a>(offsets: impl IntoIterator<Item = &'a u64>) -> Vec<u8> {
    let offsets = offsets.into_iter();
    offsets.flat_map(|offset| offset.to_le_bytes()).collect()
}

#[test]
fn lists_of_garbage_that_lie() {
    let entry = ENTRY as u64;
    let end = (ENTRIES * ENTRY) as u64;
    for (offsets, answer) in [
        (vec![entry, entry], "do not ascend"),
        (vec![2 * entry, entry], "do not ascend"),
        (vec![4], "where no entry starts"),
        (vec![end], "where no entry starts"),
        (vec![u64::MAX], "where no entry starts"),
    ] {
        let mut forged = numbers();
        *forged.garbage() = list(&offsets);
        let reason = assert_invalid_garbage::<Numbers>(&forged.bytes());
        assert!(reason.contains(answer), "{offsets:?}: {reason}");
        let described = Described::from_bytes(&forged.bytes());
        assert!(described.and_then(|it| it.check()).is_err(), "{offsets:?}");
    }
    let mut torn = numbers();
    *torn.garbage() = vec![0; 7];
    let reason = assert_invalid_garbage::<Numbers>(&torn.bytes());
    assert!(reason.contains("multiple of 8"), "{reason}");
}

/// What follows an entry is aligned, be it garbage: readers and copies of the whole archive rely on
/// it.
#[test]
fn garbage_that_leaves_what_follows_unaligned() {
    let garbage = |units: usize| {
        let mut forged = numbers();
        let place = forged.archive().len();
        let length = units * UNIT;
        forged.archive().resize(place + length, 0);
        put_u32(forged.archive(), place, units as u32);
        *forged.garbage() = list(&[place as u64]);
        put_u64(forged.index(), 24, length as u64);
        forged.bytes()
    };
    let frozen = Frozen::<Numbers>::from_bytes(&garbage(8)).unwrap();
    assert_eq!(frozen.len(), ENTRIES);
    let reason = assert_invalid_archive::<Numbers>(&garbage(7));
    assert!(reason.contains("not a multiple of 8"), "{reason}");
    let described = Described::from_bytes(&garbage(7)).unwrap();
    let refused = described.check().unwrap_err().to_string();
    assert!(refused.contains("not aligned to 8"), "{refused}");
}
