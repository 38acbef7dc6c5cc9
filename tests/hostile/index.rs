//! Maps whose digests are right and whose index or entries lie.

use floe::error::HeaderError;
use floe::{Error, Frozen, Key, Map, MapBuilder};

use crate::alone::alone;
use crate::forge::{Forgery, INDEX, point, put_u32};
use crate::refusal::{assert_invalid_archive, assert_invalid_index, refused};
use crate::sign::u64_at;

/// Entries that lines lead to: texts of up to eight bytes lie in their values.
pub(crate) type Numbers = Map<u64, String>;

/// Bytes of the index before its lines.
const HEADER: usize = 64;
/// A line: ten tags, the overflow mark, three zeros, ten offsets of five bytes.
const LINE: usize = 64;
const LINE_SLOTS: usize = 10;
const MARK: usize = 10;
/// Offsets, and lengths of entries, are counted in these.
pub(crate) const UNIT: usize = 4;
/// An entry of `Numbers`: header of 4 bytes, key at 8, value at 16.
pub(crate) const ENTRY: usize = 24;
pub(crate) const ENTRIES: usize = 8;
const LINES: usize = 2;

/// Eight entries in two lines.
pub(crate) fn numbers() -> Forgery {
    let pairs = (0..ENTRIES as u64).map(|n| (n * 7907, n.to_string()));
    Forgery::of(&Numbers::freeze("numbers", pairs).unwrap())
}

/// The tag and the offset in a slot, counted over all lines.
type Slot = (u8, u64);

fn places(slot: usize) -> (usize, usize) {
    let line = HEADER + slot / LINE_SLOTS * LINE;
    let number = slot % LINE_SLOTS;
    (line + number, line + 14 + number * 5)
}

fn slot(index: &[u8], number: usize) -> Slot {
    let (tag, offset) = places(number);
    let mut word = [0; 8];
    word[..5].copy_from_slice(&index[offset..][..5]);
    (index[tag], u64::from_le_bytes(word) * UNIT as u64)
}

fn put_slot(index: &mut [u8], number: usize, slot: Slot) {
    let (tag, offset) = places(number);
    index[tag] = slot.0;
    let word = (slot.1 / UNIT as u64).to_le_bytes();
    index[offset..][..5].copy_from_slice(&word[..5]);
}

pub(crate) fn put_u64(bytes: &mut [u8], place: usize, value: u64) {
    bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
}

fn slots(index: &[u8]) -> impl Iterator<Item = usize> + use<> {
    0..(index.len() - HEADER) / LINE * LINE_SLOTS
}

/// Numbers of the slots that are taken.
fn taken(index: &[u8]) -> Vec<usize> {
    slots(index)
        .filter(|number| slot(index, *number).0 != 0)
        .collect()
}

fn empty(index: &[u8]) -> Vec<usize> {
    slots(index)
        .filter(|number| slot(index, *number).0 == 0)
        .collect()
}

#[track_caller]
fn refuses_index(edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut forged = numbers();
    edit(forged.index());
    assert_invalid_index::<Numbers>(&forged.bytes())
}

#[track_caller]
fn refuses_archive(edit: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut forged = numbers();
    edit(forged.archive());
    assert_invalid_archive::<Numbers>(&forged.bytes())
}

#[test]
fn the_forgeries_start_from_a_valid_map() {
    let mut forged = numbers();
    assert_eq!(forged.archive().len(), ENTRIES * ENTRY);
    assert_eq!(forged.index().len(), HEADER + LINES * LINE);
    let found = taken(forged.index());
    let mut offsets: Vec<u64> = found.iter().map(|it| slot(forged.index(), *it).1).collect();
    offsets.sort_unstable();
    assert!(
        offsets
            .iter()
            .enumerate()
            .all(|(n, offset)| *offset == (n * ENTRY) as u64)
    );
    let frozen = Frozen::<Numbers>::from_bytes(&forged.bytes()).unwrap();
    assert!(
        frozen
            .iter()
            .enumerate()
            .all(|(n, (_, value))| value.as_str() == n.to_string())
    );
}

