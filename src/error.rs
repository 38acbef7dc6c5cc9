//! What can go wrong: one variant for each step that can fail.

mod advice;
mod broker;
mod bytes;
mod channel;
mod fingerprint;
mod header;
mod inheritance;
mod name;
mod policy;
mod proc;
mod region_part;
mod remedy;
mod spawn;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use advice::Advice;
pub use broker::BrokerError;
pub use bytes::bytes;
pub use channel::ChannelError;
pub use fingerprint::Fingerprint;
pub use header::HeaderError;
pub use inheritance::InheritanceError;
pub use name::NameError;
pub use policy::PolicyError;
pub use proc::ProcError;
pub use region_part::{RegionPart, SectionKind};
pub(crate) use remedy::remedy;
pub use spawn::SpawnError;
pub use worker::WorkerError;

use remedy::read_remedy;

/// Result with the [`Error`] of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed: what, where, expected and got, and what to do about it.
///
/// It prints as one line that says everything, the answer of the kernel included: so there is nothing
/// more in [`source`](std::error::Error::source). After any error nothing is half done: what was
/// readable before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a cache cannot be used.
    #[error("the name {name:?} cannot be used for a cache: {reason}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// The memfd of a region could not be created (`memfd_create`, `fchmod`), locked for one
    /// builder or sealed (`fcntl`), or mapped (`mmap`).
    #[error("cannot {step} the memfd of cache {name:?}: {reason}{}", remedy(.reason))]
    Memfd {
        /// The cache.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// Writing into a region that is being frozen failed: memory or a file size limit is used up.
    #[error("cannot write cache {name:?} into its memfd: {reason}{}", remedy(.reason))]
    Write {
        /// The cache.
        name: String,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The kernel did not take an advice. The region reads as before.
    #[error(
        "the kernel did not take the advice {advice:?} (madvise) on cache {name:?}: {reason}{}",
        remedy(.reason)
    )]
    Advise {
        /// The cache.
        name: String,
        /// What was advised.
        advice: Advice,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A value could not be serialised.
    #[error("cannot serialise a value of cache {name:?}: {reason}")]
    Serialize {
        /// The cache.
        name: String,
        /// What the serialiser said.
        reason: String,
    },
    /// An archived value could not be made one of its own type again.
    #[error("cannot thaw a value of type {type_name}: {reason}")]
    Thaw {
        /// The type.
        type_name: &'static str,
        /// What its deserialisation said.
        reason: String,
    },
    /// A value is larger than relative pointers of 32 bits reach.
    #[error(
        "a value of cache {name:?} takes more than {most} bytes; split it into entries of a `Map`"
    )]
    TooLarge {
        /// The cache.
        name: String,
        /// The most that one value may take, in bytes.
        most: u64,
    },
    /// Two entries of a map have the same key.
    #[error(
        "cache {name:?} got the key {key} twice; tell the builder `last_wins` if the later entry should replace the earlier"
    )]
    DuplicateKey {
        /// The cache.
        name: String,
        /// The key, as `Debug` prints it.
        key: String,
    },
    /// The archived form of a key has another hash than the key itself.
    #[error(
        "cache {name:?}: the key that reads {key} hashes otherwise than when it was inserted; derive `Key` for both forms, and use no `usize` above 32 bits"
    )]
    KeyHash {
        /// The cache.
        name: String,
        /// The archived key, as `Debug` prints it.
        key: String,
    },
    /// Too many keys of a map have equal hashes.
    #[error(
        "too many keys of cache {name:?} have equal hashes; derive `Key` instead of implementing it"
    )]
    Crowded {
        /// The cache.
        name: String,
    },
    /// What belongs to an owner was used in a process forked from it.
    #[error(
        "{what} belongs to process {owner}, but was used in process {process}; only the process \
         that created it can use it: make another one after a fork or daemon()"
    )]
    NotOwner {
        /// What was used.
        what: &'static str,
        /// The process that created it.
        owner: u32,
        /// The process that used it.
        process: u32,
    },
    /// A shard already has a builder.
    #[error("this shard of cache {name:?} already has a builder; make one shard for each process")]
    ShardTaken {
        /// The cache.
        name: String,
    },
    /// A descriptor is not a memfd whose content can no longer change.
    #[error(
        "the descriptor is not fully sealed: {missing} missing; only a memfd with the seals WRITE, SHRINK, GROW and SEAL can be read safely"
    )]
    Unsealed {
        /// The seals that are not set.
        missing: String,
    },
    /// A descriptor could not be asked for its seals or its size (`fcntl`, `fstat`), or not be mapped.
    #[error("cannot inspect the descriptor or map it (fcntl, fstat, mmap): {reason}{}", remedy(.reason))]
    Descriptor {
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The region holds another type, or another version of it.
    #[error(
        "cache {name:?} holds another type: expected {expected_type} with fingerprint {expected}, got {got}; open it with the type that it was frozen from, or build it again"
    )]
    SchemaMismatch {
        /// The cache.
        name: String,
        /// The type asked for.
        expected_type: &'static str,
        /// The fingerprint of the type asked for.
        expected: Fingerprint,
        /// The fingerprint in the header.
        got: Fingerprint,
    },
    /// A section is not what its digest vouches for: the writer lied or had another layout.
    #[error("the {section} section of cache {name:?} is not valid: {reason}")]
    Invalid {
        /// The cache.
        name: String,
        /// The section.
        section: SectionKind,
        /// What does not fit, and where.
        reason: String,
    },
    /// The region has no descriptor to hand over: it lies on the heap.
    #[error("cache {name:?} lies on the heap, and has no descriptor")]
    NoDescriptor {
        /// The cache.
        name: String,
    },
    /// A file could not be opened or read.
    #[error("cannot read {}: {reason}{}", path.display(), read_remedy(.reason))]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A stream from which a region should come could not be read.
    #[error("cannot read a region from a stream: {reason}")]
    ReadStream {
        /// What the reader said.
        reason: io::Error,
    },
    /// A file that a build reads is larger than a build may read.
    #[error(
        "cannot read {}: it has {got} bytes, more than the {most} that a build may read of one file; see Policy::read_limit",
        path.display()
    )]
    InputTooLarge {
        /// The file.
        path: PathBuf,
        /// The most that may be read, in bytes.
        most: u64,
        /// Bytes that it has, or of which it had more when reading stopped.
        got: u64,
    },
    /// A pattern of paths cannot be understood.
    #[error("the pattern {pattern:?} cannot be understood: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A policy contradicts itself.
    #[error("the policy of cache {name:?} contradicts itself: {reason}")]
    Policy {
        /// The cache.
        name: String,
        /// What does not fit.
        reason: PolicyError,
    },
    /// A build closure failed. The last generation is still there.
    #[error("cannot build {}: {reason}", what(name, key.as_deref()))]
    Build {
        /// The cache.
        name: String,
        /// The key of the entry, as `Debug` prints it; none for a whole value or a list of keys.
        key: Option<String>,
        /// What the closure said.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A build closure panicked. The last generation is still there.
    #[error("cannot build {}: the build panicked: {message}", what(name, key.as_deref()))]
    BuildPanicked {
        /// The cache.
        name: String,
        /// The key of the entry, as `Debug` prints it; none for a whole value or a list of keys.
        key: Option<String>,
        /// The message of the panic.
        message: String,
    },
    /// A store already has a cache of this name.
    #[error("the store already has a cache {name:?}; give the other one another name")]
    CacheExists {
        /// The name.
        name: String,
    },
    /// A cache has no generation yet.
    #[error("cache {name:?} was never built; refresh the store, and see its status for failures")]
    NotBuilt {
        /// The cache.
        name: String,
    },
    /// The directory of a store cannot be used.
    #[error("cannot use the directory {}: {step}: {reason}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer, or what is wrong.
        reason: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread that {what}: {reason}")]
    Thread {
        /// What the thread does.
        what: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// A file does not hold a valid region of the type asked for.
    #[error("cannot load {}: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        reason: Box<Error>,
    },
    /// A file could not be written; the file that was there before still is.
    #[error("cannot save {}: {step}: {reason}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The file is in place, but the disk did not confirm its name: a power loss may undo it.
    #[error("saved {}, but the disk did not confirm it: {reason}; save again to be sure", path.display())]
    PublishedNotDurable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// There is no cache of this name.
    #[error("there is no cache {name:?} in {place}; there are {known:?}")]
    UnknownCache {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        place: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The newest generation is older than its policy lets it be read.
    #[error(
        "cache {name:?} has expired: generation {generation} is {} s old; its owner has not built it \
         again in time: see the status of the store for failures", age.as_secs()
    )]
    Expired {
        /// The cache.
        name: String,
        /// The newest generation there is.
        generation: u64,
        /// How long ago it was frozen, or found to be up to date.
        age: Duration,
    },
    /// Workers could not be forked. Those that were already started were ended.
    #[error("cannot fork workers: {reason}")]
    Fork {
        /// Why.
        reason: SpawnError,
    },
    /// Waiting for a worker failed.
    #[error("cannot wait for worker {worker} (process {pid}, waitid): {reason}{}", remedy(.reason))]
    WaitWorker {
        /// The worker.
        worker: usize,
        /// Its process.
        pid: u32,
        /// What the kernel said.
        reason: io::Error,
    },
    /// A worker gave no result.
    #[error("worker {worker} (process {pid}) gave no result: {reason}")]
    WorkerFailed {
        /// The worker.
        worker: usize,
        /// Its process, which is gone.
        pid: u32,
        /// How it ended.
        reason: WorkerError,
    },
    /// The memory of a process could not be read.
    #[error("cannot read {path} of process {pid}: {reason}")]
    ReadProcess {
        /// The process asked for.
        pid: u32,
        /// The file of `/proc`.
        path: String,
        /// Why.
        reason: ProcError,
    },
    /// Bytes are not a region that this build reads.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A generation cannot be published or followed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A broker cannot be started, or does not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Error {
    /// Whether an error of loading a file says something of what the file holds, rather than of
    /// memory, descriptors, a signal or the disk.
    pub(crate) fn tells_of_content(&self) -> bool {
        match self {
            Self::Load { reason, .. } => reason.tells_of_content(),
            Self::ReadFile { .. }
            | Self::ReadStream { .. }
            | Self::Memfd { .. }
            | Self::Write { .. }
            | Self::Descriptor { .. }
            | Self::Directory { .. } => false,
            _ => true,
        }
    }

    /// Adds the file that was refused.
    pub(crate) fn of_file(self, path: &Path) -> Self {
        match self {
            Self::ReadFile { .. } => self,
            refused => Self::Load {
                path: path.to_owned(),
                reason: Box::new(refused),
            },
        }
    }
}

/// A cache, or an entry of it, in a message.
fn what(name: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("the entry {key} of cache {name:?}"),
        None => format!("cache {name:?}"),
    }
}
