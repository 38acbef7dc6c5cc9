//! Edits of a valid map, with digests that are right: refused, or readable to the end.
//!
//! The input is a list of edits, eight bytes each: a place in the region, then the word that is
//! put there. So no seeds are needed, and none can go stale.
#![no_main]

#[path = "../../tests/hostile/read.rs"]
mod read;
#[path = "../../tests/hostile/sign.rs"]
mod sign;
#[path = "../../tests/zoo/mod.rs"]
mod zoo;

use std::sync::LazyLock;

use floe::{Frozen, Map};
use libfuzzer_sys::fuzz_target;
use zoo::Recipe;

static REGION: LazyLock<Vec<u8>> = LazyLock::new(|| {
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

fuzz_target!(|edits: &[u8]| {
    let mut bytes = REGION.clone();
    let words = bytes.len() / 4;
    for edit in edits.as_chunks::<8>().0 {
        let (place, word) = edit.split_at(4);
        let place = u32::from_le_bytes(place.try_into().expect("half of eight")) as usize;
        bytes[place % words * 4..][..4].copy_from_slice(word);
    }
    sign::sign(&mut bytes);
    if let Ok(frozen) = Frozen::from_bytes(&bytes) {
        read::read_everything(&frozen);
    }
});
