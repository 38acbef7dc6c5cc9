//! The caches of a real BitBake, read from the JSON they were dumped to.
//!
//! Every field of every entry has its place in a type. That is proven for each dump that is read:
//! written as JSON again, its values are those of the dump. So the types need no checks of their
//! own.

mod cachedata;
mod code_parser;
mod difference;
mod recipe;
mod stamp;
mod statement;
mod task_deps;
mod together;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::caches::{self, Entry};
use crate::source::Source;
use cachedata::CacheData;
use code_parser::{PythonCacheLine, ShellCacheLine};
use recipe::CoreRecipeInfo;
use stamp::FileChecksum;
use statement::Statement;

const INFOS: &str = "core_recipe_info";

/// Reads the dumps that are in `directory`, one after the other.
///
/// # Errors
/// If there is no dump at all, if one cannot be read, or if its values are not those that were
/// read.
pub(crate) fn read(directory: &Path) -> Result<Source> {
    let note = "every field of every entry is typed: written as JSON again, it equals its dump";
    let mut source = Source {
        name: directory.display().to_string(),
        files: 0,
        parse_seconds: 0.0,
        notes: vec![note.into()],
        parser_costs: None,
        caches: vec![],
    };
    let infos = dump::<BTreeMap<String, CoreRecipeInfo>>(&mut source, directory, INFOS)?;
    let data = dump::<CacheData>(&mut source, directory, "cachedata")?;
    let data = data.map(CacheData::split).transpose()?;
    if let (Some(infos), Some((indexes, names))) = (&infos, &data) {
        let note = together::note(infos, indexes, names)?;
        source.notes.push(note);
    }
    if let Some(infos) = infos {
        source.caches.push(caches::keyed(INFOS, infos));
    }
    keyed::<PythonCacheLine>(&mut source, directory, "codeparser_python")?;
    keyed::<ShellCacheLine>(&mut source, directory, "codeparser_shell")?;
    keyed::<Vec<Statement>>(&mut source, directory, "cached_statements")?;
    keyed::<FileChecksum>(&mut source, directory, "file_checksums")?;
    if let Some((recipes, names)) = data {
        source.caches.push(caches::keyed("cachedata", recipes));
        let names = caches::whole("cachedata_names", names.len(), names);
        source.caches.push(names);
    }
    if source.files == 0 {
        return Err(format!(
            "no dump of a cache in {}: expected cachedata.json or one of its kin, got none; \
             unpack the dumps there, or name the folder that holds them",
            directory.display()
        )
        .into());
    }
    Ok(source)
}

/// Reads the dump of a cache that has an entry for each key.
fn keyed<V>(source: &mut Source, directory: &Path, name: &'static str) -> Result<()>
where
    V: Entry + Serialize + DeserializeOwned,
{
    if let Some(entries) = dump::<BTreeMap<String, V>>(source, directory, name)? {
        source.caches.push(caches::keyed(name, entries));
    }
    Ok(())
}

/// Reads one dump, `None` if there is none, and compares it with what was read.
fn dump<T>(source: &mut Source, directory: &Path, name: &str) -> Result<Option<T>>
where
    T: Serialize + DeserializeOwned,
{
    let file = directory.join(name).with_extension("json");
    let start = Instant::now();
    let text = match fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display()).into()),
    };
    source.files += 1;
    let compared = serde_json::from_slice(&text).and_then(|value: T| {
        source.parse_seconds += start.elapsed().as_secs_f64();
        let expected: serde_json::Value = serde_json::from_slice(&text)?;
        let got = serde_json::to_value(&value)?;
        Ok((value, difference::difference(Some(&expected), Some(&got))))
    });
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

#[cfg(test)]
mod tests;
