//! Maps of texts, and what is added to them.

use floe::{Delta, Frozen, Map, Overlay};

pub(crate) type Texts = Map<String, String>;

pub(crate) const NAME: &str = "texts";
/// Bytes of a value; with key and head an entry has 250.
const VALUE_LENGTH: usize = 208;

pub(crate) fn key(number: u64) -> String {
    format!("recipe-{number:012}")
}

pub(crate) fn value(number: u64) -> String {
    let mut value = format!("value of {number} ");
    value.extend(std::iter::repeat_n('x', VALUE_LENGTH - value.len()));
    value
}

pub(crate) fn map(entries: u64) -> Frozen<Texts> {
    let entries = (0..entries).map(|number| (key(number), value(number)));
    Map::freeze(NAME, entries).expect("a map")
}

/// What a worker adds over a map.
pub(crate) fn delta(
    map: &Frozen<Texts>,
    numbers: impl Iterator<Item = u64>,
) -> Delta<String, String> {
    overlay(map, numbers).into_delta().expect("a delta")
}

pub(crate) fn overlay(
    map: &Frozen<Texts>,
    numbers: impl Iterator<Item = u64>,
) -> Overlay<String, String> {
    let mut overlay = Overlay::over(map);
    for number in numbers {
        let inserted = overlay.insert(&key(number), &value(number));
        inserted.expect("an entry");
    }
    overlay
}
