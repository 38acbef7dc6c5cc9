//! Edits of a valid map, eight bytes each: a place in the region, then the word that is put there.

use std::sync::LazyLock;

use floe::Map;

use crate::recipes::recipes;
use crate::zoo::Recipe;

static REGION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let frozen = Map::<String, Recipe>::freeze("fuzz", recipes(12)).expect("there is memory");
    frozen.region().bytes().to_vec()
});

/// The map after all edits.
pub fn edited(edits: &[u8]) -> Vec<u8> {
    let mut bytes = REGION.clone();
    let words = bytes.len() / 4;
    for edit in edits.as_chunks::<8>().0 {
        let (place, word) = edit.split_at(4);
        let place = u32::from_le_bytes(place.try_into().expect("half of eight")) as usize;
        bytes[place % words * 4..][..4].copy_from_slice(word);
    }
    bytes
}
