//! Any schema over any archive, and edits of both in a valid map: refused, or read to the end.
//!
//! The first byte of the input chooses. Even: a list of edits, eight bytes each: a place in the
//! region, then the word that is put there. Odd: the length of the schema in two bytes, the schema
//! as JSON, and the archive.
#![no_main]

#[path = "../../tests/dynamic/announce.rs"]
mod announce;
#[allow(dead_code)]
#[path = "../../tests/hostile/forge.rs"]
mod forge;
#[path = "../../tests/dynamic/read.rs"]
mod read;
#[path = "../../tests/hostile/sign.rs"]
mod sign;
#[path = "../../tests/zoo/mod.rs"]
mod zoo;

use std::sync::LazyLock;

use floe::{Frozen, Map};
use libfuzzer_sys::fuzz_target;
use zoo::Recipe;

static MAP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let recipes = (0..12).map(|number| {
        let mut recipe = zoo::recipe(number);
        // Trees of more than one level, in some of the entries.
        let more = (0..number * 2).map(|other| format!("package {other}"));
        recipe.depends.extend(more);
        (format!("recipe {number}"), recipe)
    });
    let frozen = Map::<String, Recipe>::freeze("fuzz", recipes).expect("there is memory");
    frozen.as_bytes().to_vec()
});

static VALUE: LazyLock<forge::Forgery> = LazyLock::new(|| {
    let frozen = Frozen::freeze_on_heap("fuzz", &1_u8).expect("there is memory");
    forge::Forgery::of(&frozen)
});

fuzz_target!(|input: &[u8]| {
    let mut bytes = match input.split_first() {
        Some((choice, edits)) if choice % 2 == 0 => edited(edits),
        Some((_, [low, high, rest @ ..])) => {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let (schema, archive) = rest.split_at(length.min(rest.len()));
            combined(schema, archive)
        }
        _ => return,
    };
    announce::announce(&mut bytes);
    read::read_everything(&bytes);
});

fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = MAP.clone();
    let words = bytes.len() / 4;
    for edit in edits.as_chunks::<8>().0 {
        let (place, word) = edit.split_at(4);
        let place = u32::from_le_bytes(place.try_into().expect("half of eight")) as usize;
        bytes[place % words * 4..][..4].copy_from_slice(word);
    }
    bytes
}

fn combined(schema: &[u8], archive: &[u8]) -> Vec<u8> {
    let mut forgery = VALUE.clone();
    for (kind, bytes) in &mut forgery.sections {
        match *kind {
            announce::SCHEMA => *bytes = schema.to_vec(),
            forge::ARCHIVE => *bytes = archive.to_vec(),
            _ => {}
        }
    }
    forgery.bytes()
}
