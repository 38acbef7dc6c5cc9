//! mmap-sync: one whole value in a mapped file, read through a guard that counts readers.
//!
//! It is built on rkyv 0.7, so it needs a twin of the recipe.
// The checks that bytecheck 0.6 derives are from before edition 2024.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bytecheck::CheckBytes;
use mmap_sync::synchronizer::Synchronizer;
use rkyv_07::{Archive, Serialize};

use super::{Contender, ContenderError};
use crate::data::{self, Recipe};

/// How long a writer waits for readers. There is one writer here, before all reading.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Archive, Serialize)]
#[archive(crate = "rkyv_07")]
#[archive_attr(derive(CheckBytes))]
struct Twin {
    pn: String,
    pv: String,
    summary: String,
    depends: Vec<String>,
    flags: u32,
}

type Twins = HashMap<String, Twin>;

impl From<&Recipe> for Twin {
    fn from(recipe: &Recipe) -> Self {
        let Recipe {
            pn,
            pv,
            summary,
            depends,
            flags,
        } = recipe.clone();
        Self {
            pn,
            pv,
            summary,
            depends,
            flags,
        }
    }
}

impl ArchivedTwin {
    #[inline]
    fn touch(&self) -> u64 {
        data::touch(&self.pv, self.depends.first().map(|name| name.as_str()))
    }
}

/// A map written once as one value. Each lookup reads the value through a guard of its own, as
/// the crate is meant to be used: its guards must not outlive the writer's patience.
pub struct MmapSync {
    reader: Synchronizer,
    bytes: u64,
}

impl MmapSync {
    /// Writes a map into files that begin with a prefix.
    ///
    /// # Errors
    /// mmap-sync's own.
    pub fn create(map: &HashMap<String, Recipe>, prefix: &Path) -> Result<Self, ContenderError> {
        let twins: Twins = map
            .iter()
            .map(|(key, recipe)| (key.clone(), recipe.into()))
            .collect();
        let mut writer = Synchronizer::new(prefix.as_os_str());
        let (bytes, _) = writer.write(&twins, GRACE)?;
        Ok(Self {
            reader: Synchronizer::new(prefix.as_os_str()),
            bytes: bytes as u64,
        })
    }

    /// Opens what [`create`](Self::create) wrote, and validates it.
    ///
    /// # Errors
    /// mmap-sync's own.
    pub fn open(prefix: &Path) -> Result<Self, ContenderError> {
        let mut reader = Synchronizer::new(prefix.as_os_str());
        // SAFETY: the one writer wrote such a map (`create`), and is gone.
        drop(unsafe { reader.read::<Twins>(true)? });
        Ok(Self { reader, bytes: 0 })
    }
}

impl Contender<String> for MmapSync {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn get(&mut self, queries: &[&str]) -> Result<u64, ContenderError> {
        let mut sum = 0;
        for query in queries {
            // SAFETY: the one writer wrote such a map (`create`), and is gone.
            let twins = unsafe { self.reader.read::<Twins>(false)? };
            sum += twins.get(*query).map_or(0, ArchivedTwin::touch);
        }
        Ok(sum)
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        // SAFETY: as in `get`.
        let twins = unsafe { self.reader.read::<Twins>(false)? };
        Ok(twins.values().map(ArchivedTwin::touch).sum())
    }
}
