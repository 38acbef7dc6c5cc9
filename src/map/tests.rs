//! Entries by offsets from anywhere, and entries that are handed to the wrong map.
#![forbid(unsafe_code)]

mod small;

use std::collections::HashSet;

use rkyv::rancor::{Fallible, Source};
use rkyv::ser::Writer;
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::with::{ArchiveWith, Identity, SerializeWith};
use rkyv::{Archive, Place, Serialize, SerializeUnsized};

use super::{EntryRef, Key, Map, MapBuilder, MapKey};
use crate::archive::Value;
use crate::archive::intern::{Intern, Interned, InternedResolver};
use crate::error::Error;
use crate::frozen::Frozen;
use crate::region::{Backing, Label};

fn freeze<K: MapKey, V: Value>(pairs: impl IntoIterator<Item = (K, V)>) -> Frozen<Map<K, V>> {
    let mut builder = MapBuilder::on_heap("entries").unwrap().last_wins();
    for (key, value) in pairs {
        builder.insert(&key, &value).unwrap();
    }
    builder.finish().unwrap()
}

/// So many entries, or a tenth of them for an interpreter.
fn count(entries: u64) -> u64 {
    if cfg!(miri) { entries / 10 } else { entries }
}

/// Every offset of the archive, some behind its end, and the ends of numbers.
fn offsets<K: MapKey, V: Value>(map: &Frozen<Map<K, V>>) -> impl Iterator<Item = u64> {
    let far = [1 << 31, 1 << 40, 1 << 42, 1 << 63, u64::MAX];
    let near = |offset: u64| (0..64).map(move |less| offset - less);
    (0..map.archive().len() as u64 + 256).chain(far.into_iter().flat_map(near))
}

/// Whether exactly the offsets of the entries of a map lead to its entries.
fn has_no_others<K: MapKey, V: Value>(map: &Frozen<Map<K, V>>) -> bool {
    let mut entries = map.entries().peekable();
    offsets(map).all(|offset| {
        let expected = entries.next_if(|entry| entry.offset() == offset);
        map.entry_at(offset) == expected
    })
}

/// Bytes that have a key at every place.
fn lying_value(key: u64) -> [u8; 48] {
    let bytes = key.to_le_bytes();
    std::array::from_fn(|at| bytes[at % 8])
}

#[test]
fn offsets_within_entries_lead_to_nothing() {
    let entries = count(100);
    let map = freeze((0..entries).map(|key| (key, lying_value(entries - 1 - key))));
    assert_eq!(map.entries().count() as u64, entries);
    assert!(has_no_others(&map));
}

#[test]
fn replaced_entries_are_not_there() {
    let left = count(60);
    let pairs = (0..count(100)).map(|key| (key % left, lying_value(key)));
    let map = freeze(pairs);
    assert_eq!(map.entries().count() as u64, left);
    assert!(map.garbage() > 0 && has_no_others(&map));
}

#[test]
fn offsets_between_texts_lead_to_nothing() {
    let text = |number: u64| format!("a text of more than eight bytes, number {number}");
    let map = freeze((0..count(50)).map(|number| (text(number), vec![text(number); 3])));
    assert!(has_no_others(&map));
    assert!(has_no_others(&freeze::<String, u8>([])));
}

/// A text that is written once.
struct Shared(String);

impl Archive for Shared {
    type Archived = Interned<ArchivedString>;
    type Resolver = InternedResolver;

    fn resolve(&self, resolver: InternedResolver, out: Place<Self::Archived>) {
        Intern::<Identity>::resolve_with(&self.0, resolver, out);
    }
}

impl<S: Fallible + ?Sized> Serialize<S> for Shared
where
    Intern: SerializeWith<String, S, Resolver = InternedResolver>,
{
    fn serialize(&self, serializer: &mut S) -> Result<InternedResolver, S::Error> {
        Intern::<Identity>::serialize_with(&self.0, serializer)
    }
}

impl Key for Shared {
    fn key_hash(&self) -> u64 {
        self.0.key_hash()
    }
}

#[test]
fn keys_whose_text_is_in_another_entry_are_found() {
    let text = |number| {
        Shared(format!(
            "a text that is a value and then a key, number {number}"
        ))
    };
    let entries = count(50);
    let map = freeze((0..entries).map(|number| (text(number), text(number + 1))));
    assert!((map.archive().len() as u64) < (entries + 1) * 70);
    assert!(has_no_others(&map));
}

