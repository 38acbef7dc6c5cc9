//! Bytes of anybody as a self-describing value: refused, or readable to the end.
//!
//! The input is the archive itself. What reads it with its type and what reads it without say the
//! same of it.
#![no_main]

#[path = "../../tests/value/read.rs"]
mod read;

use floe::Frozen;
use floe::value::Value;
use floe_testkit::forge::Forgery;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|archive: &[u8]| {
    let honest = Frozen::freeze_on_heap("value", &Value::None).expect("there is memory for a word");
    let mut forged = Forgery::of(&honest);
    *forged.archive() = archive.to_vec();
    if let Ok(frozen) = Frozen::<Value>::from_bytes(&forged.bytes()) {
        read::read_everything(&frozen);
    }
});
