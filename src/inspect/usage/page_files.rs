//! The page files that a process maps, and what memory they take.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use procfs::process::MemoryMap;
use serde::Serialize;

use super::MappedRegion;
use crate::inspect::pages::in_folder;
use crate::region::PageFileStart;

/// Bytes of a block, as `stat` counts them.
const BLOCK: u64 = 512;

/// A page file of a region: generations of a cache, and processes, that have it in common show the
/// same device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MappedFile {
    /// The generation that wrote it, by the name of the memfd.
    pub generation: u64,
    /// The device of the memfd.
    pub device: u64,
    /// The inode of the memfd.
    pub inode: u64,
    /// Bytes of memory that it takes as a whole, whatever of it is mapped; where the process has no
    /// descriptor of it any more, up to the end of what is mapped.
    pub bytes: u64,
}

impl MappedFile {
    pub(super) fn of(mapping: &MemoryMap, generation: u64) -> Self {
        let (major, minor) = mapping.dev;
        let (start, end) = mapping.address;
        Self {
            generation,
            device: rustix::fs::makedev(major as u32, minor as u32),
            inode: mapping.inode,
            bytes: mapping.offset.saturating_add(end - start),
        }
    }

    /// Whether it is the same memfd.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// Asks the descriptors of a process what memory its page files take, and of which lineage its
/// regions are.
pub(super) fn look_up(pid: u32, regions: &mut [MappedRegion]) {
    let own = regions.iter().filter_map(|region| region.files.first());
    let own: HashSet<_> = own.map(MappedFile::identity).collect();
    let (mut taken, mut lineages) = (HashMap::new(), HashMap::new());
    let is_own = |path: &Path| {
        let Ok(stat) = fs::metadata(path) else {
            return false;
        };
        let identity = (stat.dev(), stat.ino());
        let is_new = taken.insert(identity, stat.blocks() * BLOCK).is_none();
        is_new && own.contains(&identity)
    };
    let folder = format!("/proc/{pid}/fd");
    in_folder(Path::new(&folder), is_own, |file| {
        if let (Ok(id), Ok(header)) = (file.id(), PageFileStart::header(&file)) {
            lineages.insert((id.device, id.inode), header.lineage);
        }
    });
    for region in regions {
        let own = region.files.first().map(MappedFile::identity);
        region.lineage = own.and_then(|own| lineages.get(&own).copied());
        for file in &mut region.files {
            file.bytes = taken.get(&file.identity()).copied().unwrap_or(file.bytes);
        }
    }
}
