//! An owner that is killed at one system call after the other while it publishes. `strace` kills it:
//! this program again, told so by a variable.

use std::env;
use std::fs::{File, FileTimes};
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use floe::posix;

use crate::fixture::{Name, drafts, numbers, open};

/// Names what the process is to publish.
const NAME: &str = "FLOE_NAMES_PUBLISHED";
/// Calls that publishing makes.
const CALLS: [&str; 9] = [
    "openat",
    "ftruncate",
    "mmap",
    "flock",
    "fchmod",
    "write",
    "utimensat",
    "renameat2",
    "munmap",
];

/// Publishes, if this is the process that is killed, and ends without a word.
pub(crate) fn publish_if_told() -> Option<ExitCode> {
    let name = env::var(NAME).ok()?;
    mem::forget(numbers(100).region().publish_posix(&name).unwrap());
    Some(ExitCode::SUCCESS)
}

pub(crate) fn an_owner_killed_at_any_call_leaves_all_or_nothing() {
    let before = drafts();
    let (mut absent, mut left) = (0, 0);
    for call in CALLS {
        for when in 1.. {
            let name = Name::new();
            let output = Command::new("strace")
                .args(["-f", "-o", "/dev/null", "-e"])
                .arg(format!("inject={call}:signal=KILL:when={when}"))
                .arg(env::current_exe().unwrap())
                .env(NAME, &name.0)
                .output();
            let was_killed = output.unwrap().status.signal().is_some();
            match name.path().exists() {
                true => {
                    assert_eq!(open(&name).unwrap().len(), 100, "{call} {when}");
                    assert!(!name.listed().unwrap().owner_runs);
                    left += 1;
                }
                false => absent += 1,
            }
            age(&before);
            posix::sweep().unwrap();
            assert!(!name.path().exists(), "{call} {when}");
            assert_eq!(drafts(), before, "{call} {when}");
            if !was_killed {
                break;
            }
        }
    }
    assert!(absent > 20 && left > CALLS.len(), "{absent}, {left}");
}

/// Makes drafts old, as they are when somebody sweeps.
fn age(others: &[String]) {
    for draft in drafts().iter().filter(|draft| !others.contains(draft)) {
        let then = SystemTime::now() - Duration::from_secs(61);
        let file = File::open(Path::new("/dev/shm").join(draft)).unwrap();
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
    }
}
