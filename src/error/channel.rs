//! Why a channel does not carry a generation.

use std::io;

use super::{InheritanceError, remedy};

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
    /// The user has as many descriptors in flight as it may: in messages that nobody has received yet,
    /// of all its processes. Those who follow the cache keep what they have; the next publication, or
    /// the next renewal, tries again.
    #[error(
        "cannot publish cache {name:?}: this user has as many descriptors in flight as the limit on open files of this process lets it, {limit}; raise the limit (ulimit -n), or end processes that do not read what they were sent"
    )]
    InFlight {
        /// The cache.
        name: String,
        /// The limit on open files of this process.
        limit: u64,
    },
    /// A generation was published on the channel of another cache.
    #[error("the publisher is that of cache {expected:?}, and cannot publish {got:?}")]
    OtherCache {
        /// The cache of the publisher.
        expected: String,
        /// The cache of the generation.
        got: String,
    },
    /// A generation was published that does not come after the newest one.
    #[error(
        "generation {got} of cache {name:?} is not newer than {newest}, which is published; make the next one with `Publisher::freeze` or `Publisher::builder`"
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
        "cannot take generation {generation} of cache {name:?} out of its mailbox: {reason}; it is being published, or another process has disturbed the mailbox: those who subscribe after the next publication get a sound one"
    )]
    Mailbox {
        /// The cache.
        name: String,
        /// The generation that is announced.
        generation: u64,
        /// What was found.
        reason: io::Error,
    },
    /// A descriptor is not the control page of a channel.
    #[error("the descriptor is not the control page of a cache")]
    NotControlPage,
    /// There is no memory for the counters of workers.
    #[error("cannot make counters for {count} workers (mmap): {reason}{}", remedy(.reason))]
    Counters {
        /// Workers asked for.
        count: usize,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// This program was given no caches to follow.
    #[error("no caches were passed to this program: {reason}")]
    NotInherited {
        /// What was found.
        reason: InheritanceError,
    },
}
