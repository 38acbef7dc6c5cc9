use std::sync::Arc;
use std::time::Duration;

use super::input::{Input, Seen, Subject};
use super::stamp::Stamp;
use super::*;
use crate::sys::clock::Moment;

fn path(name: &str, seen: Seen) -> Input {
    let subject = Subject::Path(name.into());
    Input { subject, seen }
}

fn stamp(modified: i64) -> Stamp {
    Stamp {
        device: 1,
        inode: 300,
        size: 5,
        modified,
        changed: 7,
    }
}

/// One input of every kind, and sets of them.
fn every_kind() -> Sets {
    let content = path(
        "/layer/conf/machine.conf",
        Seen::Content {
            stamp: stamp(6),
            unsettled: true,
            digest: 1 << 120,
        },
    );
    let listing = path(
        "/layer/conf",
        Seen::Listing {
            stamp: stamp(-1),
            unsettled: false,
            filter: Some("*.conf".to_owned()),
            names: b"fmachine.conf\0".to_vec(),
        },
    );
    let absent = path("/layer/local.conf", Seen::Absent);
    let present = path("/layer/local.conf", Seen::Present);
    let metadata = path("/layer/conf", Seen::Metadata(stamp(8)));
    let variable = Input {
        subject: Subject::Environment("MACHINE".into()),
        seen: Seen::Digest(9),
    };
    let value = Input {
        subject: Subject::Value("parser".to_owned()),
        seen: Seen::Digest(10),
    };
    let mut builder = SetsBuilder::default();
    let whole = builder.add([listing, variable.clone()]);
    let common = builder.add([content.clone(), absent]);
    let other = builder.add([content, present, metadata, value, variable]);
    for (unit, set) in [(0, common), (4, other), (300, common)] {
        builder.set_of(unit, set);
    }
    builder.idle_since(300, 2);
    builder.finish(whole, 3).with_keyed_by(11)
}

#[test]
fn the_section_has_the_bytes_that_are_written_down() {
    let hex: String = encode(&every_kind())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = concat!(
        "01000000",
        "0b000000000000000000000000000000",
        "07",
        // /layer/conf, its metadata and its listing
        "00000b2f6c617965722f636f6e66",
        "02",
        "01ac02050800000000000000",
        "0700000000000000",
        "000b00",
        "04",
        "01ac0205ffffffffffffffff",
        "0700000000000000",
        "0001062a2e636f6e66",
        "0e666d616368696e652e636f6e6600",
        // /layer/conf/machine.conf, its content
        "000b0d2f6d616368696e652e636f6e66",
        "03",
        "01ac02050600000000000000",
        "0700000000000000",
        "01",
        "00000000000000000000000000000001",
        // /layer/local.conf, absent and present
        "00070a6c6f63616c2e636f6e66",
        "00",
        "001100",
        "01",
        // the variable and the value
        "0100074d414348494e45",
        "05",
        "09000000000000000000000000000000",
        "020006706172736572",
        "05",
        "0a000000000000000000000000000000",
        // three sets: the others, the list, the common one
        "03",
        "050002020101",
        "020104",
        "020201",
        // the list's, the common one, one entry, one idle entry
        "01",
        "02",
        "010400",
        "01ac0202",
    );
    assert_eq!(hex, expected);
}

#[test]
fn sets_survive_being_written() {
    let sets = every_kind();
    assert_eq!(decode(&encode(&sets)).as_ref(), Ok(&sets));
    assert_eq!(decode(&encode(&Sets::of_whole([]))), Ok(Sets::of_whole([])));
}

#[test]
fn hostile_sections_are_refused() {
    let bytes = encode(&every_kind());
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "cut to {length}");
    }
    assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
    // Whatever a flipped bit says, what is read can be written and read again, and judged.
    for position in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position / 8] ^= 1 << (position % 8);
        if let Ok(mut sets) = decode(&flipped) {
            assert_eq!(decode(&encode(&sets)).as_ref(), Ok(&sets), "bit {position}");
            let changed = sets.check(&Values::default(), &Clock::system(), SETTLE);
            assert_eq!(changed.flags.len(), sets.inputs.len());
            sets.touched(&changed);
        }
    }
    // Lists that are longer than memory.
    for at in [20, bytes.len() - 5] {
        let huge = [
            &bytes[..at],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ]
        .concat();
        assert!(decode(&huge).is_err());
    }
}

#[test]
fn a_million_entries_with_one_set_cost_nothing() {
    let mut builder = SetsBuilder::default();
    let set = builder.add((0..200).map(|number| path(&format!("/file/{number:03}"), Seen::Absent)));
    (0..1_000_000).for_each(|unit| builder.set_of(unit, set));
    let sets = builder.finish(set, 1_000_000);
    assert!(encode(&sets).len() < 2000);
    // Entries that take turns between two sets cost two bytes each.
    let mut builder = SetsBuilder::default();
    let two = [1, 2].map(|number| builder.add([path(&number.to_string(), Seen::Absent)]));
    (0..100_000).for_each(|unit| builder.set_of(unit, two[unit as usize % 2]));
    assert!(encode(&builder.finish(two[0], 100_000)).len() < 4 * 100_000);
}

