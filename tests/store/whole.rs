//! Caches that are one value, and values that depend on others.

use floe::error::PolicyError;
use floe::store::Outcome;
use floe::{Error, Policy, Store};

use crate::fixture::{Sources, contents, refresh};

#[test]
fn a_value_is_built_anew_when_its_input_changes() {
    let sources = Sources::new(&[("patterns", "a b")]);
    let path = sources.path("patterns");
    let store = Store::new();
    let cache = store.cache(
        "regexps",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let text = inputs.read_to_string(&path)?.unwrap_or_default();
            Ok(text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        },
    );
    let cache = cache.unwrap();
    assert!(matches!(cache.get(), Err(Error::NotBuilt { .. })));
    assert_eq!(refresh(&store).outcome, Outcome::Published);
    assert_eq!(cache.get().unwrap().len(), 2);
    assert_eq!(refresh(&store).outcome, Outcome::Fresh);

    sources.write("patterns", "a b c");
    assert_eq!(refresh(&store).generation, 2);
    assert_eq!(cache.get().unwrap()[2].as_str(), "c");
    store.invalidate("regexps").unwrap();
    let report = refresh(&store);
    assert_eq!((report.outcome, report.generation), (Outcome::Unchanged, 2));
}

#[test]
fn a_cache_made_from_another_follows_it() {
    let sources = Sources::new(&[("a.txt", "A"), ("b.txt", "B")]);
    let store = Store::new();
    let (contents, _) = contents(&store, &sources, Policy::new().revalidate_inputs());
    let total = store.cache("total", Policy::new().revalidate_inputs(), move |inputs| {
        let contents = inputs.cache(&contents)?;
        Ok(contents.values().map(|text| text.len() as u64).sum::<u64>())
    });
    let total = total.unwrap();
    store.refresh().unwrap();
    assert_eq!(*total.get().unwrap(), 2);
    assert_eq!(store.refresh().unwrap().caches[1].outcome, Outcome::Fresh);
    sources.write("b.txt", "BBB");
    let report = store.refresh().unwrap();
    assert_eq!(report.caches[1].outcome, Outcome::Published);
    assert_eq!(*total.get().unwrap(), 4);
}

#[test]
fn names_are_taken_once_and_policies_are_checked() {
    let store = Store::new();
    let one = |policy| store.cache("one", policy, |_| Ok(1_u32)).map(drop);
    one(Policy::new()).unwrap();
    assert!(matches!(one(Policy::new()), Err(Error::CacheExists { .. })));
    assert!(matches!(
        one(Policy::new().max_entries(3)),
        Err(Error::Policy {
            reason: PolicyError::WholeValue,
            ..
        })
    ));
    assert!(matches!(
        store.invalidate("two"),
        Err(Error::UnknownCache { .. })
    ));
}

#[test]
fn reports_print_a_line_and_serialise() {
    let store = Store::new();
    store.cache("one", Policy::new(), |_| Ok(1_u32)).unwrap();
    let report = store.refresh().unwrap();
    let line = report.to_string();
    assert!(line.starts_with("one: generation 1, 1 built, "), "{line}");
    assert!(line.ends_with("; it has never been built"), "{line}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["caches"][0]["outcome"], "published");
    assert_eq!(
        serde_json::to_value(store.status().unwrap()).unwrap()[0]["generation"],
        1
    );
}