#[test]
fn slots_that_lead_to_no_entry() {
    let end = (ENTRIES * ENTRY) as u64;
    // Nowhere, just behind the last entry, the middle of an entry.
    for offset in [(1 << 42) - 4, 1 << 41, 1 << 32, end, end + 8, 16, 40, 4, 8] {
        for number in taken(numbers().index()) {
            refuses_index(|index| {
                let (tag, _) = slot(index, number);
                put_slot(index, number, (tag, offset));
            });
        }
    }
}

/// What an honest writer leaves zero is zero.
#[test]
fn empty_slots_with_an_offset() {
    for number in empty(numbers().index()) {
        for offset in [4, ENTRY as u64, 1 << 32, (1 << 42) - 4] {
            refuses_index(|index| put_slot(index, number, (0, offset)));
        }
    }
    for padding in MARK + 1..14 {
        refuses_index(|index| index[HEADER + padding] = 1);
    }
}

/// Searches for tag 1, the only one that differs from that of empty slots in the lowest bit.
///
/// The entry at offset 0, to which empty slots seem to lead, is garbage here that was never
/// checked: its key is a pointer out of the archive.
#[test]
fn searches_look_at_no_empty_slot() {
    alone(
        "index::searches_look_at_no_empty_slot",
        search_beside_empty_slots,
    );
}

fn search_beside_empty_slots() {
    let mut keys = (0..).map(|n| format!("a key that is not inline {n}"));
    let mut with_tag_1 = keys.by_ref().filter(|key| key.key_hash() as u8 <= 1);
    let (live, absent) = (with_tag_1.next().unwrap(), with_tag_1.next().unwrap());
    let mut builder = MapBuilder::<String, u64>::on_heap("tags")
        .unwrap()
        .last_wins();
    for value in 0..2 {
        builder
            .insert(&"a key that is replaced".to_owned(), &value)
            .unwrap();
    }
    builder.insert(&live, &7).unwrap();
    let mut forged = Forgery::of(&builder.finish().unwrap());
    assert_eq!(forged.index().len(), HEADER + LINE);
    assert_eq!(*forged.garbage(), [0; 8], "the first entry is garbage");
    let archive = forged.archive();
    // Behind the header of the entry, the key: a long text at the other end of memory.
    put_u32(archive, 4, 0x80 | absent.len() as u32);
    put_u32(archive, 8, 0x7fff_0000);
    let frozen = Frozen::<Map<String, u64>>::from_bytes(&forged.bytes()).unwrap();
    assert_eq!(frozen[&live], 7);
    assert!(frozen.get(&absent).is_none());
    assert!(frozen.get_many([&absent]).all(|found| found.is_none()));
}

#[test]
fn all_slots_lead_to_one_entry() {
    for number in taken(numbers().index()) {
        refuses_index(|index| {
            let only = slot(index, number);
            taken(index)
                .into_iter()
                .for_each(|other| put_slot(index, other, only));
        });
    }
}

#[test]
fn no_search_ends() {
    refuses_index(|index| (0..LINES).for_each(|line| index[HEADER + line * LINE + MARK] = 1));
    refuses_index(|index| {
        let only = slot(index, taken(index)[0]);
        empty(index)
            .into_iter()
            .for_each(|other| put_slot(index, other, only));
    });
    // With a header that agrees.
    refuses_index(|index| {
        let only = slot(index, taken(index)[0]);
        empty(index)
            .into_iter()
            .for_each(|other| put_slot(index, other, only));
        put_u64(index, 8, (LINES * LINE_SLOTS) as u64);
    });
    refuses_index(|index| index[HEADER..].fill(0xff));
}

#[test]
fn a_slot_too_many_and_one_too_few() {
    refuses_index(|index| {
        let (lost, place) = (slot(index, taken(index)[0]), empty(index)[0]);
        put_slot(index, place, lost);
    });
    for number in taken(numbers().index()) {
        refuses_index(|index| put_slot(index, number, (0, 0)));
    }
    refuses_index(|index| index[HEADER..].fill(0));
}

#[test]
fn tags_that_are_not_of_the_key() {
    for bit in 0..8 {
        for number in taken(numbers().index()) {
            refuses_index(|index| {
                let (tag, offset) = slot(index, number);
                put_slot(index, number, (tag ^ (1 << bit), offset));
            });
        }
    }
}

