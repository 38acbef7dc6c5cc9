//! Why a broker does not serve.

use std::io;
use std::path::PathBuf;

use super::remedy::{broker_remedy, serve_remedy};

/// Why a broker cannot be started, or does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// A broker could not be started.
    #[error("cannot serve on {}: {reason}{}", path.display(), serve_remedy(reason))]
    Serve {
        /// The path of the socket.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A broker did not answer.
    #[error("cannot {step} the broker on {}: {reason}{}", path.display(), broker_remedy(reason))]
    Step {
        /// The path of the socket.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// Something else than a broker of this version answered.
    #[error("what listens on {} is not a broker of this version of floe", path.display())]
    NotBroker {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A broker belongs to a user that this process has no reason to believe.
    #[error(
        "the broker on {} belongs to user {user}, which is neither this one nor root; if it is to be believed, allow it by name: `Client::trust_user`, `floe --trust-user`",
        path.display()
    )]
    Foreign {
        /// The path of the socket.
        path: PathBuf,
        /// The number of the user who serves there.
        user: u32,
    },
    /// A broker has as many answers out as it may.
    #[error(
        "the broker on {} has no room for another answer; there are clients that do not receive theirs, or its user has too many descriptors in flight: end them, or raise the limit on open files of its owner (ulimit -n)",
        path.display()
    )]
    Busy {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A broker serves other users only.
    #[error("the broker on {} refused: it serves its own user and root, or a group that this process is not in", path.display())]
    Refused {
        /// The path of the socket.
        path: PathBuf,
    },
}
