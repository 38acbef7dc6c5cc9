//! The files that maps are started from.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use floe::Frozen;

use crate::contenders::{
    Contender, ContenderError, Floe, Heap, Lmdb, MmapSync, Redb, Rkyv, SipHash, freeze, to_bytes,
};
use crate::data::Recipe;
use crate::machine::require_room;

type Recipes = HashMap<String, Recipe>;
type Opened = Result<Box<dyn Contender<String>>, ContenderError>;

/// A way to get at a map in a file.
pub struct Opener {
    /// How it is called in rows.
    pub name: &'static str,
    /// The directory with its file or files, and nothing else.
    pub path: PathBuf,
    /// Opens the map.
    pub open: Box<dyn Fn() -> Opened>,
}

/// Writes the files of all contenders, and says why where one could not.
pub fn all(recipes: &Recipes, directory: &Path) -> Vec<(Opener, Option<ContenderError>)> {
    let entries = recipes.len();
    let opener = |name, write: Writer, open: fn(usize, &Path) -> Opened| {
        let path = directory.join(name);
        let file = path.join("recipes");
        let written = require_room(directory, entries)
            .map_err(ContenderError::from)
            .and_then(|()| Ok(fs::create_dir(&path)?))
            .and_then(|()| write(recipes, &file));
        let open = Box::new(move || open(entries, &file));
        (Opener { name, path, open }, written.err())
    };
    vec![
        opener(
            "floe",
            |recipes, file| Ok(freeze(recipes)?.region().save(file)?),
            |_, file| {
                Ok(Box::new(Floe(Frozen::<floe::Map<String, Recipe>>::load(
                    file,
                )?)))
            },
        ),
        opener(
            "rkyv",
            |recipes, file| Ok(fs::write(file, to_bytes(recipes)?)?),
            |_, file| Ok(Box::new(Rkyv::<String>::load(file)?)),
        ),
        opener("bincode", write_bincode, |_, file| {
            Ok(Box::new(Heap::<SipHash<String>>::make(|| {
                read_bincode(file)
            })?))
        }),
        opener("postcard", write_postcard, |_, file| {
            Ok(Box::new(Heap::<SipHash<String>>::make(|| {
                read_postcard(file)
            })?))
        }),
        opener("json", write_json, |_, file| {
            Ok(Box::new(Heap::<SipHash<String>>::make(|| read_json(file))?))
        }),
        opener(
            "mmap-sync",
            |recipes, prefix| MmapSync::create(recipes, prefix).map(drop),
            |_, prefix| Ok(Box::new(MmapSync::open(prefix)?)),
        ),
        opener(
            "lmdb",
            |recipes, file| Lmdb::create(recipes, directory_of(file)).map(drop),
            |entries, file| Ok(Box::new(Lmdb::open(entries, directory_of(file))?)),
        ),
        opener(
            "redb",
            |recipes, file| Redb::create(recipes, file).map(drop),
            |entries, file| Ok(Box::new(Redb::open(entries, file)?)),
        ),
    ]
}

type Writer = fn(&Recipes, &Path) -> Result<(), ContenderError>;

fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

fn write_bincode(recipes: &Recipes, file: &Path) -> Result<(), ContenderError> {
    let bytes = bincode::serde::encode_to_vec(recipes, bincode::config::standard())?;
    Ok(fs::write(file, bytes)?)
}

fn read_bincode(file: &Path) -> Result<Recipes, ContenderError> {
    let bytes = fs::read(file)?;
    Ok(bincode::serde::decode_from_slice(&bytes, bincode::config::standard())?.0)
}

fn write_postcard(recipes: &Recipes, file: &Path) -> Result<(), ContenderError> {
    Ok(fs::write(file, postcard::to_stdvec(recipes)?)?)
}

fn read_postcard(file: &Path) -> Result<Recipes, ContenderError> {
    Ok(postcard::from_bytes(&fs::read(file)?)?)
}

fn write_json(recipes: &Recipes, file: &Path) -> Result<(), ContenderError> {
    let mut out = BufWriter::new(File::create(file)?);
    serde_json::to_writer(&mut out, recipes)?;
    Ok(out.flush()?)
}

fn read_json(file: &Path) -> Result<Recipes, ContenderError> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}