/// Whatever the order of the slots: a map is refused, or every key is found.
#[test]
fn swapped_slots() {
    let (mut accepted, mut refused) = (0, 0);
    for left in slots(numbers().index()) {
        for right in 0..left {
            let mut forged = numbers();
            let index = forged.index();
            let (first, second) = (slot(index, left), slot(index, right));
            put_slot(index, left, second);
            put_slot(index, right, first);
            match Frozen::<Numbers>::from_bytes(&forged.bytes()) {
                Ok(frozen) => {
                    accepted += 1;
                    assert!((0..ENTRIES as u64).all(|n| *frozen[&(n * 7907)] == *n.to_string()));
                }
                Err(_) => {
                    refused += 1;
                    assert_invalid_index::<Numbers>(&forged.bytes());
                }
            }
        }
    }
    // Within a line the order does not count; across lines it does.
    assert!(accepted > 0 && refused > 0);
}

#[test]
fn a_head_that_lies() {
    for (place, value) in [
        // Hash id and the zeros behind it; number of entries.
        (0, 0),
        (0, 1 << 32 | 2),
        (0, u64::MAX),
        (8, 0),
        (8, 7),
        (8, 9),
        (8, 20),
        (8, u64::MAX),
        // Number of lines.
        (16, 0),
        (16, 1),
        (16, 3),
        (16, 1 << 58),
        (16, 1 << 58 | 2),
        (16, u64::MAX),
        // Bytes of garbage, and the zeros at the end.
        (24, ENTRY as u64),
        (24, u64::MAX),
        (32, 1),
        (56, 1 << 56),
    ] {
        refuses_index(|index| put_u64(index, place, value));
    }
    // Another hash function, whichever this one is.
    refuses_index(|index| index[0] += 1);
}

#[test]
fn an_index_of_another_length() {
    for length in [
        0,
        1,
        HEADER - 1,
        HEADER,
        HEADER + 8,
        HEADER + LINE,
        HEADER + LINES * LINE - 1,
    ] {
        refuses_index(|index| index.truncate(length));
    }
    for more in [1, 8, LINE] {
        refuses_index(|index| index.resize(index.len() + more, 0));
    }
    // Fewer lines, and a header that says so.
    for lines in 0..LINES {
        refuses_index(|index| {
            index.truncate(HEADER + lines * LINE);
            put_u64(index, 16, lines as u64);
        });
    }
    let mut without = numbers();
    without.sections.retain(|(kind, _)| *kind != INDEX);
    assert!(matches!(
        refused::<Numbers>(&without.bytes()),
        Error::Header(HeaderError::MissingSection { .. })
    ));
}

#[test]
fn entries_of_wrong_lengths() {
    let units = (ENTRY / UNIT) as u32;
    for number in 0..ENTRIES {
        // None, a part of the entry, one that leaves the next unaligned, one beyond the end.
        for length in [0, 1, units - 1, units + 1, units * 9, (1 << 31) - 1] {
            refuses_archive(|archive| put_u32(archive, number * ENTRY, length));
        }
    }
    // The last entry swallowed is noticed by the index, which leads to it.
    for number in 0..ENTRIES - 1 {
        let mut forged = numbers();
        put_u32(forged.archive(), number * ENTRY, units * 2);
        assert_invalid_index::<Numbers>(&forged.bytes());
    }
    for length in [ENTRIES * ENTRY - 1, ENTRIES * ENTRY - 16, 7 * ENTRY + 3] {
        refuses_archive(|archive| archive.truncate(length));
    }
    for more in [1, 3, 4, 16] {
        refuses_archive(|archive| archive.resize(archive.len() + more, 0));
    }
}

#[test]
fn entries_without_index_and_index_without_entries() {
    let mut forged = numbers();
    forged.archive().truncate(7 * ENTRY);
    assert_invalid_index::<Numbers>(&forged.bytes());
    forged.archive().clear();
    assert_invalid_index::<Numbers>(&forged.bytes());
    let mut forged = numbers();
    let first = forged.archive()[..ENTRY].to_vec();
    forged.archive().extend_from_slice(&first);
    assert_invalid_index::<Numbers>(&forged.bytes());
}

