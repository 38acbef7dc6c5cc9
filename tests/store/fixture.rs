//! A folder of files, and a cache with an entry for each of them that counts what it builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use floe::store::{BuildResult, CacheReport};
use floe::{Cache, Inputs, Map, Policy, Store};
use tempfile::TempDir;

/// A folder of files.
pub struct Sources {
    pub folder: TempDir,
}

impl Sources {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let sources = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, content) in files {
            sources.write(name, content);
        }
        sources
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }
}

/// The names of the entries that were built since the last look.
#[derive(Clone, Default)]
pub struct BuiltNames(Arc<Mutex<BTreeSet<String>>>);

impl BuiltNames {
    pub fn note(&self, name: &str) {
        self.0.lock().unwrap().insert(name.to_owned());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
            .into_iter()
            .collect()
    }
}

pub type Contents = Cache<Map<String, String>>;

/// A cache of the contents of all `.txt` files of a folder, by their name.
pub fn contents(store: &Store, sources: &Sources, policy: Policy) -> (Contents, BuiltNames) {
    let built = BuiltNames::default();
    let (folder, noted) = (sources.folder.path().to_owned(), built.clone());
    let build = move |name: &String, inputs: &mut Inputs| -> BuildResult<String> {
        noted.note(name);
        Ok(inputs
            .read_to_string(folder.join(name))?
            .unwrap_or_default())
    };
    let folder = sources.folder.path().to_owned();
    let cache = store.keyed(
        "contents",
        policy,
        move |inputs| names(&folder, inputs),
        build,
    );
    (cache.unwrap(), built)
}

pub fn names(folder: &Path, inputs: &mut Inputs) -> BuildResult<Vec<String>> {
    let paths = inputs.glob(format!("{}/*.txt", folder.display()))?;
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    Ok(paths.iter().map(name).collect())
}

/// Refreshes a store with one cache.
pub fn refresh(store: &Store) -> CacheReport {
    let mut report = store.refresh().unwrap();
    assert_eq!(report.caches.len(), 1);
    report.caches.remove(0)
}

pub fn pairs(cache: &Contents) -> Vec<(String, String)> {
    let map = cache.get().unwrap();
    let mut pairs: Vec<_> = map
        .iter()
        .map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()))
        .collect();
    pairs.sort();
    pairs
}
