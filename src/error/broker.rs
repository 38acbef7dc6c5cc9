//! Errors of brokers.

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
    /// A broker could not be asked, or did not answer.
    #[error("cannot {step} the broker on {}: {reason}{}", path.display(), broker_remedy(reason))]
    Step {
        /// The path of the socket.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// What answered is not a broker of this version.
    #[error("the program that listens on {} is not a broker of this version of floe; check the path, and the versions on both sides", path.display())]
    NotBroker {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A broker belongs to a user that this process does not trust.
    #[error(
        "the broker on {} belongs to user {user}, expected this user or root; to trust it, name it: `Client::trust_user`, `floe --trust-user`",
        path.display()
    )]
    Foreign {
        /// The path of the socket.
        path: PathBuf,
        /// The number of the user who runs the broker.
        user: u32,
    },
    /// A broker has as many unreceived answers as it may have.
    #[error(
        "the broker on {} has too many unreceived answers: clients do not receive theirs, or its user has too many descriptors in flight; end those clients, or raise the limit on open files of its owner (ulimit -n)",
        path.display()
    )]
    Busy {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A broker does not serve this user.
    #[error("the broker on {} refused this user: it serves its own user, root, and possibly a group that this process is not in", path.display())]
    Refused {
        /// The path of the socket.
        path: PathBuf,
    },
}
