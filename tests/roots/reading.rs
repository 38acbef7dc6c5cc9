//! What a reader of a region with several roots gets.

use floe::error::RootError;
use floe::{Error, Frozen, Intern, Map, Root, Roots, RootsBuilder, Schema};

use crate::caches::{Caches, Data, assert_complete, caches, recipes};
use crate::zoo::Recipe;

#[test]
fn every_way_into_a_process_leads_to_all_roots() {
    let frozen = caches();
    assert_complete(&frozen);
    let region = frozen.region();
    assert_eq!((region.name(), region.generation()), ("caches", 1));
    assert_complete(&Frozen::<Caches>::from_fds(region.try_clone_fds().unwrap()).unwrap());
    assert_complete(&Frozen::<Caches>::from_bytes(region.bytes()).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("caches.floe");
    region.save(&path).unwrap();
    assert_complete(&Frozen::<Caches>::load(&path).unwrap());
    assert_complete(&Frozen::<Caches>::from_reader(region.bytes()).unwrap());
}

#[test]
fn a_root_outlives_the_handle_on_all_of_them() {
    let frozen = caches();
    let data = frozen.data.clone();
    drop(frozen);
    assert_eq!(data.len(), 40);
    assert_eq!(data["key 7"].number.to_native(), 7 << 40);
}

#[derive(Roots)]
struct JustData {
    data: Root<Map<String, Data>>,
}

#[derive(Roots)]
struct Reordered {
    answer: Root<u8>,
    recipes: Root<Map<String, Recipe>>,
}

#[test]
fn some_of_the_roots_are_enough() {
    let frozen = caches();
    let data = Frozen::<JustData>::from_bytes(frozen.region().bytes()).unwrap();
    assert_eq!(data.data.len(), 40);
    assert_eq!(data.data["key 9"].license, frozen.data["key 9"].license);
    let two = Frozen::<Reordered>::from_bytes(frozen.region().bytes()).unwrap();
    assert_eq!((*two.answer, two.recipes.len()), (42, 40));
    assert!(Frozen::<Caches>::from_bytes(data.region().bytes()).is_ok());
}

#[derive(Debug, Roots)]
struct Lacking {
    #[expect(dead_code, reason = "it cannot be opened")]
    other: Root<u8>,
}

#[derive(Debug, Roots)]
struct Mistyped {
    #[expect(dead_code, reason = "it cannot be opened")]
    data: Root<Map<String, u32>>,
}

#[test]
fn a_root_that_is_not_there_or_of_another_type_is_told_by_name() {
    let frozen = caches();
    let bytes = frozen.region().bytes();
    let refused = Frozen::<Lacking>::from_bytes(bytes).unwrap_err();
    let Error::Root {
        name,
        root,
        reason: RootError::Missing { known },
    } = &refused
    else {
        panic!("{refused}")
    };
    assert_eq!((name.as_str(), root.as_str()), ("caches", "other"));
    assert_eq!(known.join(" "), "recipes data licenses empty answer");
    assert!(
        refused.to_string().contains("build the cache again"),
        "{refused}"
    );

    let refused = Frozen::<Mistyped>::from_bytes(bytes).unwrap_err();
    let Error::Root { root, reason, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(root, "data");
    assert!(
        matches!(reason, RootError::Fingerprint { expected, got, .. } if expected != got),
        "{refused}"
    );
    for part in ["Map<", "u32", "open it as the type that it was frozen from"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
}

#[test]
fn regions_of_one_value_and_of_several_roots_are_told_apart() {
    let frozen = caches();
    let recipes = Map::<String, Recipe>::freeze("recipes", recipes()).unwrap();
    let refused = [
        Frozen::<Map<String, Recipe>>::from_bytes(frozen.region().bytes()).err(),
        Frozen::<u8>::from_bytes(frozen.region().bytes()).err(),
        Frozen::<Caches>::from_bytes(recipes.region().bytes()).err(),
    ];
    for refused in refused {
        let refused = refused.expect("it is refused");
        assert!(matches!(refused, Error::SchemaMismatch { .. }), "{refused}");
    }
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Text(#[rkyv(with = Intern)] String);

#[derive(Roots)]
struct Both {
    #[expect(dead_code, reason = "its size counts")]
    one: Root<Map<u32, Text>>,
    #[expect(dead_code, reason = "its size counts")]
    other: Root<Map<u32, Text>>,
}

/// Text that both caches have is there once, so both together take about what one does.
#[test]
fn roots_share_what_they_intern() {
    let texts = || (0..100_u32).map(|number| (number, Text(number.to_string().repeat(200))));
    let together: Frozen<Both> = RootsBuilder::new("both")
        .unwrap()
        .map(Both::ONE, texts())
        .unwrap()
        .map(Both::OTHER, texts())
        .unwrap()
        .finish()
        .unwrap();
    let one = Map::<u32, Text>::freeze("one", texts()).unwrap();
    let (together, one) = (together.region().size(), one.region().size());
    assert!(together < one + one / 8, "{together} together, {one} alone");

    let frozen = caches();
    let text = |text: &str| text.as_ptr().addr();
    let (recipe, data) = (&frozen.recipes["key 1"], &frozen.data["key 1"]);
    assert_eq!(text(&recipe.license), text(&data.license));
    assert!(
        data.tasks
            .iter()
            .zip(recipe.tasks.iter())
            .all(|(one, other)| text(one) == text(other))
    );
    let licenses = &frozen.licenses.known;
    assert_eq!(text(&licenses[1]), text(&recipe.license));
}

#[test]
fn equal_roots_give_equal_bytes() {
    let (one, other) = (caches(), caches());
    let behind = |frozen: &Frozen<Caches>| frozen.region().bytes()[576..].to_vec();
    assert_eq!(behind(&one), behind(&other));
}
