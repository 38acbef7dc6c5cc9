//! Errors of channels.

use std::io;

use super::{InheritanceError, NotTaken, remedy};

/// Why a generation of a cache cannot be published or followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The channel of a cache could not be opened, passed on, watched or published on.
    #[error("the channel of cache {name:?} cannot {step}: {reason}{}", remedy(.reason))]
    Step {
        /// The cache.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The user has too many descriptors in flight: in messages of all its processes that nobody
    /// has received yet. Followers of the cache keep their generation; the next publication or
    /// renewal tries again.
    #[error(
        "cannot publish cache {name:?}: this user has at least {limit} descriptors in flight, the limit on open files of this process; raise the limit (ulimit -n), or end processes that do not read what they were sent"
    )]
    InFlight {
        /// The cache.
        name: String,
        /// The limit on open files of this process.
        limit: u64,
    },
    /// A generation was published on the channel of another cache.
    #[error(
        "cannot publish a generation of cache {got:?}: the publisher is that of cache {expected:?}"
    )]
    OtherCache {
        /// The cache of the publisher.
        expected: String,
        /// The cache of the generation.
        got: String,
    },
    /// A generation to publish is not newer than the newest one.
    #[error(
        "cannot publish generation {got} of cache {name:?}: expected one newer than {newest}; make it with `Publisher::freeze` or `Publisher::builder`"
    )]
    NotNewer {
        /// The cache.
        name: String,
        /// The newest generation.
        newest: u64,
        /// The one that was to be published.
        got: u64,
    },
    /// The newest generation was announced, but is not in the mailbox.
    #[error(
        "cannot take generation {generation} of cache {name:?} from its mailbox: {reason}; it is being published, or another process has disturbed the mailbox: subscribe again after the next publication"
    )]
    Mailbox {
        /// The cache.
        name: String,
        /// The generation that is announced.
        generation: u64,
        /// What was found.
        reason: io::Error,
    },
    /// The owner of a cache accepts no contributions, or did not yet when this handle was made.
    #[error(
        "the owner of cache {name:?} accepts no contributions from this handle; it has to call `Store::accept` before handles are made"
    )]
    NotAccepting {
        /// The cache.
        name: String,
    },
    /// A contribution could not be sent. The contributor still has all of it.
    #[error("the contribution to cache {name:?} was not sent: {reason}")]
    NotContributed {
        /// The cache.
        name: String,
        /// Why.
        reason: NotTaken,
    },
    /// A descriptor is not the control page of a channel.
    #[error("the descriptor is not the control page of a channel")]
    NotControlPage,
    /// The memory for the counters of workers could not be mapped.
    #[error("cannot make counters for {count} workers (mmap): {reason}{}", remedy(.reason))]
    Counters {
        /// Workers asked for.
        count: usize,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The parent passed no caches to this program.
    #[error("no caches were passed to this program: {reason}")]
    NotInherited {
        /// What was found.
        reason: InheritanceError,
    },
}
