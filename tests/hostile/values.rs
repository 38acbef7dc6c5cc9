//! Values whose digests are right and whose pointers, lengths, texts or tags lie.

use floe::error::HeaderError;
use std::num::NonZeroU32;

use floe::{Error, Frozen, Intern, Schema, Value};

use crate::forge::{ARCHIVE, Forgery, point, put_u32};
use crate::refusal::{assert_invalid_archive, refused};
use crate::zoo::Source;

fn forgery<T: Value>(value: &T) -> Forgery {
    Forgery::of(&Frozen::freeze_on_heap("values", value).unwrap())
}

/// Freezes a value, edits its archive, and expects a refusal for the reason given.
#[track_caller]
fn refuses<T: Value>(value: &T, reason: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut forged = forgery(value);
    Frozen::<T>::from_bytes(&forged.bytes()).unwrap();
    edit(forged.archive());
    let told = assert_invalid_archive::<T>(&forged.bytes());
    assert!(told.contains(reason), "expected {reason:?}, got: {told}");
}

const LONG: &str = "a text that is longer than inline ones";

#[test]
fn pointers_out_of_bounds() {
    let length = forgery(&LONG.to_owned()).archive().len() as i64;
    let root = length - 8;
    for target in [
        -1,
        -64,
        -1 << 31,
        length,
        length - 1,
        length + 64,
        (1 << 31) - 1,
    ] {
        refuses(&LONG.to_owned(), "leaves the archive", |archive| {
            // The offset of a string counts from the string, four bytes before itself.
            put_u32(archive, root as usize + 4, (target - root) as u32);
        });
    }
    let numbers = vec![1_u64, 2, 3];
    for target in [-8, 16, 32, 1 << 20, -1 << 31] {
        refuses(&numbers, "leaves the archive", |archive| {
            point(archive, 24, target)
        });
    }
    for target in [-1, 28, 1 << 30] {
        refuses(&Box::new(7_u32), "archive", |archive| {
            point(archive, 4, target)
        });
    }
}

#[test]
fn pointers_that_are_not_aligned() {
    for target in 1..8 {
        refuses(&vec![1_u64, 2, 3], "", |archive| {
            point(archive, 24, target);
            put_u32(archive, 28, 1);
        });
    }
}

#[test]
fn huge_lengths() {
    for length in [5, 6, 1 << 16, 1 << 29, 1 << 31, u32::MAX] {
        refuses(&vec![1_u64, 2, 3], "leaves the archive", |archive| {
            put_u32(archive, 28, length);
        });
        refuses(&vec![0_u8; 3], "", |archive| {
            put_u32(archive, 8, length.max(64))
        });
    }
    for length in [0xffff_ffbf, 0x3fff_ff80, 0x0000_ff80] {
        let root = forgery(&LONG.to_owned()).archive().len() - 8;
        refuses(&LONG.to_owned(), "", |archive| {
            put_u32(archive, root, length)
        });
    }
}

#[test]
fn text_that_is_not_utf8() {
    for (place, byte) in [(0, 0xff), (5, 0x80), (LONG.len() - 1, 0xc3)] {
        refuses(&LONG.to_owned(), "", |archive| archive[place] = byte);
    }
    refuses(&"short".to_owned(), "", |archive| archive[2] = 0xc3);
    refuses(&Box::<str>::from(LONG), "", |archive| archive[0] = 0xfe);
}

#[test]
fn scalars_that_no_value_has() {
    refuses(&true, "", |archive| archive[0] = 2);
    for number in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
        refuses(&'x', "", |archive| put_u32(archive, 0, number));
    }
    refuses(&Some(1_u32), "", |archive| archive[0] = 2);
    refuses(&NonZeroU32::MIN, "", |archive| put_u32(archive, 0, 0));
    for tag in [3, 4, 255] {
        refuses(&Source::None, "", |archive| archive[0] = tag);
    }
    // Bytes of another variant are not those of this one.
    refuses(&Source::None, "", |archive| {
        archive.fill(0x80);
        archive[0] = 1;
    });
}

#[test]
fn an_archive_that_has_no_room_for_its_root() {
    let reason = "shorter than the root";
    for length in 0..8 {
        refuses(&vec![1_u64], reason, |archive| archive.truncate(length));
    }
    for more in 1..4 {
        refuses(&vec![1_u64], "not aligned", |archive| {
            archive.resize(16 + more, 0)
        });
    }
    let mut without = forgery(&7_u32);
    without.sections.retain(|(kind, _)| *kind != ARCHIVE);
    assert!(matches!(
        refused::<u32>(&without.bytes()),
        Error::Header(HeaderError::MissingSection { .. })
    ));
}

/// One vector for every eight bytes of the archive, and each claims all of it.
#[test]
fn vectors_that_overlap() {
    const COUNT: usize = 100_000;
    refuses(&vec![vec![0_u8; 1]; COUNT], "overlap", |archive| {
        let (end, all) = (archive.len(), archive.len() as u32);
        let root = end - 8;
        for number in 0..COUNT {
            let vector = root - (COUNT - number) * 8;
            point(archive, vector, 0);
            put_u32(archive, vector + 4, all);
        }
    });
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Texts {
    #[rkyv(with = Intern)]
    first: String,
    #[rkyv(with = Intern)]
    second: String,
}

fn texts() -> Texts {
    Texts {
        first: "ÄÖÜ is a text that is longer than inline ones".to_owned(),
        second: LONG.to_owned(),
    }
}

/// Where the pointers of `Texts` lie.
fn interned() -> (usize, usize) {
    let length = forgery(&texts()).archive().len();
    (length - 8, length - 4)
}

#[test]
fn interned_pointers_out_of_bounds_or_not_aligned() {
    let (first, second) = interned();
    for place in [first, second] {
        for target in [-4, -1 << 31, second as i64, second as i64 + 4, 1 << 30] {
            refuses(&texts(), "", |archive| point(archive, place, target));
        }
        for target in 1..4 {
            refuses(&texts(), "not aligned", |archive| {
                point(archive, place, target)
            });
        }
    }
}

/// The middle of a text is taken for a string: refused, or whatever string its bytes make.
#[test]
fn interned_pointers_into_the_middle_of_a_text() {
    let (first, _) = interned();
    let mut accepted = 0;
    for target in (0..first - 4).step_by(4) {
        let mut forged = forgery(&texts());
        point(forged.archive(), first, target as i64);
        match Frozen::<Texts>::from_bytes(&forged.bytes()) {
            Ok(frozen) => {
                accepted += 1;
                assert!(frozen.first.chars().count() <= texts().first.len());
            }
            Err(Error::Invalid { .. }) => {}
            Err(other) => panic!("{target}: {other}"),
        }
    }
    // Plain letters are a valid inline string; `ÄÖÜ` and the pointers between are not.
    assert!(accepted > 0);
    refuses(&texts(), "", |archive| {
        archive[1..9].fill(0x84);
        point(archive, first, 4);
    });
}
