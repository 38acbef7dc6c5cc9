//! Random edits of a valid map, with digests that are right: refused, or readable to the end.

use std::sync::LazyLock;

use floe::{Frozen, Map};
use proptest::prelude::*;

use crate::forge::Forgery;
use crate::read::read_everything;
use crate::recipes::recipes;
use crate::sign::{HEADER, ROW, TABLE, sign, u64_at};
use crate::zoo::Recipe;

/// Where the header tells the start of the third section, the schema.
const SCHEMA_OFFSET: usize = TABLE + 2 * ROW + 8;

static REGION: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let frozen = Map::<String, Recipe>::freeze("random", recipes(24)).unwrap();
    Forgery::of(&frozen).bytes()
});

/// One edit: where, as a fraction of the region, and what is put there.
#[derive(Debug, Clone)]
pub enum Edit {
    Byte(u8),
    Word(u32),
    /// Added to the word that is there: small changes of pointers and lengths.
    Nudge(i8),
    /// The word that stands somewhere else.
    Copy(prop::sample::Index),
}

pub fn edit() -> impl Strategy<Value = (prop::sample::Index, Edit)> {
    let value = prop_oneof![
        any::<u8>().prop_map(Edit::Byte),
        any::<u32>().prop_map(Edit::Word),
        (0..64_u32).prop_map(Edit::Word),
        (-64..64_i8).prop_map(Edit::Nudge),
        any::<prop::sample::Index>().prop_map(Edit::Copy),
    ];
    (any::<prop::sample::Index>(), value)
}

pub fn apply(bytes: &mut [u8], place: usize, edit: &Edit) {
    let word = place / 4 * 4;
    let old = u32::from_le_bytes(bytes[word..word + 4].try_into().unwrap());
    let new = match edit {
        Edit::Byte(byte) => return bytes[place] = *byte,
        Edit::Word(new) => *new,
        Edit::Nudge(by) => old.wrapping_add_signed(i32::from(*by)),
        Edit::Copy(from) => {
            let from = from.index(bytes.len() / 4) * 4;
            u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap())
        }
    };
    bytes[word..word + 4].copy_from_slice(&new.to_le_bytes());
}

fn open(bytes: &[u8]) {
    if let Ok(frozen) = Frozen::<Map<String, Recipe>>::from_bytes(bytes) {
        read_everything(&frozen);
    }
}

#[test]
fn the_map_without_edits_is_read_completely() {
    let frozen = Frozen::<Map<String, Recipe>>::from_bytes(&REGION).unwrap();
    assert_eq!(frozen.len(), 24);
    read_everything(&frozen);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6000))]

    #[test]
    fn edits_anywhere(edits in prop::collection::vec(edit(), 1..=8)) {
        let mut bytes = REGION.clone();
        for (place, edit) in &edits {
            let place = place.index(bytes.len() / 4 * 4);
            apply(&mut bytes, place, edit);
        }
        sign(&mut bytes);
        open(&bytes);
    }

    /// Fewer edits, and not in the header: more of these are accepted.
    #[test]
    fn edits_of_archive_and_index(edits in prop::collection::vec(edit(), 1..=2)) {
        let mut bytes = REGION.clone();
        let schema = u64_at(&bytes, SCHEMA_OFFSET) as usize;
        for (place, edit) in &edits {
            let place = HEADER + place.index(schema - HEADER);
            apply(&mut bytes, place, edit);
        }
        sign(&mut bytes);
        open(&bytes);
    }
}
