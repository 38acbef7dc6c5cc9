//! The contract of `Frozen` over every backing: what is frozen reads back, travels, and is refused
//! where it does not fit.

use floe_testkit::zoo;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use floe::{Content, Error, Frozen, Map, MapBuilder};
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
        for (archived, recipe) in frozen.iter().zip(&recipes) {
            let back: Recipe = rkyv::deserialize::<_, rkyv::rancor::Error>(archived).unwrap();
            assert_eq!(back, *recipe);
        }
    });
    through_every_backing(&(), |_| {});
    through_every_backing(&String::new(), |frozen| assert_eq!(frozen.as_str(), ""));
    through_every_backing(&7_u128, |frozen| assert_eq!(frozen.to_native(), 7));
}

#[test]
fn equal_values_give_equal_bytes() {
    let recipes: Vec<Recipe> = (0..100).map(recipe).collect();
    let archive_of = |frozen: &Frozen<Vec<Recipe>>| frozen.region().bytes()[512..].to_vec();
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
    for name in ["", "a/b", "a\nb", "a\0b", &"x".repeat(129)] {
        let refused = Frozen::freeze(name, &1_u32).unwrap_err();
        assert!(matches!(refused, Error::Name { .. }), "{name:?}: {refused}");
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
