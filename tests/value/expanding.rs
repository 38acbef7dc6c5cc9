//! Whatever writes out each use of shared parts comes to an end.

use std::fmt::Write;

use floe::error::DeltaError;
use floe::value::{ArchivedValue, AsValue, Expansion, ToValue, Value, WriteError, Writer, Written};
use floe::{Delta, Error, Frozen, Intern, Map, MapBuilder, Root, RootsBuilder, Schema};
use floe_testkit::forge::Forgery;

use super::hostile::{DICT, LIST, TEXT, TUPLE, Words, tag_of};

/// Lists and tuples of so many levels, each with the one below so often, around a text.
fn tower(levels: usize, uses: usize, text: &str) -> Frozen<Value> {
    let mut words = Words::default();
    let (mut tag, mut below) = (TEXT, words.text(text));
    for level in 0..levels {
        let kind = [LIST, TUPLE][level % 2];
        let mut list = vec![(uses as u32) << 3 | kind];
        for number in 0..uses {
            list.push(words.to(tag, 1 + number, below));
        }
        (tag, below) = (kind, words.add(&list));
    }
    words.add(&[words.to(tag, 0, below)]);
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    Frozen::from_bytes(&forged.bytes()).unwrap()
}

/// What is refused before anything is made of it.
fn assert_refused(value: &ArchivedValue) {
    for copied in [value.to_value(), floe::thaw::<Value>(value)] {
        let refused = copied.unwrap_err();
        assert!(matches!(refused, Error::Thaw { .. }), "{refused:?}");
        assert!(refused.to_string().contains("to_value_up_to"), "{refused}");
    }
    let refused = serde_json::to_string(value).unwrap_err().to_string();
    assert!(refused.contains("values and bytes of text"), "{refused}");
}

#[test]
fn shared_parts_do_not_grow_without_end() {
    let frozen = tower(126, 700, &"x".repeat(1 << 16));
    assert_refused(&frozen);
    assert!(
        Expansion::on_heap(64)
            .with_shared_texts()
            .check(&frozen.view())
            .is_err()
    );
    // Where it lies, it can be read.
    assert_eq!(frozen[699][0].len(), Some(700));
}

/// The roots of a delta, so that one can be made that no overlay makes.
#[derive(floe::Roots)]
#[expect(dead_code, reason = "they are read as those of a delta")]
struct Changes {
    added: Root<Map<String, Value>>,
    removed: Root<Map<String, ()>>,
    recorded: Root<Map<String, Recorded>>,
    used: Root<Vec<u64>>,
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Recorded {
    #[rkyv(with = Intern)]
    inputs: Vec<u8>,
}

/// Lists of so many levels, each with the one below so often.
struct Tower(usize, usize);

impl ToValue for Tower {
    fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError> {
        let mut below = writer.text("text")?;
        for _ in 0..self.0 {
            below = writer.list(&vec![below; self.1])?;
        }
        Ok(below)
    }
}

/// A merge writes out each use, whoever has made the delta.
#[test]
fn a_delta_that_grows_without_end_is_refused() {
    let open = |towers: &[Tower]| {
        let roots = RootsBuilder::new("values").unwrap();
        let roots = roots.map_with(Changes::ADDED, |map| {
            let mut towers = towers.iter().enumerate();
            towers.try_for_each(|(at, tower)| map.insert_as(&at.to_string(), &AsValue(tower)))
        });
        let roots = roots
            .unwrap()
            .map(Changes::REMOVED, Vec::<(String, ())>::new())
            .unwrap()
            .map_with(Changes::RECORDED, |_| Ok::<(), Error>(()))
            .unwrap()
            .value(Changes::USED, &Vec::new())
            .unwrap();
        let forged = roots.finish::<Changes>().unwrap();
        Delta::<String, Value>::from_fds(forged.region().try_clone_fds().unwrap())
    };
    assert_eq!(open(&[Tower(20, 2)]).unwrap().len(), 1);
    for towers in [
        &[Tower(100, 2)][..],
        &[Tower(28, 2)],
        &[Tower(3, 700)],
        // All together.
        &[Tower(26, 2), Tower(25, 2), Tower(24, 2), Tower(26, 2)],
    ] {
        let refused = open(towers).unwrap_err();
        let is_told = |reason: &DeltaError| matches!(reason, DeltaError::Expands { .. });
        assert!(
            matches!(&refused, Error::Delta { reason, .. } if is_told(reason)),
            "{refused}"
        );
    }
}

#[test]
fn debug_output_has_an_end() {
    /// Counts what is written, and refuses more than 64 MiB.
    struct Counted(usize);

    impl Write for Counted {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text.len();
            (self.0 < 64 << 20).then_some(()).ok_or(std::fmt::Error)
        }
    }

    for (levels, uses) in [(127, 2), (60, 1000), (3, 1 << 16)] {
        let frozen = tower(levels, uses, "text");
        let mut counted = Counted(0);
        write!(counted, "{:?}", *frozen).unwrap();
        write!(counted, "{:?}", frozen.view()).unwrap();
    }
    let text = format!("{:?}", *tower(127, 2, "text"));
    assert!(text.contains(", ..]"), "{text:.100}");
    // One text is shown as a whole.
    let long = "x".repeat(1 << 21);
    let frozen = Frozen::freeze("long", &Value::list([long.as_str(), "more"])).unwrap();
    assert_eq!(format!("{:?}", *frozen), format!("[\"{long}\", ..]"));
}

