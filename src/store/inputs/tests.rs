use std::sync::Arc;
use std::time::Duration;

use nix::libc;

use super::input::{Attempt, Input, Seen, Subject};
use super::proof::{Proof, Times, Trust};
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
            proof: Proof::Nothing,
            length: 200,
            digest: 1 << 120,
        },
    );
    let listing = path(
        "/layer/conf",
        Seen::Listing {
            stamp: stamp(-1),
            proof: Proof::SameMount(3),
            filter: Some("*.conf".to_owned()),
            names: b"fmachine.conf\0".to_vec(),
        },
    );
    let absent = path("/layer/local.conf", Seen::Absent);
    let present = path("/layer/local.conf", Seen::Present);
    let seen = Seen::Metadata {
        stamp: stamp(8),
        digest: 12,
    };
    let metadata = path("/layer/conf", seen);
    let seen = Seen::TooLarge {
        stamp: stamp(6),
        most: 4,
    };
    let too_large = path("/layer/core", seen);
    let failed = |attempt| {
        let failure = 13;
        path("/layer/lost+found", Seen::Failed { attempt, failure })
    };
    let filter = Some("*/".to_owned());
    let failures = [Attempt::Find, Attempt::Read, Attempt::List(filter)].map(failed);
    let variable = Input {
        subject: Subject::Environment("MACHINE".into()),
        seen: Seen::Digest(9),
    };
    let value = Input {
        subject: Subject::Value("parser".to_owned()),
        seen: Seen::Digest(10),
    };
    let mut builder = SetsBuilder::default();
    let whole = builder.add([listing, variable.clone()].into_iter().chain(failures));
    let common = builder.add([content.clone(), absent]);
    let other = builder.add([content, present, metadata, value, variable, too_large]);
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
        "02000000",
        "0b000000000000000000000000000000",
        "0b",
        // /layer/conf, its metadata and its listing
        "00000b2f6c617965722f636f6e66",
        "02",
        "01ac02050800000000000000",
        "0700000000000000",
        "0c000000000000000000000000000000",
        "000b00",
        "04",
        "01ac0205ffffffffffffffff",
        "0700000000000000",
        "020300000000000000",
        "01062a2e636f6e66",
        "0e666d616368696e652e636f6e6600",
        // /layer/conf/machine.conf, its content
        "000b0d2f6d616368696e652e636f6e66",
        "03",
        "01ac02050600000000000000",
        "0700000000000000",
        "00c801",
        "00000000000000000000000000000001",
        // /layer/core, too large
        "0009027265",
        "06",
        "01ac02050600000000000000",
        "0700000000000000",
        "04",
        // /layer/local.conf, absent and present
        "00070a6c6f63616c2e636f6e66",
        "00",
        "001100",
        "01",
        // /layer/lost+found, what failed of it
        "00090873742b666f756e64",
        "07000d",
        "001100",
        "07010d",
        "001100",
        "070201022a2f0d",
        // the variable and the value
        "0100074d414348494e45",
        "05",
        "09000000000000000000000000000000",
        "020006706172736572",
        "05",
        "0a000000000000000000000000000000",
        // three sets: the others, the list, the common one
        "03",
        "06000201020401",
        "050105010101",
        "020202",
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
    let proof = |input: &Input| match input.seen {
        Seen::Content { proof, .. } => proof,
        _ => panic!("it is a file"),
    };
    let changed = sets.check(&Values::default(), &later, SETTLE);
    assert!(changed.changes.is_empty());
    assert_eq!(proof(&before), Proof::Nothing);
    assert_ne!(proof(&sets.inputs[0]), Proof::Nothing);
}

#[test]
fn inputs_that_have_become_equal_are_one() {
    let (file, _, clock) = an_old_file();
    let seen = |modified| Seen::Content {
        stamp: Stamp {
            size: 0,
            ..stamp(modified)
        },
        proof: Proof::Equal,
        length: 0,
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
    let changed = sets.check(&Values::default(), &clock, SETTLE);
    assert!(changed.changes.is_empty());
    let mut next = SetsBuilder::after(&sets);
    let whole = next.carry(&sets, Some);
    let next = next.finish(whole, 4);
    assert_eq!((next.inputs.len(), next.sets.len()), (1, 1));
    assert_eq!(decode(&encode(&next)), Ok(next));
}

/// What a file in a temporary folder is found like, an hour after it was written.
fn an_old_file() -> (tempfile::NamedTempFile, Found, Clock) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let found = Found::at(file.path()).unwrap();
    let later = Moment::now() + Duration::from_secs(3600);
    (file, found, Clock::manual(later))
}

#[test]
fn a_stamp_that_proves_something_is_trusted_and_another_is_not() {
    let (file, found, clock) = an_old_file();
    let mount = match Trust::new(clock.now(), SETTLE).proof(&found, Times::Image) {
        Proof::SameMount(mount) => mount,
        // Before Linux 6.8.
        proof => return assert_eq!(proof, Proof::Nothing),
    };
    for (proof, settle, changes) in [
        (Proof::Nothing, SETTLE, 1),
        (Proof::SameMount(mount), SETTLE, 0),
        (Proof::SameMount(mount ^ 1), SETTLE, 1),
        (Proof::Equal, SETTLE, 0),
        (Proof::Equal, Duration::MAX, 1),
        (Proof::SameMount(mount), Duration::MAX, 1),
    ] {
        // As if the file had been written again without a trace in its stamp.
        let seen = Seen::Content {
            stamp: found.stamp,
            proof,
            length: 0,
            digest: 1,
        };
        let mut sets = Sets::of_whole([path(file.path().to_str().unwrap(), seen)]);
        let changed = sets.check(&Values::default(), &clock, settle);
        assert_eq!(changed.changes.len(), changes, "{proof:?} {settle:?}");
    }
}

