//! What the machine has to give.

use std::fs;
use std::path::Path;

use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

use crate::error::BenchError;
use crate::table::count;

/// A new directory in memory, so that no disk is measured; removed when it is dropped.
///
/// # Errors
/// [`BenchError::Directory`].
pub fn memory_directory() -> Result<TempDir, BenchError> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix("floe-rivals-")
        .tempdir_in(&place)
        .map_err(|source| BenchError::Directory { place, source })
}

/// The machine in a few words, as far as the kernel tells.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut words = vec![
        model(&read("/proc/cpuinfo"))
            .unwrap_or("unknown processor")
            .to_owned(),
        format!("{processors} processors"),
    ];
    for index in 0..8 {
        let cache = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let [level, size] = ["level", "size"].map(|name| read(&format!("{cache}/{name}")));
        if matches!(level.trim(), "2" | "3") {
            words.push(format!("{} of L{}", size.trim(), level.trim()));
        }
    }
    if let Some(total) = parse_field(&read("/proc/meminfo"), "MemTotal:") {
        words.push(format!("{} MiB of memory", count(total >> 20)));
    }
    words.push(format!(
        "Linux {}",
        read("/proc/sys/kernel/osrelease").trim()
    ));
    words.join(", ")
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// Bytes of memory that could be had without swapping; `None` if the kernel does not tell.
pub fn available_memory() -> Option<u64> {
    parse_field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn parse_field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Checks that there is memory for some work before it is begun.
///
/// # Errors
/// The reason why not.
pub fn require_memory(needed: u64) -> Result<(), String> {
    match available_memory() {
        Some(available) if available < needed => Err(format!(
            "needs about {} MiB of memory, {} MiB are available",
            count(needed >> 20),
            count(available >> 20)
        )),
        _ => Ok(()),
    }
}

/// Bytes of a file for each entry, at most, whoever writes it.
const FILE_BYTES_PER_ENTRY: u64 = 1536;

/// Checks that there is room for a file of so many recipes: some contenders write to mapped files,
/// and a process that does so where no room is left is ended.
///
/// # Errors
/// The reason why not.
pub fn require_room(directory: &Path, entries: usize) -> Result<(), String> {
    let needed = FILE_BYTES_PER_ENTRY
        .saturating_mul(entries as u64)
        .saturating_add(1 << 20);
    let system =
        statvfs(directory).map_err(|error| format!("cannot see what room is left: {error}"))?;
    let free = system.blocks_available() * system.fragment_size();
    if free < needed {
        let [needed, free] = [needed, free].map(|bytes| count(bytes >> 20));
        return Err(format!(
            "needs about {needed} MiB in a file, {free} MiB are free"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_the_processor_is_found() {
        let cpuinfo = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some CPU: fast\n";
        assert_eq!(model(cpuinfo), Some("Some CPU: fast"));
        assert_eq!(model("processor : 0\n"), None);
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        let parse_available = |meminfo| parse_field(meminfo, "MemAvailable:");
        let meminfo = "MemTotal:  100 kB\nMemAvailable:       42 kB\nSwapFree: 1 kB\n";
        assert_eq!(parse_available(meminfo), Some(42 * 1024));
        assert_eq!(parse_available("MemTotal:  100 kB\n"), None);
        assert_eq!(parse_available("MemAvailable: many kB\n"), None);
    }

    #[test]
    fn more_memory_than_there_is_is_refused_with_figures() {
        assert_eq!(require_memory(0), Ok(()));
        let reason = require_memory(u64::MAX).unwrap_err();
        assert!(reason.contains("MiB are available"), "{reason}");
    }

    #[test]
    fn more_room_than_there_is_is_refused_with_figures() {
        let directory = memory_directory().unwrap();
        assert_eq!(require_room(directory.path(), 1), Ok(()));
        let reason = require_room(directory.path(), usize::MAX).unwrap_err();
        assert!(reason.contains("MiB are free"), "{reason}");
    }
}
