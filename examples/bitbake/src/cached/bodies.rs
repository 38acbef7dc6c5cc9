//! The bodies of code in a file's statements, and their hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use floe::store::BuildResult;
use floe::{Frozen, Inputs, Map};

use super::{ArchivedFile, File, Statements};
use crate::code::{self, CodeHash};
use crate::statements::{ArchivedKind, ArchivedLanguage, Kind, Language, Statement, inline_python};

/// What of a statement is code, or may hold some.
enum Text<'a> {
    Shell(&'a str),
    Python(&'a str),
    Value(&'a str),
    None,
}

impl<'a> Text<'a> {
    fn of(kind: &'a Kind) -> Self {
        match kind {
            Kind::Function { language, body, .. } => match language {
                Language::Shell => Self::Shell(body),
                Language::Python | Language::Definition => Self::Python(body),
            },
            Kind::Assign { value, .. } => Self::Value(value),
            _ => Self::None,
        }
    }

    fn of_archived(kind: &'a ArchivedKind) -> Self {
        match kind {
            ArchivedKind::Function { language, body, .. } => match language {
                ArchivedLanguage::Shell => Self::Shell(body),
                ArchivedLanguage::Python | ArchivedLanguage::Definition => Self::Python(body),
            },
            ArchivedKind::Assign { value, .. } => Self::Value(value),
            _ => Self::None,
        }
    }

    fn shell(self) -> impl Iterator<Item = &'a str> {
        match self {
            Self::Shell(body) => Some(body),
            _ => None,
        }
        .into_iter()
    }

    fn python(self) -> impl Iterator<Item = &'a str> {
        let (body, value) = match self {
            Self::Python(body) => (Some(body), ""),
            Self::Value(value) => (None, value),
            _ => (None, ""),
        };
        body.into_iter().chain(inline_python(value))
    }
}

impl File {
    /// A file with these statements.
    pub(super) fn new(statements: Vec<Statement>) -> Self {
        let texts = || statements.iter().map(|statement| Text::of(&statement.kind));
        Self {
            shell: texts().flat_map(Text::shell).map(code::hash).collect(),
            python: texts().flat_map(Text::python).map(code::hash).collect(),
            statements,
        }
    }
}

/// One language: where a file has the hashes of its bodies, and the bodies themselves.
pub(super) struct InLanguage {
    hashes: fn(&ArchivedFile) -> &[CodeHash],
    bodies: fn(&ArchivedFile) -> Vec<&str>,
}

pub(super) const SHELL: InLanguage = InLanguage {
    hashes: |file| &file.shell,
    bodies: |file| texts(file).flat_map(Text::shell).collect(),
};

pub(super) const PYTHON: InLanguage = InLanguage {
    hashes: |file| &file.python,
    bodies: |file| texts(file).flat_map(Text::python).collect(),
};

fn texts(file: &ArchivedFile) -> impl Iterator<Item = Text<'_>> {
    let statements = file.statements.iter();
    statements.map(|statement| Text::of_archived(&statement.kind))
}

/// Finds bodies of code by their hash, in the statements that their list was made from.
pub(super) struct Bodies {
    statements: Statements,
    language: InLanguage,
    /// The bodies of a generation, gathered when one of them is to be parsed.
    gathered: Mutex<(u64, HashMap<CodeHash, String>)>,
}

impl Bodies {
    pub(super) fn new(statements: &Statements, language: InLanguage) -> Arc<Self> {
        Arc::new(Self {
            statements: statements.clone(),
            language,
            gathered: Mutex::default(),
        })
    }

    /// The hashes of all bodies.
    pub(super) fn hashes(&self, inputs: &mut Inputs) -> BuildResult<Vec<CodeHash>> {
        let statements = inputs.cache(&self.statements)?;
        let hashes = statements.values().flat_map(self.language.hashes);
        Ok(hashes.copied().collect())
    }

    pub(super) fn parse<R>(&self, hash: &CodeHash, parse: impl Fn(&str) -> R) -> BuildResult<R> {
        let statements = self.statements.get()?;
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.0 != statements.generation() {
            *gathered = (statements.generation(), self.gather(&statements));
        }
        let body = gathered.1.get(hash);
        let body = body.cloned().ok_or("no file has this code")?;
        drop(gathered);
        Ok(parse(&body))
    }

    fn gather(&self, statements: &Frozen<Map<String, File>>) -> HashMap<CodeHash, String> {
        let hashes = statements.values().flat_map(self.language.hashes);
        let bodies = statements.values().flat_map(self.language.bodies);
        hashes.copied().zip(bodies.map(str::to_owned)).collect()
    }
}
