//! LMDB, by way of heed, in a directory in memory.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use super::values::{self, Reader};
use super::{Contender, ContenderError};
use crate::data::Recipe;
use crate::keys::Key;

/// An environment with one database.
pub struct Lmdb {
    environment: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    /// Puts all recipes into an empty directory in one transaction, as the map yields them.
    ///
    /// # Errors
    /// LMDB's own.
    pub fn create<K: Key>(
        map: &HashMap<K, Recipe>,
        directory: &Path,
    ) -> Result<Self, ContenderError> {
        let environment = environment(map.len(), directory)?;
        let mut transaction = environment.write_txn()?;
        let database = environment.create_database(&mut transaction, None)?;
        for (key, recipe) in map {
            let key = K::bytes(key.borrow());
            let recipe = values::archive(recipe)?;
            database.put(&mut transaction, key.as_ref(), recipe.as_slice())?;
        }
        transaction.commit()?;
        Ok(Self {
            environment,
            database,
        })
    }

    /// Opens what [`create`](Self::create) made of `entries` recipes.
    ///
    /// # Errors
    /// LMDB's own.
    pub fn open(entries: usize, directory: &Path) -> Result<Self, ContenderError> {
        let environment = environment(entries, directory)?;
        let transaction = environment.read_txn()?;
        let database = environment.open_database(&transaction, None)?;
        let database = database.ok_or("the environment has no database")?;
        transaction.commit()?;
        Ok(Self {
            environment,
            database,
        })
    }
}

fn environment(entries: usize, directory: &Path) -> Result<Env, heed::Error> {
    // Twice what a recipe takes at most; the file grows only as it is needed.
    let size = (64 << 20) + entries * 2048;
    // SAFETY: the directory is this process's own, which has one environment there at a time.
    unsafe {
        EnvOpenOptions::new()
            .map_size(size.next_multiple_of(1 << 20))
            .flags(EnvFlags::NO_SYNC)
            .open(directory)
    }
}

impl<K: Key<Value = Recipe>> Contender<K> for Lmdb {
    fn bytes(&self) -> u64 {
        self.environment.real_disk_size().unwrap_or(0)
    }

    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError> {
        let transaction = self.environment.read_txn()?;
        let mut reader = Reader::default();
        let mut sum = 0;
        for query in queries {
            if let Some(value) = self.database.get(&transaction, K::bytes(query).as_ref())? {
                // SAFETY: `create` put nothing but archived recipes.
                sum += unsafe { reader.touch(value) };
            }
        }
        Ok(sum)
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        let transaction = self.environment.read_txn()?;
        let mut reader = Reader::default();
        let mut sum = 0;
        for pair in self.database.iter(&transaction)? {
            let (_, value) = pair?;
            // SAFETY: as in `get`.
            sum += unsafe { reader.touch(value) };
        }
        Ok(sum)
    }
}
