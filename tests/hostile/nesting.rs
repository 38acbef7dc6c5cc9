//! Values that are nested too deep, contain themselves, or share their parts too often.

use floe::{Frozen, Intern, Map, Schema, Value};
use rkyv::rancor::Source;
use rkyv::ser::{Allocator, Writer};
use rkyv::validation::{ArchiveContext, SharedContext};

use crate::forge::{Forgery, point, put_u32};
use crate::refusal::assert_invalid_archive;

/// Levels that are accepted: each pointer followed is one, and the root another.
const LIMIT: u32 = 128;

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer, __S::Error: Source),
    bytecheck(bounds(__C: ArchiveContext, __C::Error: Source))
)]
struct Chain {
    number: u32,
    #[rkyv(omit_bounds)]
    next: Option<Box<Chain>>,
}

/// A chain of `length` links, made without recursion.
fn chain(length: u32) -> Chain {
    let mut chain = Chain {
        number: 0,
        next: None,
    };
    for number in 1..length {
        chain = Chain {
            number,
            next: Some(Box::new(chain)),
        };
    }
    chain
}

/// Bytes of a link: number, tag, pointer.
const LINK: usize = 12;

/// The archive of `chain(length)`, as freezing writes it.
fn chain_archive(length: usize) -> Vec<u8> {
    let mut archive = vec![0; length * LINK];
    for number in 0..length {
        let link = number * LINK;
        put_u32(&mut archive, link, number as u32);
        if number > 0 {
            archive[link + 4] = 1;
            point(&mut archive, link + 8, (link - LINK) as i64);
        }
    }
    archive
}

fn forgery<T: Value>(value: &T) -> Forgery {
    Forgery::of(&Frozen::freeze_on_heap("nesting", value).unwrap())
}

#[test]
fn forged_chains_are_what_freezing_writes() {
    for length in [1, 2, 50] {
        assert_eq!(
            *forgery(&chain(length)).archive(),
            chain_archive(length as usize)
        );
    }
}

#[test]
fn the_limit_of_nesting_is_128_levels() {
    for length in [1, LIMIT - 1, LIMIT] {
        let frozen = Frozen::<Chain>::from_bytes(&forgery(&chain(length)).bytes()).unwrap();
        let mut levels = 1;
        let mut link = &*frozen;
        while let Some(next) = link.next.as_ref() {
            assert!(next.number < link.number);
            (link, levels) = (next, levels + 1);
        }
        assert_eq!(levels, length);
    }
    for length in [LIMIT + 1, LIMIT + 2, 1000] {
        let mut forged = forgery(&chain(2));
        *forged.archive() = chain_archive(length as usize);
        let reason = assert_invalid_archive::<Chain>(&forged.bytes());
        assert!(reason.contains("nested deeper than 128"), "{reason}");
        // What would not open elsewhere is not frozen in the first place.
        let refused = Frozen::freeze("nesting", &chain(length))
            .map(drop)
            .unwrap_err();
        assert!(
            refused.to_string().contains("nested deeper than 128"),
            "{refused}"
        );
    }
}

#[test]
fn the_limit_holds_for_each_entry_of_a_map() {
    let freeze = |lengths: [u32; 3]| Map::freeze("chains", (0_u32..).zip(lengths.map(chain)));
    let frozen = freeze([LIMIT; 3]).unwrap();
    Frozen::<Map<u32, Chain>>::from_bytes(frozen.region().bytes()).unwrap();
    for deep in 0..3 {
        let mut lengths = [LIMIT; 3];
        lengths[deep] += 1;
        let refused = freeze(lengths).map(drop).unwrap_err();
        assert!(
            refused.to_string().contains("nested deeper than 128"),
            "{refused}"
        );
    }
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer + floe::archive::Interning + Allocator, __S::Error: Source),
    bytecheck(bounds(__C: ArchiveContext + SharedContext, __C::Error: Source))
)]
struct Tail {
    number: u32,
    #[rkyv(omit_bounds, with = Intern)]
    next: Vec<Tail>,
}

