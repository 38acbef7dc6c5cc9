//! The check that makes a fork safe: this process has one thread.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};
use std::{fs, io, thread};

use crate::error::SpawnError;

/// How long a thread that was joined may stay visible in `/proc`.
const LINGER: Duration = Duration::from_millis(100);

/// Refuses a process that has other threads than the calling one.
///
/// A scope ends, and `join` may return, a moment before the kernel takes the thread off its list.
/// So a process that seems to have several is looked at again for up to [`LINGER`].
pub(super) fn require() -> Result<(), SpawnError> {
    let deadline = Instant::now() + LINGER;
    loop {
        let threads = count().map_err(SpawnError::CountThreads)?;
        if threads == 1 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(SpawnError::Multithreaded { threads });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn count() -> io::Result<usize> {
    let listed = fs::read_dir("/proc/self/task")
        .and_then(|mut tasks| tasks.try_fold(0, |threads, task| task.map(|_| threads + 1)));
    // The same number as text, where a sandbox lists no folders.
    listed.or_else(|refused| from_status().ok_or(refused))
}

fn from_status() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line?.trim().parse().ok()
}
