//! The caches of a real BitBake, read from the JSON they were dumped to.
//!
//! Every field of every entry has its place in a type. [`Dumps::verify`] proves it: written as JSON again,
//! the values are those of the dumps. The types can be frozen; a frozen value deserialises to a value that
//! is equal (`==`) to the one read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

mod difference;
mod location;
mod unique_keys;

pub(crate) mod by_recipe;
pub(crate) mod cache_data;
pub(crate) mod code_parser;
pub(crate) mod error;
pub(crate) mod python;
pub(crate) mod recipe;
pub(crate) mod stamp;
pub(crate) mod statement;
pub(crate) mod task_deps;

use cache_data::CacheData;
use code_parser::{PythonCacheLine, ShellCacheLine};
use difference::{Difference, difference};
use error::DumpError;
use recipe::CoreRecipeInfo;
use stamp::FileChecksum;
use statement::Statement;
use unique_keys::UniqueKeys;

/// The caches of one BitBake. One whose dump is not there is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Dumps {
    /// Virtual file name to recipe.
    pub core_recipe_info: Option<BTreeMap<String, CoreRecipeInfo>>,
    /// The indexes derived from all recipes.
    pub cachedata: Option<CacheData>,
    /// Digest of Python code to what it depends on.
    pub codeparser_python: Option<BTreeMap<String, PythonCacheLine>>,
    /// Digest of shell code to what it depends on.
    pub codeparser_shell: Option<BTreeMap<String, ShellCacheLine>>,
    /// Path of a metadata file to its statements.
    pub cached_statements: Option<BTreeMap<String, Vec<Statement>>>,
    /// Path of a file to its checksum.
    pub file_checksums: Option<BTreeMap<String, FileChecksum>>,
}

const CORE_RECIPE_INFO: &str = "core_recipe_info.json";
const CACHEDATA: &str = "cachedata.json";
const CODEPARSER_PYTHON: &str = "codeparser_python.json";
const CODEPARSER_SHELL: &str = "codeparser_shell.json";
const CACHED_STATEMENTS: &str = "cached_statements.json";
const FILE_CHECKSUMS: &str = "file_checksums.json";

const NAMES: [&str; 6] = [
    CORE_RECIPE_INFO,
    CACHEDATA,
    CODEPARSER_PYTHON,
    CODEPARSER_SHELL,
    CACHED_STATEMENTS,
    FILE_CHECKSUMS,
];

impl Dumps {
    /// Reads the dumps that are in `directory`, one after the other: beside the values themselves, one
    /// text at a time is in memory.
    ///
    /// # Errors
    /// If there is no dump at all, if one cannot be read, or if one does not fit its type in every field.
    pub(crate) fn read(directory: &Path) -> Result<Self, DumpError> {
        let dumps = Self {
            core_recipe_info: read(directory, CORE_RECIPE_INFO)?,
            cachedata: read(directory, CACHEDATA)?,
            codeparser_python: read(directory, CODEPARSER_PYTHON)?,
            codeparser_shell: read(directory, CODEPARSER_SHELL)?,
            cached_statements: read(directory, CACHED_STATEMENTS)?,
            file_checksums: read(directory, FILE_CHECKSUMS)?,
        };
        if dumps == Self::default() {
            return Err(DumpError::NoDumps {
                directory: directory.into(),
                expected: &NAMES,
            });
        }
        Ok(dumps)
    }

    /// Reads the dumps again, as untyped JSON, and compares each with these values written as JSON. The
    /// order of a list has to be the same, that of a set or of keys has not.
    ///
    /// Costs several times the time and memory of [`read`](Self::read), one dump at a time.
    ///
    /// # Errors
    /// At the first difference, or if a dump cannot be read.
    pub(crate) fn verify(&self, directory: &Path) -> Result<(), DumpError> {
        verify(directory, CORE_RECIPE_INFO, self.core_recipe_info.as_ref())?;
        verify(directory, CACHEDATA, self.cachedata.as_ref())?;
        verify(
            directory,
            CODEPARSER_PYTHON,
            self.codeparser_python.as_ref(),
        )?;
        verify(directory, CODEPARSER_SHELL, self.codeparser_shell.as_ref())?;
        verify(
            directory,
            CACHED_STATEMENTS,
            self.cached_statements.as_ref(),
        )?;
        verify(directory, FILE_CHECKSUMS, self.file_checksums.as_ref())
    }
}

/// Reads one dump, `None` if there is none.
fn read<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<Option<T>, DumpError> {
    let file = directory.join(name);
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DumpError::Read { file, source }),
    };
    let value = serde_json::from_slice(&text)
        .and_then(|value| serde_json::from_slice(&text).map(|UniqueKeys| value));
    match value {
        Ok(value) => Ok(Some(value)),
        Err(source) => {
            let location = location::path_to(&text, source.line(), source.column());
            Err(DumpError::Unexpected {
                file,
                location,
                source,
            })
        }
    }
}

/// Compares one dump with the value read from it. Both may be absent.
fn verify<T: Serialize>(directory: &Path, name: &str, value: Option<&T>) -> Result<(), DumpError> {
    let expected = read(directory, name)?;
    let file = directory.join(name);
    let got = match value.map(serde_json::to_value).transpose() {
        Ok(got) => got,
        Err(source) => return Err(DumpError::Unwritable { file, source }),
    };
    match difference(expected.as_ref(), got.as_ref()) {
        None => Ok(()),
        Some(Difference {
            location,
            expected,
            got,
        }) => Err(DumpError::Different {
            file,
            location,
            expected,
            got,
        }),
    }
}

#[cfg(test)]
mod tests;