/// The next generation of a map, without some entries.
fn carry(
    map: &Frozen<Map<u64, String>>,
    going: &HashSet<EntryRef<'_, u64, String>>,
) -> Frozen<Map<u64, String>> {
    let label = Label::first("entries").unwrap();
    let mut builder = MapBuilder::next_generation(label, Backing::Heap).unwrap();
    builder.insert(&1000, &1000.to_string()).unwrap();
    builder.carry(map, going, |_| Vec::new()).unwrap()
}

#[test]
fn entries_that_went_are_not_there() {
    let entries = count(100);
    let map = freeze((0..entries).map(|key| (key, key.to_string())));
    let going: HashSet<_> = map.entries().filter(|it| it.offset() % 3 == 0).collect();
    let next = carry(&map, &going);
    assert_eq!(next.len(), entries as usize + 1 - going.len());
    assert!(next.garbage() > 0 && has_no_others(&next));
    assert!(
        next.region().fds().is_none(),
        "it is on the heap, as its builder"
    );
}

#[test]
fn entries_of_another_map_do_not_go() {
    let entries = count(100);
    let [map, other] = [1, 2].map(|value| freeze((0..entries).map(|key| (key, value.to_string()))));
    let going: HashSet<_> = other.entries().collect();
    let next = carry(&map, &going);
    assert_eq!((next.len() as u64, next.garbage()), (entries + 1, 0));
    // Those of another handle on the same generation are the same entries.
    let clone = map.clone();
    let going: HashSet<_> = clone.entries().collect();
    let next = carry(&map, &going);
    assert_eq!((next.len(), next[&1000].as_str()), (1, "1000"));
}

#[test]
fn a_generation_that_outgrows_its_index_has_a_new_one() {
    let map = freeze((0..6_u64).map(|key| (key, key.to_string())));
    let going: HashSet<_> = map.entries().take(2).collect();
    let fresh = || {
        let label = Label::first("entries").unwrap();
        let mut builder = MapBuilder::next_generation(label, Backing::Heap).unwrap();
        for key in 10..20_u64 {
            builder.insert(&key, &key.to_string()).unwrap();
        }
        builder
    };
    let carried = fresh().carry(&map, &going, |_| Vec::new()).unwrap();
    let compacted = fresh().compact(&map, &going, |_| Vec::new()).unwrap();
    assert!(carried.lines().len() > map.lines().len());
    assert!(carried.garbage() > 0 && compacted.garbage() == 0);
    for next in [carried, compacted] {
        assert!(next.keys().eq(&(2..6).chain(10..20).collect::<Vec<u64>>()));
        assert!(has_no_others(&next) && next.region().fds().is_none());
    }
}

#[test]
fn entries_that_were_checked_elsewhere_stand_between_others() {
    let text = |key: u64| format!("a text of more than eight bytes, number {key}");
    let map = freeze((0..10).map(|key| (key, text(key))));
    let mut builder = MapBuilder::on_heap("entries").unwrap();
    for (entry, key) in map.entries().zip(10..) {
        builder.copy(entry).unwrap();
        builder.insert(&key, &text(key)).unwrap();
    }
    let next = builder.finish().unwrap();
    assert!((0..20).all(|key| next[&key] == *text(key)) && has_no_others(&next));
}

/// Serialises one text and resolves another.
struct Told {
    said: &'static str,
    meant: &'static str,
}

impl Archive for Told {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(self.meant, resolver, out);
    }
}

impl<S: Fallible<Error: Source> + Writer + ?Sized> Serialize<S> for Told
where
    str: SerializeUnsized<S>,
{
    fn serialize(&self, serializer: &mut S) -> Result<StringResolver, S::Error> {
        ArchivedString::serialize_from_str(self.said, serializer)
    }
}

#[test]
fn entries_before_one_that_is_copied_are_checked() {
    let [said, meant] = ["what is serialised", "what is said to be, which is longer"];
    let map = freeze([(1_u64, Told { said, meant: said })]);
    let mut builder = MapBuilder::<u64, Told>::on_heap("entries").unwrap();
    builder.insert(&2, &Told { said, meant }).unwrap();
    let copied = builder.copy(map.entries().next().unwrap());
    let finished = copied.and_then(|()| builder.finish());
    assert!(matches!(finished, Err(Error::Invalid { .. })));
}

#[test]
#[should_panic(expected = "points to others")]
fn entries_that_share_are_not_copied_alone() {
    let shared = || Shared("a text that is written once".to_owned());
    let map = freeze([(shared(), shared())]);
    let mut builder = MapBuilder::<Shared, Shared>::on_heap("entries").unwrap();
    let _ = builder.copy(map.entries().next().unwrap());
}
