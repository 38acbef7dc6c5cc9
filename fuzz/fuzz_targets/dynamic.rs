//! Any schema over any archive, and edits of both in a valid map: refused, or read to the end.
//!
//! The first byte of the input chooses. Even: a list of edits. Odd: the length of the schema in two
//! bytes, the schema as JSON, and the archive.
#![no_main]

mod edits;
#[path = "../../tests/dynamic/read.rs"]
mod read;

use std::sync::LazyLock;

use floe::Frozen;
use floe_testkit::{announce, forge, recipes, zoo};
use libfuzzer_sys::fuzz_target;

static VALUE: LazyLock<forge::Forgery> = LazyLock::new(|| {
    let frozen = Frozen::freeze_on_heap("fuzz", &1_u8).expect("there is memory");
    forge::Forgery::of(&frozen)
});

fuzz_target!(|input: &[u8]| {
    let mut bytes = match input.split_first() {
        Some((choice, edits)) if choice % 2 == 0 => edits::edited(edits),
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