impl std::hash::Hash for Tail {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// Interned values are checked once, so entries that share tails could pile up levels, one entry
/// after the other, without any check going deep.
#[test]
fn levels_behind_shared_values_count_each_time() {
    let tail =
        |length: u32| (0..length).fold(Vec::new(), |next, number| vec![Tail { number, next }]);
    let build = |most: u32| {
        let mut builder = floe::MapBuilder::<u32, Tail>::new("tails").unwrap();
        for number in 0..most {
            let next = tail(number);
            builder.insert(&number, &Tail { number, next }).unwrap();
        }
        builder.finish()
    };
    build(60).unwrap();
    let refused = build(200).map(drop).unwrap_err();
    assert!(
        refused.to_string().contains("nested deeper than 128"),
        "{refused}"
    );
}

#[test]
fn a_million_levels_do_not_overflow_the_stack() {
    let mut forged = forgery(&chain(2));
    *forged.archive() = chain_archive(1_000_000);
    let reason = assert_invalid_archive::<Chain>(&forged.bytes());
    assert!(reason.contains("nested deeper than 128"), "{reason}");
}

#[test]
fn a_chain_that_bites_its_tail() {
    for length in [1, 2, 100] {
        for target in [0, length - 1] {
            let mut forged = forgery(&chain(length as u32));
            let archive = forged.archive();
            archive[4] = 1;
            point(archive, 8, (target * LINK) as i64);
            assert_invalid_archive::<Chain>(&forged.bytes());
        }
    }
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer, __S::Error: Source),
    bytecheck(bounds(__C: ArchiveContext, __C::Error: Source))
)]
struct Fork {
    #[rkyv(omit_bounds)]
    left: Option<Box<Fork>>,
    #[rkyv(omit_bounds)]
    right: Option<Box<Fork>>,
}

/// Fifty forks of which both sides lead to the fork before: 2^50 paths.
#[test]
fn boxes_that_share_their_values() {
    const FORK: usize = 16;
    let leaf = || Fork {
        left: None,
        right: None,
    };
    let honest = Fork {
        left: Some(Box::new(leaf())),
        right: Some(Box::new(leaf())),
    };
    let mut forged = forgery(&honest);
    assert_eq!(forged.archive().len(), 3 * FORK);
    let archive = forged.archive();
    *archive = vec![0; 50 * FORK];
    for fork in (FORK..50 * FORK).step_by(FORK) {
        for side in [fork, fork + 8] {
            archive[side] = 1;
            point(archive, side + 4, (fork - FORK) as i64);
        }
    }
    let reason = assert_invalid_archive::<Fork>(&forged.bytes());
    assert!(reason.contains("overlap"), "{reason}");
}

#[derive(Hash, rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: Writer + Allocator + floe::archive::Interning, __S::Error: Source),
    bytecheck(bounds(__C: ArchiveContext + SharedContext, __C::Error: Source))
)]
struct Shared {
    number: u32,
    #[rkyv(with = Intern, omit_bounds)]
    parts: Vec<Shared>,
}

/// A value with two equal parts, and so on for `levels` levels.
fn shared(levels: u32) -> Shared {
    let count = if levels == 0 { 0 } else { 2 };
    Shared {
        number: levels,
        parts: (0..count).map(|_| shared(levels - 1)).collect(),
    }
}

/// The archive of `shared(levels)` as freezing writes it: a level is two values, of a number and
/// a pointer each, and the vector of both; the root comes last.
fn shared_archive(levels: u32) -> Vec<u8> {
    let mut archive = forgery(&shared(0)).archive()[..8].to_vec();
    let add_value = |archive: &mut Vec<u8>, number: u32, parts: usize| {
        let value = archive.len();
        archive.resize(value + 8, 0);
        put_u32(archive, value, number);
        point(archive, value + 4, parts as i64);
    };
    let mut vector = 0;
    for number in 0..levels {
        let values = archive.len();
        add_value(&mut archive, number, vector);
        add_value(&mut archive, number, vector);
        vector = archive.len();
        archive.resize(vector + 8, 0);
        point(&mut archive, vector, values as i64);
        put_u32(&mut archive, vector + 4, 2);
    }
    add_value(&mut archive, levels, vector);
    archive
}

fn forged_shared(levels: u32) -> Forgery {
    let mut forged = forgery(&shared(1));
    *forged.archive() = shared_archive(levels);
    forged
}

/// An interned value is checked once, so that honest sharing costs no more than its bytes.
#[test]
fn interned_values_may_be_shared_at_every_level() {
    for levels in [0, 1, 10] {
        assert_eq!(*forgery(&shared(levels)).archive(), shared_archive(levels));
    }
    // Two pointers lead from each level to the next; the lowest vector is empty.
    let most = (LIMIT - 1) / 2 - 1;
    Frozen::<Shared>::from_bytes(&forged_shared(most).bytes()).unwrap();
    let reason = assert_invalid_archive::<Shared>(&forged_shared(most + 1).bytes());
    assert!(reason.contains("nested deeper than 128"), "{reason}");
}

#[test]
fn an_interned_value_that_contains_itself() {
    for levels in [1, 2, 30] {
        let mut forged = forged_shared(levels);
        let archive = forged.archive();
        // The first value of the lowest level gets the parts of the root.
        let topmost = archive.len() - 16;
        point(archive, 12, topmost as i64);
        let reason = assert_invalid_archive::<Shared>(&forged.bytes());
        assert!(reason.contains("contains itself"), "{reason}");
    }
}
