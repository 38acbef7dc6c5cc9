//! Edits of a valid map, with digests that are right: refused, or readable to the end.
//!
//! The input is a list of edits. So no seeds are needed, and none can go stale.
#![no_main]

mod edits;
#[path = "../../tests/hostile/read.rs"]
mod read;

use floe::Frozen;
use floe_testkit::{recipes, sign, zoo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|edits: &[u8]| {
    let mut bytes = edits::edited(edits);
    sign::sign(&mut bytes);
    if let Ok(frozen) = Frozen::from_bytes(&bytes) {
        read::read_everything(&frozen);
    }
});
