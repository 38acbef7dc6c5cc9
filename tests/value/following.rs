//! Maps of values that grow, are joined, and follow each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use floe::value::Value;
use floe::{Frozen, Map, MapBuilder, Policy, Publisher, Store};

type Values = Map<String, Value>;

fn value(number: u32) -> Value {
    Value::dict([
        ("number", Value::from(number)),
        ("all", Value::list(["one", "two", "three"])),
        ("name", Value::from(format!("the value of number {number}"))),
    ])
}

fn map(numbers: impl IntoIterator<Item = u32>) -> Frozen<Values> {
    let mut builder = MapBuilder::new("values").unwrap();
    for number in numbers {
        builder.insert(&number.to_string(), &value(number)).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn maps_of_values_are_joined_by_their_bytes() {
    let mut all = MapBuilder::new("values").unwrap();
    for part in [0..100, 100..300, 300..301] {
        all.append(&map(part)).unwrap();
    }
    let all = all.finish().unwrap();
    let copy = Frozen::<Values>::from_fds(all.region().try_clone_fds().unwrap()).unwrap();
    for number in 0..301 {
        assert_eq!(copy[number.to_string().as_str()], value(number));
    }
}

#[test]
fn generations_of_values_follow_each_other() {
    let publisher = Publisher::new(&map(0..500)).unwrap();
    let mut live = publisher.subscribe::<Values>().unwrap();
    let mut next = publisher.builder::<String, Value>().unwrap();
    for number in 0..600 {
        next.insert(&number.to_string(), &value(number)).unwrap();
    }
    let next = next.finish().unwrap();
    let earlier = map(0..500);
    let fds = next.region().try_clone_fds().unwrap();
    let followed = Frozen::from_fds_after(&earlier, fds).unwrap();
    assert_eq!(followed["599"], value(599));
    publisher.publish(&next).unwrap();
    assert_eq!(live.get().unwrap()["599"]["number"], 599);
}

#[test]
fn an_entry_that_is_refused_leaves_the_others() {
    let mut builder = MapBuilder::<String, Value>::new("values").unwrap();
    builder.insert(&"a".to_owned(), &value(1)).unwrap();
    let text = Value::from("only in what was refused");
    let refused = Value::list([text.clone(), Value::set([f64::NAN])]);
    builder.insert(&"b".to_owned(), &refused).unwrap_err();
    builder
        .insert(&"c".to_owned(), &Value::list([text]))
        .unwrap();
    let map = builder.finish().unwrap();
    assert_eq!(map["c"][0], "only in what was refused");
    assert_eq!(map.len(), 2);
}

#[test]
fn values_that_dropped_entries_have_written_still_read() {
    let store = Store::new();
    let asked = Arc::new(AtomicU64::new(100));
    let most = Arc::clone(&asked);
    let shared = || Value::list(["a list that", "all entries share"]);
    let cache = store.keyed(
        "shares",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let most = most.load(Ordering::Relaxed);
            inputs.value("most", most.to_le_bytes());
            // The first entry, which has the list, goes first.
            Ok((100 - most..100).collect())
        },
        move |number: &u64, _| {
            let number = Value::from(*number);
            Ok(Value::dict([("shared", shared()), ("number", number)]))
        },
    );
    let cache = cache.unwrap();
    store.refresh().unwrap();
    for most in [99, 98, 60, 20, 10] {
        asked.store(most, Ordering::Relaxed);
        store.set_value("most", most.to_le_bytes()).unwrap();
        store.refresh().unwrap();
        let map = cache.get().unwrap();
        let opened: Frozen<Map<u64, Value>> = Frozen::from_bytes(map.region().bytes()).unwrap();
        assert_eq!(opened.len() as u64, most);
        for (key, value) in opened.iter() {
            assert_eq!(value["number"].as_i64(), Some(key.to_native() as i64));
            assert_eq!(value["shared"], shared());
        }
    }
}

#[test]
fn a_bounded_cache_of_values_is_written_anew() {
    let store = Store::new();
    let policy = Policy::new().revalidate_inputs().max_entries(4);
    let cache = store.keyed(
        "bounded",
        policy,
        |inputs| {
            inputs.value("none", "");
            Ok((0..10).collect())
        },
        |number: &u64, _| {
            let shared = Value::list(["a list that", "all entries share"]);
            Ok(Value::dict([
                ("shared", shared),
                ("number", Value::from(*number)),
            ]))
        },
    );
    let cache = cache.unwrap();
    store.refresh().unwrap();
    let map = cache.get().unwrap();
    let opened: Frozen<Map<u64, Value>> = Frozen::from_bytes(map.region().bytes()).unwrap();
    assert_eq!(opened.len(), 4);
    for (key, value) in opened.iter() {
        assert_eq!(value["number"].as_i64(), Some(key.to_native() as i64));
        assert_eq!(value["shared"][1], "all entries share");
    }
}
