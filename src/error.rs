//! Errors: one variant for each step that can fail.

mod advice;
mod broker;
mod bytes;
mod channel;
mod contribution;
mod delta;
mod fingerprint;
mod header;
mod inheritance;
mod name;
mod page_files;
mod policy;
mod posix;
mod proc;
mod region_part;
mod remedy;
mod root;
mod shown;
mod spawn;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use advice::Advice;
pub use broker::BrokerError;
pub use bytes::bytes;
pub use channel::ChannelError;
pub use contribution::{Measure, NotTaken};
pub use delta::DeltaError;
pub use fingerprint::Fingerprint;
pub use header::HeaderError;
pub use inheritance::InheritanceError;
pub use name::NameError;
pub use page_files::MissingFile;
pub use policy::PolicyError;
pub use posix::PosixError;
pub use proc::ProcError;
pub use region_part::{RegionPart, SectionKind};
pub(crate) use remedy::remedy;
pub use root::RootError;
pub(crate) use shown::shown;
pub use spawn::SpawnError;
pub use worker::WorkerError;

use remedy::read_remedy;

/// Result with the [`Error`] of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed: what, where, expected and got, and what to do about it.
///
/// `Display` gives one line with everything, including the kernel's answer, so
/// [`source`](std::error::Error::source) adds nothing. An error leaves nothing half done: what was
/// readable before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name cannot be used for a cache.
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
    /// A region that is being frozen could not be written: memory or a file size limit is used up.
    #[error("cannot write cache {name:?} into its memfd: {reason}{}", remedy(.reason))]
    Write {
        /// The cache.
        name: String,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The kernel refused an advice. The region reads as before.
    #[error(
        "the kernel refused the advice {advice:?} (madvise) for cache {name:?}: {reason}{}",
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
    /// An archived value could not be deserialised, or is too large outside of its region.
    #[error("cannot thaw a value of type {type_name}: {reason}")]
    Thaw {
        /// The type.
        type_name: &'static str,
        /// What the deserialiser said.
        reason: String,
    },
    /// A value is larger than its relative pointers of 32 bits can reach.
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
        "cache {name:?}: the archived key {key} hashes differently from the key that was inserted; derive `Key` for both forms, and use no `usize` above 32 bits"
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
    /// An object was used in a forked child of the process that created it.
    #[error(
        "{what} belongs to process {owner}, but was used in process {process}; only the process \
         that created it can use it: create another one after a fork or daemon()"
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
    /// A descriptor is not a fully sealed memfd, so its content could still change.
    #[error(
        "the descriptor is not fully sealed: {missing} missing; only a memfd with the seals WRITE, SHRINK, GROW and SEAL can be read safely"
    )]
    Unsealed {
        /// The seals that are not set.
        missing: String,
    },
    /// The seals or the size of a descriptor could not be read (`fcntl`, `fstat`), or it could not
    /// be mapped (`mmap`).
    #[error("cannot inspect or map the descriptor (fcntl, fstat, mmap): {reason}{}", remedy(.reason))]
    Descriptor {
        /// The kernel's answer.
        reason: io::Error,
    },
    /// The region holds another type, or another version of it.
    #[error(
        "cache {name:?} holds another type: expected {expected_type} with fingerprint {expected}, got {got}; open it as the type that it was frozen from, or build it again"
    )]
    SchemaMismatch {
        /// The cache.
        name: String,
        /// The requested type.
        expected_type: &'static str,
        /// The fingerprint of the requested type.
        expected: Fingerprint,
        /// The fingerprint in the header.
        got: Fingerprint,
    },
    /// A root of a region of several cannot be read or built.
    #[error("root {root:?} of cache {name:?}: {reason}")]
    Root {
        /// The cache.
        name: String,
        /// The root.
        root: String,
        /// Why.
        reason: RootError,
    },
    /// The bytes of a section match their digest but are not valid: the writer lied, or used
    /// another layout.
    #[error("the {section} section of cache {name:?} is not valid: {reason}")]
    Invalid {
        /// The cache.
        name: String,
        /// The section.
        section: SectionKind,
        /// What is wrong, and where.
        reason: String,
    },
    /// The region lies on the heap or in a file that is mapped in place, so it has no descriptor.
    #[error(
        "cache {name:?} lies in no memfd and has no descriptor; freeze it, or open it as a copy, to pass it on"
    )]
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
    /// A region could not be read from a stream.
    #[error("cannot read a region from a stream: {reason}")]
    ReadStream {
        /// What the reader said.
        reason: io::Error,
    },
    /// An input file is larger than a build may read.
    #[error(
        "cannot read {}: expected at most {most} bytes, got {got}; raise Policy::read_limit",
        path.display()
    )]
    InputTooLarge {
        /// The file.
        path: PathBuf,
        /// The most that may be read, in bytes.
        most: u64,
        /// The length of the file, or where reading stopped if the file grew.
        got: u64,
    },
    /// A pattern of paths is not valid.
    #[error("the pattern {pattern:?} is not valid: {reason}")]
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
        /// The contradiction.
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
    #[error("the store already has a cache {name:?}; choose another name")]
    CacheExists {
        /// The name.
        name: String,
    },
    /// A cache has no generation yet.
    #[error(
        "cache {name:?} has never been built; refresh the store, and look for failures in its status"
    )]
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
    #[error("saved {}, but the disk did not confirm it: {reason}; save again to make it durable", path.display())]
    PublishedNotDurable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// There is no cache of this name.
    #[error("there is no cache {name:?} in {place}; known caches: {known:?}")]
    UnknownCache {
        /// The requested name.
        name: String,
        /// Where the cache was looked up.
        place: String,
        /// The names of the caches there.
        known: Vec<String>,
    },
    /// A delta cannot be merged.
    #[error("cannot merge a delta into cache {name:?}: {reason}")]
    Delta {
        /// The cache.
        name: String,
        /// Why.
        reason: DeltaError,
    },
    /// The newest generation is older than its policy allows.
    #[error(
        "cache {name:?} has expired: generation {generation} is {} s old, and its owner has not \
         built a newer one; look for failures in the status of the store", age.as_secs()
    )]
    Expired {
        /// The cache.
        name: String,
        /// The newest generation.
        generation: u64,
        /// How long ago it was frozen, or found to be up to date.
        age: Duration,
    },
    /// Workers could not be forked. Those already started were terminated.
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
        /// The process.
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
    /// A POSIX shared memory object cannot be published, opened or removed.
    #[error(transparent)]
    Posix(#[from] PosixError),
    /// A broker cannot be started, or does not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Error {
    /// Whether an error of loading a file is about its content, rather than about memory,
    /// descriptors, a signal or the disk.
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
