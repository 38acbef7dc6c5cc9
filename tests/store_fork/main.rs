//! What a store promises where processes are forked or share a directory. These tests fork, so they
//! run on the main thread of a process that has no other.
#![allow(unsafe_code)]

mod background;
mod directories;
mod faults;
mod filesystems;
mod killed;
mod overlays;
mod owners;
mod sharing;
mod undurable;

use floe_testkit::forking;
use std::process::ExitCode;

use forking::{Need, trials, trials_needing};

fn main() -> ExitCode {
    if let Some(code) = faults::work()
        .or_else(killed::work)
        .or_else(undurable::work)
    {
        return code;
    }
    let mut trials = trials![
        owners::a_child_cannot_change_a_store_but_reads_it,
        owners::a_refresh_leaves_no_thread,
        owners::a_fork_in_the_middle_of_refreshes_reads,
        owners::rebuilds_leave_nothing_behind,
        owners::nothing_is_published_without_memory,
        overlays::an_overlay_grows_by_its_additions_only,
        overlays::what_workers_add_comes_back_beside_their_results,
        overlays::a_child_adds_to_what_its_parent_added_and_cannot_merge,
        overlays::a_worker_killed_half_way_loses_its_own_delta_only,
        overlays::a_merge_without_memory_changes_nothing,
        sharing::one_process_builds_and_the_others_take_it_over,
        sharing::a_lock_that_a_child_inherited_blocks_nobody,
        sharing::a_killed_builder_leaves_the_turn_and_the_generation,
        sharing::modes_do_not_depend_on_the_umask,
        background::a_thread_refreshes_until_it_is_dropped,
        filesystems::what_the_kernel_makes_up_is_compared_by_content,
        filesystems::stores_through_a_shared_map_are_seen_where_that_is_demanded,
    ];
    trials.extend(trials_needing![Need::Root;
        owners::what_may_not_be_read_is_named,
        filesystems::names_mounts_and_groups_of_the_machine_are_inputs,
        filesystems::what_a_user_may_not_read_hides_nothing_else_and_is_an_input,
        filesystems::what_may_be_read_again_is_built_without_waiting,
        directories::a_read_only_directory_is_read_and_builds_go_on_in_memory,
        directories::a_full_disk_is_reported_once_and_builds_go_on_in_memory,
    ]);
    trials.extend(trials_needing![Need::RootWith("ip");
        filesystems::new_network_interfaces_are_seen,
    ]);
    trials.extend(trials_needing![Need::Images;
        filesystems::images_with_the_same_stamps_are_told_apart,
        filesystems::layers_over_images_with_the_same_stamps_are_told_apart,
    ]);
    trials.extend(trials_needing![Need::Program("strace");
        faults::a_start_overwrites_no_good_file,
        faults::a_file_that_cannot_be_read_is_left_as_it_is,
        faults::what_a_file_system_lacks_is_done_without,
        killed::an_owner_killed_in_a_rebuild_harms_nobody,
        killed::an_owner_killed_in_a_repack_harms_nobody,
        undurable::what_may_not_last_is_there_for_others,
    ]);
    forking::run(trials)
}
