//! Bytes that are no values are refused, in bounded time.

use floe::dynamic::Described;
use floe::value::{AsValue, ToValue, Value, WriteError, Writer, Written};
use floe::{Frozen, MapBuilder, Result};
use floe_testkit::forge::Forgery;

use super::read::read_everything;

pub const INTEGER: u32 = 1;
pub const TEXT: u32 = 2;
pub const LIST: u32 = 3;
pub const TUPLE: u32 = 4;
pub const DICT: u32 = 5;
pub const SET: u32 = 6;
pub const OTHER: u32 = 7;
pub const TRUE: u32 = 2 << 3;

/// An archive that is written by hand: 32-bit words, the last one the root.
#[derive(Default, Clone)]
pub struct Words(pub Vec<u32>);

impl Words {
    /// Adds words; returns the number of the first.
    pub fn add(&mut self, words: &[u32]) -> usize {
        self.0.extend_from_slice(words);
        self.0.len() - words.len()
    }

    /// The word that stands `ahead` words behind the end and leads to one of a number.
    pub fn to(&self, tag: u32, ahead: usize, target: usize) -> u32 {
        let distance = target as i32 - (self.0.len() + ahead) as i32;
        (distance as u32) << 3 | tag
    }

    pub fn text(&mut self, text: &str) -> usize {
        let ascii = u32::from(text.is_ascii());
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = bytes.as_chunks().0.iter().map(|it| u32::from_le_bytes(*it));
        let start = self.add(&[(text.len() as u32) << 4 | ascii << 3 | TEXT]);
        self.0.extend(words);
        start
    }

