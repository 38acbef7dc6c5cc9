//! Tables of dicts and sets that lead elsewhere, and keys that are none.

use floe::Frozen;
use floe::value::Value;
use floe_testkit::forge::Forgery;

use super::hostile::{DICT, INTEGER, LIST, TRUE, TUPLE, Words, read};

/// A dict of keys, whose words are given, with a table, and none as values.
fn dict(words: &mut Words, keys: &[u32], log: u32, table: &[u32]) {
    let mut shape = vec![(keys.len() as u32) << 3, log];
    shape.extend_from_slice(keys);
    shape.extend_from_slice(table);
    let shape = words.add(&shape);
    let mut dict = vec![words.to(DICT, 0, shape)];
    dict.resize(1 + keys.len(), 0);
    let dict = words.add(&dict);
    words.add(&[words.to(DICT, 0, dict)]);
}

#[test]
fn tags_of_few_keys_are_theirs() {
    use floe::Key;
    let tag = |number: i64| u32::from((number.key_hash() as u8).max(1));
    let keys = [5 << 3 | INTEGER, 6 << 3 | INTEGER];
    let tags = tag(5) | tag(6) << 8;
    let check = |keys: &[u32], log, table: &[u32]| {
        let mut words = Words::default();
        dict(&mut words, keys, log, table);
        words.read().map(drop).map_err(|error| error.to_string())
    };
    check(&keys, 0, &[tags, 0]).unwrap();
    assert!(
        check(&keys, 0, &[tags ^ 1, 0])
            .unwrap_err()
            .contains("does not lead")
    );
    assert!(check(&keys, 0, &[tags | 1 << 16, 0]).is_err());
    assert!(check(&keys, 0, &[tags, 1]).is_err());
    assert!(check(&keys, 1, &[tags, 0]).is_err());
    let twice = [5 << 3 | INTEGER, 5 << 3 | INTEGER];
    assert!(
        check(&twice, 0, &[tag(5) | tag(5) << 8, 0])
            .unwrap_err()
            .contains("two equal keys")
    );
    let one = [1 << 3 | INTEGER, TRUE];
    assert!(
        check(&one, 0, &[tag(1) | tag(1) << 8, 0])
            .unwrap_err()
            .contains("two equal keys")
    );
    // A list is no key.
    let mut words = Words::default();
    let list = words.add(&[LIST]);
    let key = words.to(LIST, 2, list);
    dict(&mut words, &[key], 0, &[1, 0]);
    assert!(
        words.refused().contains("cannot be keys"),
        "{}",
        words.refused()
    );
}

#[test]
fn tables_lead_to_each_key_and_end() {
    let many = Value::dict((0..100).map(|it| (it, it)));
    let frozen = Frozen::freeze_on_heap("many", &many).unwrap();
    let archive = Forgery::of(&frozen).archive().clone();
    // The shape is the first thing there: header, log, keys, tags, positions.
    let table = 8 + 4 * 100;
    let slots = 1 << archive[4];
    assert_eq!(slots, 256);
    for at in table..table + 2 * slots {
        for change in [1, 0x80, 0xff] {
            let mut archive = archive.clone();
            archive[at] ^= change;
            // What stands in a free slot's position is not looked at.
            let is_free = at >= table + slots && archive[at - slots] == 0;
            assert_eq!(read(archive).is_ok(), is_free, "{at}");
        }
    }
    // No slot is free.
    let mut full = archive.clone();
    full[table..table + slots].fill(1);
    read(full).unwrap_err();
    let mut log = archive;
    log[4] = 31;
    read(log).unwrap_err();
}

#[test]
fn keys_of_shared_parts_take_no_more_work_than_their_bytes() {
    // A tuple of 2^100 parts.
    let mut words = Words::default();
    let mut start = words.add(&[TUPLE]);
    for _ in 1..100 {
        let pair = [
            2 << 3 | TUPLE,
            words.to(TUPLE, 1, start),
            words.to(TUPLE, 2, start),
        ];
        start = words.add(&pair);
    }
    let key = words.to(TUPLE, 2, start);
    let mut read = None;
    for tag in 1..256 {
        let mut words = words.clone();
        dict(&mut words, &[key], 0, &[tag, 0]);
        let archive = words.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut forged = Forgery::of(&Frozen::freeze_on_heap("value", &Value::None).unwrap());
        *forged.archive() = archive;
        if let Ok(frozen) = Frozen::<Value>::from_bytes(&forged.bytes()) {
            assert!(read.is_none(), "only one tag is right");
            let other = Frozen::<Value>::from_bytes(&forged.bytes()).unwrap();
            read = Some((frozen, other));
        }
    }
    let (one, other) = read.unwrap();
    assert!(*one == *other);
}

#[test]
fn what_cannot_be_a_key_is_refused_by_name() {
    let freeze = |value: &Value| Frozen::freeze("v", value).unwrap_err().to_string();
    let list = Value::dict([(Value::list([1]), 1)]);
    assert!(
        freeze(&list).contains("cannot be a key"),
        "{}",
        freeze(&list)
    );
    let nan = Value::set([f64::NAN]);
    assert!(freeze(&nan).contains("NaN"), "{}", freeze(&nan));
    let twice = Value::dict([(Value::from(1), 1), (Value::from(1.0), 2)]);
    assert!(
        freeze(&twice).contains("two equal keys"),
        "{}",
        freeze(&twice)
    );
}
