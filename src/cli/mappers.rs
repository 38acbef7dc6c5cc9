//! Which processes map the caches of a broker.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use super::Failure;
use super::target::Socket;

/// What every frozen region is called in `/proc/PID/maps`, before its name.
const LABEL: &[u8] = b" /memfd:floe:";

/// The processes that map a frozen region.
#[derive(Default)]
pub(crate) struct Mappers {
    pub(crate) pids: Vec<u32>,
    /// How many processes there are whose mappings this user may not read.
    pub(crate) unreadable: u64,
}

impl Mappers {
    /// Looks at all processes; one that ends meanwhile is none.
    pub(crate) fn find() -> Self {
        let mut found = Self::default();
        for process in procfs::process::all_processes().into_iter().flatten() {
            let Ok(process) = process else { continue };
            match fs::read(format!("/proc/{}/maps", process.pid)) {
                Ok(maps) if maps.windows(LABEL.len()).any(|text| text == LABEL) => {
                    found.pids.push(process.pid as u32);
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => found.unreadable += 1,
                Ok(_) | Err(_) => {}
            }
        }
        found
    }
}

/// The names of the caches that a broker offers.
pub(crate) fn names(socket: &Socket) -> Result<BTreeSet<String>, Failure> {
    Ok(socket.list()?.into_iter().map(|cache| cache.name).collect())
}
