//! What comes back of a frozen value.

use floe::value::{self, BigInt, KeyRef, Kind, Value};
use floe::{Frozen, Map, MapBuilder, Root, Roots, RootsBuilder, Schema};

pub fn zoo() -> Value {
    let big = BigInt::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).unwrap();
    Value::dict([
        ("none", Value::None),
        ("bools", Value::list([true, false])),
        (
            "ints",
            Value::list([0_i64, -1, 1 << 27, -(1 << 28), (1 << 28) - 1]),
        ),
        ("long", Value::list([0_i64, i64::MIN, i64::MAX])),
        ("big", Value::BigInt(big)),
        ("floats", Value::list([0.5, -0.0, f64::INFINITY])),
        (
            "mixed",
            Value::list([Value::from(1.5), Value::from(1), Value::from(1_i64 << 40)]),
        ),
        ("text", Value::from("zlib")),
        ("umlaut", Value::from("Größe")),
        ("empty", Value::from("")),
        (
            "surrogate",
            Value::TextWithSurrogates(vec![b'a', 0xed, 0xa0, 0x80, b'b']),
        ),
        ("bytes", Value::Bytes(vec![0, 255, 3])),
        (
            "tuple",
            Value::tuple([Value::from("a"), Value::tuple([1, 2])]),
        ),
        ("set", Value::set(["c", "a", "b"])),
        ("frozen", Value::frozen_set([3, 1, 2])),
        ("list", Value::List(vec![])),
        (
            "dict",
            Value::dict([(Value::from(1), "one"), (Value::tuple(["a", "b"]), "two")]),
        ),
        (
            "many",
            Value::dict((0..1000).map(|it| (format!("key {it}"), it))),
        ),
    ])
}

#[test]
fn every_kind_comes_back() {
    let frozen = Frozen::freeze("zoo", &zoo()).unwrap();
    assert_eq!(*frozen, zoo());
    assert_eq!(frozen["text"].as_str(), Some("zlib"));
    assert_eq!(frozen["umlaut"].as_str_and_ascii(), Some(("Größe", false)));
    assert_eq!(frozen["long"].as_list().unwrap().len(), 3);
    assert_eq!(frozen["ints"][3].as_i64(), Some(-(1 << 28)));
    assert_eq!(frozen["mixed"][0].as_f64(), Some(1.5));
    assert_eq!(frozen["set"].as_set().unwrap().items()[0], "a");
    assert!(frozen["frozen"].as_set().unwrap().contains_value(2));
    assert_eq!(frozen["many"]["key 777"], 777);
    assert!(frozen["many"].get("key 1000").is_none());
    assert_eq!(
        frozen["dict"].as_dict().unwrap().get_value(true).unwrap(),
        "one"
    );
    let key = [KeyRef::from("a"), KeyRef::from("b")];
    assert_eq!(
        frozen["dict"]
            .as_dict()
            .unwrap()
            .get_value(&key[..])
            .unwrap(),
        "two"
    );
    assert_eq!(frozen["surrogate"].kind(), Kind::Text);
    let copy = Frozen::<Value>::from_bytes(frozen.region().bytes()).unwrap();
    assert_eq!(*copy, *frozen);
    assert_eq!(Frozen::thaw(&copy).unwrap(), *frozen);
}

#[test]
fn maps_roots_and_structs_hold_values() {
    #[derive(rkyv::Archive, rkyv::Serialize)]
    #[rkyv(derive(Schema))]
    struct Recipe {
        name: String,
        fields: Value,
        more: Vec<Option<Value>>,
    }

    #[derive(Roots)]
    struct Caches {
        recipes: Root<Map<String, Value>>,
        whole: Root<Value>,
        typed: Root<Vec<Recipe>>,
    }

    let recipe = |name: &str| Recipe {
        name: name.to_owned(),
        fields: zoo(),
        more: vec![None, Some(zoo())],
    };
    let caches: Frozen<Caches> = RootsBuilder::new("caches")
        .unwrap()
        .map(
            Caches::RECIPES,
            ["a", "b", "c"].map(|name| (name.to_owned(), zoo())),
        )
        .unwrap()
        .value(Caches::WHOLE, &zoo())
        .unwrap()
        .value(Caches::TYPED, &vec![recipe("x"), recipe("y")])
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(caches.recipes["b"], zoo());
    assert_eq!(*caches.whole, zoo());
    assert_eq!(caches.typed[1].fields, zoo());
    assert_eq!(caches.typed[1].more[1].as_ref().unwrap(), &zoo());
    assert_eq!(caches.typed[1].name, "y");
    // All of them are one value.
    assert_eq!(
        caches.typed[0].fields.address(),
        caches.recipes["c"].address()
    );
    let one = Frozen::freeze("zoo", &zoo()).unwrap();
    assert!(caches.region().size() < one.region().size() + 4096);
}

