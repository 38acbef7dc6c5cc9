//! What parsers hand over: code caches without interning, whose entries are merged as bytes.
//!
//! Interned entries share values with others of their region, so each that comes from another region
//! has to be taken apart and written anew.

use rkyv::{Archive, Deserialize, Serialize};

use crate::code::{PythonCode, ShellCode};

/// A [`ShellCode`].
#[derive(Debug, Archive, Serialize, Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct FoundShell {
    variables: Vec<String>,
    commands: Vec<String>,
}

impl From<ShellCode> for FoundShell {
    fn from(code: ShellCode) -> Self {
        Self {
            variables: code.variables.into_iter().collect(),
            commands: code.commands.into_iter().collect(),
        }
    }
}

impl From<FoundShell> for ShellCode {
    fn from(found: FoundShell) -> Self {
        Self {
            variables: found.variables.into_iter().collect(),
            commands: found.commands.into_iter().collect(),
        }
    }
}

/// A [`PythonCode`].
#[derive(Debug, Archive, Serialize, Deserialize)]
#[rkyv(derive(floe::Schema))]
pub(crate) struct FoundPython {
    variables: Vec<String>,
    functions: Vec<String>,
    contains: Vec<(String, Vec<String>)>,
}

impl From<PythonCode> for FoundPython {
    fn from(code: PythonCode) -> Self {
        let contains = code.contains.into_iter();
        Self {
            variables: code.variables.into_iter().collect(),
            functions: code.functions.into_iter().collect(),
            contains: contains
                .map(|(variable, values)| (variable, values.into_iter().collect()))
                .collect(),
        }
    }
}

impl From<FoundPython> for PythonCode {
    fn from(found: FoundPython) -> Self {
        let contains = found.contains.into_iter();
        Self {
            variables: found.variables.into_iter().collect(),
            functions: found.functions.into_iter().collect(),
            contains: contains
                .map(|(variable, values)| (variable, values.into_iter().collect()))
                .collect(),
        }
    }
}
