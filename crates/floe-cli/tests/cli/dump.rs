//! `floe dump`.

use std::os::fd::AsRawFd;

use floe::{Frozen, Map};
use serde_json::{Value, json};

use crate::{Saved, floe, recipes};

#[test]
fn a_whole_map_is_one_document() {
    let saved = Saved::of(&recipes(30));
    let document = floe(["dump", saved.path()]).json();
    assert_eq!(document.as_object().unwrap().len(), 30);
    assert_eq!(document["recipe-7"]["priority"], -7);
    assert_eq!(floe(["dump", saved.path(), "--json"]).json(), document);
}

#[test]
fn an_entry_is_found_by_its_key() {
    let saved = Saved::of(&recipes(300));
    let recipe = floe(["dump", saved.path(), "recipe-250"]).json();
    assert_eq!(recipe["source"]["Git"]["url"], "git://example.org/250");
    assert_eq!(recipe["flags"], json!({"flag0": [0, 0, 0]}));
}

#[test]
fn a_key_that_is_not_there_has_neighbours() {
    let saved = Saved::of(&recipes(30));
    let line = floe(["dump", saved.path(), "recipe-2x9"]).refused(3);
    let (_, nearest) = line
        .split_once("no key \"recipe-2x9\"; the nearest keys: ")
        .unwrap();
    assert_eq!(nearest.split(", ").count(), 3, "{line}");
    assert!(nearest.contains("\"recipe-29\""), "{line}");
    let empty = Saved::of(&recipes(0));
    let line = floe(["dump", empty.path(), "any"]).refused(3);
    assert!(line.ends_with("has no key \"any\""), "{line}");
}

#[test]
fn lines_are_entries_or_items() {
    let saved = Saved::of(&recipes(5));
    let text = floe(["dump", "--jsonl", saved.path()]).good();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4]["key"], "recipe-4");
    assert_eq!(lines[4]["value"]["priority"], -4);

    let words = Frozen::freeze("words", &vec!["a\nb".to_owned(), "c".to_owned()]).unwrap();
    let text = floe(["dump", "--jsonl", Saved::of(&words).path()]).good();
    assert_eq!(text, "\"a\\nb\"\n\"c\"\n");
    let number = Frozen::freeze("number", &7_u8).unwrap();
    assert_eq!(
        floe(["dump", "--jsonl", Saved::of(&number).path()]).good(),
        "7\n"
    );
}

#[test]
fn keys_that_are_no_text_are_json() {
    let frozen = Map::<(u16, String), u8>::freeze("pairs", [((7, "a".to_owned()), 1)]).unwrap();
    let saved = Saved::of(&frozen);
    assert_eq!(floe(["dump", saved.path(), "[7,\"a\"]"]).good(), "1\n");
    floe(["dump", saved.path(), "[8,\"a\"]"]).refused(3);
    let numbers = Map::<i32, bool>::freeze("numbers", [(-3, true)]).unwrap();
    assert_eq!(
        floe(["dump", Saved::of(&numbers).path(), "-3"]).good(),
        "true\n"
    );
}

#[test]
fn a_memory_file_is_dumped_where_it_is() {
    let frozen = recipes(3);
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    assert_eq!(floe(["dump", &path, "recipe-2"]).json()["priority"], -2);
    assert_eq!(floe(["dump", &path]).json()["recipe-2"]["priority"], -2);
}

#[test]
fn one_value_has_no_keys() {
    let words = Frozen::freeze("words", &vec!["a".to_owned()]).unwrap();
    let line = floe(["dump", Saved::of(&words).path(), "a"]).refused(1);
    assert!(line.contains("it has no keys"), "{line}");
}
