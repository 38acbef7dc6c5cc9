//! Regions that were cut, stretched or changed: every such accident is an error.

use floe::error::HeaderError;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;

use floe::format::{RegionPart, SectionKind};
use floe::{Content, Error, Frozen, Map};

use crate::alone::alone;
use crate::descriptors::{ALL_SEALS, memfd, sealed};
use crate::refusal::refused;
use crate::sign::{ROW, TABLE, u64_at};
use crate::zoo::{Recipe, recipe};

type Small = Map<u32, String>;
type Large = Vec<Recipe>;

fn small() -> Vec<u8> {
    let pairs = (0..3_u32).map(|n| (n, format!("value number {n}")));
    Small::freeze("small", pairs)
        .unwrap()
        .region()
        .bytes()
        .to_vec()
}

fn large() -> Vec<u8> {
    let recipes: Large = (0..5000).map(recipe).collect();
    Frozen::freeze("large", &recipes)
        .unwrap()
        .region()
        .bytes()
        .to_vec()
}

/// What an open region leaves in the process: its mappings, and the number of descriptors.
fn traces() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter(|line| line.contains("memfd:")).count();
    (mapped, fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Tries a region cut to each of the lengths, in every way in which one can be opened.
fn cut<T: Content>(whole: &[u8], lengths: impl Iterator<Item = usize>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.floe");
    let file = File::create(&path).unwrap();
    (&file).write_all(whole).unwrap();
    Frozen::<T>::load(&path).unwrap();
    let unsealed = File::from(memfd(whole));
    let before = traces();
    for length in lengths {
        let part = &whole[..length];
        let is_cut = |error: &Error| {
            matches!(error, Error::Header(HeaderError::Length { expected, got })
                if *got == length as u64 && expected > got)
        };
        assert!(is_cut(&refused::<T>(part)), "{length}");
        file.set_len(length as u64).unwrap();
        match Frozen::<T>::load(&path).map(drop) {
            Err(Error::Load { reason: source, .. }) => {
                assert!(is_cut(&source), "{length}: {source}")
            }
            other => panic!("{length}: {other:?}"),
        }
        unsealed.set_len(length as u64).unwrap();
        let shared = OwnedFd::from(unsealed.try_clone().unwrap());
        assert!(matches!(
            Frozen::<T>::from_fd(shared),
            Err(Error::Unsealed { .. })
        ));
        let error = Frozen::<T>::from_fd(sealed(part, ALL_SEALS))
            .map(drop)
            .unwrap_err();
        assert!(is_cut(&error), "{length}: {error}");
    }
    assert_eq!(traces(), before);
}

#[test]
fn a_small_region_cut_at_every_length() {
    alone("damage::a_small_region_cut_at_every_length", || {
        let whole = small();
        cut::<Small>(&whole, (0..whole.len()).rev());
    });
}

#[test]
fn a_large_region_cut_at_1000_lengths() {
    alone("damage::a_large_region_cut_at_1000_lengths", || {
        let whole = large();
        // From the end down, each a prime apart, so that all remainders of pages occur.
        let step = whole.len() / 1000 - 1;
        cut::<Large>(&whole, (1..=1000).map(|n| whole.len() - n * step));
    });
}

/// A refusal after the mapping was made leaves nothing behind either.
#[test]
fn refusals_leave_nothing_behind() {
    alone("damage::refusals_leave_nothing_behind", || {
        let whole = small();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("damaged.floe");
        let before = traces();
        for place in [600, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(Frozen::<Small>::load(&path).is_err());
            assert!(Frozen::<Small>::from_fd(sealed(&damaged, ALL_SEALS)).is_err());
            assert!(Frozen::<Large>::from_fd(sealed(&whole, ALL_SEALS)).is_err());
            assert_eq!(traces(), before);
        }
    });
}

#[test]
fn every_flipped_bit_is_an_error() {
    let whole = small();
    Frozen::<Small>::from_bytes(&whole).unwrap();
    let sections = sections(&whole);
    for place in 0..whole.len() {
        let section = sections.iter().find(|(_, range)| range.contains(&place));
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            let error = refused::<Small>(&flipped);
            let expected = match (section, &error) {
                (Some(_), Error::Header(HeaderError::Damaged { part })) => {
                    *part == RegionPart::File(0)
                }
                (
                    None,
                    Error::Header(HeaderError::Damaged {
                        part: RegionPart::File(0),
                    }),
                ) => place >= 576,
                (None, Error::Header(HeaderError::NotRegion { .. })) => place < 8,
                (None, Error::Header(HeaderError::Version { .. })) => (8..12).contains(&place),
                (
                    None,
                    Error::Header(HeaderError::Damaged {
                        part: RegionPart::Header,
                    }),
                ) => (12..576).contains(&place),
                (None, Error::Header(HeaderError::SectionTable { .. })) => {
                    (20..24).contains(&place) || (88..92).contains(&place)
                }
                _ => false,
            };
            assert!(expected, "bit {bit} of byte {place}: {error}");
        }
    }
}

fn sections(region: &[u8]) -> Vec<(SectionKind, std::ops::Range<usize>)> {
    let word = |offset: usize| u64_at(region, offset) as usize;
    [
        SectionKind::Archive,
        SectionKind::Index,
        SectionKind::Schema,
    ]
    .into_iter()
    .zip((TABLE..).step_by(ROW))
    .map(|(kind, row)| (kind, word(row + 8)..word(row + 8) + word(row + 16)))
    .collect()
}

#[test]
fn bytes_behind_the_end_are_an_error() {
    let mut longer = small();
    let length = longer.len() as u64;
    for more in 1..100 {
        longer.push(0);
        assert!(matches!(
            refused::<Small>(&longer),
            Error::Header(HeaderError::Length { expected, got }) if expected == length && got == length + more
        ));
        let error = Frozen::<Small>::from_fd(sealed(&longer, ALL_SEALS)).unwrap_err();
        assert!(
            matches!(error, Error::Header(HeaderError::Length { .. })),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_a_region_at_all_is_an_error() {
    assert!(matches!(
        refused::<Small>(b""),
        Error::Header(HeaderError::Length { got: 0, .. })
    ));
    assert!(matches!(
        Frozen::<Small>::from_fd(sealed(b"", ALL_SEALS)),
        Err(Error::Header(HeaderError::Length { got: 0, .. }))
    ));
    let padded = |start: &[u8]| [start, &[b' '; 600]].concat();
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect();
    for bytes in [
        padded(b"DESCRIPTION = \"a recipe\"\n"),
        padded(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        padded(b"\x7fELF"),
        vec![0; 4096],
        vec![0xff; 4096],
        noise,
    ] {
        assert!(matches!(
            refused::<Small>(&bytes),
            Error::Header(HeaderError::NotRegion { .. })
        ));
        let error = Frozen::<Small>::from_fd(sealed(&bytes, ALL_SEALS)).unwrap_err();
        assert!(
            matches!(error, Error::Header(HeaderError::NotRegion { .. })),
            "{error}"
        );
    }
}
