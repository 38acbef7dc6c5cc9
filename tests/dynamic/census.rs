//! What is counted, where, and that nothing is left out.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::Mutex;

use floe::census::{Census, Options, Row};
use floe::dynamic::Described;
use floe::{Frozen, Intern, Map, MapBuilder, Schema, Value};

use crate::forged::{pair, with_schema};
use crate::zoo::{Recipe, recipe};

fn census(described: &Described, threads: usize) -> Census {
    let threads = NonZero::new(threads).unwrap();
    let census = Census::of(described, &Options::default().threads(threads)).unwrap();
    for table in [&census.by_kind, &census.by_path] {
        assert_eq!(table.total().1, census.bytes, "{table}");
    }
    census
}

fn of_value<T: Value>(value: &T) -> Census {
    let frozen = Frozen::freeze_on_heap("value", value).unwrap();
    census(&Described::of(&frozen).unwrap(), 1)
}

/// Count, own bytes of all, own bytes of the largest.
fn counted(row: Option<&Row>) -> (u64, u64, u64) {
    row.map_or((0, 0, 0), |row| (row.count, row.bytes, row.largest))
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
enum Shape {
    Point,
    Text(String),
    Pair { left: u64, right: Option<u16> },
}

#[test]
fn own_bytes_go_to_kinds_and_fields() {
    let long = || "nine bytes".to_owned();
    let value = vec![
        Shape::Point,
        Shape::Text(long()),
        Shape::Pair {
            left: 1,
            right: Some(2),
        },
    ];
    let census = of_value(&value);
    let field = |name| counted(census.by_path.row(name));
    // A `Pair` has a tag, 7 bytes of alignment, 8 of `left` and 4 of `right`: 24 with padding.
    let size = 24;
    assert_eq!(field("value"), (1, 8, 8));
    assert_eq!(field("value[]"), (3, size + (size - 8) + (size - 12), size));
    assert_eq!(field("value[]::Text.0"), (1, 18, 18));
    assert_eq!(field("value[]::Pair.left"), (1, 8, 8));
    assert_eq!(field("value[]::Pair.right"), (1, 4, 4));
    let kind = |name| counted(census.by_kind.row(name));
    assert_eq!(kind("Vec<Shape>"), (1, 8, 8));
    assert_eq!(kind("Option<u16>"), (1, 2, 2));
    assert_eq!(kind("u16"), (1, 2, 2));
    assert_eq!(kind("String"), (1, 18, 18));
}

#[test]
fn nodes_and_slots_belong_to_their_collection() {
    let pairs = || (0..100_u32).map(|number| (number, u64::from(number)));
    for (name, census) in [
        (
            "BTreeMap<u32, u64>",
            of_value(&pairs().collect::<BTreeMap<_, _>>()),
        ),
        (
            "HashMap<u32, u64>",
            of_value(&pairs().collect::<HashMap<_, _>>()),
        ),
    ] {
        let field = |name| counted(census.by_path.row(name));
        assert_eq!(field("value[key]"), (100, 400, 4));
        assert_eq!(field("value[]"), (100, 800, 8));
        assert!(
            counted(census.by_kind.row(name)).1 > 100,
            "{}",
            census.by_kind
        );
        let padding = counted(census.by_path.row("(padding)")).1;
        assert!(padding < 64, "{}", census.by_path);
    }
    let bytes = of_value(&vec![7_u8; 1000]);
    assert_eq!(counted(bytes.by_path.row("value[]")), (1000, 1000, 1));
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Licensed {
    #[rkyv(with = Intern)]
    license: String,
    author: String,
}

#[test]
fn what_is_interned_is_counted_once_and_what_is_not_as_a_saving() {
    let text = "a text of 24 bytes, long";
    let licensed = |number: u32| {
        let (license, author) = (text.to_owned(), text.to_owned());
        (number, Licensed { license, author })
    };
    let frozen = Map::<u32, Licensed>::freeze("texts", (0..10).map(licensed)).unwrap();
    let census = census(&Described::of(&frozen).unwrap(), 1);
    let license = census.by_path.row("Licensed.license").unwrap();
    assert_eq!(counted(Some(license)), (10, 10 * 4 + 8 + 24, 4 + 8 + 24));
    assert_eq!(license.saving(), 0);
    let author = census.by_path.row("Licensed.author").unwrap();
    assert_eq!(
        (author.count, author.bytes, author.saving()),
        (10, 10 * 32, 9 * 24)
    );
    assert_eq!(counted(census.by_kind.row("Interned<String>")), (10, 40, 4));
    assert_eq!(counted(census.by_path.row("key")), (10, 40, 4));
    assert_eq!(counted(census.by_path.row("(entry headers)")), (10, 40, 4));
}

#[test]
fn replaced_entries_are_garbage() {
    let mut builder = MapBuilder::<u32, String>::on_heap("replaced")
        .unwrap()
        .last_wins();
    for text in ["the first text", "the second text"] {
        builder.insert(&1, &text.to_owned()).unwrap();
    }
    let described = Described::of(&builder.finish().unwrap()).unwrap();
    let census = census(&described, 1);
    assert_eq!(census.entries, Some(1));
    assert_eq!(
        counted(census.by_path.row("(garbage)")).1,
        described.garbage().unwrap()
    );
    assert_eq!(counted(census.by_path.row("value")), (1, 8 + 15, 8 + 15));
}

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(Schema),
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Tree {
    label: u32,
    #[rkyv(omit_bounds)]
    children: Vec<Tree>,
}

#[test]
fn types_that_contain_themselves_have_one_path() {
    let mut tree = Tree {
        label: 0,
        children: Vec::new(),
    };
    for label in 1..50 {
        tree = Tree {
            label,
            children: vec![tree],
        };
    }
    let census = of_value(&tree);
    assert_eq!(counted(census.by_path.row("Tree.label")), (50, 200, 4));
    assert_eq!(counted(census.by_path.row("Tree.children")), (50, 400, 8));
    assert_eq!(census.by_path.rows.len(), 3, "{}", census.by_path);
}

fn recipes() -> Frozen<Map<String, Recipe>> {
    let pairs = (0..2000).map(|number| (format!("recipe {number}"), recipe(number)));
    Map::freeze("recipes", pairs).unwrap()
}

#[test]
fn threads_change_nothing() {
    let described = Described::of(&recipes()).unwrap();
    let alone = census(&described, 1);
    assert_eq!(alone.entries, Some(2000));
    assert_eq!(census(&described, 4), alone);
    // All pieces of text of the recipes are there, or interned.
    assert_eq!(counted(alone.by_path.row("Recipe.name")).0, 2000);
    assert_eq!(counted(alone.by_path.row("Recipe.license")).0, 2000);
    assert!(alone.by_path.row("Recipe.depends[]").unwrap().saving() > 0);
}

#[test]
fn progress_goes_to_the_end() {
    let seen = Mutex::new(Vec::new());
    let progress = |done, of| seen.lock().unwrap().push((done, of));
    let three = NonZero::new(3).unwrap();
    let options = Options::default().threads(three).progress(&progress);
    let census = Census::of(&Described::of(&recipes()).unwrap(), &options).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 4 && seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&(census.bytes, census.bytes)));
}

