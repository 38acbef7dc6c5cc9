//! What the handles promise that follow the generations of a cache. These tests fork, so they run
//! on the main thread of a process that has no other.
#![allow(unsafe_code)]

mod brokers;
mod crowded;
mod endings;
mod fixture;
mod following;
mod hostile_brokers;
mod hostile_clients;
mod hostile_workers;
mod orphans;
mod pages;
mod programs;
mod reading;
mod refusals;
mod roots;
mod sockets;
mod stores;
mod trusting;

use floe_testkit::forking;
use std::env;
use std::process::ExitCode;

use forking::{Need, trials, trials_needing};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(code) = programs::run(&arguments) {
        return code;
    }
    let mut trials = trials![
        following::workers_see_every_generation_whole,
        following::a_handle_moves_only_when_it_is_read,
        following::waiting_ends_with_the_next_generation,
        following::a_watch_reports_each_publication,
        following::what_does_not_continue_a_cache_is_refused,
        following::a_child_cannot_publish,
        following::an_expired_cache_is_not_given,
        following::a_renewed_cache_is_young_again,
        reading::a_get_that_finds_nothing_new_makes_no_system_call,
        reading::want_of_resources_keeps_the_generation,
        reading::counts_outlive_the_workers_that_counted,
        pages::workers_follow_generations_that_share_pages,
        pages::clients_of_a_broker_take_all_page_files,
        endings::a_thousand_workers_leave_nothing,
        endings::the_owner_may_be_killed_at_any_moment,
        endings::a_fork_beside_publishing_threads_reads,
        orphans::a_dropped_publisher_is_reported,
        orphans::a_handle_connects_to_the_next_owner,
        orphans::a_killed_owner_is_reported_beside_its_children,
        hostile_workers::a_drained_mailbox_is_filled_again,
        hostile_workers::readers_can_send_nothing_to_the_owner,
        hostile_workers::a_flooded_mailbox_is_cleared,
        hostile_workers::a_forged_region_is_not_taken,
        hostile_workers::a_mailbox_that_is_shut_down_keeps_its_readers,
        hostile_workers::options_of_a_mailbox_are_undone,
        hostile_workers::a_mailbox_that_takes_no_message_is_replaced,
        programs::a_program_follows_what_it_was_passed,
        programs::nothing_is_passed_to_others,
        programs::a_program_gets_an_error_that_names_what_is_wrong,
        brokers::a_client_follows_without_the_broker,
        brokers::a_broker_lists_its_caches,
        brokers::no_name_adds_a_line_to_the_page,
        brokers::a_client_gets_an_error_that_names_what_is_wrong,
        brokers::fork_serve_stop_fork,
        sockets::a_socket_is_for_its_user_alone,
        sockets::only_a_dead_socket_is_replaced,
        sockets::a_lock_on_the_folder_holds_up_nobody,
        sockets::long_paths_are_served,
        sockets::of_two_brokers_that_start_at_once_one_serves,
        hostile_clients::nonsense_gets_no_answer,
        hostile_clients::ten_thousand_silent_clients_hold_up_nobody,
        hostile_clients::want_of_descriptors_passes,
        hostile_clients::few_answers_wait_to_be_received,
        refusals::a_lowered_limit_is_survived,
        refusals::a_broker_that_may_not_accept_waits,
        refusals::a_broker_ends_without_a_byte,
        refusals::a_large_region_is_checked_without_threads,
        roots::workers_follow_all_roots,
        roots::a_builder_of_roots_refuses_in_a_child,
        stores::workers_follow_a_store,
        stores::followers_see_when_a_cache_expires,
        stores::programs_and_clients_follow_a_store,
        stores::a_store_tells_what_workers_count,
        stores::a_store_tells_who_cannot_follow,
        hostile_brokers::lies_of_a_broker_are_errors,
        hostile_brokers::lies_of_an_owner_are_errors,
        hostile_brokers::a_lying_owner_cannot_take_back,
        trusting::a_program_follows_the_parent_that_it_trusts,
        trusting::a_client_follows_the_owner_that_it_trusts,
        trusting::who_trusts_reads_no_digest,
        trusting::who_trusts_refuses_what_is_not_sealed_or_of_another_type,
    ];
    trials.extend(trials_needing![Need::Linux(6, 5);
        sockets::a_socket_of_a_dead_process_is_replaced,
    ]);
    trials.extend(trials_needing![Need::Root;
        pages::generations_have_the_same_frames,
        crowded::a_crowded_owner_publishes,
        crowded::a_crowded_broker_says_so,
        crowded::lack_of_descriptors_in_flight_is_reported_and_passes,
        programs::a_program_with_more_rights_than_its_parent_inherits_nothing,
        sockets::another_user_is_refused,
        sockets::a_folder_need_not_be_readable,
        sockets::a_lock_of_another_user_holds_up_nobody,
        sockets::a_broker_of_another_user_is_not_believed,
        sockets::a_group_is_served,
    ]);
    forking::run(trials)
}
