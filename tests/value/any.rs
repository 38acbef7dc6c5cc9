//! Whatever a value is, it comes back.

use floe::dynamic::Described;
use floe::value::{BigInt, Value};
use floe::{Frozen, Map};
use proptest::prelude::*;

use super::read::read_everything;

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        any::<[u8; 12]>().prop_map(|bytes| match BigInt::from_bytes(&bytes) {
            Ok(big) => Value::BigInt(big),
            Err(small) => Value::from(small),
        }),
        (-1e6..1e6).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
    ]
}

/// Keys of texts alone: two others may be equal.
fn keys(most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z]{1,6}", 0..most).prop_map(|keys| keys.into_iter().collect())
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 200, 12, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            items.clone().prop_map(Value::List),
            items.clone().prop_map(Value::Tuple),
            prop::collection::vec(-1e3..1e3, 0..5).prop_map(Value::from),
            prop::collection::vec(any::<i64>(), 0..5).prop_map(Value::from),
            keys(6).prop_map(Value::set),
            keys(14).prop_map(Value::frozen_set),
            (keys(14), prop::collection::vec(inner, 14))
                .prop_map(|(keys, values)| Value::dict(keys.into_iter().zip(values))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_value_comes_back(values in prop::collection::vec(value(), 1..6)) {
        let whole = Value::List(values.clone());
        let frozen = Frozen::freeze_on_heap("value", &whole).unwrap();
        prop_assert!(*frozen == whole);
        let thawed: Value = Frozen::thaw(&frozen).unwrap();
        prop_assert!(*frozen == thawed);
        // Equal values give equal bytes, and so does a value that was frozen before.
        let again = Frozen::freeze_on_heap("value", &thawed).unwrap();
        prop_assert!(*again == *frozen);
        prop_assert_eq!(again.region().size(), frozen.region().size());
        read_everything(&frozen);
        let described = Described::of(&frozen).unwrap();
        described.check().unwrap();
        prop_assert_eq!(
            serde_json::to_string(&described.root().unwrap()).unwrap(),
            serde_json::to_string(&*frozen).unwrap()
        );
        let entries = values.into_iter().enumerate();
        let entries = entries.map(|(number, value)| (number.to_string(), value));
        let map = Map::<String, Value>::freeze("values", entries.clone()).unwrap();
        let copy = Frozen::<Map<String, Value>>::from_bytes(map.region().bytes()).unwrap();
        for (key, value) in entries {
            prop_assert!(copy[key.as_str()] == value);
        }
    }
}
