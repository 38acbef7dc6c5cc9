//! Errors of reading `/proc`.

use std::io;

/// Why a file of `/proc` could not be read for a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcError {
    /// There is no process with this number.
    #[error("it is gone")]
    Gone,
    /// The process belongs to another user.
    #[error("not permitted; run as the same user or as root")]
    NotPermitted,
    /// The kernel refused for another reason.
    #[error("{0}; is /proc mounted?")]
    Refused(io::Error),
    /// The list of mappings has an unknown form.
    #[error("expected mappings as Linux 4.14 and later list them, got: {reason}")]
    Form {
        /// What was unexpected.
        reason: String,
    },
    /// The physical frames of a range of addresses could not be read.
    #[error("addresses {start:#x}..{end:#x}: {reason}; the range must be of that process")]
    Addresses {
        /// First address.
        start: usize,
        /// The address after the last.
        end: usize,
        /// What failed.
        reason: io::Error,
    },
}
