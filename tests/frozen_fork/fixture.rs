//! What the tests freeze, and what they look at.

use std::fs;

use floe::{Frozen, Map, MapBuilder};
use floe_testkit::text;
use nix::unistd::getpid;
use xxhash_rust::xxh3::xxh3_64;

use crate::forking::Gate;

pub(crate) const MIB: usize = 1 << 20;

const ENTRY: usize = 64 << 10;

/// A map that is cheap to freeze for its size.
pub(crate) type Large = Frozen<Map<u32, String>>;

/// A map with values of `bytes` in all.
pub(crate) fn large_map(bytes: usize) -> Large {
    try_large_map(bytes).unwrap()
}

pub(crate) fn try_large_map(bytes: usize) -> floe::Result<Large> {
    let mut builder = MapBuilder::new("large")?;
    for number in 0..bytes / ENTRY {
        builder.insert(&(number as u32), &text::long(number, ENTRY))?;
    }
    builder.finish()
}

/// Reads every byte.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// A point where workers stay until the owner lets them go on; it serves once.
pub(crate) struct Meeting {
    arrived: Gate,
    over: Gate,
}

impl Meeting {
    pub(crate) fn new() -> Self {
        Self {
            arrived: Gate::new(),
            over: Gate::new(),
        }
    }

    /// Called in each worker.
    pub(crate) fn attend(&self) {
        self.arrived.open();
        self.over.pass();
    }

    /// Called in the owner: runs `work` once all `workers` are here, before any goes on.
    pub(crate) fn hold<R>(&self, workers: usize, work: impl FnOnce() -> R) -> R {
        (0..workers).for_each(|_| self.arrived.pass());
        let result = work();
        (0..workers).for_each(|_| self.over.open());
        result
    }
}

/// The memory of all memfds of the system, in bytes.
pub(crate) fn shmem() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Shmem:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// How many mappings and descriptors of memfds of floe this process has.
pub(crate) fn regions_held() -> (usize, usize) {
    let is_region = |text: &str| text.contains("/memfd:floe:");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", getpid())).unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    (
        maps.lines().filter(|line| is_region(line)).count(),
        links
            .filter(|link| is_region(&link.to_string_lossy()))
            .count(),
    )
}
