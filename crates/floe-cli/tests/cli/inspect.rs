//! `floe inspect`.

use std::os::fd::AsRawFd;

use floe::Frozen;
use serde_json::Value;

use crate::{Saved, floe, recipes};

#[test]
fn a_map_tells_what_it_holds() {
    let frozen = recipes(1200);
    let saved = Saved::of(&frozen);
    let text = floe(["inspect", saved.path()]).good();
    for expected in [
        "recipes, generation 1",
        "a map of 1,200 entries",
        &frozen.region().fingerprint().to_string(),
        "Map<String, Recipe>",
        "license: String, interned",
        "tasks: Vec<String>, interned",
        "flags: BTreeMap<String, Vec<u16>>",
        "└─ Archive",
        "a file",
    ] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
}

#[test]
fn a_memory_file_is_read_where_it_is() {
    let frozen = Frozen::freeze("words", &vec!["a".to_owned(), "b".to_owned()]).unwrap();
    let fd = frozen.region().as_fd().unwrap().as_raw_fd();
    let path = format!("/proc/{}/fd/{fd}", std::process::id());
    let text = floe(["inspect", &path]).good();
    assert!(text.contains("one value: Vec<String>"), "{text}");
    assert!(text.contains("a memfd"), "{text}");
}

#[test]
fn json_has_all_of_it() {
    let frozen = recipes(3);
    let object = floe(["inspect", "--json", Saved::of(&frozen).path()]).json();
    assert_eq!(object["name"], "recipes");
    assert_eq!(object["entries"], 3);
    assert_eq!(object["size"], frozen.region().size());
    assert_eq!(object["sections"][0]["section"], "archive");
    let schema: &Value = &object["schema"];
    assert_eq!(schema["types"][0]["name"], "Map");
}
