//! Entries with recorded inputs.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use floe::error::DeltaError;
use floe::overlay::{Choice, Rule};
use floe::{Delta, Frozen, Inputs, Map, Overlay, Policy, Store};

use crate::deltas::forged;
use crate::fixture::{Texts, told};

/// Writes a file that was last changed so long ago.
fn write(path: &Path, text: &str, age: u64) {
    fs::write(path, text).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(age))
        .unwrap();
}

/// A delta with one entry that was read from a file.
fn read_from(map: &Frozen<Texts>, key: &str, path: &Path) -> Delta<String, String> {
    let mut overlay = Overlay::over(map);
    let mut inputs = Inputs::new();
    let text = inputs.read_to_string(path).unwrap().unwrap();
    overlay
        .insert_with_inputs(&key.to_owned(), &text, inputs)
        .unwrap();
    overlay.into_delta().unwrap()
}

#[test]
fn an_entry_goes_when_its_inputs_change() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    write(&one, "1", 100);
    write(&other, "2", 100);
    for directory in [None, Some(folder.path().join("store"))] {
        let store = match &directory {
            Some(directory) => Store::open(directory).unwrap(),
            None => Store::new(),
        };
        let cache = store
            .merged("texts", Policy::new().revalidate_inputs())
            .unwrap();
        store.refresh().unwrap();
        let map = cache.get().unwrap();
        let deltas = [
            read_from(&map, "a", &one),
            read_from(&map, "b", &other),
            crate::fixture::delta(&map, "c=3"),
        ];
        store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
        assert_eq!(told(&cache.get().unwrap()), "a=1 b=2 c=3");
        store.refresh().unwrap();
        assert_eq!(cache.get().unwrap().region().generation(), 2);
        write(&other, "22", 50);
        let report = store.refresh().unwrap().caches.remove(0);
        assert_eq!((report.dropped, report.carried), (1, 2));
        assert_eq!(told(&cache.get().unwrap()), "a=1 c=3");
        write(&other, "2", 100);
    }
}

/// However seldom inputs are checked: what has changed by then is not served until the next check.
#[test]
fn what_is_outdated_does_not_come_back_with_an_early_delta() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let hour = Duration::from_secs(3600);
    let checked = Policy::new().revalidate_inputs().revalidate_every(hour);
    for (policy, expected) in [(checked, "b=2 c=3"), (Policy::new(), "a=1 b=2 c=3")] {
        write(&one, "1", 100);
        write(&other, "2", 100);
        let store = Store::new();
        let cache = store.merged("texts", policy).unwrap();
        store.refresh().unwrap();
        let map = cache.get().unwrap();
        let deltas = [
            read_from(&map, "a", &one),
            read_from(&map, "b", &other),
            read_from(&map, "a", &one),
            crate::fixture::delta(&map, "c=3"),
        ];
        write(&one, "11", 50);
        let report = store.merge("texts", &deltas, &Rule::FirstWins).unwrap();
        assert_eq!(told(&cache.get().unwrap()), expected);
        let outdated = report.deltas.iter().map(|it| it.outdated);
        let all = u64::from(expected.starts_with('b'));
        assert_eq!(outdated.collect::<Vec<_>>(), [all, 0, all, 0]);
        let told = report.deltas[0].to_string();
        assert_eq!(told == "1 outdated", all == 1, "{told}");
        store.refresh().unwrap();
        assert_eq!(cache.get().unwrap().region().generation(), 2);
    }
}

#[test]
fn inputs_are_kept_over_later_merges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, "1", 100);
    let store = Store::new();
    let cache = store
        .merged("texts", Policy::new().revalidate_inputs())
        .unwrap();
    store.refresh().unwrap();
    let map = cache.get().unwrap();
    store
        .merge("texts", &[read_from(&map, "a", &path)], &Rule::FirstWins)
        .unwrap();
    for number in 0..5 {
        let delta = crate::fixture::delta(&map, &format!("{number}=1"));
        store.merge("texts", &[delta], &Rule::FirstWins).unwrap();
    }
    write(&path, "2", 10);
    assert_eq!(store.refresh().unwrap().caches[0].dropped, 1);
    assert!(!cache.get().unwrap().contains_key("a"));
}