/// Marks on lines that are not full would make every miss search the whole table.
#[test]
fn lines_that_lead_on_without_being_full() {
    const COUNT: u64 = 20_000;
    let mut builder = MapBuilder::<u64, String>::on_heap("search").unwrap();
    (0..COUNT).for_each(|n| builder.insert(&n, &n.to_string()).unwrap());
    let mut forged = Forgery::of(&builder.finish().unwrap());
    let index = forged.index();
    let mut entries: Vec<Slot> = taken(index).into_iter().map(|it| slot(index, it)).collect();
    // All entries move to the last lines, and all lines but the last lead on to them.
    let count = slots(index).count();
    index[HEADER..].fill(0);
    for line in 0..count / LINE_SLOTS - 1 {
        index[HEADER + line * LINE + MARK] = 1;
    }
    for number in (0..count).rev() {
        put_slot(index, number, entries.pop().unwrap_or_default());
    }
    let reason = assert_invalid_index::<Numbers>(&forged.bytes());
    assert!(reason.contains("overflows that is not full"), "{reason}");
}

/// A key that was changed has another hash, and is not found where it was.
#[test]
fn keys_that_were_changed() {
    for number in 0..ENTRIES {
        let mut forged = numbers();
        let key = u64_at(forged.archive(), number * ENTRY + 8);
        put_u64(forged.archive(), number * ENTRY + 8, key + 1);
        assert_ne!((key + 1).key_hash(), key.key_hash());
        assert_invalid_index::<Numbers>(&forged.bytes());
    }
}

#[test]
fn invalid_keys_and_values_are_reported_with_their_entry() {
    let text = "ä text of some length".to_owned();
    let spoilt = |mut forged: Forgery| {
        let umlaut = |it: &[u8]| it == "ä".as_bytes();
        let place = forged.archive().windows(2).position(umlaut);
        forged.archive()[place.unwrap()] = 0xff;
        forged.bytes()
    };
    let values = Map::freeze("values", [(1_u32, text.clone())]).unwrap();
    let bytes = spoilt(Forgery::of(&values));
    let reason = assert_invalid_archive::<Map<u32, String>>(&bytes);
    assert!(reason.starts_with("entry at offset 0: value: "), "{reason}");
    let keys = Map::freeze("keys", [(text, 1_u32)]).unwrap();
    let bytes = spoilt(Forgery::of(&keys));
    let reason = assert_invalid_archive::<Map<String, u32>>(&bytes);
    assert!(reason.starts_with("entry at offset 0: key: "), "{reason}");
}

/// Heads change when entries are carried over into the next generation, so that no value may have
/// bytes of one; nor of an entry that is checked later.
#[test]
fn values_that_reach_into_other_entries() {
    type Texts = Map<u64, Vec<u8>>;
    // Head of 4 bytes, key at 8, pointer at 16 and length at 20, eight bytes of the value.
    const ENTRY: usize = 32;
    const VALUE: usize = 16;
    let honest = Texts::freeze("texts", [0, 1, 2].map(|n| (n, vec![n as u8; 8]))).unwrap();
    let pointing = |target: usize, length: u32| {
        let mut forged = Forgery::of(&honest);
        let archive = forged.archive();
        assert_eq!(archive.len(), 3 * ENTRY);
        point(archive, ENTRY + VALUE, target as i64);
        put_u32(archive, ENTRY + VALUE + 4, length);
        forged.bytes()
    };
    for (target, length) in [
        (0, 1),
        (3, 2),
        (4, 28),
        (24, 8),
        (ENTRY - 1, 2),
        (24, 16),
        (2 * ENTRY - 1, 2),
        (2 * ENTRY, 1),
        (2 * ENTRY + 24, 8),
    ] {
        let reason = assert_invalid_archive::<Texts>(&pointing(target, length));
        assert!(
            reason.contains("out of its entry"),
            "{target} {length}: {reason}"
        );
    }
    // What lies in its own entry harms nobody.
    let frozen = Frozen::<Texts>::from_bytes(&pointing(ENTRY, 32)).unwrap();
    assert_eq!(frozen[&1].len(), 32);
}
