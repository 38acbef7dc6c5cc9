//! What an overlay shows.

use floe::overlay::{Change, Rule, merge};
use floe::{Counters, Error, Overlay, Publisher};

use crate::fixture::{delta, texts};

#[test]
fn own_entries_come_first() {
    let map = texts("a=1 b=2");
    let mut overlay = Overlay::over(&map);
    let key = |key: &str| key.to_owned();
    assert_eq!(
        (overlay.len(), overlay.get("a").unwrap().as_str()),
        (2, "1")
    );
    overlay.insert(&key("a"), &key("9")).unwrap();
    overlay.insert(&key("c"), &key("3")).unwrap();
    assert!(overlay.remove(&key("b")).unwrap());
    assert!(!overlay.remove(&key("b")).unwrap());
    assert!(!overlay.remove(&key("nothing")).unwrap());
    assert_eq!(overlay.get("a").unwrap(), "9");
    assert_eq!(overlay.get("b"), None);
    assert!(overlay.contains_key("c") && !overlay.is_empty());
    assert_eq!(map["a"].as_str(), "1");

    let entries: Vec<_> = overlay
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(entries, ["a=9", "c=3"]);
    assert_eq!(overlay.len(), 2);
    let changes = overlay.changes().map(|change| match change {
        Change::Added { key, value } => format!("{key}={value}"),
        Change::Removed { key } => format!("-{key}"),
    });
    assert_eq!(changes.collect::<Vec<_>>(), ["a=9", "c=3", "-b"]);

    overlay.insert(&key("b"), &key("2")).unwrap();
    overlay.insert(&key("a"), &key("1")).unwrap();
    assert_eq!((overlay.changes().count(), overlay.len()), (1, 3));
    overlay.clear();
    assert_eq!((overlay.changes().count(), overlay.len()), (0, 2));
}

#[test]
fn a_build_runs_for_what_is_nowhere() {
    let first = texts("a=1");
    let publisher = Publisher::new(&first).unwrap();
    let mut overlay = Overlay::following(publisher.subscribe().unwrap());
    let mut get = |key: &str| {
        let mut built = false;
        let value = overlay.get_or_insert_with(&key.to_owned(), || {
            built = true;
            "built".to_owned()
        });
        let value = value.unwrap().to_string();
        (value, built)
    };
    assert_eq!(get("a"), ("1".to_owned(), false));
    assert_eq!(get("b"), ("built".to_owned(), true));
    assert_eq!(get("b"), ("built".to_owned(), false));
    let (next, _) = merge(&first, &[delta(&first, "c=3")], &Rule::FirstWins).unwrap();
    publisher.publish(&next).unwrap();
    // It is looked for in the newest generation before it is built.
    assert_eq!(get("c"), ("3".to_owned(), false));
    let failed = overlay.get_or_try_insert_with(&"d".to_owned(), || {
        Err(Error::NotBuilt {
            name: String::new(),
        })
    });
    assert!(matches!(failed, Err(Error::NotBuilt { .. })));
    assert!(!overlay.contains_key("d"));
}

#[test]
fn a_next_generation_takes_over_what_it_has() {
    let first = texts("a=1 b=1 c=1");
    let publisher = Publisher::new(&first).unwrap();
    let mut overlay = Overlay::following(publisher.subscribe().unwrap());
    let key = |key: &str| key.to_owned();
    overlay.insert(&key("new"), &key("1")).unwrap();
    overlay.insert(&key("other"), &key("1")).unwrap();
    overlay.insert(&key("a"), &key("2")).unwrap();
    overlay.remove(&key("b")).unwrap();
    overlay.remove(&key("c")).unwrap();
    assert!(!overlay.advance());
    let deltas = [delta(&first, "new=1 other=7 -b")];
    let (next, _) = merge(&first, &deltas, &Rule::LastWins).unwrap();
    publisher.publish(&next).unwrap();
    assert_eq!(overlay.get("b"), None);
    assert!(overlay.advance() && !overlay.advance());
    assert_eq!(overlay.changes().count(), 3);
    let entries: Vec<_> = overlay
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(entries, ["new=1", "other=1", "a=2"]);
    assert_eq!(overlay.len(), 3);
    assert_eq!(overlay.live().unwrap().generation(), 2);
}

#[test]
fn lookups_are_counted_where_that_is_asked_for() {
    let counters = Counters::for_workers(2).unwrap();
    let map = texts("a=1 b=2");
    let mut overlay = Overlay::over(&map).counted_by(&counters, 1);
    assert!(overlay.get("a").is_some() && overlay.get("x").is_none());
    overlay.insert(&"x".to_owned(), &"1".to_owned()).unwrap();
    assert!(overlay.contains_key("x"));
    assert_eq!((counters.lookups(), counters.misses()), (3, 1));
}

#[test]
fn an_entry_that_cannot_be_written_changes_nothing() {
    let mut overlay = Overlay::over(&texts("a=1"));
    // Archived lengths of texts have 30 bits.
    let large = "x".repeat(1 << 30);
    let refused = overlay.insert(&"a".to_owned(), &large).unwrap_err();
    assert!(matches!(refused, Error::Serialize { .. }), "{refused}");
    drop(large);
    assert_eq!(overlay.changes().count(), 0);
    overlay.insert(&"a".to_owned(), &"2".to_owned()).unwrap();
    assert_eq!(overlay.get("a").unwrap(), "2");
}