#[test]
fn what_no_entry_has_any_more_is_not_judged() {
    let input = |name| path(name, Seen::Absent);
    let mut builder = SetsBuilder::default();
    let old = builder.add([input("/old"), input("/both")]);
    builder.set_of(0, old);
    let list = builder.add([]);
    let earlier = builder.finish(list, 1);
    let mut builder = SetsBuilder::after(&earlier);
    let list = builder.carry(&earlier, |_| None);
    let new = builder.add([input("/new"), input("/both")]);
    builder.set_of(5, new);
    let sets = builder.finish(list, 1);
    let names: Vec<_> = sets
        .inputs
        .iter()
        .map(|input| input.subject.name())
        .collect();
    assert_eq!(names, ["/both", "/new"]);
    // The same as if there had been nothing before.
    let mut builder = SetsBuilder::default();
    let list = builder.add([]);
    let new = builder.add([input("/new"), input("/both")]);
    builder.set_of(5, new);
    assert_eq!(sets, builder.finish(list, 1));
}

#[test]
fn a_settled_stamp_is_trusted_and_a_young_one_is_not() {
    let second = Duration::from_secs(1).as_nanos() as u64;
    let settle = 2 * second;
    let stamp = stamp(100 * second as i64);
    for (now, unsettled) in [
        (99, true),
        (100, true),
        (101, true),
        (102, false),
        (500, false),
    ] {
        assert_eq!(stamp.is_unsettled(now * second, settle), unsettled, "{now}");
        // Of a file whose time was set back after an edit.
        let copied = Stamp {
            modified: 1,
            changed: stamp.modified,
            ..stamp
        };
        assert_eq!(copied.is_unsettled(now * second, settle), unsettled);
    }
}

#[test]
fn an_equal_file_under_another_stamp_is_remembered() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut inputs = Inputs::new();
    inputs.read(file.path()).unwrap();
    let mut sets = Sets::of_whole(inputs.into_found());
    let old = std::time::SystemTime::now() - Duration::from_secs(60);
    file.as_file().set_modified(old).unwrap();
    let before = Arc::clone(&sets.inputs[0]);
    let later = Clock::manual(Moment::now() + Duration::from_secs(60));
    let check = |sets: &mut Sets| sets.check(&Values::default(), &later, SETTLE);
    assert!(check(&mut sets).changes.is_empty());
    assert!(matches!(
        before.seen,
        Seen::Content {
            unsettled: true,
            ..
        }
    ));
    assert!(matches!(
        sets.inputs[0].seen,
        Seen::Content {
            unsettled: false,
            ..
        }
    ));
}

#[test]
fn inputs_that_have_become_equal_are_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let seen = |modified| Seen::Content {
        stamp: Stamp {
            size: 0,
            ..stamp(modified)
        },
        unsettled: false,
        digest: xxh3_128(b""),
    };
    let at = |modified| path(file.path().to_str().unwrap(), seen(modified));
    let mut builder = SetsBuilder::default();
    let (one, other, both) = (
        builder.add([at(1)]),
        builder.add([at(2)]),
        builder.add([at(1), at(2)]),
    );
    for (unit, set) in [(0, one), (4, other), (8, both), (12, one)] {
        builder.set_of(unit, set);
    }
    let mut sets = builder.finish(one, 4);
    assert_eq!((sets.inputs.len(), sets.sets.len()), (2, 3));
    let changed = sets.check(&Values::default(), &Clock::system(), SETTLE);
    assert!(changed.changes.is_empty());
    let mut next = SetsBuilder::after(&sets);
    let whole = next.carry(&sets, Some);
    let next = next.finish(whole, 4);
    assert_eq!((next.inputs.len(), next.sets.len()), (1, 1));
    assert_eq!(decode(&encode(&next)), Ok(next));
}

#[test]
fn an_unsettled_stamp_is_proved_by_the_content_and_a_settled_one_is_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let metadata = file.as_file().metadata().unwrap();
    for (unsettled, changes) in [(true, 1), (false, 0)] {
        // As if the file had been written again without a trace in its stamp.
        let seen = Seen::Content {
            stamp: Stamp::of(&metadata),
            unsettled,
            digest: 1,
        };
        let mut sets = Sets::of_whole([path(file.path().to_str().unwrap(), seen)]);
        let changed = sets.check(&Values::default(), &Clock::system(), SETTLE);
        assert_eq!(changed.changes.len(), changes);
    }
}
