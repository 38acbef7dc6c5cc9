//! Sandboxes that refuse a system call, and kernels that lack one.
#![allow(unsafe_code)]

mod calls;
mod confined;
mod paths;

use std::env;
use std::process::ExitCode;

use floe_testkit::forking::{self, Need, trials, trials_needing};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [mode, row, errno] = &arguments[..]
        && mode == confined::CONFINED
    {
        confined::run_paths(row.parse().ok(), errno.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let mut trials = trials![
        confined::all_paths_work_unconfined,
        confined::each_refused_call_has_another_way_or_an_error_that_names_it,
    ];
    trials.extend(trials_needing![Need::Program("valgrind");
        confined::all_paths_work_under_valgrind,
    ]);
    forking::run(trials)
}
