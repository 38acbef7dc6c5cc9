//! What this process and this machine use, from `/proc`.

use std::fs;

/// Bytes that this process has read by system calls, but for what asking costs.
pub(crate) struct ReadBytes(u64);

impl ReadBytes {
    pub(crate) fn start() -> Self {
        Self(read_so_far())
    }

    /// Bytes read since the start by others than this.
    pub(crate) fn stop(self) -> u64 {
        let end = read_so_far();
        // Asking again tells what asking costs.
        let own = read_so_far() - end;
        (end - self.0).saturating_sub(own + 8)
    }
}

fn read_so_far() -> u64 {
    field("/proc/self/io", "rchar:")
}

/// Shared memory of the whole system, in bytes.
pub(crate) fn shmem() -> u64 {
    field("/proc/meminfo", "Shmem:") * 1024
}

pub(crate) fn descriptors() -> i64 {
    fs::read_dir("/proc/self/fd").expect("/proc").count() as i64
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}
