//! The frozen regions that a process maps.

use super::page_files::{MappedFile, look_up};
use super::{Usage, mappings};
use crate::error::Error;

/// A frozen region that a process maps, recognised by the name of its memfd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MappedRegion {
    /// The name of the cache.
    pub name: String,
    /// The generation of the cache.
    pub generation: u64,
    /// What all generations of the cache have in common, and no other cache of the name; `None` if
    /// the process has no descriptor of the region that this user may open.
    pub lineage: Option<[u8; 16]>,
    /// The memory of its mappings in the process.
    pub memory: Usage,
    /// The page files that it maps: first its own.
    pub files: Vec<MappedFile>,
}

impl Usage {
    /// The memory of process `pid` and of each frozen region that it maps, from one reading.
    ///
    /// Regions come in the order of their addresses. A region begins with the header at the start
    /// of a memfd; mappings of the same cache right behind it are pages that it shares with
    /// earlier generations. Several mappings of one region are one, and two memfds of one name
    /// are two regions. A process can name its memfds as it likes, so names are hints.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn with_regions(pid: u32) -> Result<(Self, Vec<MappedRegion>), Error> {
        let mut all = Self::default();
        let mut regions: Vec<MappedRegion> = Vec::new();
        // Which of them the last mapping belongs to, and where that ends.
        let mut last: Option<(usize, u64)> = None;
        for mapping in mappings::of(pid)?.iter() {
            let memory = mappings::memory(mapping);
            all += memory;
            let Some((name, generation)) = mappings::memfd(mapping).and_then(parse) else {
                continue;
            };
            let (start, end) = mapping.address;
            let file = MappedFile::of(mapping, generation);
            let is_behind = |(region, at): &(usize, u64)| {
                *at == start && mapping.offset > 0 && regions[*region].name == name
            };
            let behind = last.filter(is_behind).map(|(region, _)| region);
            let known = || regions.iter().position(|known| known.begins_with(&file));
            let position = behind.or_else(known).unwrap_or_else(|| {
                regions.push(MappedRegion::new(name, generation));
                regions.len() - 1
            });
            regions[position].memory += memory;
            regions[position].add(file);
            last = Some((position, end));
        }
        if !regions.is_empty() {
            look_up(pid, &mut regions);
        }
        Ok((all, regions))
    }
}

impl MappedRegion {
    fn new(name: &str, generation: u64) -> Self {
        Self {
            name: name.to_owned(),
            generation,
            lineage: None,
            memory: Usage::default(),
            files: Vec::new(),
        }
    }

    fn begins_with(&self, file: &MappedFile) -> bool {
        self.files.first().is_some_and(|first| first.is(file))
    }

    fn add(&mut self, file: MappedFile) {
        match self.files.iter_mut().find(|known| known.is(&file)) {
            Some(known) => known.bytes = known.bytes.max(file.bytes),
            None => self.files.push(file),
        }
    }

    /// Bytes of memory that its page files take. Generations share them.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Bytes of those page files that `newest` does not have: what it costs that this generation is
    /// held beside the newest one.
    #[must_use]
    pub fn bytes_beyond(&self, newest: &Self) -> u64 {
        let beyond = |file: &&MappedFile| !newest.files.iter().any(|it| it.is(file));
        self.files.iter().filter(beyond).map(|it| it.bytes).sum()
    }
}

/// The cache and generation in the name of a memfd, as the kernel shows it.
fn parse(memfd: &str) -> Option<(&str, u64)> {
    let name = memfd.strip_suffix(" (deleted)")?.strip_prefix("floe:")?;
    let (name, generation) = name.rsplit_once('.')?;
    Some((name, generation.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_are_those_that_freezing_gives() {
        assert_eq!(parse("floe:recipes.1 (deleted)"), Some(("recipes", 1)));
        assert_eq!(parse("floe:a b.c.12 (deleted)"), Some(("a b.c", 12)));
        for other in [
            "floe:recipes (deleted)",
            "recipes.1 (deleted)",
            "floe:a.b (deleted)",
            "",
            "floe:recipes.1",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
