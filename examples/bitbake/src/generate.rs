//! Writes a synthetic layer tree: as large and as repetitive as a real one, with nothing of a real one in it.
//!
//! Equal numbers of recipes give equal trees. Some 1,100 recipes fill the caches with half a million
//! strings, most of them repeated many times: the same classes, dependencies, tasks, commands.

mod recipe;
mod shared;
mod vocabulary;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A tree that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the layer tree at `{}`: {source}", path.display())]
pub struct GenerateError {
    path: PathBuf,
    source: io::Error,
}

/// Writes a tree with `recipes` recipes, and the classes and configuration they need, into `directory`.
/// It is made if it does not exist.
///
/// # Errors
/// If something cannot be written, or `directory` holds anything already: nothing is overwritten.
pub fn generate(directory: &Path, recipes: usize) -> Result<(), GenerateError> {
    let failed = |source| GenerateError {
        path: directory.into(),
        source,
    };
    fs::create_dir_all(directory).map_err(failed)?;
    if fs::read_dir(directory).map_err(failed)?.next().is_some() {
        return Err(failed(io::Error::new(
            io::ErrorKind::DirectoryNotEmpty,
            "the folder is not empty; name one that is",
        )));
    }
    for File { path, text } in shared::files()
        .into_iter()
        .chain((0..recipes).flat_map(recipe::files))
    {
        let path = directory.join(path);
        let failed = |source| GenerateError {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(())
}

/// A file of the tree.
struct File {
    /// Its path in the tree.
    path: String,
    text: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use indicatif::ProgressBar;

    use super::*;
    use crate::layer::Layer;
    use crate::walk::{Visitor, Walk};

    /// Counts strings and distinct ones.
    #[derive(Default)]
    struct Tally {
        texts: usize,
        distinct: BTreeSet<String>,
    }

    impl Visitor for Tally {
        fn text(&mut self, text: &str) {
            self.texts += 1;
            self.distinct.insert(text.into());
        }

        fn bytes(&mut self, _: &[u8]) {}
        fn number(&mut self, _: u64) {}
        fn begin(&mut self, _: usize) {}
        fn end(&mut self) {}
    }

    fn generated(recipes: usize) -> Layer {
        let tree = tempfile::tempdir().expect("a folder");
        generate(tree.path(), recipes).expect("a tree");
        Layer::read(tree.path(), &ProgressBar::hidden()).expect("a layer")
    }

    #[test]
    fn the_tree_is_understood_whole_and_is_as_large_as_promised() {
        let layer = generated(100);
        assert_eq!(layer.recipes.len(), 100);
        assert_eq!(layer.summary.unknown_lines, 0);
        assert_eq!(layer.summary.problems, []);
        assert_eq!(layer.summary.refused_patterns, []);
        let mut tally = Tally::default();
        layer.statements.walk(&mut tally);
        layer.recipes.walk(&mut tally);
        layer.shell.walk(&mut tally);
        layer.python.walk(&mut tally);
        layer.patterns.walk(&mut tally);
        assert!((43_000..50_000).contains(&tally.texts), "{}", tally.texts);
        assert!(
            tally.distinct.len() < tally.texts / 3,
            "{}",
            tally.distinct.len()
        );
    }

    #[test]
    fn equal_sizes_give_equal_trees_and_larger_ones_contain_smaller_ones() {
        let (small, large) = (generated(5), generated(20));
        assert_eq!(generated(5), small);
        for (path, recipe) in &small.recipes {
            assert_eq!(large.recipes.get(path), Some(recipe));
        }
    }

    #[test]
    fn files_that_recipes_name_exist() {
        let layer = generated(40);
        for recipe in layer.recipes.values() {
            assert!(
                recipe
                    .files
                    .iter()
                    .all(|path| layer.statements.contains_key(path))
            );
            for class in &recipe.inherits {
                assert!(
                    layer
                        .statements
                        .contains_key(&format!("meta/classes/{class}.bbclass"))
                );
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "").expect("a file");
        let error = generate(folder.path(), 1)
            .expect_err("not empty")
            .to_string();
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
    }
}