#[test]
fn honest_values_that_share_much_are_copied() {
    let dict = Value::dict((0..50).map(|number| (format!("key {number}"), number)));
    let values = Value::list(vec![dict; 2000]);
    let frozen = Frozen::freeze("values", &values).unwrap();
    assert!(frozen.region().size() < 32 << 10);
    assert_eq!(*frozen, frozen.to_value().unwrap());
    assert_eq!(*frozen, Frozen::thaw::<Value>(&frozen).unwrap());
    assert_eq!(
        serde_json::to_string(&*frozen).unwrap(),
        serde_json::to_string(&values).unwrap()
    );
}

#[test]
fn a_limit_of_ones_own_is_kept() {
    let frozen = tower(2, 100, "text");
    let all = 100 * 100 * (size_of::<Value>() as u64 + 4) + 100 * size_of::<Value>() as u64;
    assert!(frozen.to_value_up_to(all).is_ok());
    let refused = frozen.to_value_up_to(all - 1).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("more than {} bytes", all - 1)),
        "{refused}"
    );
    // More than what is allowed without one.
    let frozen = tower(2, 1 << 8, &"x".repeat(1 << 16));
    assert!(Expansion::up_to(u64::MAX, 32).check(&frozen.view()).is_ok());
    assert_refused(&frozen);
}

/// A tower of two kinds, equal to another one: as many pairs of lists as there could be are compared.
#[test]
fn equal_values_that_lie_apart_are_compared_in_turn() {
    let rows = 300_u32;
    let mut words = Words::default();
    // Lists that are equal, but are other ones; and so on each level, in another order.
    let mut below: Vec<usize> = (0..rows).map(|_| words.add(&[1 << 3 | LIST, 1])).collect();
    for level in 0..4 {
        let rows_above = (0..below.len()).map(|row| {
            let mut list = vec![rows << 3 | LIST];
            for number in 0..below.len() {
                let target = below[(row * (level + 1) + number) % below.len()];
                list.push(words.to(LIST, 1 + number, target));
            }
            words.add(&list)
        });
        below = rows_above.collect();
    }
    let mut roots = Vec::new();
    for turn in [1, below.len() - 1] {
        let mut list = vec![rows << 3 | LIST];
        for number in 0..below.len() {
            let target = below[number * turn % below.len()];
            list.push(words.to(LIST, 1 + number, target));
        }
        roots.push(words.add(&list));
    }
    let pair = [
        2 << 3 | LIST,
        words.to(LIST, 1, roots[0]),
        words.to(LIST, 2, roots[1]),
    ];
    let pair = words.add(&pair);
    words.add(&[words.to(LIST, 0, pair)]);
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    let frozen = Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
    assert!(frozen[0] == frozen[1]);
}

#[test]
fn keys_with_parts_are_found_in_other_dicts() {
    let key =
        |number: i64| Value::tuple([Value::from(number), Value::frozen_set([number, number + 1])]);
    let forwards = Value::dict((0..300).map(|number| (key(number), number)));
    let backwards = Value::dict((0..300).rev().map(|number| (key(number), number)));
    let other = Value::dict((1..301).map(|number| (key(number), number)));
    let mut map = MapBuilder::<u32, Value>::new("dicts").unwrap();
    for (number, dict) in [forwards, backwards, other].iter().enumerate() {
        map.insert(&(number as u32), dict).unwrap();
    }
    let map: Frozen<Map<u32, Value>> = map.finish().unwrap();
    assert!(map[&0] == map[&1]);
    assert!(map[&1] != map[&2]);
}

/// Dicts with one long key, and what is equal to them with another copy of it.
#[test]
fn long_keys_and_texts_of_many_dicts_are_looked_at_once() {
    let (long, dicts) = ("x".repeat(4 << 20), 60_000_u32);
    let tag = tag_of(&long);
    let mut words = Words::default();
    let mut lists = Vec::new();
    for _ in 0..2 {
        let key = words.text(&long);
        let places: Vec<usize> = (0..dicts)
            .map(|_| {
                let shape = [1 << 3, 0, words.to(TEXT, 2, key), tag, 0];
                let shape = words.add(&shape);
                let dict = [words.to(DICT, 0, shape), words.to(TEXT, 1, key)];
                words.add(&dict)
            })
            .collect();
        let mut list = vec![dicts << 3 | LIST];
        list.extend(
            (1..)
                .zip(&places)
                .map(|(ahead, place)| words.to(DICT, ahead, *place)),
        );
        lists.push(words.add(&list));
    }
    let pair = [
        2 << 3 | LIST,
        words.to(LIST, 1, lists[0]),
        words.to(LIST, 2, lists[1]),
    ];
    let pair = words.add(&pair);
    words.add(&[words.to(LIST, 0, pair)]);
    let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
    *forged.archive() = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
    let frozen = Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
    assert!(frozen[0] == frozen[1]);
    assert_refused(&frozen);
}