#[test]
fn data_that_serialise_are_frozen_in_one_call() {
    let json = serde_json::json!({
        "zlib": {"depends": ["a", "b"], "size": 1.5, "n": null, "t": true, "u": u64::MAX},
    });
    let frozen = value::freeze_serde("json", &json).unwrap();
    assert_eq!(frozen["zlib"]["depends"][0].as_str(), Some("a"));
    assert_eq!(serde_json::to_value(&*frozen).unwrap(), json);
    let owned: Value = serde_json::from_value(json).unwrap();
    assert_eq!(*frozen, owned);
}

#[test]
fn equal_values_give_equal_bytes() {
    let archive = |value: &Value| {
        let frozen = Frozen::freeze("zoo", value).unwrap();
        floe_testkit::forge::Forgery::of(&frozen).archive().clone()
    };
    let set = |items: [&'static str; 3]| Value::list([Value::set(items), Value::from("end")]);
    assert_eq!(
        archive(&set(["a", "b", "c"])),
        archive(&set(["c", "a", "b"]))
    );
}

#[test]
fn a_map_is_built_and_carried() {
    let mut builder = MapBuilder::<String, Value>::new("m").unwrap();
    for number in 0..2000 {
        let value = Value::dict([("n", Value::from(number)), ("z", zoo())]);
        builder.insert(&format!("k{number}"), &value).unwrap();
    }
    let map = builder.finish().unwrap();
    assert_eq!(map["k1999"]["n"], 1999);
    let copy = Frozen::<Map<String, Value>>::from_bytes(map.region().bytes()).unwrap();
    assert_eq!(copy["k1999"], map["k1999"]);
}

/// The bytes of a small value: what later versions have to read.
#[test]
fn bytes_are_pinned() {
    let value = Value::dict([
        (
            "a",
            Value::list([Value::from(1), Value::None, Value::from("b")]),
        ),
        ("f", Value::list([1.5])),
        ("l", Value::from(1_i64 << 40)),
    ]);
    let frozen = Frozen::freeze("pinned", &value).unwrap();
    let archive = floe_testkit::forge::Forgery::of(&frozen).archive().clone();
    let words = archive
        .as_chunks()
        .0
        .iter()
        .map(|it| u32::from_le_bytes(*it));
    let words: Vec<String> = words.map(|word| format!("{word:x}")).collect();
    let pinned = [
        "1a 61",                                    // "a"
        "1a 62",                                    // "b"
        "1b 9 0 ffffffda",                          // [1, None, "b"]
        "1a 66",                                    // "f"
        "37 1 0 3ff80000",                          // [1.5], at a multiple of 8
        "1a 6c",                                    // "l"
        "18 0 ffffff72 ffffffaa ffffffd2 9c61eb 0", // the shape: three keys, their tags
        "f 0 100",                                  // 2^40
        "ffffffb5 ffffff4b ffffff77 ffffffd7",      // the dict: shape, three values
        "ffffffe5",                                 // the word of the whole
    ];
    assert_eq!(words.join(" "), pinned.join(" "));
}

#[test]
fn values_of_two_regions_compare_as_in_python() {
    let freeze = |value: Value| Frozen::freeze("value", &value).unwrap();
    let numbers = |one: Value, two: Value| {
        freeze(Value::dict([
            (
                Value::tuple([one.clone(), two.clone()]),
                Value::frozen_set([one, two]),
            ),
            (Value::from("key"), Value::list([1])),
        ]))
    };
    let integers = numbers(Value::from(1), Value::from(2));
    let floats = numbers(Value::from(1.0), Value::from(2.0));
    assert!(*integers == *floats);
    assert!(*integers != *numbers(Value::from(1), Value::from(3)));
    assert!(*freeze(Value::list([1, 2])) != *freeze(Value::tuple([1, 2])));
    assert!(*freeze(Value::set([1, 2])) == *freeze(Value::frozen_set([2, 1])));
    assert!(*freeze(Value::list([1.0, 2.5])) == *freeze(Value::List(vec![1.into(), 2.5.into()])));
    let large = i64::MAX as f64;
    assert!(*freeze(Value::from(large)) == *freeze(Value::from(1_u64 << 63)));
    assert!(*freeze(Value::from(large)) != *freeze(Value::from(i64::MAX)));
    let nan = freeze(Value::list([f64::NAN]));
    assert!(*nan != *freeze(Value::list([f64::NAN])));
}