#[test]
fn the_entry_whose_inputs_changed_last_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, age) in [("old", 300), ("mid", 200), ("new", 100)] {
        write(&path(name), name, age);
    }
    let store = Store::new();
    let cache = store
        .merged::<String, String>("texts", Policy::new())
        .unwrap();
    store.refresh().unwrap();
    let map = cache.get().unwrap();
    let offered = |name: &str| read_from(&map, "a", &path(name));
    let merge = |deltas: &[Delta<String, String>]| {
        store.merge("texts", deltas, &Rule::Newest).unwrap();
        told(&cache.get().unwrap())
    };
    assert_eq!(merge(&[crate::fixture::delta(&map, "a=none")]), "a=none");
    assert_eq!(merge(&[offered("mid")]), "a=mid");
    assert_eq!(
        merge(&[offered("old"), crate::fixture::delta(&map, "a=x")]),
        "a=mid"
    );
    assert_eq!(merge(&[offered("new"), offered("old")]), "a=new");
}

#[test]
fn a_build_records_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, "1", 100);
    let store = Store::new();
    let cache = store
        .merged("texts", Policy::new().revalidate_inputs())
        .unwrap();
    store.refresh().unwrap();
    let mut overlay: Overlay<String, String> = Overlay::over(&cache.get().unwrap());
    let value = overlay.get_or_build(&"a".to_owned(), |inputs| {
        Ok(inputs.read_to_string(&path)?.unwrap_or_default())
    });
    assert_eq!(value.unwrap(), "1");
    let failed = overlay.get_or_build(&"b".to_owned(), |_| Err("no".into()));
    assert!(failed.unwrap_err().to_string().contains("no"));
    store
        .merge("texts", &[overlay.into_delta().unwrap()], &Rule::FirstWins)
        .unwrap();
    write(&path, "2", 10);
    assert_eq!(store.refresh().unwrap().caches[0].dropped, 1);
}

#[test]
fn inputs_that_cannot_be_read_refuse_their_delta_alone() {
    let store = Store::new();
    let cache = store.merged("texts", Policy::new()).unwrap();
    store.refresh().unwrap();
    let frozen = forged(&["a", "b"], &[], &[("b", b"nonsense")]);
    let bad = Delta::from_fds(frozen.region().try_clone_fds().unwrap()).unwrap();
    let good = crate::fixture::delta(
        &Map::freeze("texts", Vec::<(String, String)>::new()).unwrap(),
        "c=1",
    );
    let report = store
        .merge("texts", &[bad, good], &Rule::FirstWins)
        .unwrap();
    assert!(matches!(
        report.deltas[0].refused,
        Some(DeltaError::Inputs { .. })
    ));
    assert_eq!(told(&cache.get().unwrap()), "c=1");
}

#[test]
fn what_a_rule_makes_goes_when_the_inputs_of_either_change() {
    type Text = <String as rkyv::Archive>::Archived;
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let rule = Rule::by(|_, kept: &Text, offered: Option<&Text>| {
        let offered = offered.map_or("", |it| it.as_str());
        Choice::Value(format!("{}{offered}", kept.as_str()))
    });
    for (changed, together) in [(&one, true), (&other, true), (&one, false), (&other, false)] {
        write(&one, "1", 100);
        write(&other, "2", 100);
        let store = Store::new();
        let policy = Policy::new().revalidate_inputs();
        let cache = store.merged("texts", policy).unwrap();
        store.refresh().unwrap();
        let map = cache.get().unwrap();
        let deltas = [read_from(&map, "a", &one), read_from(&map, "a", &other)];
        for deltas in deltas.chunks(if together { 2 } else { 1 }) {
            store.merge("texts", deltas, &rule).unwrap();
        }
        store.refresh().unwrap();
        assert_eq!(told(&cache.get().unwrap()), "a=12");
        write(changed, "3", 50);
        store.refresh().unwrap();
        assert_eq!(told(&cache.get().unwrap()), "", "{changed:?} {together}");
    }
}
