//! Deltas that lie: refused when they are opened, or merged into a map that reads to the end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use floe::overlay::{Rule, merge};
use floe::{Delta, Error, Frozen, Key, Map, MapBuilder, Overlay, Schema};
use proptest::prelude::*;

use crate::descriptors::{ALL_SEALS, memfd, sealed};
use crate::random::{apply, edit};
use crate::read::read_everything;
use crate::recipes::recipes;
use crate::sign::{HEADER, sign};
use crate::zoo::{Recipe, recipe};

static MAP: LazyLock<Frozen<Map<String, Recipe>>> =
    LazyLock::new(|| Map::freeze("recipes", recipes(24)).unwrap());

static DELTA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut overlay = Overlay::over(&MAP);
    for number in 20..40 {
        let recipe = recipe(number);
        overlay
            .insert(&format!("recipe {number}"), &recipe)
            .unwrap();
    }
    let names: Vec<String> = MAP.keys().take(5).map(ToString::to_string).collect();
    for name in names {
        overlay.remove(&name).unwrap();
    }
    overlay.into_delta().unwrap().region().bytes().to_vec()
});

fn open(bytes: &[u8]) -> floe::Result<Delta<String, Recipe>> {
    Delta::from_fds(vec![sealed(bytes, ALL_SEALS)])
}

/// Merges a delta that was accepted by every rule, and reads what comes of it.
fn merge_and_read(delta: Delta<String, Recipe>) {
    for rule in [Rule::FirstWins, Rule::LastWins, Rule::Newest] {
        let deltas = [delta.clone(), delta.clone()];
        if let Ok((next, report)) = merge(&MAP, &deltas, &rule) {
            read_everything(&next);
            assert_eq!(report.entries, next.len() as u64);
            let copy = Frozen::from_fds(next.region().try_clone_fds().unwrap());
            read_everything(&copy.unwrap());
        }
    }
}

#[test]
fn the_delta_without_edits_is_merged() {
    let delta = open(&DELTA).unwrap();
    assert_eq!(delta.len(), 25);
    let (next, report) = merge(&MAP, std::slice::from_ref(&delta), &Rule::LastWins).unwrap();
    assert_eq!(report.deltas[0].removed, 5);
    read_everything(&next);
    merge_and_read(delta);
}

#[test]
fn a_delta_that_could_change_is_refused() {
    let unsealed = memfd(&DELTA);
    let refused = Delta::<String, Recipe>::from_fds(vec![unsealed]);
    assert!(matches!(refused, Err(Error::Unsealed { .. })));
    for file in ["/dev/null", "/dev/zero", "/proc/self/exe"] {
        let file = OwnedFd::from(File::open(file).unwrap());
        assert!(Delta::<String, Recipe>::from_fds(vec![file]).is_err());
    }
    assert!(Delta::<String, Recipe>::from_fds(Vec::new()).is_err());
}

/// A key of which all have one hash.
#[derive(Debug, Clone, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(derive(Debug, PartialEq, Schema))]
struct Alike(String);

impl Key for Alike {
    fn key_hash(&self) -> u64 {
        7
    }
}

impl Key for ArchivedAlike {
    fn key_hash(&self) -> u64 {
        7
    }
}

#[test]
fn a_delta_that_has_a_key_twice_is_refused() {
    let key = |text: &str| Alike(text.to_owned());
    let (first, second) = (key("the first twin"), key("the other twin"));
    let of = |pairs: &[&Alike]| {
        let pairs = pairs.iter().map(|key| ((*key).clone(), "1".to_owned()));
        let mut builder = MapBuilder::new("twins").unwrap();
        pairs.for_each(|(key, value)| builder.insert(&key, &value).unwrap());
        builder.finish().unwrap()
    };
    let forge = |map: &Frozen<Map<Alike, String>>, change: &dyn Fn(&mut Overlay<Alike, String>)| {
        let mut overlay = Overlay::over(map);
        change(&mut overlay);
        let mut bytes = overlay.into_delta().unwrap().region().bytes().to_vec();
        let honest = Delta::<Alike, String>::from_fds(vec![sealed(&bytes, ALL_SEALS)]);
        assert_eq!(honest.unwrap().len(), 2);
        let places: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at..].starts_with(second.0.as_bytes()))
            .collect();
        for at in places {
            bytes[at..at + first.0.len()].copy_from_slice(first.0.as_bytes());
        }
        sign(&mut bytes);
        let refused = Delta::<Alike, String>::from_fds(vec![sealed(&bytes, ALL_SEALS)]);
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("the key ArchivedAlike(\"the first twin\") twice"),
            "{refused}"
        );
    };
    forge(&of(&[]), &|overlay| {
        for key in [&first, &second] {
            overlay.insert(key, &"2".to_owned()).unwrap();
        }
    });
    forge(&of(&[&first, &second]), &|overlay| {
        for key in [&first, &second] {
            assert!(overlay.remove(key).unwrap());
        }
    });
}

#[test]
fn a_delta_that_was_cut_is_refused() {
    for length in (0..DELTA.len()).step_by(DELTA.len() / 97) {
        assert!(open(&DELTA[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_delta_is_refused_or_merged(edits in prop::collection::vec(edit(), 1..=2)) {
        let mut bytes = DELTA.clone();
        for (place, edit) in &edits {
            let place = HEADER + place.index(bytes.len() - HEADER);
            apply(&mut bytes, place, edit);
        }
        sign(&mut bytes);
        if let Ok(delta) = open(&bytes) {
            merge_and_read(delta);
        }
    }
}
