//! The caches of a layer in a store: each entry is built from its own files, and built anew when one
//! of them changes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use floe::inputs::EntryKind;
use floe::store::BuildResult;
use floe::{Cache, Frozen, Inputs, Map, Policy, Result, Store};
use rkyv::rancor::BoxedError;

use crate::code::{self, CodeHash, PythonCode, ShellCode, python, shell};
use crate::layer::{discovery, layer_roots};
use crate::recipes::{self, Files, Recipe};
use crate::statements::{ArchivedKind, ArchivedLanguage, Kind, Statement, inline_python, parse};

/// The statements of each file, by its path in the tree.
pub(crate) type Statements = Cache<Map<String, Vec<Statement>>>;

/// For how many generations code is kept that no file has any more: an edit is often undone.
const IDLE_GENERATIONS: u64 = 8;

/// Adds the statements of a layer tree.
pub(crate) fn statements(store: &Store, root: &Path) -> Result<Statements> {
    let (folder, root) = (root.to_owned(), root.to_owned());
    store.keyed(
        "statements",
        Policy::new().inputs(),
        move |inputs| files(&folder, inputs),
        move |path: &String, inputs| {
            let text = inputs.read_to_string(root.join(path))?.unwrap_or_default();
            Ok(match discovery::is_metadata(path) {
                true => parse(path, &text, discovery::rules_of(path)).statements,
                false => vec![Statement {
                    line: 1,
                    kind: Kind::Payload { text },
                }],
            })
        },
    )
}

/// Adds the recipes of a layer tree. A recipe depends on its file, on those that it includes, and on
/// the absence of those that it would include.
pub(crate) fn recipes(
    store: &Store,
    root: &Path,
    statements: &Statements,
) -> Result<Cache<Map<String, Recipe>>> {
    let (root, listed, read) = (root.to_owned(), statements.clone(), statements.clone());
    store.keyed(
        "recipes",
        Policy::new().inputs(),
        move |inputs| {
            let statements = inputs.cache(&listed)?;
            let paths = statements.keys().map(|path| path.as_str());
            Ok(paths
                .filter(|path| path.ends_with(".bb"))
                .map(str::to_owned)
                .collect())
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
    let policy = || {
        Policy::new()
            .inputs()
            .max_idle_generations(IDLE_GENERATIONS)
    };
    let (listed, found) = twice(Bodies::new(statements, shell_bodies));
    store.keyed(
        "shell",
        policy(),
        move |inputs| listed.hashes(inputs),
        move |hash: &CodeHash, _| -> BuildResult<ShellCode> { found.parse(hash, shell::parse) },
    )?;
    let (listed, found) = twice(Bodies::new(statements, python_bodies));
    store.keyed(
        "python",
        policy(),
        move |inputs| listed.hashes(inputs),
        move |hash: &CodeHash, _| -> BuildResult<PythonCode> { found.parse(hash, python::parse) },
    )?;
    Ok(())
}

/// The files of a tree that have a metadata ending, by their path in it. The listings of all its
/// folders are recorded.
fn files(root: &Path, inputs: &mut Inputs) -> BuildResult<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in inputs.read_dir(root.join(&folder))?.unwrap_or_default() {
            let path = folder.join(&entry.name);
            let (Some(name), Some(text)) = (entry.name.to_str(), path.to_str()) else {
                continue;
            };
            match entry.kind {
                EntryKind::Directory if !name.starts_with('.') => folders.push(path),
                EntryKind::Directory | EntryKind::Other => {}
                _ if !discovery::has_ending(text) => {}
                EntryKind::File => found.push(text.to_owned()),
                EntryKind::Symlink => {
                    let metadata = inputs.stat(root.join(&path))?;
                    if metadata.is_some_and(|metadata| metadata.is_file()) {
                        found.push(text.to_owned());
                    }
                }
            }
        }
    }
    Ok(found)
}

/// A recipe, and the paths of the files that it was read from.
fn with_includes(
    path: &str,
    statements: &Frozen<Map<String, Vec<Statement>>>,
) -> Result<(Recipe, BTreeSet<String>), BoxedError> {
    let exists = |path: &str| statements.contains_key(path);
    let roots = layer_roots(statements.keys().map(|path| path.as_str()));
    let mut files = Files::new();
    let mut read = BTreeSet::new();
    let mut pending = vec![path.to_owned()];
    loop {
        for path in pending {
            if let Some(archived) = statements.get(path.as_str()) {
                let thawed = rkyv::deserialize::<Vec<Statement>, BoxedError>(archived)?;
                files.insert(path.clone(), thawed);
                read.insert(path);
            }
        }
        let recipe = recipes::read_with(path, &files, &roots, &exists);
        let new = recipe
            .files
            .iter()
            .filter(|path| exists(path) && !read.contains(*path));
        pending = new.cloned().collect();
        if pending.is_empty() {
            return Ok((recipe, read));
        }
    }
}

/// Finds bodies of code by their hash, in the statements that their list was made from.
struct Bodies {
    statements: Statements,
    of: fn(&ArchivedKind) -> Vec<&str>,
    /// The bodies of a generation, gathered when one of them is to be parsed.
    gathered: Mutex<(u64, HashMap<CodeHash, String>)>,
}

impl Bodies {
    fn new(statements: &Statements, of: fn(&ArchivedKind) -> Vec<&str>) -> Arc<Self> {
        Arc::new(Self {
            statements: statements.clone(),
            of,
            gathered: Mutex::default(),
        })
    }

    /// The hashes of all bodies.
    fn hashes(&self, inputs: &mut Inputs) -> BuildResult<Vec<CodeHash>> {
        let statements = inputs.cache(&self.statements)?;
        Ok(self.bodies(&statements).map(code::hash).collect())
    }

    fn bodies<'s>(
        &self,
        statements: &'s Frozen<Map<String, Vec<Statement>>>,
    ) -> impl Iterator<Item = &'s str> {
        let statements = statements.values().flat_map(|file| file.iter());
        let of = self.of;
        statements.flat_map(move |statement| of(&statement.kind))
    }

    fn parse<R>(&self, hash: &CodeHash, parse: impl Fn(&str) -> R) -> BuildResult<R> {
        let statements = self.statements.get()?;
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.0 != statements.generation() {
            let bodies = self.bodies(&statements);
            let bodies = bodies.map(|body| (code::hash(body), body.to_owned()));
            *gathered = (statements.generation(), bodies.collect());
        }
        let body = gathered
            .1
            .get(hash)
            .cloned()
            .ok_or("no file has this code")?;
        drop(gathered);
        Ok(parse(&body))
    }
}

fn twice<T: Clone>(value: T) -> (T, T) {
    (value.clone(), value)
}

fn shell_bodies(kind: &ArchivedKind) -> Vec<&str> {
    match kind {
        ArchivedKind::Function {
            language: ArchivedLanguage::Shell,
            body,
            ..
        } => vec![body],
        _ => vec![],
    }
}

fn python_bodies(kind: &ArchivedKind) -> Vec<&str> {
    match kind {
        ArchivedKind::Function {
            language: ArchivedLanguage::Python | ArchivedLanguage::Definition,
            body,
            ..
        } => vec![body],
        ArchivedKind::Assign { value, .. } => inline_python(value).collect(),
        _ => vec![],
    }
}
