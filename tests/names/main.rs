//! Regions by POSIX names, and files mapped in place. These tests fork, mount and become other
//! users, so they run on the main thread of a process that has no other.
#![allow(unsafe_code)]

mod fixture;
mod full;
mod in_place;
mod killed;
mod leftovers;
mod owners;
mod publishing;
mod refusals;

use std::process::ExitCode;

use floe_testkit::forking;

use forking::{Need, trials, trials_needing};

fn main() -> ExitCode {
    if let Some(published) = killed::publish_if_told() {
        return published;
    }
    let mut trials = trials![
        publishing::what_is_published_is_opened_and_mapped,
        publishing::of_many_owners_one_gets_the_name,
        publishing::no_descriptor_and_no_draft_is_left,
        publishing::a_file_size_limit_leaves_nothing,
        publishing::no_writable_map_stays,
        refusals::what_is_no_name_is_refused,
        refusals::whoever_has_the_name_keeps_it,
        refusals::content_is_checked,
        refusals::absent_names_are_told,
        owners::a_child_removes_no_name,
        owners::descriptor_0_is_one_like_others,
        owners::what_others_put_under_the_name_stays,
        owners::readers_keep_what_they_have,
        leftovers::a_killed_owner_is_swept,
        leftovers::an_owner_is_dead_while_its_children_live,
        leftovers::the_next_owner_takes_the_name,
        leftovers::drafts_are_swept_when_they_are_old,
        leftovers::what_no_owner_published_is_not_swept,
        in_place::a_file_is_read_where_it_is,
        in_place::what_is_mapped_in_place_cannot_be_written,
        in_place::headers_are_checked_in_place,
    ];
    trials.extend(trials_needing![Need::Root;
        publishing::the_umask_does_not_show,
        refusals::other_users_are_refused,
        full::a_full_folder_is_told,
        full::a_missing_folder_is_told,
    ]);
    trials.extend(trials_needing![Need::Program("strace");
        killed::an_owner_killed_at_any_call_leaves_all_or_nothing,
    ]);
    forking::run(trials)
}
