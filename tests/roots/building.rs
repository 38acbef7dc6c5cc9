//! Builders of several roots: what they refuse, and what they leave.

use floe::error::RootError;
use floe::map::RootMapBuilder;
use floe::roots::RootName;
use floe::{Error, Frozen, Map, Root, Roots, RootsBuilder};

use crate::caches::{Caches, assert_complete, built};

#[derive(Debug, Roots)]
struct Two {
    first: Root<u32>,
    second: Root<Map<String, u32>>,
}

#[derive(Roots)]
#[expect(dead_code, reason = "only its names are used")]
struct Other {
    second: Root<Map<String, u64>>,
    third: Root<u8>,
}

#[derive(Roots)]
#[expect(dead_code, reason = "only its names are used")]
struct Third {
    other: Root<Map<String, u32>>,
}

fn refused<T>(result: Result<T, Error>) -> (String, RootError) {
    match result.map(drop).unwrap_err() {
        Error::Root { root, reason, .. } => (root, reason),
        other => panic!("{other}"),
    }
}

fn builder() -> RootsBuilder {
    RootsBuilder::on_heap("two").unwrap()
}

fn pair() -> [(String, u32); 1] {
    [("one".to_owned(), 1)]
}

#[test]
fn what_was_built_must_be_what_is_declared() {
    let first = || builder().value(Two::FIRST, &1_u32).unwrap();
    let second = |builder: RootsBuilder| builder.map(Two::SECOND, pair());
    let (root, reason) = refused(first().finish::<Two>());
    assert_eq!(root, "second");
    assert!(matches!(reason, RootError::Missing { known } if known == ["first"]));

    let mistyped = first().map(Other::SECOND, [("one".to_owned(), 1)]).unwrap();
    let (root, reason) = refused(mistyped.finish::<Two>());
    assert_eq!(root, "second");
    assert!(
        matches!(reason, RootError::Type { expected, got } if expected.contains("u32") && got.contains("u64"))
    );

    let more = second(first()).unwrap().value(Other::THIRD, &3_u8).unwrap();
    let (root, reason) = refused(more.finish::<Two>());
    assert_eq!(root, "third");
    assert!(matches!(reason, RootError::Undeclared { known } if known == ["first", "second"]));

    let (root, reason) = refused(first().value(Two::FIRST, &2_u32));
    assert_eq!((root.as_str(), reason), ("first", RootError::Twice));
    let (root, reason) = refused(second(second(builder()).unwrap()));
    assert_eq!((root.as_str(), reason), ("second", RootError::Twice));

    let frozen: Frozen<Two> = second(first()).unwrap().finish().unwrap();
    assert_eq!((*frozen.first, frozen.second["one"]), (1.into(), 1.into()));
    assert!(frozen.region().as_fds().is_err());
}

#[test]
fn the_order_of_building_is_free() {
    let frozen: Frozen<Two> = builder()
        .map(Two::SECOND, pair())
        .unwrap()
        .value(Two::FIRST, &1_u32)
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!((*frozen.first, frozen.second["one"]), (1.into(), 1.into()));
}

#[test]
fn there_is_a_most() {
    let many = (0..64).try_fold(builder(), |builder, number| {
        builder.value(RootName::new(number.to_string().leak()), &number)
    });
    let (root, reason) = refused(many.unwrap().value(RootName::new("64"), &64_u8));
    assert_eq!(
        (root.as_str(), reason),
        ("64", RootError::TooMany { most: 64 })
    );
}

#[test]
fn a_map_is_filled_entry_by_entry() {
    let fill = |map: &mut RootMapBuilder<String, u32>| {
        assert!(map.is_empty());
        map.last_wins();
        for number in [3, 1, 2, 4] {
            map.insert(&(number % 3).to_string(), &number)?;
        }
        map.append(&Map::freeze("more", pair())?)?;
        assert_eq!(map.len(), 5);
        Ok::<_, Error>(())
    };
    let frozen: Frozen<Two> = builder()
        .value(Two::FIRST, &1_u32)
        .unwrap()
        .map_with(Two::SECOND, fill)
        .unwrap()
        .finish()
        .unwrap();
    let entries: Vec<(&str, u32)> = frozen
        .second
        .iter()
        .map(|(key, value)| (key.as_str(), value.to_native()))
        .collect();
    assert_eq!(entries, [("0", 3), ("2", 2), ("1", 4), ("one", 1)]);
    assert!(frozen.second.garbage() > 0);

    let twice = builder().map(Two::SECOND, [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    assert!(matches!(twice, Err(Error::DuplicateKey { .. })));
}

#[test]
fn a_closure_that_fails_ends_the_builder() {
    #[derive(Debug, PartialEq)]
    struct Own;
    impl From<Error> for Own {
        fn from(_: Error) -> Self {
            Self
        }
    }
    let failed = builder().map_with(Two::SECOND, |_| Err(Own));
    assert_eq!(failed.map(drop).unwrap_err(), Own);
}

#[test]
fn builders_cannot_be_exchanged() {
    let mut outer = None;
    let inner = builder()
        .value(Two::FIRST, &1_u32)
        .unwrap()
        .map_with(Two::SECOND, |inner| {
            let result = builder().map_with(Third::OTHER, |other| {
                std::mem::swap(inner, other);
                Ok::<_, Error>(())
            });
            outer = Some(refused(result));
            Ok::<_, Error>(())
        });
    assert_eq!(outer, Some(("other".to_owned(), RootError::Exchanged)));
    assert_eq!(refused(inner), ("second".to_owned(), RootError::Exchanged));
}

/// Generations share pages, so a region that grows large behind a small root has its sections there.
#[test]
fn a_large_region_is_in_pages_however_it_began() {
    let large: Vec<(String, u32)> = (0..40_000).map(|it| (format!("a key {it}"), it)).collect();
    let frozen: Frozen<Two> = builder()
        .value(Two::FIRST, &1_u32)
        .unwrap()
        .map(Two::SECOND, large)
        .unwrap()
        .finish()
        .unwrap();
    let header_length = u32::from_le_bytes(frozen.region().bytes()[20..24].try_into().unwrap());
    assert!(header_length >= 4096, "{header_length}");
    assert_eq!(frozen.second["a key 39999"], 39_999);
    assert_complete(&built().finish::<Caches>().unwrap());
}
