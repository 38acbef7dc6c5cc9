//! Reads all of a value that anybody may have written, each part once.

use std::collections::HashSet;

use floe::value::{ArchivedValue, View};

/// Nested deeper, or of more parts, keys are not looked up again: their copies could be very large.
const MOST_PARTS: usize = 64;

pub fn read_everything(value: &ArchivedValue) {
    let mut seen = HashSet::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        let address = value.address().map(|address| (address, value.kind()));
        if address.is_some_and(|address| !seen.insert(address)) {
            continue;
        }
        match value.view() {
            View::List(list) => {
                let _ = list.iter().count();
                pending.extend(value.items().unwrap_or_default());
            }
            View::Tuple(items) => pending.extend(items),
            View::Dict(dict) => {
                for (key, value) in dict.iter() {
                    if is_small(key) {
                        let found = dict.get_value(&key.to_value());
                        assert!(std::ptr::eq(found.unwrap(), value));
                    }
                }
                assert!(dict.get("no such key").is_none());
                pending.extend(dict.keys());
                pending.extend(dict.values());
            }
            View::Set(set) => {
                let small = set.items().iter().filter(|item| is_small(item));
                small.for_each(|item| assert!(set.contains_value(&item.to_value())));
                pending.extend(set.items());
            }
            _ => {
                let _ = format!("{value:?}");
                assert_eq!(value.as_f64().is_some(), is_number(value));
            }
        }
    }
}

fn is_number(value: &ArchivedValue) -> bool {
    matches!(
        value.view(),
        View::Int(_) | View::BigInt(_) | View::Float(_)
    )
}

fn is_small(value: &ArchivedValue) -> bool {
    let (mut pending, mut parts) = (vec![value], 0);
    while let Some(value) = pending.pop() {
        parts += 1;
        if parts > MOST_PARTS {
            return false;
        }
        match value.view() {
            View::Tuple(items) => pending.extend(items),
            View::Set(set) => pending.extend(set.items()),
            _ => {}
        }
    }
    true
}
