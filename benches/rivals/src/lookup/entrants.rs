//! Building the contenders of one size.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use floe::Advice;

use super::samples::Samples;
use crate::contenders::{
    Contender, ContenderError, Floe, FoldHash, Fst, Heap, Lmdb, MmapSync, Odht, OdhtKey, Redb,
    Rkyv, freeze, freeze_interned,
};
use crate::data::Recipe;
use crate::keys::Key;
use crate::machine::require_room;
use crate::report::Row;
use crate::statistics::{nanoseconds_each, timed};

/// A contender under its name, or the reason why it is out.
pub struct Entrant<K> {
    /// How it is called in rows.
    pub name: &'static str,
    /// The contender itself.
    pub contender: Result<Box<dyn Contender<K>>, String>,
}

impl<K: Key> Entrant<K> {
    /// A contender that is there already.
    pub fn built(name: &'static str, contender: impl Contender<K> + 'static) -> Self {
        Self {
            name,
            contender: Ok(Box::new(contender)),
        }
    }

    fn build<C: Contender<K> + 'static>(
        name: &'static str,
        build: impl FnOnce() -> Result<C, ContenderError>,
    ) -> Self {
        match build() {
            Ok(contender) => Self::built(name, contender),
            Err(problem) => Self {
                name,
                contender: Err(format!("cannot be built: {problem}")),
            },
        }
    }

    /// Builds a contender and notes what that took.
    fn build_timed<C: Contender<K> + 'static>(
        name: &'static str,
        entries: usize,
        samples: &mut Samples,
        build: impl FnOnce() -> Result<C, ContenderError>,
    ) -> Self {
        let (entrant, time) = timed(|| Self::build(name, build));
        if entrant.contender.is_ok() {
            samples.add(name, "freeze", nanoseconds_each(time, entries));
        }
        entrant
    }

    /// What was measured of it.
    pub fn rows(&self, entries: usize, samples: &Samples) -> Vec<Row> {
        match &self.contender {
            Err(reason) => vec![Row::skipped(entries, self.name, "get", reason)],
            Ok(contender) => {
                let bytes = Some(contender.bytes());
                let row = |(operation, spread)| {
                    Row::measured(entries, self.name, operation, spread, bytes)
                };
                samples
                    .of(self.name)
                    .chain([("bytes", None)])
                    .map(row)
                    .collect()
            }
        }
    }
}

/// The contenders that take any key and value. How long the first and the last take to build is
/// measured in rounds of its own.
pub fn of_any_key<K: Key>(map: &HashMap<K, K::Value>) -> Vec<Entrant<K>> {
    let hashbrown: Heap<FoldHash<K>> = Heap::fill(map.len());
    vec![
        Entrant::build("floe", || Ok(Floe(freeze(map)?))),
        Entrant::build("floe huge", || {
            let frozen = freeze(map)?;
            frozen.region().advise(Advice::HugePages)?;
            Ok(Floe(frozen))
        }),
        Entrant::built("hashbrown", hashbrown),
        Entrant::build("rkyv", || Rkyv::build(map)),
    ]
}

/// The contenders that are measured with text as keys and recipes as values only.
pub fn of_text(
    map: &HashMap<String, Recipe>,
    directory: &Path,
    samples: &mut Samples,
) -> Vec<Entrant<String>> {
    vec![
        Entrant::build("floe interned", || Ok(Floe(freeze_interned(map)?))),
        Entrant::build_timed("lmdb", map.len(), samples, || {
            require_room(directory, map.len())?;
            let lmdb = directory.join("lmdb");
            fs::create_dir(&lmdb)?;
            Lmdb::create(map, &lmdb)
        }),
        Entrant::build_timed("redb", map.len(), samples, || {
            require_room(directory, map.len())?;
            Redb::create(map, &directory.join("redb"))
        }),
        Entrant::build_timed("fst", map.len(), samples, || Fst::build(map)),
        Entrant::build_timed("mmap-sync", map.len(), samples, || {
            require_room(directory, map.len())?;
            MmapSync::create(map, &directory.join("mmap-sync"))
        }),
    ]
}

/// No contender beside those that take any key.
pub fn none<K>(_: &HashMap<K, u64>, _: &Path, _: &mut Samples) -> Vec<Entrant<K>> {
    Vec::new()
}

/// The contender that takes keys and values of a fixed size only.
pub fn of_fixed_size<K: OdhtKey>(
    map: &HashMap<K, u64>,
    _: &Path,
    samples: &mut Samples,
) -> Vec<Entrant<K>> {
    vec![Entrant::build_timed("odht", map.len(), samples, || {
        Ok(Odht::build(map))
    })]
}
