//! Building the contenders of one size.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::samples::Samples;
use crate::contenders::{
    Contender, ContenderError, Floe, FoldHash, Fst, Heap, Lmdb, MmapSync, Redb, Rkyv, freeze,
    freeze_interned,
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

/// The contenders that take any key. How long the first ones take to build is measured in rounds
/// of its own.
pub fn of_any_key<K: Key>(
    map: &HashMap<K, Recipe>,
    directory: &Path,
    samples: &mut Samples,
) -> Vec<Entrant<K>> {
    let hashbrown: Heap<FoldHash<K>> = Heap::fill(map.len());
    vec![
        Entrant::build("floe", || Ok(Floe(freeze(map)?))),
        Entrant::build("floe interned", || Ok(Floe(freeze_interned(map)?))),
        Entrant::built("hashbrown", hashbrown),
        Entrant::build("rkyv", || Rkyv::build(map)),
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
    ]
}

/// The contenders that are measured with text as keys only.
pub fn of_text(
    map: &HashMap<String, Recipe>,
    directory: &Path,
    samples: &mut Samples,
) -> Vec<Entrant<String>> {
    vec![
        Entrant::build_timed("fst", map.len(), samples, || Fst::build(map)),
        Entrant::build_timed("mmap-sync", map.len(), samples, || {
            require_room(directory, map.len())?;
            MmapSync::create(map, &directory.join("mmap-sync"))
        }),
    ]
}

/// The reasons why those are missing with other keys.
pub fn no_text<K: Key>(_: &HashMap<K, Recipe>, _: &Path, _: &mut Samples) -> Vec<Entrant<K>> {
    let out = |name| Entrant {
        name,
        contender: Err("measured with text as keys only".into()),
    };
    vec![out("fst"), out("mmap-sync")]
}
