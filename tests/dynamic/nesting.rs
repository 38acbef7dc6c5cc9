//! Values within values, as deep and as often as bytes can say.

use std::num::NonZero;

use floe::Frozen;
use floe::census::{Census, Options};
use floe::dynamic::Described;

use crate::forge::ARCHIVE;
use crate::forged::forged;

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(
    derive(floe::Schema),
    serialize_bounds(__S: rkyv::ser::Writer + rkyv::ser::Allocator, __S::Error: rkyv::rancor::Source),
    bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source))
)]
struct Tree {
    #[rkyv(omit_bounds)]
    children: Vec<Tree>,
}

/// A tree of levels that each lead twice to the next: 2^levels values in eight bytes a value.
fn laughs(levels: u32) -> Vec<u8> {
    let mut archive = Vec::new();
    for level in 0..=2 * levels {
        // Two trees stand side by side, and lead to the next pair; the root comes last.
        let here = 8 * level as i32;
        let next = match level {
            last if last == 2 * levels => 0,
            level => 16 * (level as i32 / 2 + 1),
        };
        let length = match level / 2 + 1 {
            below if below >= levels && level < 2 * levels => 0_u32,
            _ => 2,
        };
        archive.extend((next - here).to_le_bytes());
        archive.extend(length.to_le_bytes());
    }
    let frozen = Frozen::freeze_on_heap(
        "laughs",
        &Tree {
            children: Vec::new(),
        },
    )
    .unwrap();
    forged(&frozen, |kind, bytes| {
        if kind == ARCHIVE {
            bytes.clone_from(&archive);
        }
    })
}

#[test]
fn values_that_are_used_twice_at_every_level_cost_no_time_without_end() {
    let few = Described::from_bytes(&laughs(3)).unwrap();
    let json = serde_json::to_string(&few.root().unwrap()).unwrap();
    assert_eq!(json.matches("children").count(), 1 + 2 + 4 + 8);
    let many = Described::from_bytes(&laughs(100)).unwrap();
    let threads = NonZero::<usize>::MIN;
    let told = Census::of(&many, &Options::default().threads(threads))
        .unwrap_err()
        .to_string();
    assert!(told.contains("values overlap"), "{told}");
}

#[test]
fn values_may_be_nested_as_deep_as_they_can_be_frozen() {
    let deep = |levels| {
        let mut tree = Tree {
            children: Vec::new(),
        };
        for _ in 0..levels {
            tree = Tree {
                children: vec![tree],
            };
        }
        Frozen::freeze_on_heap("deep", &tree)
    };
    assert!(deep(127).is_err());
    let described = Described::of(&deep(126).unwrap()).unwrap();
    let json = serde_json::to_string(&described.root().unwrap()).unwrap();
    assert_eq!(json.matches("children").count(), 127);
    let pretty = serde_json::to_string_pretty(&described.root().unwrap()).unwrap();
    assert_eq!(pretty.matches("children").count(), 127);
}
