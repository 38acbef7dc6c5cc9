//! The caches of a layer in a store: each entry is built from its own files, and built anew when
//! one of them changes.

mod bodies;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use floe::{Cache, Frozen, Map, Policy, Result, Store, Value};
use rkyv::rancor::BoxedError;

use crate::code::{self, Code, CodeHash, python, shell};
use crate::layer::{discovery, layer_roots};
use crate::recipes::{self, Files, Recipe};
use crate::statements::{Statement, parse_file};
use bodies::{Bodies, PYTHON, SHELL};

/// What is known of each file, by its path in the tree.
pub(crate) type Statements = Cache<Map<String, File>>;

/// A file of a layer.
#[derive(Debug, rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct File {
    pub(crate) statements: Vec<Statement>,
    /// Hashes of the shell functions, so that the list of all code is made without reading it.
    shell: Vec<CodeHash>,
    /// Hashes of the Python functions, and of what stands in values.
    python: Vec<CodeHash>,
}

impl File {
    fn new(statements: Vec<Statement>) -> Self {
        let kinds = statements.iter().map(|statement| &statement.kind);
        let code = kinds.map(Code::from);
        Self {
            shell: code.clone().flat_map(Code::shell).map(code::hash).collect(),
            python: code.flat_map(Code::python).map(code::hash).collect(),
            statements,
        }
    }
}

/// For how many generations code is kept that no file has any more: an edit is often undone.
const IDLE_GENERATIONS: u64 = 8;

/// Adds the statements of a layer tree.
pub(crate) fn statements(store: &Store, root: &Path) -> Result<Statements> {
    let (folder, root) = (root.to_owned(), root.to_owned());
    store.keyed(
        "statements",
        Policy::new().revalidate_inputs(),
        move |inputs| Ok(discovery::files(&folder, inputs)?),
        move |path: &String, inputs| {
            let text = inputs.read_to_string(root.join(path))?.unwrap_or_default();
            Ok(File::new(parse_file(path, text).statements))
        },
    )
}

/// Adds the recipes of a layer tree. A recipe depends on its file, on those that it includes, and
/// on the absence of those that it would include.
pub(crate) fn recipes(
    store: &Store,
    root: &Path,
    statements: &Statements,
) -> Result<Cache<Map<String, Recipe>>> {
    let (root, listed, read) = (root.to_owned(), statements.clone(), statements.clone());
    store.keyed(
        "recipes",
        Policy::new().revalidate_inputs(),
        move |inputs| {
            let statements = inputs.cache(&listed)?;
            let paths = statements.keys().map(|path| path.as_str());
            let recipes = paths.filter(|path| path.ends_with(".bb"));
            Ok(recipes.map(str::to_owned).collect())
        },
        move |path: &String, inputs| {
            let statements = read.get()?;
            let (recipe, files) = with_includes(path, &statements)?;
            for path in files.iter().chain(&recipe.files) {
                inputs.read(root.join(path))?;
            }
            Ok(recipe)
        },
    )
}

/// Adds what the shell and Python code of a layer tree refers to, by the hash of the code.
pub(crate) fn code(store: &Store, statements: &Statements) -> Result<()> {
    let [shell, python] = [SHELL, PYTHON].map(|language| Bodies::new(statements, language));
    add_code(store, "shell", shell, shell::parse)?;
    add_code(store, "python", python, python::parse)
}

fn add_code<R: Value + Send>(
    store: &Store,
    name: &str,
    bodies: Arc<Bodies>,
    parse: fn(&str) -> R,
) -> Result<()> {
    let listed = Arc::clone(&bodies);
    let policy = Policy::new().revalidate_inputs();
    store.keyed(
        name,
        policy.max_idle_generations(IDLE_GENERATIONS),
        move |inputs| listed.hashes(inputs),
        move |hash: &CodeHash, _| bodies.parse(hash, parse),
    )?;
    Ok(())
}

/// A recipe, and the paths of the files that it was read from.
fn with_includes(
    path: &str,
    statements: &Frozen<Map<String, File>>,
) -> Result<(Recipe, BTreeSet<String>), BoxedError> {
    let exists = |path: &str| statements.contains_key(path);
    let roots = layer_roots(statements.keys().map(|path| path.as_str()));
    let mut files = Files::new();
    let mut read = BTreeSet::new();
    let mut pending = vec![path.to_owned()];
    loop {
        for path in pending {
            if let Some(archived) = statements.get(path.as_str()) {
                let thawed = rkyv::deserialize::<Vec<Statement>, BoxedError>(&archived.statements)?;
                files.insert(path.clone(), thawed);
                read.insert(path);
            }
        }
        let recipe = recipes::read_with(path, &files, &roots, &exists);
        let found = recipe.files.iter().filter(|path| exists(path));
        let new = found.filter(|path| !read.contains(*path));
        pending = new.cloned().collect();
        if pending.is_empty() {
            return Ok((recipe, read));
        }
    }
}
