//! Errors of regions by POSIX names.

use std::io;

use super::NameError;
use super::remedy::posix_remedy;

/// Why a POSIX shared memory object cannot be published, opened or removed.
///
/// What is wrong with its content is told by [`Error::Load`](crate::Error::Load).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PosixError {
    /// The name cannot be that of a POSIX shared memory object.
    #[error("the name {name:?} cannot be used for a POSIX shared memory object: {reason}")]
    Name {
        /// The name as given, without the slash that POSIX begins it with.
        name: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// There is an object of this name that its owner has not removed.
    #[error(
        "posix:{name} is taken: its owner runs; drop the publication there first, or choose \
         another name"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// What has the name was not published by an owner of this user.
    #[error(
        "posix:{name} is refused: expected {what} {expected}, got {got}; it was not published by \
         this user's owner, or was changed since: remove it, or choose another name"
    )]
    Refused {
        /// The name.
        name: String,
        /// What was looked at.
        what: &'static str,
        /// What it has to be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A system call failed.
    #[error("cannot {step} posix:{name}: {reason}{}", posix_remedy(.reason))]
    Step {
        /// The name.
        name: String,
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The objects cannot be listed.
    #[error("cannot list the POSIX shared memory objects in {folder}: {reason}{}", posix_remedy(.reason))]
    List {
        /// The folder that the system keeps them in.
        folder: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
}
