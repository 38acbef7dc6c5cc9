//! Writes a synthetic layer tree: as large and as repetitive as a real one, with nothing of a real
//! one in it.
//!
//! Equal numbers of recipes give equal trees. Some 1,100 recipes fill the caches with half a
//! million strings, most of them repeated many times: the same classes, dependencies, tasks,
//! commands.

mod recipe;
mod shared;
mod vocabulary;

use std::path::Path;
use std::{fs, io};

/// Writes a tree with `recipes` recipes, and the classes and configuration they need, into
/// `directory`. It is made if it does not exist.
///
/// # Errors
/// If something cannot be written, or `directory` holds anything already: nothing is overwritten.
pub fn generate(directory: &Path, recipes: usize) -> io::Result<()> {
    let failed = |path: &Path, error: io::Error| {
        let message = format!(
            "cannot write the layer tree at `{}`: {error}",
            path.display()
        );
        io::Error::new(error.kind(), message)
    };
    if fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        let error = io::Error::other("the folder is not empty; name one that is");
        return Err(failed(directory, error));
    }
    let recipes = (0..recipes).flat_map(recipe::files);
    for (path, text) in shared::files().into_iter().chain(recipes) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap_or(directory))
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// The path of a file in the tree, and its text.
type File = (String, String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Layer, Parsers};

    fn generated(recipes: usize) -> Layer {
        let tree = tempfile::tempdir().expect("a folder");
        generate(tree.path(), recipes).expect("a tree");
        Layer::read(tree.path(), Parsers::Threads).expect("a layer")
    }

    #[test]
    fn the_tree_is_understood_whole() {
        let layer = generated(40);
        assert_eq!(layer.recipes.len(), 40);
        assert_eq!(layer.summary.unknown_lines, 0);
        assert!(layer.summary.problems.is_empty());
        assert_eq!(layer.summary.refused_patterns, 0);
        for recipe in layer.recipes.values() {
            let classes = recipe.inherits.iter();
            let classes = classes.map(|class| format!("meta/classes/{class}.bbclass"));
            let mut named = recipe.files.iter().cloned().chain(classes);
            assert!(named.all(|path| layer.statements.contains_key(&path)));
        }
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
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("mine"), "").expect("a file");
        let error = generate(folder.path(), 1).expect_err("not empty");
        let path = folder.path().display().to_string();
        assert!(error.to_string().contains(&path), "{error}");
    }
}
