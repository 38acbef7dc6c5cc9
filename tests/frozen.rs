//! The contract of `Frozen` over every backing: what is frozen reads back, travels, and is refused
//! where it does not fit.

use floe_testkit::{sign, zoo};

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use floe::error::{HeaderError, NameError};
use floe::{Content, Error, Frozen, Map, MapBuilder};
use rkyv::rancor::{Fallible, Source, fail};
use rkyv::with::{ArchiveWith, DeserializeWith, SerializeWith};
use rkyv::{Archive, Place};
use zoo::{Recipe, recipe};

/// Every way in which a value can come into a handle.
fn through_every_backing<T: floe::Value>(value: &T, check: impl Fn(&Frozen<T>)) {
    let memfd = Frozen::freeze("contract", value).unwrap();
    let heap = Frozen::freeze_on_heap("contract", value).unwrap();
    check(&memfd);
    check(&heap);
    check(&Frozen::from_fd(duplicate(&memfd)).unwrap());
    check(&Frozen::from_bytes(memfd.region().bytes()).unwrap());
    check(&Frozen::from_bytes(heap.region().bytes()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("contract.floe");
    heap.region().save(&path).unwrap();
    check(&Frozen::load(&path).unwrap());
    let mut stream = Vec::new();
    heap.region().write_to(&mut stream).unwrap();
    check(&Frozen::from_reader(&*stream).unwrap());
}

fn duplicate<T: Content>(frozen: &Frozen<T>) -> OwnedFd {
    frozen.region().try_clone_fd().unwrap()
}

#[test]
fn values_read_back_through_every_backing() {
    let recipes: Vec<Recipe> = (0..100).map(recipe).collect();
    through_every_backing(&recipes, |frozen| {
        assert_eq!(
            (frozen.region().name(), frozen.region().generation()),
            ("contract", 1)
        );
        assert_eq!(frozen.len(), recipes.len());
        assert_eq!(Frozen::thaw(frozen).unwrap(), recipes);
    });
    through_every_backing(&(), |_| {});
    through_every_backing(&String::new(), |frozen| assert_eq!(frozen.as_str(), ""));
    through_every_backing(&7_u128, |frozen| assert_eq!(frozen.to_native(), 7));
}

#[test]
fn equal_values_give_equal_bytes() {
    let recipes: Vec<Recipe> = (0..100).map(recipe).collect();
    let archive_of = |frozen: &Frozen<Vec<Recipe>>| {
        frozen.region().bytes()[floe::format::HEADER_LENGTH..].to_vec()
    };
    let first = archive_of(&Frozen::freeze("first", &recipes).unwrap());
    assert_eq!(
        first,
        archive_of(&Frozen::freeze("second", &recipes).unwrap())
    );
    assert_eq!(
        first,
        archive_of(&Frozen::freeze_on_heap("third", &recipes.clone()).unwrap())
    );
}

#[test]
fn a_large_value_streams_through_the_buffer() {
    let long: Vec<String> = (0..200_000)
        .map(|number| format!("a string of some length {number}"))
        .collect();
    through_every_backing(&long, |frozen| {
        assert_eq!(frozen.len(), long.len());
        assert_eq!(frozen[199_999].as_str(), long[199_999]);
    });
}

#[test]
fn a_memory_file_is_sealed_and_private() {
    let frozen = Frozen::freeze("sealed", &1_u32).unwrap();
    let file = File::from(duplicate(&frozen));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    let flags = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("/memfd:floe:sealed.1"), "{maps}");
}

#[test]
fn dropping_the_last_handle_unmaps() {
    let mapped = || {
        std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .contains("floe:dropped.1")
    };
    let frozen = Frozen::freeze("dropped", &vec![1_u8; 100_000]).unwrap();
    let clone = frozen.clone();
    drop(frozen);
    assert!(mapped());
    assert_eq!(clone[99_999], 1);
    drop(clone);
    assert!(!mapped());
}

#[test]
fn a_handle_can_be_sent_and_shared() {
    let frozen = Frozen::freeze("threads", &vec!["a".to_owned(); 1000]).unwrap();
    let map = Map::freeze("threads", [("k".to_owned(), 1_u32)]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (own, shared, map) = (frozen.clone(), &frozen, map.clone());
            scope.spawn(move || assert!(own.len() == shared.len() && map["k"] == 1));
        }
    });
}

