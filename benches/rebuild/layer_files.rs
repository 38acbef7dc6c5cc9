//! One changed file of a layer, against parsing all of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bitbake::LayerCaches;
use floe::store::Report;
use floe::{Clock, Moment, Store};
use tempfile::TempDir;

const ROUNDS: u32 = 7;

pub(crate) struct Layer {
    pub(crate) files: usize,
    pub(crate) full_seconds: f64,
    pub(crate) one_seconds: f64,
    /// Files that were parsed after one had changed.
    pub(crate) files_parsed: u64,
}

/// Parses a copy of the layer into all of its caches, then edits one file in each of several
/// rounds.
pub(crate) fn measure(layer: Option<&Path>, recipes: usize) -> Layer {
    let tree = match layer {
        Some(layer) => copy(layer),
        None => {
            let tree = tempfile::tempdir().expect("a folder");
            bitbake::generate(tree.path(), recipes).expect("a generated layer");
            tree
        }
    };
    let root = tree.path();
    let paths = bitbake::layer_files(root).expect("a layer");

    let build = || {
        let store = store_of_old_files();
        let caches = LayerCaches::add(&store, root).expect("caches");
        let report = refresh(&store);
        (store, caches, report)
    };
    let (full_seconds, (store, caches, report)) = floe_testkit::measure::best(3, build);
    assert_eq!(report.caches[0].rebuilt, paths.len() as u64);

    let edited = paths.iter().filter(|path| path.ends_with(".bb"));
    let edited = edited.clone().nth(edited.count() / 2).expect("a recipe");
    let mut layer = Layer {
        files: paths.len(),
        full_seconds,
        one_seconds: f64::MAX,
        files_parsed: 0,
    };
    let text = fs::read_to_string(root.join(edited)).expect("a recipe");
    for round in 0..ROUNDS {
        fs::write(root.join(edited), format!("{text}\nROUND = \"{round}\"\n")).expect("an edit");
        let start = Instant::now();
        let report = refresh(&store);
        layer.one_seconds = layer.one_seconds.min(start.elapsed().as_secs_f64());
        layer.files_parsed = layer.files_parsed.max(report.caches[0].rebuilt);
        // What a build from nothing gives.
        let (fresh, expected, _) = build();
        let seen = |caches: &LayerCaches| {
            let statements = caches.statements_of(edited).expect("a map");
            (caches.files().expect("a map"), statements)
        };
        assert!(seen(&caches) == seen(&expected) && seen(&caches).1.is_some());
        drop(fresh);
    }
    layer
}

/// A store to which all files are old enough for their stamps to be trusted, as those of a layer
/// are.
pub(crate) fn store_of_old_files() -> Store {
    Store::new().with_clock(Clock::manual(Moment::now() + Duration::from_secs(60)))
}

fn refresh(store: &Store) -> Report {
    let report = store.refresh().expect("the owner refreshes");
    assert!(!report.has_failures(), "{report}");
    report
}

fn copy(layer: &Path) -> TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    for path in bitbake::layer_files(layer).expect("a layer") {
        let to = tree.path().join(&path);
        fs::create_dir_all(to.parent().expect("a parent")).expect("folders");
        fs::copy(layer.join(&path), to).expect("a copy");
    }
    tree
}
