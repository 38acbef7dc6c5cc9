//! rkyv's own hash map.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

use ::rkyv::Archived;
use ::rkyv::api::high::{HighValidator, access};
use ::rkyv::bytecheck::CheckBytes;
use ::rkyv::collections::swiss_table::ArchivedHashMap;
use ::rkyv::rancor::Error;
use ::rkyv::util::AlignedVec;

use super::{Contender, ContenderError};
use crate::data::Touch;
use crate::keys::Key;

/// A hash map archived by rkyv into a buffer on the heap.
pub struct Rkyv<K> {
    archive: AlignedVec,
    key: PhantomData<K>,
}

/// Archives a map.
///
/// # Errors
/// rkyv's own.
pub fn to_bytes<K: Key>(map: &HashMap<K, K::Value>) -> Result<AlignedVec, Error> {
    ::rkyv::to_bytes::<Error>(map)
}

impl<K: Key> Rkyv<K> {
    /// Archives a map.
    ///
    /// # Errors
    /// rkyv's own.
    pub fn build(map: &HashMap<K, K::Value>) -> Result<Self, ContenderError> {
        Ok(Self {
            archive: to_bytes(map)?,
            key: PhantomData,
        })
    }

    /// Reads a file that holds an archived map, and validates it.
    ///
    /// # Errors
    /// Those of the file and rkyv's own.
    pub fn load(path: &Path) -> Result<Self, ContenderError>
    where
        Archived<K>: for<'a> CheckBytes<HighValidator<'a, Error>>,
        Archived<K::Value>: for<'a> CheckBytes<HighValidator<'a, Error>>,
    {
        let mut archive = AlignedVec::new();
        archive.extend_from_reader(&mut File::open(path)?)?;
        access::<ArchivedHashMap<Archived<K>, Archived<K::Value>>, Error>(&archive)?;
        Ok(Self {
            archive,
            key: PhantomData,
        })
    }

    fn map(&self) -> &ArchivedHashMap<Archived<K>, Archived<K::Value>> {
        // SAFETY: the archive was made from such a map (`build`), or it was validated as one
        // (`load`), and nothing writes it.
        unsafe { ::rkyv::access_unchecked(&self.archive) }
    }
}

impl<K: Key> Contender<K> for Rkyv<K> {
    fn bytes(&self) -> u64 {
        self.archive.len() as u64
    }

    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError> {
        let map = self.map();
        let find = |query: &K::Query| map.get_with(query, |query, key| key == query);
        Ok(queries
            .iter()
            .map(|query| find(query).map_or(0, Touch::touch))
            .sum())
    }

    fn iterate(&mut self) -> Result<u64, ContenderError> {
        Ok(self.map().values().map(Touch::touch).sum())
    }
}