#[test]
fn names_that_cannot_be_used_are_refused() {
    let long = "x".repeat(129);
    for (name, expected) in [
        ("", NameError::Empty),
        (".", NameError::Folder),
        ("..", NameError::Folder),
        ("a/b", NameError::Character),
        ("a\nb", NameError::Character),
        ("a\0b", NameError::Character),
        (&long, NameError::TooLong { most: 128 }),
    ] {
        let refused = Frozen::freeze(name, &1_u32).unwrap_err();
        assert!(
            matches!(refused, Error::Name { reason, .. } if reason == expected),
            "{name:?}: {refused}"
        );
        assert!(matches!(
            MapBuilder::<u8, u8>::new(name).unwrap_err(),
            Error::Name { .. }
        ));
    }
    let longest = "ä".repeat(64);
    assert_eq!(
        Frozen::freeze(&longest, &1_u32).unwrap().region().name(),
        longest
    );
}

#[test]
fn another_type_is_refused_with_both_fingerprints() {
    let frozen = Frozen::freeze("typed", &vec![1_u64, 2]).unwrap();
    let refused = Frozen::<Vec<f64>>::from_fd(duplicate(&frozen)).unwrap_err();
    assert!(
        matches!(&refused, Error::SchemaMismatch { expected, got, .. }
        if *got == frozen.region().fingerprint() && expected != got),
        "{refused}"
    );
    assert!(matches!(
        Frozen::<Map<u64, u64>>::from_fd(duplicate(&frozen)),
        Err(Error::SchemaMismatch { .. })
    ));
}

#[test]
fn a_region_on_the_heap_has_no_descriptor() {
    let frozen = Frozen::freeze_on_heap("heap", &1_u32).unwrap();
    assert!(matches!(frozen.region().as_fd(), Err(Error::NoDescriptor { name }) if name == "heap"));
}

#[test]
fn a_frozen_map_thaws_into_every_collection_of_pairs() {
    let pairs = [("a".to_owned(), 1_u64), ("b".to_owned(), 2)];
    let frozen = Map::freeze("thawed", pairs.clone()).unwrap();
    let list: Vec<(String, u64)> = Frozen::thaw(&frozen).unwrap();
    assert_eq!(list, pairs);
    let sorted: BTreeMap<String, u64> = Frozen::thaw(&frozen).unwrap();
    assert_eq!(sorted, BTreeMap::from(pairs));
}

/// Numbers that a program takes no more of than it knows what to do with.
struct Small;

impl ArchiveWith<u32> for Small {
    type Archived = rkyv::Archived<u32>;
    type Resolver = ();

    fn resolve_with(number: &u32, (): (), out: Place<Self::Archived>) {
        number.resolve((), out);
    }
}

impl<S: Fallible + ?Sized> SerializeWith<u32, S> for Small {
    fn serialize_with(_: &u32, _: &mut S) -> Result<(), S::Error> {
        Ok(())
    }
}

impl<D: Fallible<Error: Source> + ?Sized> DeserializeWith<rkyv::Archived<u32>, u32, D> for Small {
    fn deserialize_with(number: &rkyv::Archived<u32>, _: &mut D) -> Result<u32, D::Error> {
        match number.to_native() {
            small @ 0..100 => Ok(small),
            large => fail!(std::io::Error::other(format!("{large} is too large"))),
        }
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, Debug)]
#[rkyv(derive(floe::Schema, Debug))]
struct Limit {
    #[rkyv(with = Small)]
    jobs: u32,
}

#[test]
fn what_a_wrapper_refuses_is_an_error_of_thawing() {
    let limits = [4, 400].map(|jobs| Frozen::freeze("limit", &Limit { jobs }).unwrap());
    assert_eq!(Frozen::thaw(&limits[0]).unwrap().jobs, 4);
    let refused = Frozen::thaw(&limits[1]).unwrap_err();
    let line = refused.to_string();
    assert!(matches!(refused, Error::Thaw { .. }), "{line}");
    assert!(line.contains("Limit: 400 is too large"), "{line}");
    let map = Map::freeze(
        "limits",
        [(1_u8, Limit { jobs: 4 }), (2, Limit { jobs: 400 })],
    );
    let refused = Frozen::thaw::<Vec<(u8, Limit)>>(&map.unwrap()).unwrap_err();
    assert!(matches!(refused, Error::Thaw { .. }), "{refused}");
}

