//! Open files that forked children do not have.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

use super::owner::Owner;
use super::process::closed_on_fork;
use crate::error::Result;

/// An open file of this process alone: the children that libc forks close it first of all.
///
/// A lock of `flock` ends with the last descriptor of its file, so one that children have outlives
/// its owner. One that is held through such a file ends with the process.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    file: Option<File>,
    /// Where the children find its number. There are 64 places: what has none is inherited.
    place: Option<&'static AtomicI32>,
    owner: Owner,
}

impl PrivateFile {
    pub(crate) fn new(file: File) -> Self {
        Self {
            place: closed_on_fork(file.as_raw_fd()),
            owner: Owner::here(),
            file: Some(file),
        }
    }

    /// None in a child, where the number may be that of another file.
    pub(crate) fn get(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| self.check().is_ok())
    }

    /// Refuses in a child.
    pub(crate) fn check(&self) -> Result<()> {
        self.owner.check("a published name")
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if self.get().is_none() {
            std::mem::forget(self.file.take());
        } else if let Some(place) = self.place {
            // Before it is closed: whoever is forked in between must not close what is opened next.
            place.store(-1, Relaxed);
        }
    }
}
