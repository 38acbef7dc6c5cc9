//! What the handles promise that follow the generations of a cache. These tests fork, so they run
//! on the main thread of a process that has no other.
#![allow(unsafe_code)]

#[path = "../attacks/mod.rs"]
mod attacks;
#[path = "../forking/mod.rs"]
mod forking;

mod fixture;
mod following;
mod hostile_workers;

use std::process::ExitCode;

use forking::trials;

fn main() -> ExitCode {
    forking::run(trials![
        following::workers_see_every_generation_whole,
        following::a_handle_moves_only_when_it_is_read,
        following::waiting_ends_with_the_next_generation,
        following::a_watch_is_told_of_each_publication,
        following::what_does_not_continue_a_cache_is_refused,
        following::a_child_cannot_publish,
        following::an_expired_cache_is_not_given,
        following::a_renewed_cache_is_young_again,
        hostile_workers::no_attack_changes_the_control_page,
        hostile_workers::a_drained_mailbox_is_filled_again,
        hostile_workers::a_flooded_mailbox_is_cleared,
        hostile_workers::a_forged_region_is_not_taken,
        hostile_workers::a_mailbox_that_is_shut_down_keeps_its_readers,
    ])
}
