//! Deltas on their way.

use floe::error::{DeltaError, RootError};
use floe::overlay::{DeltaShard, Rule, merge};
use floe::{Delta, Error, Frozen, Map, Overlay, Publisher};

use crate::fixture::{Texts, delta, split, texts};

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

/// Changes an overlay: `key=value` adds, `-key` removes.
fn change(overlay: &mut Overlay<String, String>, change: &str) {
    match change.strip_prefix('-') {
        Some(key) => assert!(overlay.remove(&key.to_owned()).unwrap()),
        None => {
            let (key, value) = &split(change)[0];
            overlay.insert(key, value).unwrap();
        }
    }
}

/// What was told is on its way, whatever the map has today.
#[test]
fn the_last_word_counts_although_an_earlier_delta_told_another() {
    let map = texts("a=1");
    for (first, last, expected) in [
        ("b=1", "-b", "a=1"),
        ("-a", "a=1", "a=1"),
        ("a=2", "a=1", "a=1"),
        ("a=2", "-a", ""),
    ] {
        let mut overlay = Overlay::over(&map);
        change(&mut overlay, first);
        let early = overlay.to_delta().unwrap();
        change(&mut overlay, last);
        assert_eq!(overlay.len(), split(expected).len());
        let late = overlay.to_delta().unwrap();
        let (next, _) = merge(&map, &[early, late], &Rule::LastWins).unwrap();
        assert_eq!(crate::fixture::told(&next), expected, "{first} {last}");
    }
}

#[test]
fn a_correction_outlives_a_generation_that_knows_neither() {
    let map = texts("a=1");
    let publisher = Publisher::new(&map).unwrap();
    let mut overlay = Overlay::following(publisher.subscribe::<Texts>().unwrap());
    change(&mut overlay, "b=1");
    let early = overlay.to_delta().unwrap();
    change(&mut overlay, "-b");
    let publish = |map: &Frozen<Texts>, delta: &Delta<String, String>| {
        let (next, _) = merge(map, std::slice::from_ref(delta), &Rule::LastWins).unwrap();
        publisher.publish(&next).unwrap();
        next
    };
    let map = publish(&map, &delta(&map, "c=1"));
    assert!(overlay.advance());
    assert_eq!((overlay.changes().count(), overlay.len()), (1, 2));
    let map = publish(&map, &early);
    assert!(overlay.advance() && !overlay.contains_key("b"));
    publish(&map, &overlay.to_delta().unwrap());
    assert!(overlay.advance() && !overlay.contains_key("b"));
    assert_eq!((overlay.changes().count(), overlay.len()), (0, 2));
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
