//! A builder belongs to the process that made it.

use std::cell::RefCell;

use floe::{Error, MapBuilder, prefork};

/// A value of such a length that some entries are in the memfd and some in the buffer.
fn value(key: u32) -> String {
    format!("of the parent {key}").repeat(1000)
}

fn begun() -> MapBuilder<u32, String> {
    filled(MapBuilder::new("begun").unwrap())
}

fn filled(mut builder: MapBuilder<u32, String>) -> MapBuilder<u32, String> {
    for key in 0..100 {
        builder.insert(&key, &value(key)).unwrap();
    }
    builder
}

/// The parent's builder finishes with the parent's entries and no other.
fn assert_finishes(builder: MapBuilder<u32, String>) {
    let map = builder.finish().unwrap();
    assert_eq!(map.len(), 100);
    for (key, (archived, found)) in (0..).zip(map.iter()) {
        assert!(*archived == key && found.as_str() == value(key));
    }
    let undisturbed = begun().finish().unwrap();
    // Behind the header, which holds the time of freezing.
    assert!(
        map.region().bytes()[floe::format::HEADER_LENGTH..]
            == undisturbed.region().bytes()[floe::format::HEADER_LENGTH..]
    );
}

pub(crate) fn a_child_cannot_finish_a_builder_of_its_parent() {
    is_refused_in_children(begun());
    is_refused_in_children(filled(MapBuilder::on_heap("begun").unwrap()));
}

fn is_refused_in_children(builder: MapBuilder<u32, String>) {
    let builder = RefCell::new(Some(builder));
    // The second child inserts more than the builder keeps in its buffer.
    let pool = prefork::spawn(2, |worker| {
        let mut builder = builder.take().unwrap();
        let value = "of the child".repeat(1 + worker.index() * 1_000_000);
        let refused = match builder.insert(&100, &value) {
            Ok(()) => builder.finish().unwrap_err(),
            Err(refused) => refused,
        };
        (
            matches!(refused, Error::NotOwner { .. }),
            refused.to_string(),
        )
    });
    for (not_owner, message) in pool.unwrap().join().unwrap() {
        assert!(not_owner, "{message}");
    }
    assert_finishes(builder.take().unwrap());
}

pub(crate) fn a_child_that_drops_a_builder_does_no_harm() {
    let builder = RefCell::new(Some(begun()));
    let pool = prefork::spawn(2, |_| drop(builder.take().unwrap()));
    pool.unwrap().join().unwrap();
    assert_finishes(builder.take().unwrap());
}