#[test]
fn handles_do_what_the_value_does() {
    let numbers = Frozen::freeze("numbers", &vec![1_u32, 2]).unwrap();
    let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)]).unwrap();
    assert_eq!(format!("{numbers:?} {ages:?}"), r#"[1, 2] {"ada": 36}"#);
    fn total(numbers: impl AsRef<<Vec<u32> as rkyv::Archive>::Archived>) -> u32 {
        numbers
            .as_ref()
            .iter()
            .map(|number| number.to_native())
            .sum()
    }
    assert_eq!(total(numbers), 3);
    let mut pairs = Vec::new();
    for (name, age) in &ages {
        pairs.push((name.as_str(), age.to_native()));
    }
    assert_eq!(pairs, [("ada", 36)]);
    let (keys, values) = (ages.keys(), ages.values());
    assert_eq!((keys.len(), values.clone().len()), (1, 1));
    let shown = format!("{:?} {keys:?} {values:?}", ages.iter());
    assert_eq!(
        shown,
        "Iter { left: 1, .. } Keys { left: 1, .. } Values { left: 1, .. }"
    );
    assert!(keys.eq([&"ada"]) && values.eq([&36]));
    let asked = ages.get_many(["ada"]);
    assert_eq!(format!("{asked:?}"), "GetMany { ready: 0, .. }");
}

/// Yields so many bytes at a time, is interrupted now and then, and fails at last.
struct Stream<'a> {
    bytes: &'a [u8],
    most: usize,
    reads: usize,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        if self.reads.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.bytes.is_empty() {
            return Err(io::Error::other("the line is dead"));
        }
        let most = self.most.min(buffer.len());
        self.bytes.read(&mut buffer[..most])
    }
}

#[test]
fn regions_stand_behind_each_other_in_a_stream() {
    let numbers: Vec<u32> = (0..100_000).collect();
    let first = Frozen::freeze("first", &numbers).unwrap();
    let second = Frozen::freeze_on_heap("second", &7_u8).unwrap();
    let mut bytes = Vec::new();
    first.region().write_to(&mut bytes).unwrap();
    second.region().write_to(&mut bytes).unwrap();
    for most in [509, 100_000] {
        let reads = 0;
        let mut stream = Stream {
            bytes: &bytes,
            most,
            reads,
        };
        let copy = Frozen::<Vec<u32>>::from_reader(&mut stream).unwrap();
        assert_eq!(copy.region().bytes(), first.region().bytes());
        assert!(copy.region().as_fd().is_ok());
        assert_eq!(*Frozen::<u8>::from_reader(&mut stream).unwrap(), 7);
        let refused = Frozen::<u8>::from_reader(&mut stream).unwrap_err();
        assert!(matches!(refused, Error::ReadStream { .. }), "{refused}");
        assert!(
            refused.to_string().contains("the line is dead"),
            "{refused}"
        );
    }
}

#[test]
fn a_stream_is_not_believed() {
    let frozen = Frozen::freeze("stream", &vec![7_u8; 200_000]).unwrap();
    let mut bytes = frozen.region().bytes().to_vec();
    for length in [0, 100, 511, 512, 513, 70_000, bytes.len() - 1] {
        let refused = Frozen::<Vec<u8>>::from_reader(&bytes[..length]).unwrap_err();
        assert!(
            matches!(refused, Error::Header(HeaderError::Length { expected, got })
                if got == length as u64 && expected > got),
            "{length}: {refused}"
        );
    }
    let refused = Frozen::<Vec<u16>>::from_reader(&*bytes).unwrap_err();
    assert!(matches!(refused, Error::SchemaMismatch { .. }), "{refused}");
    bytes[100_000] ^= 1;
    let refused = Frozen::<Vec<u8>>::from_reader(&*bytes).unwrap_err();
    assert!(
        matches!(refused, Error::Header(HeaderError::Damaged { .. })),
        "{refused}"
    );
}

/// A sender may announce more than there is memory in the world.
#[test]
fn a_stream_costs_what_has_arrived() {
    let frozen = Frozen::freeze("stream", &vec![7_u8; 200_000]).unwrap();
    let mut bytes = frozen.region().bytes().to_vec();
    let (row, more) = (sign::TABLE + sign::ROW, 1_u64 << 60);
    for at in [row + 16, 80] {
        let announced = sign::u64_at(&bytes, at) + more;
        bytes[at..][..8].copy_from_slice(&announced.to_le_bytes());
    }
    sign::sign(&mut bytes);
    let refused = Frozen::<Vec<u8>>::from_reader(&*bytes).unwrap_err();
    assert!(
        matches!(refused, Error::Header(HeaderError::Length { expected, got })
            if expected > more && got == bytes.len() as u64),
        "{refused}"
    );
}
