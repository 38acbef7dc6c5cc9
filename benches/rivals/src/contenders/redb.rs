//! redb, in a directory in memory.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ::redb::{Builder, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use super::values::{self, Reader};
use super::{Contender, ContenderError};
use crate::data::Recipe;
use crate::keys::Key;

const RECIPES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("recipes");

/// A database with one table.
pub struct Redb {
    database: Database,
    file: PathBuf,
}

impl Redb {
    /// Inserts all recipes into a new file in one transaction, as the map yields them.
    ///
    /// # Errors
    /// redb's own.
    pub fn create<K: Key>(map: &HashMap<K, Recipe>, file: &Path) -> Result<Self, ContenderError> {
        let database = builder(map.len()).create(file)?;
        let transaction = database.begin_write()?;
        let mut table = transaction.open_table(RECIPES)?;
        for (key, recipe) in map {
            let key = K::bytes(key.borrow());
            table.insert(key.as_ref(), values::archive(recipe)?.as_slice())?;
        }
        drop(table);
        transaction.commit()?;
        Ok(Self {
            database,
            file: file.to_owned(),
        })
    }

    /// Opens what [`create`](Self::create) made of `entries` recipes.
    ///
    /// # Errors
    /// redb's own.
    pub fn open(entries: usize, file: &Path) -> Result<Self, ContenderError> {
        Ok(Self {
            database: builder(entries).open(file)?,
            file: file.to_owned(),
        })
    }

    fn table(&self) -> Result<ReadOnlyTable<&'static [u8], &'static [u8]>, ContenderError> {
        Ok(self.database.begin_read()?.open_table(RECIPES)?)
    }
}

/// With a cache so large that no page is ever read twice.
fn builder(entries: usize) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size((64 << 20) + entries * 2048);
    builder
}

impl<K: Key<Value = Recipe>> Contender<K> for Redb {
    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }

    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError> {
        let table = self.table()?;
        let mut reader = Reader::default();
        let mut sum = 0;
        for query in queries {
            if let Some(value) = table.get(K::bytes(query).as_ref())? {
                // SAFETY: `create` inserted nothing but archived recipes.
                sum += unsafe { reader.touch(value.value()) };
            }
        }
        Ok(sum)
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        let mut reader = Reader::default();
        let mut sum = 0;
        for pair in self.table()?.iter()? {
            let (_, value) = pair?;
            // SAFETY: as in `get`.
            sum += unsafe { reader.touch(value.value()) };
        }
        Ok(sum)
    }
}
