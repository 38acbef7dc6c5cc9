//! What `prefork` promises. These tests fork, so they run on the main thread of a process that has
//! no other.
#![allow(unsafe_code)]

mod endings;
mod hosts;
mod limits;
mod results;
mod sigterm;

use floe_testkit::forking;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use forking::{Need, trials, trials_needing};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

fn main() -> ExitCode {
    let mut trials = trials![
        results::results_are_typed_and_in_order,
        results::results_are_in_order_whoever_ends_first,
        results::no_workers_is_an_empty_result,
        results::a_large_result_arrives,
        results::a_deeply_nested_result_is_refused,
        results::a_forged_answer_is_refused,
        results::an_answer_of_holes_costs_its_owner_nothing,
        results::answers_are_taken_up_to_a_limit,
        results::nobody_writes_to_an_answer_that_is_read,
        results::text_in_the_buffer_is_printed_once,
        results::the_owners_copy_is_dropped_once,
        results::workers_have_workers,
        results::only_the_owner_uses_a_pool,
        endings::wait_one_follows_the_order_of_exit,
        endings::each_failure_is_told_apart,
        endings::an_error_of_a_worker_is_the_error_of_join,
        endings::no_worker_unwinds_the_owners_frames,
        endings::join_names_the_worker_and_ends_the_others,
        endings::a_reaped_worker_is_lost,
        endings::drop_ends_and_reaps,
        endings::drop_kills_what_ignores_sigterm,
        endings::terminate_tells_the_ends,
        endings::the_owners_death_ends_no_worker,
        sigterm::sigterm_reaches_the_workers,
        sigterm::the_owners_handler_still_runs,
        sigterm::an_ignored_sigterm_stays_ignored,
        sigterm::the_disposition_comes_back,
        sigterm::a_later_handler_is_left_alone,
        sigterm::a_foreign_fork_signals_no_worker,
        hosts::a_host_may_ignore_sigchld,
        hosts::a_host_may_want_no_zombies,
        hosts::a_host_may_reap_all_children,
        hosts::want_of_descriptors_delays_no_result_for_ever,
        limits::the_harness_has_one_thread,
        limits::several_threads_are_refused,
        limits::several_threads_can_be_vouched_for,
        limits::a_thread_that_is_ending_is_waited_for,
        limits::too_many_workers_are_refused,
        limits::places_are_given_back,
        limits::no_descriptor_stays,
        limits::want_of_descriptors_leaves_nothing,
        limits::want_of_processes_leaves_nothing,
    ];
    trials.extend(trials_needing![Need::Root;
        hosts::a_signal_reaches_nobody_who_has_a_workers_number,
        limits::another_users_memory_is_refused,
    ]);
    forking::run(trials)
}

fn set_sigterm(handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handlers of these tests only store to atomics.
    unsafe { sigaction(Signal::SIGTERM, &action) }.unwrap();
}

/// Whether SIGTERM is in a set of this process: `SigCgt` caught, `SigIgn` ignored, `SigBlk`
/// blocked.
fn sigterm_is_in(set: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(set))
        .unwrap();
    let bits = u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap();
    bits >> (libc::SIGTERM - 1) & 1 == 1
}

fn assert_no_children() {
    assert_eq!(
        waitpid(None, None),
        Err(Errno::ECHILD),
        "a child is left behind"
    );
}

/// Runs a closure in a process of its own, which ends with it; fails if it panics.
fn alone(run: impl FnOnce()) {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = catch_unwind(AssertUnwindSafe(run)).is_err().into();
            // SAFETY: the call ends the process at once; nothing relies on handlers at exit.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
}
