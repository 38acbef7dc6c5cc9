//! The caches of a real BitBake, read from the JSON they were dumped to.
//!
//! Every field of every entry has its place in a type. That is proven for each dump that is read: written
//! as JSON again, its values are those of the dump. So the types need no checks of their own.

mod cachedata;
mod code_parser;
mod difference;
mod recipe;
mod stamp;
mod statement;
mod task_deps;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::caches::{self, Cache, Entry};
use crate::source::Source;
use cachedata::CacheData;
use code_parser::{PythonCacheLine, ShellCacheLine};
use recipe::CoreRecipeInfo;
use stamp::FileChecksum;
use statement::Statement;

/// Reads the dumps that are in `directory`, one after the other.
///
/// # Errors
/// If there is no dump at all, if one cannot be read, or if its values are not those that were read.
pub(crate) fn read(directory: &Path) -> Result<Source> {
    let mut reader = Reader {
        directory,
        files: 0,
        parse_seconds: 0.0,
        caches: vec![],
    };
    reader.keyed::<CoreRecipeInfo>("core_recipe_info")?;
    reader.keyed::<PythonCacheLine>("codeparser_python")?;
    reader.keyed::<ShellCacheLine>("codeparser_shell")?;
    reader.keyed::<Vec<Statement>>("cached_statements")?;
    reader.keyed::<FileChecksum>("file_checksums")?;
    if let Some(data) = reader.dump::<CacheData>("cachedata")? {
        let (recipes, names) = data.split()?;
        reader.caches.push(caches::keyed("cachedata", recipes));
        let names = caches::whole("cachedata_names", names.len(), names);
        reader.caches.push(names);
    }
    if reader.caches.is_empty() {
        return Err(format!(
            "no dump of a cache in {}: expected cachedata.json or one of its kin, got none; \
             unpack the dumps there, or name the folder that holds them",
            directory.display()
        )
        .into());
    }
    Ok(Source {
        name: directory.display().to_string(),
        files: reader.files,
        parse_seconds: reader.parse_seconds,
        notes: vec![
            "every field of every entry is typed: written as JSON again, it equals its dump".into(),
        ],
        caches: reader.caches,
    })
}

struct Reader<'d> {
    directory: &'d Path,
    files: usize,
    parse_seconds: f64,
    caches: Vec<Box<dyn Cache>>,
}

impl Reader<'_> {
    /// Reads the dump of a cache that has an entry for each key.
    fn keyed<V: Entry + Serialize + DeserializeOwned>(&mut self, name: &'static str) -> Result<()> {
        if let Some(entries) = self.dump::<BTreeMap<String, V>>(name)? {
            self.caches.push(caches::keyed(name, entries));
        }
        Ok(())
    }

    /// Reads one dump, `None` if there is none, and compares it with what was read.
    fn dump<T: Serialize + DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        let file = self.directory.join(name).with_extension("json");
        let start = Instant::now();
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display()).into()),
        };
        let compared = serde_json::from_slice(&text).and_then(|value: T| {
            self.parse_seconds += start.elapsed().as_secs_f64();
            let expected: serde_json::Value = serde_json::from_slice(&text)?;
            let difference =
                difference::difference(Some(&expected), Some(&serde_json::to_value(&value)?));
            Ok((value, difference))
        });
        self.files += 1;
        let problem = match compared {
            Ok((value, None)) => return Ok(Some(value)),
            Ok((_, Some(difference))) => difference,
            Err(error) => error.to_string(),
        };
        Err(format!(
            "{}: {problem}; dump the caches with the BitBake these types describe, or add what is new to the types",
            file.display()
        )
        .into())
    }
}

#[cfg(test)]
mod tests;