#[test]
fn what_a_stamp_proves_depends_on_who_sets_the_times() {
    let (_file, found, clock) = an_old_file();
    let now = clock.now();
    let whole = Stamp {
        changed: found.stamp.changed / 1_000_000_000 * 1_000_000_000,
        ..found.stamp
    };
    let part = Stamp {
        changed: whole.changed + 1,
        ..whole
    };
    let proof = |stamp, mount, boot_id, times| {
        let mut found = found;
        (found.stamp, found.mount) = (stamp, mount);
        Trust::new(Moment { boot_id, ..now }, SETTLE).proof(&found, times)
    };
    let (nothing, equal) = (Proof::Nothing, Proof::Equal);
    let on_mount = proof(part, Some(7), [1; 16], Times::Image);
    assert!(matches!(on_mount, Proof::SameMount(_)));
    // Another mount, or that of another boot, is another.
    assert_ne!(on_mount, proof(part, Some(8), [1; 16], Times::Image));
    assert_ne!(on_mount, proof(part, Some(7), [2; 16], Times::Image));
    for (times, with_part, with_whole) in [
        (Times::Kernel, equal, on_mount),
        (Times::Server, equal, nothing),
        (Times::Image, on_mount, on_mount),
        (Times::Program, on_mount, nothing),
        (Times::Unknown, nothing, nothing),
    ] {
        let of = |stamp| proof(stamp, Some(7), [1; 16], times);
        assert_eq!((of(part), of(whole)), (with_part, with_whole), "{times:?}");
        // Where mounts are not told apart, or boots are not.
        for (mount, boot_id) in [(None, [1; 16]), (Some(7), [0; 16])] {
            let of = |stamp| proof(stamp, mount, boot_id, times);
            let without = |proof| if proof == on_mount { nothing } else { proof };
            let expected = (without(with_part), without(with_whole));
            assert_eq!((of(part), of(whole)), expected, "{times:?}");
        }
    }
}

#[test]
fn file_systems_are_known_by_their_type() {
    let times = |path: &str| Times::of(std::fs::File::open(path).unwrap());
    assert_eq!(times("/proc/self/status"), Times::Unknown);
    assert_eq!(times("/sys"), Times::Unknown);
    let memory = rustix::fs::memfd_create("floe:test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    assert_eq!(Times::of(&memory), Times::Kernel);
}

#[test]
fn different_names_are_different_texts() {
    let text = pattern::text;
    assert_eq!(text("grün".as_bytes()), "grün");
    let names: [&[u8]; 6] = [
        b"a\xff",
        b"a\xfe",
        b"a",
        "a\u{10ffff}".as_bytes(),
        b"\x80",
        "\u{10ff80}".as_bytes(),
    ];
    let texts: BTreeSet<_> = names.iter().map(|name| text(name)).collect();
    assert_eq!(texts.len(), names.len());
    assert_eq!(text(b"a\xff").chars().count(), 2);
}

#[test]
fn a_section_of_an_earlier_version_is_built_anew_and_no_number_is_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let label = crate::region::Label {
        generation: 7,
        ..crate::region::Label::new("text")
    };
    let mut section = encode(&Sets::of_whole([]));
    section[..4].copy_from_slice(&1_u32.to_le_bytes());
    let before = "before".to_owned();
    let saved = crate::Frozen::freeze_generation(label, &before, &section).unwrap();
    let folder = folder.path().join("caches");
    let store = crate::Store::open(&folder).unwrap();
    let path = folder.join("text.floe");
    saved.region().save(&path).unwrap();
    let policy = crate::Policy::new().revalidate_inputs();
    let cache = store.cache("text", policy, |_| Ok("after".to_owned()));
    let cache = cache.unwrap();
    let report = store.refresh().unwrap().caches.remove(0);
    assert!(report.error.unwrap().contains("its version is unknown"));
    assert_eq!(report.generation, 8);
    assert_eq!(cache.get().unwrap().as_str(), "after");
    let loaded = crate::Frozen::<String>::load(&path).unwrap();
    assert_eq!(
        (loaded.region().generation(), loaded.as_str()),
        (8, "after")
    );
    // What was read before is still there.
    assert_eq!(saved.as_str(), "before");
}

#[test]
fn a_walk_passes_over_what_is_closed_to_the_user_and_not_over_what_fails() {
    let passed = |number, named| {
        let failed = unreadable(
            Path::new("/lost+found"),
            io::Error::from_raw_os_error(number),
        );
        pattern::passed_over::<()>(Err(failed), named)
    };
    for number in [libc::EACCES, libc::EPERM, libc::ELOOP, libc::ENAMETOOLONG] {
        assert!(matches!(passed(number, false), Ok(None)), "{number}");
        assert!(passed(number, true).is_err(), "{number}");
    }
    for number in [
        libc::EIO,
        libc::ESTALE,
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOTCONN,
        libc::ETIMEDOUT,
        libc::EINTR,
    ] {
        assert!(passed(number, false).is_err(), "{number}");
    }
}

#[test]
fn the_head_of_a_section_is_read_without_the_rest() {
    use crate::region::format::inputs_head;
    let sets = every_kind().with_keyed_by(7 << 90);
    let section = encode(&sets);
    assert_eq!(inputs_head::keyed_by(&section), Some(7 << 90));
    assert_eq!(inputs_head::keyed_by(&section[..19]), None);
    let nothing = Sets::of_whole([]).with_keyed_by(7 << 90);
    assert_eq!(inputs_head::without_inputs(7 << 90), encode(&nothing));
}
