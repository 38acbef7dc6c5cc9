//! Nothing that a worker may try changes what others read. These tests fork, so they run on the
//! main thread of a process that has no other.
#![allow(unsafe_code)]

mod attack;
mod control_page;
mod region;

use std::process::ExitCode;

use floe_testkit::forking::{self, trials};

fn main() -> ExitCode {
    forking::run(trials![
        control_page::no_attack_changes_the_control_page,
        region::no_attack_changes_a_region,
        region::the_attacks_succeed_on_unsealed_memory,
    ])
}
