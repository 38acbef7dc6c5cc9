//! Deltas on their way.

use floe::error::{DeltaError, RootError};
use floe::overlay::DeltaShard;
use floe::{Delta, Error, Frozen, Map, Overlay};

use crate::fixture::{Texts, delta, texts};

fn told(delta: &Delta<String, String>) -> Vec<String> {
    let added = delta.added().iter();
    let added = added.map(|(key, value)| format!("{key}={value}"));
    let removed = delta.removed().map(|key| format!("-{key}"));
    added.chain(removed).collect()
}

#[test]
fn deltas_travel_as_descriptors_as_files_and_in_streams() {
    let sealed = delta(&texts("a=1 b=2"), "c=3 -a b=4");
    let expected = ["c=3", "b=4", "-a"];
    assert_eq!(told(&sealed), expected);
    let opened = Delta::from_fds(sealed.try_clone_fds().unwrap()).unwrap();
    assert_eq!(told(&opened), expected);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("delta");
    sealed.save(&path).unwrap();
    let loaded = Delta::<String, String>::load(&path).unwrap();
    assert_eq!(told(&loaded), expected);
    assert_eq!(
        (loaded.name(), loaded.generation(), loaded.len()),
        ("texts", 1, 3)
    );
    assert!(format!("{loaded:?}").contains("added: 2, removed: 1"));

    let mut stream = Vec::new();
    sealed.region().write_to(&mut stream).unwrap();
    let read = Delta::<String, String>::from_reader(&stream[..]).unwrap();
    assert_eq!(told(&read), expected);
    let middle = stream.len() / 2;
    stream[middle] ^= 1;
    assert!(Delta::<String, String>::from_reader(&stream[..]).is_err());
    let other = Frozen::freeze("texts", &1_u32).unwrap();
    let refused = Delta::<String, String>::from_reader(other.region().bytes());
    assert!(refused.is_err());
}

#[test]
fn equal_changes_give_equal_deltas() {
    let map = texts("a=1");
    let bytes = |delta: &Delta<String, String>| delta.region().bytes()[1 << 10..].to_vec();
    let (one, other) = (delta(&map, "b=1 c=2 -a"), delta(&map, "b=1 c=2 -a"));
    assert_eq!(bytes(&one), bytes(&other));
}

#[test]
fn deltas_of_other_types_are_refused() {
    let sealed = delta(&texts("a=1"), "b=1");
    let fds = || sealed.try_clone_fds().unwrap();
    let other = Delta::<String, u64>::from_fds(fds()).unwrap_err();
    assert!(
        matches!(
            other,
            Error::Root {
                reason: RootError::Fingerprint { .. },
                ..
            }
        ),
        "{other}"
    );
    assert!(matches!(
        Frozen::<Texts>::from_fds(fds()),
        Err(Error::SchemaMismatch { .. })
    ));
    let map = texts("a=1").region().try_clone_fds().unwrap();
    let map = Delta::<String, String>::from_fds(map).unwrap_err();
    assert!(matches!(map, Error::SchemaMismatch { .. }), "{map}");
}

/// The roots of a delta, so that one can be made that no overlay makes.
mod forged {
    use floe::{Intern, Map, Root, Roots, Schema};

    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(derive(Schema))]
    pub struct Recorded {
        #[rkyv(with = Intern)]
        pub inputs: Vec<u8>,
    }

    #[derive(Roots)]
    #[expect(dead_code, reason = "they are read as those of a delta")]
    pub struct Changes {
        pub added: Root<Map<String, String>>,
        pub removed: Root<Map<String, ()>>,
        pub recorded: Root<Map<String, Recorded>>,
        pub used: Root<Vec<u64>>,
    }
}

