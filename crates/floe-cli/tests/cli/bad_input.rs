//! Files that are no regions, are damaged, or lie: one line that names what and where, and code 1.

use std::fs;

use floe::{Frozen, Map};

use crate::announce::{SCHEMA, announce};
use crate::forge::{Forgery, point, put_u32};
use crate::{Run, Saved, floe, recipes};

/// Where the first line of an index starts.
const LINE: usize = 64;

/// What a verb says about a file that it refuses.
#[track_caller]
fn line(verb: &str, path: &str) -> String {
    let run = floe([verb, path]);
    match verb {
        "verify" => {
            assert_eq!((run.code, run.errors.as_str()), (1, ""), "{}", run.output);
            assert_eq!(run.output.lines().count(), 1, "{}", run.output);
            run.output
        }
        _ => refused(run),
    }
}

/// A dump may have begun before it meets what lies.
#[track_caller]
fn refused(run: Run) -> String {
    Run {
        output: String::new(),
        ..run
    }
    .refused(1)
}

#[track_caller]
fn refuse(verbs: &[&str], bytes: &[u8], expected: &str) {
    let saved = Saved::bytes(bytes);

    for verb in verbs {
        let line = line(verb, saved.path());
        assert!(
            line.contains(saved.path()) && line.contains(expected),
            "{verb}: {line}"
        );
    }
}

const ALL: [&str; 4] = ["inspect", "census", "dump", "verify"];
/// The verbs that read everything.
const FULL: [&str; 3] = ["census", "dump", "verify"];

#[test]
fn what_is_no_region() {
    let whole = recipes(20).region().bytes().to_vec();
    refuse(&ALL, b"", "cut short: expected 576 bytes, got 0");
    refuse(
        &ALL,
        b"not a region",
        "cut short: expected 576 bytes, got 12",
    );
    refuse(
        &ALL,
        &[b'x'; 600],
        "not a floe region: it starts with \"xxxxxxxx\"",
    );
    refuse(
        &ALL,
        &whole[..575],
        "cut short: expected 576 bytes, got 575",
    );
    let cut = whole.len() - 1;
    refuse(
        &ALL,
        &whole[..cut],
        &format!("expected {} bytes, got {cut}", whole.len()),
    );
    for (path, expected) in [("/nowhere", "No such file"), ("/tmp", "not a regular file")] {
        for verb in ALL {
            let line = line(verb, path);
            assert!(
                line.contains(path) && line.contains(expected),
                "{verb}: {line}"
            );
        }
    }
}

#[test]
fn what_is_damaged() {
    let whole = recipes(20).region().bytes().to_vec();
    let changed = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        bytes
    };
    refuse(&ALL, &changed(8, 9), "format version 9, this build reads 2");
    refuse(
        &ALL,
        &changed(40, !whole[40]),
        "its header is not what was written",
    );
    let last = whole.len() - 1;
    let behind = "what stands behind its header is not what was written";
    refuse(&FULL, &changed(last, !whole[last]), behind);
    refuse(&["inspect"], &changed(last, !whole[last]), "schema section");
    refuse(&FULL, &changed(600, !whole[600]), behind);
    // What inspect does not look at, it does not find.
    floe(["inspect", Saved::bytes(&changed(600, !whole[600])).path()]).good();
}

/// A region whose schema says what the function makes of it, with all digests right.
fn lie(change: impl FnOnce(String) -> String) -> Vec<u8> {
    let frozen = Frozen::freeze("pair", &(7_u32, "a text that is not inline".to_owned()));
    let mut forgery = Forgery::of(&frozen.unwrap());
    let schema = forgery
        .sections
        .iter_mut()
        .find(|(kind, _)| *kind == SCHEMA);
    let (_, json) = schema.unwrap();
    *json = change(String::from_utf8(json.clone()).unwrap()).into_bytes();
    let mut bytes = forgery.bytes();
    announce(&mut bytes);
    bytes
}

