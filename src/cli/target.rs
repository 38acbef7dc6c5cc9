//! What a verb looks at: the one place that knows where the bytes of a region come from.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use floe::dynamic::Described;

use super::Failure;

/// A region on the command line: a file, or a memory file as `/proc/PID/fd/N`.
#[derive(Debug, Clone)]
pub(crate) struct Target(PathBuf);

impl Target {
    /// Opens the region and reads no more of it than is asked for. Damage elsewhere goes unnoticed.
    pub(crate) fn open(&self) -> Result<Described, Failure> {
        Ok(Described::open(&self.0)?)
    }

    /// Opens the region after a check of all digests, and of the seals if it is in memory: in
    /// place then, else as a sealed copy.
    pub(crate) fn load(&self) -> Result<Described, Failure> {
        match self.memory_file() {
            Some(file) => {
                let refused = |error| self.refuse(error);
                Described::from_fd(file.into()).map_err(refused)
            }
            None => Ok(Described::load(&self.0)?),
        }
    }

    /// Whether the region is in memory, where others may map it.
    pub(crate) fn is_memory_file(&self) -> bool {
        self.memory_file().is_some()
    }

    /// Adds the target to an error that does not tell it.
    pub(crate) fn refuse(&self, reason: impl fmt::Display) -> Failure {
        let (target, reason) = (self.to_string(), reason.to_string());
        Failure::In { target, reason }
    }

    fn memory_file(&self) -> Option<File> {
        let kind = fs::metadata(&self.0).ok()?;
        // Opening something else, such as a FIFO, might not return.
        let file = kind.is_file().then(|| File::open(&self.0).ok())??;
        let shown = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
        shown
            .as_os_str()
            .as_encoded_bytes()
            .starts_with(b"/memfd:")
            .then_some(file)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl From<OsString> for Target {
    fn from(argument: OsString) -> Self {
        Self(argument.into())
    }
}
