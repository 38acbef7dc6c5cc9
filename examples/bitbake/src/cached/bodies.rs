//! Finds bodies of code by their hashes, in the statements of the files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use floe::store::BuildResult;
use floe::{Frozen, Inputs, Map};

use super::{ArchivedFile, File, Statements};
use crate::code::{Code, CodeHash};

/// One language: where a file has the hashes of its bodies, and the bodies themselves.
pub(super) struct InLanguage {
    hashes: fn(&ArchivedFile) -> &[CodeHash],
    bodies: fn(&ArchivedFile) -> Vec<&str>,
}

pub(super) const SHELL: InLanguage = InLanguage {
    hashes: |file| &file.shell,
    bodies: |file| code(file).flat_map(Code::shell).collect(),
};

pub(super) const PYTHON: InLanguage = InLanguage {
    hashes: |file| &file.python,
    bodies: |file| code(file).flat_map(Code::python).collect(),
};

fn code(file: &ArchivedFile) -> impl Iterator<Item = Code<'_>> {
    let statements = file.statements.iter();
    statements.map(|statement| Code::from(&statement.kind))
}

/// The bodies of one language.
pub(super) struct Bodies {
    statements: Statements,
    language: InLanguage,
    /// The bodies of a generation, gathered when one of them is to be parsed.
    gathered: Mutex<(u64, HashMap<CodeHash, String>)>,
}

impl Bodies {
    pub(super) fn new(statements: &Statements, language: InLanguage) -> Arc<Self> {
        let (statements, gathered) = (statements.clone(), Mutex::default());
        Arc::new(Self {
            statements,
            language,
            gathered,
        })
    }

    /// The hashes of all bodies.
    pub(super) fn hashes(&self, inputs: &mut Inputs) -> BuildResult<Vec<CodeHash>> {
        let statements = inputs.cache(&self.statements)?;
        let hashes = statements.values().flat_map(self.language.hashes);
        Ok(hashes.copied().collect())
    }

    pub(super) fn parse<R>(&self, hash: &CodeHash, parse: fn(&str) -> R) -> BuildResult<R> {
        let statements = self.statements.get()?;
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = statements.region().generation();
        if gathered.0 != generation {
            *gathered = (generation, self.gather(&statements));
        }
        let body = gathered.1.get(hash).cloned();
        drop(gathered);
        Ok(parse(&body.ok_or("no file has this code")?))
    }

    fn gather(&self, statements: &Frozen<Map<String, File>>) -> HashMap<CodeHash, String> {
        let hashes = statements.values().flat_map(self.language.hashes);
        let bodies = statements.values().flat_map(self.language.bodies);
        hashes.copied().zip(bodies.map(str::to_owned)).collect()
    }
}
