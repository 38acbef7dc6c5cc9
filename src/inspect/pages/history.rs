//! Generations whose page files are still in memory.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Pages;
use super::descriptors::in_folder;
use crate::inspect::dynamic::Described;
use crate::region::PageFileStart;
use crate::region::format::Lineage;

/// The page files of a cache in memory, as far as this user may open the descriptors of processes.
fn in_memory(lineage: Lineage) -> Vec<PageFileStart> {
    let mut seen = HashSet::new();
    let mut is_new = |path: &Path| {
        let identity = fs::metadata(path).map(|it| (it.dev(), it.ino()));
        identity.is_ok_and(|identity| seen.insert(identity))
    };
    let mut found = Vec::new();
    for process in procfs::process::all_processes().into_iter().flatten() {
        let Ok(process) = process else { continue };
        let folder = format!("/proc/{}/fd", process.pid);
        in_folder(Path::new(&folder), &mut is_new, |file| {
            let start = PageFileStart::read(&file);
            found.extend(start.ok().filter(|it| it.header.lineage == lineage));
        });
    }
    found
}

impl Pages {
    /// The generations of the same cache whose page files are in memory, this one among them, the
    /// newest first. Looks at the descriptors of all processes that this user may read.
    ///
    /// A page file stays as long as any generation uses a page of it, and tells where all pages of
    /// the generation came from that wrote it. So a generation is listed after it has gone, with
    /// page files that nobody has any more: their [`generation`](super::PageFile::generation) is
    /// `None`.
    ///
    /// Processes can make what looks like page files of a cache that they know: what is told of
    /// other generations is a hint.
    #[must_use]
    pub fn in_memory(of: &Described) -> Vec<Self> {
        let files = in_memory(of.header().lineage);
        let written = files.iter().map(|file| &file.header);
        let writers: BTreeMap<[u8; 32], u64> = written
            .map(|header| (header.digests.strong, header.generation))
            .collect();
        let writer = |digest| writers.get(&digest).copied();
        let mut all: Vec<Self> = files
            .iter()
            .map(|file| Self::of_page_file(file, writer))
            .collect();
        all.push(of.pages());
        // A generation may lie in memory a second time, as one file: it was saved and loaded.
        all.sort_by_key(|it| std::cmp::Reverse((it.generation, it.files.len())));
        all.dedup_by_key(|it| it.generation);
        all
    }
}
