//! The frozen regions that a process maps.

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
    /// The memory of its mappings in the process.
    pub memory: Usage,
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
        let (mut all, mut files) = (Self::default(), Vec::new());
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
            let file = (mapping.dev, mapping.inode);
            let is_behind = |(region, at): &(usize, u64)| {
                *at == start && mapping.offset > 0 && regions[*region].name == name
            };
            let behind = last.filter(is_behind).map(|(region, _)| region);
            let known = || files.iter().position(|known| *known == file);
            let position = behind.or_else(known).unwrap_or_else(|| {
                files.push(file);
                regions.push(MappedRegion {
                    name: name.to_owned(),
                    generation,
                    memory: Self::default(),
                });
                regions.len() - 1
            });
            regions[position].memory += memory;
            last = Some((position, end));
        }
        Ok((all, regions))
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