    /// What reading these words says, without and with the type.
    pub fn read(&self) -> Result<Value> {
        read(self.0.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    pub fn refused(&self) -> String {
        self.read().unwrap_err().to_string()
    }
}

pub fn read(archive: Vec<u8>) -> Result<Value> {
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = archive;
    let frozen = Frozen::<Value>::from_bytes(&forged.bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), forged.bytes()).unwrap();
    let described = Described::load(file.path()).and_then(|it| it.check());
    assert_eq!(
        frozen.is_ok(),
        described.is_ok(),
        "{frozen:?} {described:?}"
    );
    frozen.and_then(|frozen| frozen.to_value())
}

#[test]
fn honest_words_are_read() {
    let mut words = Words::default();
    let (key, other) = (words.text("a"), words.text("bb"));
    let list = [2 << 3 | LIST, words.to(TEXT, 1, other), 7 << 3 | INTEGER];
    let list = words.add(&list);
    let shape = [1 << 3, 0, words.to(TEXT, 2, key), tag_of("a"), 0];
    let shape = words.add(&shape);
    let dict = [words.to(DICT, 0, shape), words.to(LIST, 1, list)];
    let dict = words.add(&dict);
    words.add(&[words.to(DICT, 0, dict)]);
    let list = Value::list([Value::from("bb"), Value::from(7)]);
    let read = words.read().unwrap();
    let frozen = Frozen::freeze("v", &Value::dict([("a", list)])).unwrap();
    assert_eq!(*frozen, read);
}

pub fn tag_of(key: &str) -> u32 {
    use floe::Key;
    (key.key_hash() as u8).max(1).into()
}

#[test]
fn pointers_out_of_the_archive_are_refused() {
    for distance in [1_i32, 2, 1000, (1 << 28) - 1, -1, -2, -1000, -(1 << 28)] {
        for tag in [TEXT, LIST, TUPLE, DICT, SET, OTHER] {
            let mut words = Words::default();
            words.add(&[(distance as u32) << 3 | tag]);
            let told = words.refused();
            assert!(told.contains("leads out of the archive"), "{told}");
        }
    }
}

#[test]
fn lengths_beyond_the_archive_are_refused() {
    for tag in [TEXT, LIST, TUPLE] {
        for length in [3_u32, 1 << 20, (1 << 29) - 1] {
            let mut words = Words::default();
            let start = words.add(&[length << 3 | tag | 8]);
            words.add(&[words.to(tag, 0, start)]);
            words.refused();
        }
    }
    for kind in 2..8 {
        for length in [5, 1 << 20, u32::MAX] {
            let mut words = Words::default();
            let start = words.add(&[kind << 3 | OTHER, length]);
            words.add(&[words.to(OTHER, 0, start)]);
            words.refused();
        }
    }
    let mut words = Words::default();
    let shape = words.add(&[((1 << 29) - 1) << 3, 0]);
    let dict = words.add(&[words.to(DICT, 0, shape)]);
    words.add(&[words.to(DICT, 0, dict)]);
    words.refused();
}

#[test]
fn words_lead_to_what_they_say() {
    let mut words = Words::default();
    let text = words.text("text");
    for tag in [LIST, TUPLE, DICT, SET, OTHER] {
        let mut words = words.clone();
        words.add(&[words.to(tag, 0, text)]);
        assert!(
            words.refused().contains("something else"),
            "{}",
            words.refused()
        );
    }
    // Into the middle of it.
    words.add(&[words.to(TEXT, 0, text + 1)]);
    words.refused();
}

#[test]
fn values_that_contain_themselves_are_refused() {
    for tag in [LIST, TUPLE] {
        let mut words = Words::default();
        let start = words.add(&[1 << 3 | tag, words.to(tag, 1, 0)]);
        words.add(&[words.to(tag, 0, start)]);
        assert!(words.refused().contains("forwards"), "{}", words.refused());
    }
    let mut words = Words::default();
    let shape = words.add(&[0, 0, 0, 0]);
    let dict = words.add(&[words.to(DICT, 0, shape)]);
    words.0[shape] = 1 << 3;
    words.0.insert(shape + 2, (2_u32 << 3) | TUPLE);
    words.0[dict + 1] = words.0[dict].wrapping_sub(8);
    words.add(&[words.to(DICT, 0, dict + 1)]);
    words.refused();
}

#[test]
fn constants_and_kinds_of_later_versions_are_refused() {
    for payload in [3_u32, 4, 1 << 20] {
        let mut words = Words::default();
        words.add(&[payload << 3]);
        words.refused();
    }
    let mut words = Words::default();
    let start = words.add(&[7 << 3 | OTHER, 0, 0]);
    words.add(&[words.to(OTHER, 0, start)]);
    words.refused();
}

#[test]
fn texts_are_what_they_say() {
    let text = |head: u32, bytes: [u8; 4]| {
        let mut words = Words::default();
        let start = words.add(&[head, u32::from_le_bytes(bytes)]);
        words.add(&[words.to(TEXT, 0, start)]);
        words.read()
    };
    let (plain, ascii) = (4 << 4 | TEXT, 4 << 4 | 8 | TEXT);
    assert!(text(ascii, *b"text").is_ok());
    assert!(text(plain, *b"text").is_err());
    assert!(text(ascii, [b'a', b'b', 0xc3, 0xa4]).is_err());
    assert!(text(plain, [b'a', b'b', 0xc3, 0xa4]).is_ok());
    assert!(text(plain, [b'a', b'b', b'c', 0xc3]).is_err());
    // A surrogate has a kind of its own, which is for nothing else.
    assert!(text(plain, [b'a', 0xed, 0xa0, 0x80]).is_err());
    let surrogates = |length: u32, bytes: [u8; 4]| {
        let mut words = Words::default();
        let start = words.add(&[4 << 3 | OTHER, length, u32::from_le_bytes(bytes)]);
        words.add(&[words.to(OTHER, 0, start)]);
        words.read()
    };
    assert!(surrogates(4, [b'a', 0xed, 0xa0, 0x80]).is_ok());
    assert!(surrogates(3, [b'a', 0xed, 0xa0, 0x80]).is_err());
    assert!(surrogates(4, *b"text").is_err());
}

#[test]
fn numbers_have_one_form() {
    let long = |number: i64| {
        let mut words = Words::default();
        let [low, high] = [number as u32, (number >> 32) as u32];
        let start = words.add(&[1 << 3 | OTHER, low, high]);
        words.add(&[words.to(OTHER, 0, start)]);
        words.read()
    };
    assert!(long(1 << 28).is_ok());
    assert!(long((1 << 28) - 1).is_err());
    let big = |length: u32, last: u32| {
        let mut words = Words::default();
        let start = words.add(&[2 << 3 | OTHER, length, 1, 0, last]);
        words.add(&[words.to(OTHER, 0, start)]);
        words.read()
    };
    assert!(big(9, 1).is_ok());
    assert!(big(9, 0).is_err());
    assert!(big(8, 0).is_err());
    // Packed lists are aligned to 8.
    for padding in 0..2 {
        let mut words = Words::default();
        words.0.resize(padding, 0);
        let start = words.add(&[6 << 3 | OTHER, 1, 0, 0]);
        words.add(&[words.to(OTHER, 0, start)]);
        assert_eq!(words.read().is_ok(), padding == 0);
    }
}

#[test]
fn depth_is_limited_also_behind_what_is_shared() {
    let mut words = Words::default();
    let mut start = words.add(&[LIST]);
    for _ in 1..128 {
        let pair = [
            2 << 3 | LIST,
            words.to(LIST, 1, start),
            words.to(LIST, 2, start),
        ];
        start = words.add(&pair);
    }
    let mut deeper = words.clone();
    words.add(&[words.to(LIST, 0, start)]);
    // It is far larger than it looks: only the check is done.
    let archive: Vec<u8> = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = archive;
    let frozen = Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
    assert_eq!(frozen.len(), Some(2));
    let other = Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
    assert!(*frozen == *other);
    let pair = [
        2 << 3 | LIST,
        deeper.to(LIST, 1, start),
        deeper.to(LIST, 2, start),
    ];
    start = deeper.add(&pair);
    deeper.add(&[deeper.to(LIST, 0, start)]);
    assert!(
        deeper.refused().contains("deeper than 128"),
        "{}",
        deeper.refused()
    );
    // Once looked at from above, once from far below.
    let mut shared = Words::default();
    let mut start = shared.add(&[LIST]);
    for _ in 1..100 {
        let one = [1 << 3 | LIST, shared.to(LIST, 1, start)];
        start = shared.add(&one);
    }
    let low = start;
    for _ in 0..50 {
        let one = [1 << 3 | LIST, shared.to(LIST, 1, start)];
        start = shared.add(&one);
    }
    let both = [
        2 << 3 | LIST,
        shared.to(LIST, 1, low),
        shared.to(LIST, 2, start),
    ];
    let both = shared.add(&both);
    shared.add(&[shared.to(LIST, 0, both)]);
    assert!(
        shared.refused().contains("deeper than 128"),
        "{}",
        shared.refused()
    );
}

#[test]
fn what_is_too_deep_is_not_frozen() {
    let nested = |levels: usize| (0..levels).fold(Value::None, |inner, _| Value::List(vec![inner]));
    Frozen::freeze("deep", &nested(128)).unwrap();
    assert!(Frozen::freeze("deep", &nested(129)).is_err());
    assert!(Frozen::freeze("deep", &nested(5000)).is_err());
}

#[test]
fn values_that_overlap_take_no_work() {
    let mut words = Words::default();
    // Each word is the header of a list of all that follow, and so are they.
    let lists = 1 << 14;
    let mut list = vec![lists << 3 | LIST];
    for number in 0..lists {
        let _ = number;
        list.push(0);
    }
    words.add(&list);
    for number in 0..lists as usize {
        words.0[number] = (lists - number as u32 - 1) << 3 | LIST;
    }
    let own = words.0.len();
    let mut all = vec![lists << 3 | LIST];
    for number in 0..lists as usize {
        let distance = number as i64 - (own + 1 + number) as i64;
        all.push((distance as i32 as u32) << 3 | LIST);
    }
    let all = words.add(&all);
    words.add(&[words.to(LIST, 0, all)]);
    words.refused();
}

/// Very many frozen sets of the items that one shape has, before whatever is added; where they start.
fn sets_of_one_shape(sets: usize, items: i32) -> (Words, usize) {
    let honest = Value::frozen_set(0..items);
    let honest = Frozen::freeze_on_heap("set", &honest).unwrap();
    let archive = Forgery::of(&honest).archive().clone();
    let words = archive.as_chunks().0.iter();
    let mut words = Words(words.map(|it| u32::from_le_bytes(*it)).collect());
    let leads = |words: &Words, from: usize| {
        let distance = words.0[from].cast_signed() >> 3;
        from.checked_add_signed(distance as isize).unwrap()
    };
    let set = leads(&words, words.0.len() - 1);
    let shape = leads(&words, set);
    let start = words.0.len();
    for _ in 0..sets {
        words.add(&[words.to(SET, 0, shape), 1]);
    }
    (words, start)
}

#[test]
fn sets_that_share_their_items_take_no_work() {
    const MANY: usize = 1 << 16;
    let (words, start) = sets_of_one_shape(MANY, MANY as i32);
    // As keys of another one, which are all equal.
    let mut keys = words.clone();
    let log = (MANY + MANY / 2).next_power_of_two().trailing_zeros();
    let shape = keys.add(&[(MANY as u32) << 3, log]);
    for number in 0..MANY {
        keys.add(&[keys.to(SET, 0, start + 2 * number)]);
    }
    keys.0.resize(keys.0.len() + (5 << log) / 4, 0);
    let set = keys.add(&[keys.to(SET, 0, shape), 1]);
    keys.add(&[keys.to(SET, 0, set)]);
    assert!(keys.refused().contains("does not lead to each"));
    // Side by side, and compared.
    let mut list = words;
    let all = list.add(&[(MANY as u32) << 3 | LIST]);
    for number in 0..MANY {
        list.add(&[list.to(SET, 0, start + 2 * number)]);
    }
    list.add(&[list.to(LIST, 0, all)]);
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = list.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    let open = || Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
    assert!(*open() == *open());
}

#[test]
fn damage_is_refused_or_harmless() {
    let small = Value::dict([
        ("text", Value::from("zlib")),
        ("umlaut", Value::from("Größe")),
        ("long", Value::list([i64::MIN, 5])),
        ("floats", Value::list([0.5, 2.5])),
        (
            "mixed",
            Value::list([Value::from(1.5), Value::from(true), Value::None]),
        ),
        (
            "tuple",
            Value::tuple([Value::from("a"), Value::tuple([1, 2])]),
        ),
        ("set", Value::frozen_set(["a", "b"])),
        (
            "dict",
            Value::dict([(Value::tuple([1, 2]), 1), (Value::from("k"), 2)]),
        ),
        (
            "surrogate",
            Value::TextWithSurrogates(vec![0xed, 0xb0, 0x80]),
        ),
        ("nine", Value::dict((0..9).map(|it| (it, "v")))),
    ]);
    let frozen = Frozen::freeze_on_heap("small", &small).unwrap();
    let archive = Forgery::of(&frozen).archive().clone();
    for at in 0..archive.len() {
        for change in [1_u8, 8, 0x80] {
            let mut damaged = archive.clone();
            damaged[at] ^= change;
            let mut forged = Forgery::of(&frozen);
            *forged.archive() = damaged;
            let Ok(read) = Frozen::<Value>::from_bytes(&forged.bytes()) else {
                continue;
            };
            read_everything(&read);
            // Who has no type reads the same.
            let described = Described::of(&read).unwrap();
            described.check().unwrap();
            let shown = serde_json::to_string(&described.root().unwrap());
            let expected = serde_json::to_string(&*read);
            assert_eq!(shown.ok(), expected.ok());
            let _ = format!("{read:?}");
            let _ =
                Frozen::freeze_on_heap("again", &read.to_value().unwrap()).map(|it| *it == *read);
        }
    }
}

#[test]
fn what_another_writer_has_written_gives_no_lying_archive() {
    use std::cell::Cell;

    struct Foreign<'a>(&'a Cell<Option<Written>>);

    impl ToValue for Foreign<'_> {
        fn write(&self, writer: &mut Writer<'_>) -> std::result::Result<Written, WriteError> {
            match self.0.get() {
                Some(foreign) => writer.list(&[foreign]),
                None => {
                    let text: String = "x".repeat(1000);
                    writer.text(&text)?;
                    let list = [writer.text("one")?, writer.text("two")?];
                    let written = writer.list(&list)?;
                    self.0.set(Some(written));
                    Ok(written)
                }
            }
        }
    }

    let cell = Cell::new(None);
    Frozen::<Value>::freeze_as("first", &AsValue(Foreign(&cell))).unwrap();
    assert!(Frozen::<Value>::freeze_as("second", &AsValue(Foreign(&cell))).is_err());
    let mut builder = MapBuilder::<String, Value>::new("map").unwrap();
    builder
        .insert_as(&"a".to_owned(), &AsValue(Foreign(&cell)))
        .unwrap();
    assert!(builder.finish().is_err());
}
