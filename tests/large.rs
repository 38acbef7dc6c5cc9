//! Maps of more than 2 and 4 GiB: positions within them do not fit into the 32 bits of rkyv's.

use std::process::ExitCode;

use floe::{Frozen, Intern, Map, MapBuilder, Schema};
use floe_testkit::forking::{self, Need, trials_needing};
use floe_testkit::text;

#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
struct Block {
    /// The same in all entries: too far away for a pointer after a while.
    #[rkyv(with = Intern)]
    license: String,
    text: String,
}

const BLOCK: usize = 64 << 20;
/// 4.5 GiB.
const COUNT: u32 = 72;
const LICENSE: &str = "a license that is longer than an inline string";

/// A character that differs from that of the entries before and behind.
fn mark(number: u32) -> char {
    char::from(b'0' + (number % 70) as u8)
}

fn main() -> ExitCode {
    let needed = (u64::from(COUNT) + 8) * BLOCK as u64;
    forking::run(trials_needing![Need::Memory(needed);
        a_map_may_be_larger_than_its_pointers_reach,
    ])
}

fn a_map_may_be_larger_than_its_pointers_reach() {
    let mut builder = MapBuilder::<u32, Block>::new("large").unwrap();
    let mut block = Block {
        license: LICENSE.to_owned(),
        text: text::long(0, BLOCK),
    };
    for number in 0..COUNT {
        block.text.pop();
        block.text.push(mark(number));
        builder.insert(&number, &block).unwrap();
    }
    drop(block);
    let frozen = builder.finish().unwrap();
    assert!(frozen.region().size() > 1 << 32);
    let reopened: Frozen<Map<u32, Block>> =
        Frozen::from_fd(frozen.region().try_clone_fd().unwrap()).unwrap();
    for number in 0..COUNT {
        let block = &reopened[&number];
        assert_eq!(block.license, *LICENSE);
        assert_eq!(block.text.len(), BLOCK);
        assert!(block.text.ends_with(mark(number)));
    }
}
