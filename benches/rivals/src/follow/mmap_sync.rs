//! mmap-sync: one value in mapped files, read through a guard that counts readers.
//!
//! It is built on rkyv 0.7, so it needs a twin of the numbers.
// The checks that bytecheck 0.6 derives are from before edition 2024.
#![allow(unsafe_code, unsafe_op_in_unsafe_fn)]

use std::path::PathBuf;
use std::time::Duration;

use bytecheck::CheckBytes;
use mmap_sync::synchronizer::Synchronizer;
use rkyv_07::{Archive, Deserialize, Serialize};
use tempfile::TempDir;

use super::Numbers;
use crate::contenders::ContenderError;

/// How long a writer waits for readers. There are none while it writes.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Archive, Serialize, Deserialize)]
#[archive(crate = "rkyv_07")]
#[archive_attr(derive(CheckBytes))]
struct Twin {
    numbers: Vec<u64>,
}

/// Its files lie in memory too, where there is a file system for that.
pub struct Rival {
    writer: Synchronizer,
    folder: TempDir,
}

pub struct Reader(Synchronizer);

impl Rival {
    pub fn create(value: &Numbers) -> Result<Self, ContenderError> {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let mut rival = Self {
            writer: Synchronizer::new(folder.path().join("rival").as_os_str()),
            folder,
        };
        rival.write(value)?;
        Ok(rival)
    }

    /// For a worker.
    pub fn reader(&self) -> Reader {
        Reader(Synchronizer::new(self.prefix().as_os_str()))
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("rival")
    }

    pub fn write(&mut self, value: &Numbers) -> Result<(), ContenderError> {
        let twin = Twin {
            numbers: value.clone(),
        };
        self.writer.write(&twin, GRACE)?;
        Ok(())
    }
}

impl Reader {
    /// Each read takes a guard of its own, as the crate is meant to be used: a guard must not
    /// outlive the writer's patience.
    #[inline]
    pub fn read(&mut self, place: usize) -> Result<u64, ContenderError> {
        // SAFETY: `write` is the only writer of these files, and writes such a value.
        let twin = unsafe { self.0.read::<Twin>(false)? };
        Ok(twin.numbers[place])
    }
}
