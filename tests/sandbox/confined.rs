//! Programs with a filter, each a process of its own.

use std::collections::BTreeMap;
use std::env;
use std::panic::catch_unwind;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::unistd::alarm;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCondition, SeccompFilter, SeccompRule, apply_filter,
};

use crate::calls::{CALLS, Call, Outcome};
use crate::paths::PATHS;

/// Asks this program to run the paths under a filter.
pub const CONFINED: &str = "--confined";

/// Runs all paths, and writes what becomes of each in a line.
pub fn run_paths(row: Option<usize>, errno: u32) {
    let folders = PATHS.map(|_| tempfile::tempdir().unwrap());
    if let Some(row) = row {
        refuse(&CALLS[row], errno);
    }
    // A path that hangs ends the process; the others are then missing too.
    alarm::set(60);
    for ((name, path), folder) in PATHS.iter().zip(&folders) {
        let outcome = match catch_unwind(|| path(folder.path()).map_err(|error| error.to_string()))
        {
            Ok(Ok(())) => "ok".to_owned(),
            Ok(Err(error)) => format!("error: {error}"),
            Err(_) => "panicked".to_owned(),
        };
        println!("{name}\t{}", outcome.escape_debug());
    }
}

fn refuse(call: &Call, errno: u32) {
    let rules = call.argument.iter().map(|(index, operator, value)| {
        let length = SeccompCmpArgLen::Dword;
        let condition = SeccompCondition::new(*index, length, operator.clone(), *value);
        SeccompRule::new(vec![condition.unwrap()]).unwrap()
    });
    let filter = SeccompFilter::new(
        BTreeMap::from([(call.number, rules.collect())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno),
        env::consts::ARCH.try_into().unwrap(),
    );
    let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).unwrap();
}

fn confined(row: &str, errno: Errno) -> Child {
    let mut confined = Command::new(env::current_exe().unwrap());
    confined.args([CONFINED, row, &(errno as i32).to_string()]);
    confined.stdout(Stdio::piped()).stderr(Stdio::piped());
    confined.spawn().unwrap()
}

/// What each path came to, and what the process said otherwise.
fn outcomes(confined: Child) -> (Vec<String>, String) {
    let ended = confined.wait_with_output().unwrap();
    let lines = String::from_utf8(ended.stdout).unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (lines.lines().map(str::to_owned).collect(), said)
}

pub fn all_paths_work_unconfined() {
    let (lines, said) = outcomes(confined("none", Errno::EPERM));
    assert_eq!(
        lines,
        PATHS.map(|(name, _)| format!("{name}\tok")),
        "{said}"
    );
}

pub fn each_refused_call_has_another_way_or_an_error_that_names_it() {
    let mut unexpected = Vec::new();
    for (row, call) in CALLS.iter().enumerate() {
        let at_once = [Errno::EPERM, Errno::ENOSYS].map(|it| (it, confined(&row.to_string(), it)));
        for (errno, child) in at_once {
            let (lines, said) = outcomes(child);
            let is_expected = |line: &String| match call.outcome {
                _ if line.ends_with("\tok") => true,
                Outcome::Works => false,
                Outcome::Says(words) => {
                    line.contains("\terror: ") && words.iter().any(|word| line.contains(word))
                }
            };
            let wrong = lines.iter().filter(|line| !is_expected(line));
            unexpected.extend(wrong.map(|line| format!("{} {errno:?}: {line}", call.name)));
            if lines.len() < PATHS.len() {
                let (path, _) = PATHS[lines.len()];
                unexpected.push(format!(
                    "{} {errno:?}: {path} ends the process: {said}",
                    call.name
                ));
            }
        }
    }
    assert!(unexpected.is_empty(), "{:#?}", unexpected);
}

/// Whatever is wrong with memory, valgrind says it; what it cannot run ends there.
pub fn all_paths_work_under_valgrind() {
    let mut watched = Command::new("valgrind");
    watched.args(["--quiet", "--error-exitcode=9", "--trace-children=no"]);
    watched
        .arg(env::current_exe().unwrap())
        .args([CONFINED, "none", "0"]);
    let ended = watched.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let lines = String::from_utf8(ended.stdout).unwrap();
    let expected = PATHS.map(|(name, _)| format!("{name}\tok"));
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected, "{said}");
    assert!(ended.status.success(), "{said}");
}
