//! The generations of caches that processes map, and the page files that they have in common.

use std::collections::{BTreeMap, BTreeSet};

use floe::usage::{MappedFile, MappedRegion, Usage};

use crate::processes::Process;

/// Tells a cache from others of its name: by its lineage, where that is known.
pub(super) type CacheKey<'a> = (&'a str, Option<[u8; 16]>);

/// A cache as it is mapped.
#[derive(Default)]
pub(super) struct Mapped {
    /// By their numbers.
    pub(super) generations: BTreeMap<u64, Generation>,
}

/// A generation as it is mapped.
#[derive(Default)]
pub(super) struct Generation {
    pub(super) mappers: BTreeSet<u32>,
    /// Of its mappings in all processes.
    pub(super) memory: Usage,
    /// Each once.
    pub(super) files: Vec<MappedFile>,
}

/// The caches that processes map.
pub(super) fn of(processes: &[Process]) -> BTreeMap<CacheKey<'_>, Mapped> {
    let mut caches: BTreeMap<CacheKey<'_>, Mapped> = BTreeMap::new();
    for process in processes {
        for region in &process.regions {
            let cache = caches.entry(cache_of(region)).or_default();
            let generation = cache.generations.entry(region.generation).or_default();
            generation.mappers.insert(process.pid);
            generation.memory += region.memory;
            add(&mut generation.files, &region.files);
        }
    }
    caches
}

pub(super) fn cache_of(region: &MappedRegion) -> CacheKey<'_> {
    (&region.name, region.lineage)
}

pub(super) fn bytes_of(files: &[MappedFile]) -> u64 {
    files.iter().map(|file| file.bytes).sum()
}

impl Mapped {
    /// The page files of all generations, each once.
    pub(super) fn files(&self) -> Vec<MappedFile> {
        let mut files = Vec::new();
        for generation in self.generations.values() {
            add(&mut files, &generation.files);
        }
        files
    }

    /// Bytes of those files that the newest generation does not have.
    pub(super) fn beyond(&self, files: &[MappedFile]) -> u64 {
        let newest = self.generations.values().next_back();
        let newest = newest.map_or(&[][..], |newest| &newest.files);
        let is_used = |file: &&MappedFile| newest.iter().any(|it| it.is(file));
        files
            .iter()
            .filter(|it| !is_used(it))
            .map(|it| it.bytes)
            .sum()
    }

    /// The memory of all its mappings.
    pub(super) fn memory(&self) -> Usage {
        self.generations.values().map(|it| it.memory).sum()
    }
}

fn add(files: &mut Vec<MappedFile>, more: &[MappedFile]) {
    for file in more {
        match files.iter_mut().find(|known| known.is(file)) {
            Some(known) => known.bytes = known.bytes.max(file.bytes),
            None => files.push(*file),
        }
    }
}