/// A delta that adds and removes some keys, with such inputs.
pub fn forged(
    added: &[&str],
    removed: &[&str],
    inputs: &[(&str, &[u8])],
) -> Frozen<forged::Changes> {
    use forged::{Changes, Recorded};
    let recorded = inputs.iter().map(|(key, inputs)| {
        let inputs = inputs.to_vec();
        ((*key).to_owned(), Recorded { inputs })
    });
    let recorded: Vec<_> = recorded.collect();
    floe::RootsBuilder::new("texts")
        .unwrap()
        .map(
            Changes::ADDED,
            added.iter().map(|it| ((*it).to_owned(), "1".to_owned())),
        )
        .unwrap()
        .map(
            Changes::REMOVED,
            removed.iter().map(|it| ((*it).to_owned(), ())),
        )
        .unwrap()
        .map_with(Changes::RECORDED, |map| {
            recorded
                .iter()
                .try_for_each(|(key, recorded)| map.insert(key, recorded))
        })
        .unwrap()
        .value(Changes::USED, &vec![7])
        .unwrap()
        .finish()
        .unwrap()
}

#[test]
fn a_delta_that_contradicts_itself_is_refused() {
    let open = |removed: &[&str]| {
        let forged = forged(&["a", "b"], removed, &[]);
        Delta::<String, String>::from_fds(forged.region().try_clone_fds().unwrap())
    };
    assert_eq!(open(&["c"]).unwrap().len(), 3);
    let key = "\"b\"".to_owned();
    match open(&["b", "c"]) {
        Err(Error::Delta { reason, .. }) => assert_eq!(reason, DeltaError::Contradiction { key }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shard_is_sealed_once_and_whatever_its_size() {
    let map = texts("a=1");
    for entries in [1, 2_000, 200_000] {
        let shard = DeltaShard::new("texts").unwrap();
        let mut overlay = Overlay::over(&map);
        for number in 0..entries {
            overlay
                .insert(&number.to_string(), &number.to_string())
                .unwrap();
        }
        shard.seal(overlay).unwrap();
        let again = shard.seal(Overlay::over(&map));
        assert!(matches!(again, Err(Error::ShardTaken { .. })));
        let delta = shard.open::<String, String>().unwrap();
        assert_eq!(delta.len(), entries);
        assert_eq!(delta.added()["0"].as_str(), "0");
    }
    // Pages begin at a size that only all roots together reach.
    let keys = || (0..9_000).map(|number| format!("key number {number}"));
    let map = Map::freeze("texts", keys().map(|key| (key, String::new()))).unwrap();
    let mut overlay = Overlay::over(&map);
    for key in keys() {
        overlay.insert(&format!("new {key}"), &key).unwrap();
        overlay.remove(&key).unwrap();
    }
    let shard = DeltaShard::new("texts").unwrap();
    shard.seal(overlay).unwrap();
    assert_eq!(shard.open::<String, String>().unwrap().len(), 18_000);
    let unfilled = DeltaShard::new("texts").unwrap().open::<String, String>();
    assert!(matches!(unfilled, Err(Error::Unsealed { .. })));
}

#[test]
fn keys_and_values_may_have_any_form() {
    fn round<K, V>(pairs: impl IntoIterator<Item = (K, V)>)
    where
        K: floe::overlay::OverlayKey + Ord,
        V: floe::overlay::OverlayValue,
    {
        let map = Map::<K, V>::freeze("any", Vec::<(K, V)>::new()).unwrap();
        let mut overlay = Overlay::over(&map);
        let mut count = 0;
        for (key, value) in pairs {
            overlay.insert(&key, &value).unwrap();
            count += 1;
        }
        let fds = overlay.into_delta().unwrap().try_clone_fds().unwrap();
        assert_eq!(Delta::<K, V>::from_fds(fds).unwrap().added().len(), count);
    }
    round([(1_u64, 2_u64), (3, 4)]);
    round([((), ())]);
    round([(Some(1_u8), vec![String::from("x")])]);
    round([([1_u8; 32], 1_u128), ([2; 32], 2)]);
    round([(vec![1_u8], ())]);
}
