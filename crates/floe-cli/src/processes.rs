//! Processes and the frozen regions that they map, as they are read for a table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;

use floe::Error;
use floe::usage::{MappedRegion, ProcError, Usage};

use super::CommandError;

/// What every frozen region is called in `/proc/PID/maps`, before its name.
const LABEL: &[u8] = b" /memfd:floe:";

/// Which processes are read, each time anew.
#[derive(Default)]
pub(crate) struct Scope {
    pub(crate) pids: Vec<u32>,
    /// The root of a tree of processes.
    pub(crate) tree: Option<u32>,
    /// Names of caches: all processes that map one, and what they map of these alone.
    pub(crate) caches: Option<BTreeSet<String>>,
}

/// What was read at one time.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) processes: Vec<Process>,
    /// How many processes this user may not read: those of a tree, which are listed without their
    /// memory, and those that may map a cache.
    pub(crate) unreadable: u64,
}

/// One process, as it was read.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) name: String,
    /// None if this user may not read it.
    pub(crate) memory: Option<Usage>,
    pub(crate) regions: Vec<MappedRegion>,
}

impl Scope {
    /// Reads the processes that were asked for. Those that were named must be readable, and be
    /// there at the `first` reading; others of a tree may be gone, or not be this user's to
    /// read.
    pub(crate) fn read(&self, first: bool) -> Result<Reading, CommandError> {
        let mut reading = Reading::default();
        for pid in self.tree.map_or_else(|| self.pids.clone(), tree) {
            match Process::read(pid) {
                Ok(process) => reading.processes.push(process),
                Err(Error::ReadProcess {
                    reason: ProcError::Gone,
                    ..
                }) if !(first && self.names(pid)) => {}
                Err(Error::ReadProcess {
                    reason: ProcError::NotPermitted,
                    ..
                }) if !self.names(pid) => {
                    reading.processes.push(Process::unreadable(pid));
                    reading.unreadable += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(caches) = &self.caches {
            self.read_mappers(caches, &mut reading);
        }
        Ok(reading)
    }

    fn names(&self, pid: u32) -> bool {
        self.tree == Some(pid) || self.pids.contains(&pid)
    }

    /// Adds the processes that map a cache, of all that there are.
    fn read_mappers(&self, caches: &BTreeSet<String>, reading: &mut Reading) {
        for process in procfs::process::all_processes().into_iter().flatten() {
            let Ok(pid) = process.map(|process| process.pid as u32) else {
                continue;
            };
            if self.names(pid) {
                continue;
            }
            match Process::read_mapper(pid, caches) {
                Ok(mapper) => reading.processes.extend(mapper),
                Err(_) => reading.unreadable += 1,
            }
        }
    }
}

impl Process {
    fn read(pid: u32) -> Result<Self, Error> {
        let (memory, mut regions) = Usage::with_regions(pid)?;
        regions.sort_by(|a, b| (&a.name, a.generation).cmp(&(&b.name, b.generation)));
        Ok(Self {
            pid,
            name: command(pid),
            memory: Some(memory),
            regions,
        })
    }

    /// A process of which only the name may be known.
    fn unreadable(pid: u32) -> Self {
        Self {
            pid,
            name: command(pid),
            memory: None,
            regions: Vec::new(),
        }
    }

    /// Reads a process if it maps a cache, and of its regions these alone. To list mappings costs
    /// far less than to count their pages.
    fn read_mapper(pid: u32, caches: &BTreeSet<String>) -> Result<Option<Self>, Error> {
        let path = format!("/proc/{pid}/maps");
        match fs::read(&path) {
            Ok(maps) if maps.windows(LABEL.len()).any(|text| text == LABEL) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::ReadProcess {
                    pid,
                    path,
                    reason: ProcError::NotPermitted,
                });
            }
            // It maps none, or has ended.
            Ok(_) | Err(_) => return Ok(None),
        }
        let mut process = match Self::read(pid) {
            Err(Error::ReadProcess {
                reason: ProcError::Gone,
                ..
            }) => return Ok(None),
            read => read?,
        };
        process.regions.retain(|it| caches.contains(&it.name));
        Ok((!process.regions.is_empty()).then_some(process))
    }
}

fn command(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
}

/// A process, then its descendants, parents before children.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for process in procfs::process::all_processes().into_iter().flatten() {
        if let Ok(stat) = process.and_then(|process| process.stat()) {
            let parent = children.entry(stat.ppid as u32).or_default();
            parent.insert(stat.pid as u32);
        }
    }
    let (mut pids, mut waiting) = (Vec::new(), vec![root]);
    while let Some(pid) = waiting.pop() {
        pids.push(pid);
        // Each set is taken once, so that a process that moved meanwhile makes no circle.
        waiting.extend(children.remove(&pid).into_iter().flatten().rev());
    }
    pids
}
