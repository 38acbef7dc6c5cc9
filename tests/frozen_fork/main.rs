//! What processes promise each other that share a region. These tests fork, so they run on the main
//! thread of a process that has no other.
#![allow(unsafe_code)]

mod builders;
mod dumps;
mod fixture;
mod handover;
mod lifetime;
mod limits;
mod reading;
mod refusals;
mod rights;
mod shards;
mod threads;

use floe_testkit::{forking, zoo};
use std::env;
use std::process::ExitCode;

use forking::{Need, trials, trials_needing};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(handover::DIGEST) {
        return handover::digest_of_descriptor(&arguments.next().unwrap());
    }
    let mut trials = trials![
        reading::workers_share_every_page,
        dumps::advice_keeps_a_region_out_of_the_dumps_of_all_workers,
        reading::reading_grows_no_worker,
        lifetime::dropping_handles_gives_memory_back,
        lifetime::the_owners_death_leaves_the_readers_reading,
        lifetime::a_thousand_freezes_leave_the_first_one_alone,
        refusals::a_worker_that_writes_dies_alone,
        builders::a_child_cannot_finish_a_builder_of_its_parent,
        builders::a_child_that_drops_a_builder_does_no_harm,
        shards::forked_parsers_build_one_map,
        shards::one_of_two_processes_gets_a_part,
        shards::a_killed_parser_loses_its_own_part_only,
        handover::exec_inherits_no_descriptor,
        handover::exec_opens_a_descriptor_that_was_handed_over,
        handover::a_socket_carries_a_descriptor,
        threads::a_fork_beside_freezing_threads_reads,
        limits::want_of_descriptors_leaves_nothing,
        limits::want_of_addresses_leaves_nothing,
        limits::a_file_size_limit_leaves_nothing,
        limits::a_builder_goes_on_after_a_block_that_was_refused,
        limits::want_of_mappings_takes_one,
        limits::want_of_descriptors_takes_few,
    ];
    trials.extend(trials_needing![Need::Root;
        handover::another_user_only_reads_what_it_inherited,
    ]);
    forking::run(trials)
}
