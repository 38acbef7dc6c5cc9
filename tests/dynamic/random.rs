//! Random edits of a region: never a panic, whatever is read.

use std::sync::LazyLock;

use floe::Map;
use proptest::prelude::*;

use crate::announce::announce;
use crate::forge::Forgery;
use crate::read::read_everything;
use crate::recipes::recipes;
use crate::sign::HEADER;
use crate::zoo::Recipe;

static REGION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let frozen = Map::<String, Recipe>::freeze("random", recipes(24)).unwrap();
    Forgery::of(&frozen).bytes()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn edits_anywhere(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0..4), 1..=4),
    ) {
        let mut bytes = REGION.clone();
        for (place, value, kind) in edits {
            let place = HEADER + place.index((bytes.len() - HEADER) / 4) * 4;
            let word = bytes[place..].first_chunk_mut::<4>().unwrap();
            let old = u32::from_le_bytes(*word);
            *word = match kind {
                0 => value,
                1 => value % 64,
                2 => old.wrapping_add(value % 65).wrapping_sub(32),
                _ => old ^ (1 << (value % 32)),
            }
            .to_le_bytes();
        }
        announce(&mut bytes);
        read_everything(&bytes);
    }
}

#[test]
fn the_region_without_edits_is_read_completely() {
    assert!(read_everything(&REGION));
}
