//! LMDB, by way of heed, in a directory in memory.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use super::values::{self, Reader};
use super::{Contender, Problem};
use crate::data::Recipe;
use crate::keys::Key;

/// Values start at multiples of this, as archived recipes must.
const ALIGNMENT: usize = 4;

/// An environment with one database.
pub struct Lmdb {
    environment: Env,
    database: Database<Bytes, Bytes>,
}

impl Lmdb {
    /// Puts all recipes into an empty directory in one transaction, in the order of their keys.
    ///
    /// # Errors
    /// LMDB's own.
    pub fn create<K: Key>(map: &HashMap<K, Recipe>, directory: &Path) -> Result<Self, Problem> {
        let environment = environment(map.len(), directory)?;
        let mut transaction = environment.write_txn()?;
        let database = environment.create_database(&mut transaction, None)?;
        let mut pairs: Vec<_> = map.iter().collect();
        pairs.sort_unstable_by(|left, right| left.0.borrow().cmp(right.0.borrow()));
        for (key, recipe) in pairs {
            let key = K::bytes(key.borrow());
            let key = key.as_ref();
            let mut value = vec![0; padding(key)];
            value.extend_from_slice(&values::archive(recipe)?);
            database.put(&mut transaction, key, value.as_slice())?;
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
    pub fn open(entries: usize, directory: &Path) -> Result<Self, Problem> {
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

/// Zeros before a value: LMDB puts a value right behind its key, and starts keys at multiples of
/// the alignment as long as keys and values together keep to it.
#[inline]
fn padding(key: &[u8]) -> usize {
    key.len().next_multiple_of(ALIGNMENT) - key.len()
}

impl<K: Key> Contender<K> for Lmdb {
    fn bytes(&self) -> u64 {
        self.environment.real_disk_size().unwrap_or(0)
    }

    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, Problem> {
        let transaction = self.environment.read_txn()?;
        let mut reader = Reader::default();
        let mut sum = 0;
        for query in queries {
            let key = K::bytes(query);
            let key = key.as_ref();
            if let Some(value) = self.database.get(&transaction, key)? {
                // SAFETY: `create` put an archived recipe behind the padding.
                sum += unsafe { reader.touch(&value[padding(key)..]) };
            }
        }
        Ok(sum)
    }

    fn iterate(&mut self) -> Result<u64, Problem> {
        let transaction = self.environment.read_txn()?;
        let mut reader = Reader::default();
        let mut sum = 0;
        for pair in self.database.iter(&transaction)? {
            let (key, value) = pair?;
            // SAFETY: as in `get`.
            sum += unsafe { reader.touch(&value[padding(key)..]) };
        }
        Ok(sum)
    }
}