#[test]
fn a_schema_that_lies() {
    let honest = lie(|json| json);
    for verb in ALL {
        floe([verb, Saved::bytes(&honest).path()]).good();
    }
    let replace = |from: &str, to: &str| {
        lie(|json| {
            assert!(json.contains(from), "{json}");
            json.replace(from, to)
        })
    };
    for bytes in [
        // Offsets outside, wrong sizes, types that are not there, endless types, no JSON.
        replace("\"offset\":4", "\"offset\":400"),
        replace("\"name\":\"u32\",\"size\":4", "\"name\":\"u32\",\"size\":5"),
        replace("\"root\":2", "\"root\":77"),
        replace("\"type\":1", "\"type\":2"),
        lie(|_| "{".to_owned()),
        lie(|_| "[".repeat(100_000)),
        lie(|_| r#"{"root":0,"types":[]}"#.to_owned()),
        lie(million_fields),
    ] {
        refuse(
            &ALL,
            &bytes,
            "schema section of cache \"pair\" is not valid",
        );
    }
    let padded = replace("\"size\":12", "\"size\":1200");
    refuse(
        &FULL,
        &padded,
        "it needs 1200 bytes there, but the archive has 40",
    );
}

fn million_fields(_: String) -> String {
    let fields: Vec<String> = (0..1_000_000)
        .map(|number| format!(r#"{{"name":"f{number}","offset":0,"type":1}}"#))
        .collect();
    format!(
        r#"{{"root":0,"types":[{{"name":"A","size":4,"align":4,"shape":{{"struct":{{"style":"named","fields":[{}]}}}}}},{{"name":"u32","size":4,"align":4,"shape":"unsigned"}}]}}"#,
        fields.join(",")
    )
}

#[test]
fn an_archive_that_lies() {
    let frozen = Frozen::freeze("texts", &vec!["a text that is not inline".to_owned(); 9]).unwrap();
    let honest = Forgery::of(&frozen);
    let root = honest.clone().archive().len() - 8;
    let invalid = "archive section of cache \"texts\" is not valid";
    let mut wild = honest.clone();
    point(wild.archive(), root, 1 << 30);
    refuse(&FULL, &wild.bytes(), invalid);
    let mut endless = honest.clone();
    put_u32(endless.archive(), root + 4, u32::MAX);
    refuse(&FULL, &endless.bytes(), invalid);
    // A census counts text, and does not read it.
    let mut text = honest;
    text.archive()[3] = 0xff;
    refuse(
        &["dump", "verify"],
        &text.bytes(),
        "String at offset 0: its text is not UTF-8",
    );
}

#[test]
fn an_index_that_lies() {
    let ports = [(22_u16, "ssh".to_owned()), (80, "http".to_owned())];
    let frozen = Map::freeze("ports", ports).unwrap();
    let honest = Forgery::of(&frozen);
    for change in [
        // An entry that no slot leads to, and a slot that leads nowhere.
        (|index: &mut Vec<u8>| index[LINE..].fill(0)) as fn(&mut Vec<u8>),
        |index| index[LINE + 8] += 16,
        |index| index[8] = 3,
        |index| index[24] = 16,
    ] {
        let mut forgery = honest.clone();
        change(forgery.index());
        refuse(
            &["verify"],
            &forgery.bytes(),
            "index section of cache \"ports\" is not valid",
        );
    }
    // A tag that no lookup would find.
    let mut forgery = honest;
    let tag = forgery.index()[LINE..LINE + 7]
        .iter()
        .position(|tag| *tag != 0)
        .unwrap();
    forgery.index()[LINE + tag] ^= 0x40;
    refuse(
        &["verify"],
        &forgery.bytes(),
        "it does not lead to the entry",
    );
}

/// Names in a region or on the command line cannot steer the terminal.
#[test]
fn control_characters_do_not_get_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("evil\u{1b}[2J\nname");
    let path = path.to_str().unwrap();
    for verb in ALL {
        assert!(
            !line(verb, path).trim_end().contains(char::is_control),
            "{verb}"
        );
    }
    fs::write(path, recipes(2).region().bytes()).unwrap();
    for verb in ["inspect", "verify"] {
        let text = floe([verb, path]).good();
        assert!(!text.replace('\n', "").contains(char::is_control), "{text}");
    }
}