#[test]
fn the_table_is_readable_and_serialises() {
    let census = of_value(&vec!["a text of 20 bytes..".to_owned(); 3]);
    let expected = "\
INDEX       COUNT      %        SIZE      %    CUM         MAX  KIND
    0           3   75.0        84 B   91.3   91.3        28 B  String
    1           1   25.0         8 B    8.7  100.0         8 B  Vec<String>
                4               92 B                            total
";
    assert_eq!(census.by_kind.to_string(), expected);
    let json = serde_json::to_value(&census).unwrap();
    assert_eq!(json["bytes"], 92);
    assert_eq!(json["by_path"][0]["name"], "value[]");
    assert_eq!(json["by_path"][0]["text"]["distinct"], 20);
}

/// Every path repeats the names around it, so that a long one could fill the memory.
#[test]
fn long_names_are_cut() {
    let bytes = with_schema(&pair(), |schema| {
        let fields = &mut schema["types"][0]["shape"]["struct"]["fields"];
        fields[0]["name"] = "ä".repeat(1000).into();
    });
    let census = census(&Described::from_bytes(&bytes).unwrap(), 1);
    let cut = format!("ArchivedPair.{}", "ä".repeat(79));
    let cut = cut.trim_start_matches("Archived");
    let row = census.by_path.row(cut);
    assert_eq!(counted(row), (1, 4, 4), "{}", census.by_path);
}
