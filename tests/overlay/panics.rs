//! Keys of users that panic when they are compared.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use floe::map::Key;
use floe::overlay::{Rule, merge};
use floe::{Map, Overlay, Publisher, Schema};
use rkyv::{Archive, Deserialize, Serialize};

thread_local! {
    static PANICS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Schema))]
struct Brittle(u32);

impl Key for Brittle {
    fn key_hash(&self) -> u64 {
        self.0.key_hash()
    }
}

impl Key for ArchivedBrittle {
    fn key_hash(&self) -> u64 {
        self.0.key_hash()
    }
}

impl PartialEq for ArchivedBrittle {
    fn eq(&self, other: &Self) -> bool {
        assert!(!PANICS.get(), "keys are not to be compared now");
        self.0 == other.0
    }
}

#[test]
fn a_panic_in_a_move_to_the_next_generation_loses_no_change() {
    let first = Map::freeze("brittle", [(Brittle(0), 0_u32)]).unwrap();
    let publisher = Publisher::new(&first).unwrap();
    let mut overlay = Overlay::following(publisher.subscribe().unwrap());
    for number in 1..=20 {
        overlay.insert(&Brittle(number), &number).unwrap();
    }
    overlay.remove(&Brittle(0)).unwrap();
    let mut other = Overlay::over(&first);
    for number in [1, 10, 20] {
        other.insert(&Brittle(number), &number).unwrap();
    }
    let deltas = [other.into_delta().unwrap()];
    let (next, _) = merge(&first, &deltas, &Rule::FirstWins).unwrap();
    publisher.publish(&next).unwrap();

    PANICS.set(true);
    let moved = catch_unwind(AssertUnwindSafe(|| overlay.advance()));
    PANICS.set(false);
    assert!(moved.is_err());
    assert_eq!((overlay.changes().count(), overlay.len()), (21, 20));
    assert_eq!(overlay.map().len(), 1);

    assert!(overlay.advance());
    assert_eq!((overlay.changes().count(), overlay.len()), (18, 20));
    assert_eq!(overlay.map().len(), 4);
}
