//! Maps, overlays and deltas of short texts.

use std::collections::BTreeMap;

use floe::overlay::{DeltaReport, Rule, merge};
use floe::{Delta, Frozen, Map, Overlay};

pub type Texts = Map<String, String>;

/// A map of `key=value` texts: `texts("a=1 b=2")`.
pub fn texts(pairs: &str) -> Frozen<Texts> {
    Map::freeze("texts", split(pairs)).unwrap()
}

pub fn split(pairs: &str) -> Vec<(String, String)> {
    let pairs = pairs.split_whitespace();
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The changes of an overlay over a map: `key=value` adds, `-key` removes.
pub fn delta(map: &Frozen<Texts>, changes: &str) -> Delta<String, String> {
    let mut overlay = Overlay::over(map);
    for change in changes.split_whitespace() {
        match change.strip_prefix('-') {
            Some(key) => assert!(overlay.remove(&key.to_owned()).unwrap()),
            None => {
                let (key, value) = &split(change)[0];
                overlay.insert(key, value).unwrap();
            }
        }
    }
    overlay.into_delta().unwrap()
}

/// A map as `key=value` texts, in the order of its keys.
pub fn told(map: &Frozen<Texts>) -> String {
    let pairs: BTreeMap<String, String> = Frozen::thaw(map).unwrap();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(" ")
}

/// What a report says of a delta, in few words.
pub fn counts(report: &DeltaReport) -> [u64; 5] {
    [
        report.added,
        report.replaced,
        report.removed,
        report.equal,
        report.kept,
    ]
}

/// Merges changes over the same map by a rule: what comes of it, and of each delta.
pub fn merged(
    before: &str,
    changes: &[&str],
    rule: &Rule<String, String>,
) -> (String, Vec<[u64; 5]>) {
    let map = texts(before);
    let deltas: Vec<_> = changes.iter().map(|it| delta(&map, it)).collect();
    let (next, report) = merge(&map, &deltas, rule).unwrap();
    let told_before = told(&map);
    assert_eq!(told_before, told(&texts(before)), "the map stays as it is");
    assert_eq!(report.changed, next.region().generation() == 2);
    assert_eq!(report.entries, next.len() as u64);
    (told(&next), report.deltas.iter().map(counts).collect())
}
