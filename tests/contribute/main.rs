//! What workers find out comes back to the owner. These tests fork, so they run on the main thread
//! of a process that has no other.
#![allow(unsafe_code)]

mod endings;
mod fixture;
mod hostile;
mod kinds;
mod model;
mod refusals;

use floe_testkit::forking;
use std::env;
use std::process::ExitCode;

use forking::{Need, trials, trials_needing};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = kinds::run(&arguments) {
        return code;
    }
    let mut trials = trials![
        kinds::workers_of_all_kinds_contribute,
        kinds::a_thread_wakes_for_what_comes,
        kinds::a_thread_gathers_batches,
        kinds::a_thread_that_waits_for_another_process_stops_at_once,
        kinds::a_child_of_a_worker_contributes,
        model::all_contributions_count_once,
        endings::a_killed_owner_is_told_to_those_who_wait,
        endings::a_killed_contributor_leaves_what_it_sent,
        endings::a_child_of_a_contributor_leaves_it_the_answer,
        endings::children_of_the_owner_leave_its_queue_alone,
        hostile::a_flood_harms_its_sender_alone,
        hostile::nonsense_costs_no_descriptor,
        hostile::an_answer_of_a_sibling_is_not_believed,
        hostile::a_child_waits_quietly_behind_what_is_no_answer,
        refusals::what_nobody_accepts_is_not_sent,
        refusals::what_is_no_delta_of_the_cache_is_refused,
        refusals::keys_are_for_those_who_may_write_them,
        refusals::what_comes_to_more_than_its_bytes_is_limited_too,
        refusals::a_rule_that_panics_costs_one_delta,
        refusals::a_restriction_that_panics_costs_one_delta,
        refusals::an_owner_without_memory_says_so,
        refusals::what_cannot_be_merged_is_refused_alone,
        refusals::an_owner_without_descriptors_says_so,
    ];
    trials.extend(trials_needing![Need::Root;
        refusals::a_worker_that_becomes_another_user_contributes,
        refusals::clients_of_another_user_contribute_if_they_may,
    ]);
    forking::run(trials)
}
