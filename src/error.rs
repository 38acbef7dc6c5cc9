//! What can go wrong: one variant for each step that can fail.

mod advice;
mod bytes;
mod failure;
mod fingerprint;
mod part;
mod refusal;
mod remedy;
mod unreadable;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use advice::Advice;
pub use bytes::bytes;
pub use failure::Failure;
pub use fingerprint::Fingerprint;
pub use part::{Part, SectionKind};
pub use refusal::Refusal;
pub(crate) use remedy::remedy;
pub use unreadable::Unreadable;

use remedy::{broker_remedy, read_remedy, serve_remedy};

/// Result with the [`Error`] of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed: what, where, expected and got, and what to do about it.
///
/// After any error nothing is half done: what was readable before still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a cache cannot be used.
    #[error("the name {name:?} cannot be used for a cache: {problem}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The memory file of a region could not be created (`memfd_create`, `fchmod`), locked for one
    /// builder or sealed (`fcntl`), or mapped (`mmap`).
    #[error("cannot {step} the memory file of cache {name:?}: {source}{}", remedy(.source))]
    MemoryFile {
        /// The cache.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Writing into a region that is being frozen failed: memory or a file size limit is used up.
    #[error("cannot write cache {name:?} into its memory file: {source}{}", remedy(.source))]
    Write {
        /// The cache.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel did not take an advice. The region reads as before.
    #[error(
        "the kernel did not take the advice {advice:?} (madvise) on cache {name:?}: {source}{}",
        remedy(.source)
    )]
    Advise {
        /// The cache.
        name: String,
        /// What was advised.
        advice: Advice,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A value could not be serialised.
    #[error("cannot serialise a value of cache {name:?}: {reason}")]
    Serialize {
        /// The cache.
        name: String,
        /// What the serialiser said.
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
    /// A part already has a builder.
    #[error("this part of cache {name:?} already has a builder; make one part for each process")]
    PartTaken {
        /// The cache.
        name: String,
    },

    /// A descriptor is not a memory file whose content can no longer change.
    #[error(
        "the descriptor is not fully sealed: {missing} missing; only a memory file with the seals WRITE, SHRINK, GROW and SEAL can be read safely"
    )]
    Unsealed {
        /// The seals that are not set.
        missing: String,
    },
    /// A descriptor could not be asked for its seals or its size (`fcntl`, `fstat`), or not be mapped.
    #[error("cannot inspect the descriptor or map it (fcntl, fstat, mmap): {source}{}", remedy(.source))]
    Descriptor {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The bytes do not start as a region does.
    #[error("not a floe region: it starts with \"{got}\"")]
    NotRegion {
        /// The first bytes, escaped.
        got: String,
    },
    /// There are fewer bytes than the header says, or than a header has; or there are more.
    #[error(
        "the region {}: expected {expected} bytes, got {got}; build the cache again",
        if got < expected { "is cut short" } else { "has bytes behind its end" }
    )]
    Length {
        /// Bytes that there should be.
        expected: u64,
        /// Bytes that there are.
        got: u64,
    },
    /// The memory file has holes, which reading would fill.
    #[error(
        "the memory file has holes: expected {expected} bytes of memory, got {got}; a region is written whole"
    )]
    Sparse {
        /// Bytes that the file is long.
        expected: u64,
        /// Bytes that have memory.
        got: u64,
    },
    /// The region was written in another version of the format.
    #[error(
        "the region has format version {got}, this build reads {expected}; build the cache again"
    )]
    Version {
        /// The version of this build.
        expected: u32,
        /// The version in the header.
        got: u32,
    },
    /// Bytes are not those that were written.
    #[error("the region is damaged: {part} is not what was written; build the cache again")]
    Damaged {
        /// Which bytes.
        part: Part,
    },
    /// The archive was written by an rkyv of another format.
    #[error("the archive has rkyv format {}.{}, this build reads {}.{}; build the cache again", got & 0xffff, got >> 16, expected & 0xffff, expected >> 16)]
    ArchiveFormat {
        /// rkyv's version here: major in the low half, minor in the high half.
        expected: u32,
        /// The one in the header.
        got: u32,
    },
    /// The archive has the other byte order.
    #[error(
        "the archive has byte order {got}, this build reads {expected} (1 little, 2 big); build the cache with the same features of rkyv"
    )]
    ByteOrder {
        /// The byte order of this build.
        expected: u8,
        /// The one in the header.
        got: u8,
    },
    /// The archive has pointers of another width.
    #[error(
        "the archive has pointers of {got} bits, this build reads {expected}; build the cache with the same features of rkyv"
    )]
    PointerWidth {
        /// Bits of an archived pointer in this build.
        expected: u8,
        /// The ones in the header.
        got: u8,
    },
    /// The archive aligns its integers otherwise.
    #[error(
        "the archive has alignment {got}, this build reads {expected} (1 aligned, 0 unaligned); build the cache with the same features of rkyv"
    )]
    Alignment {
        /// Whether this build aligns archived integers.
        expected: u8,
        /// What the header says.
        got: u8,
    },
    /// The header or its section table contradicts itself.
    #[error("the section table of the region is not valid: {problem}")]
    SectionTable {
        /// What does not fit.
        problem: &'static str,
    },
    /// A section that the type needs is not there.
    #[error("the region has no {section} section, which this type needs")]
    MissingSection {
        /// The section.
        section: SectionKind,
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
    #[error("cannot read {}: {source}{}", path.display(), read_remedy(.source))]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
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
    #[error("the policy of cache {name:?} contradicts itself: {problem}")]
    Policy {
        /// The cache.
        name: String,
        /// What does not fit.
        problem: &'static str,
    },
    /// A build closure failed. The last generation is still there.
    #[error("cannot build {}: {source}", what(name, key.as_deref()))]
    Build {
        /// The cache.
        name: String,
        /// The key of the entry, as `Debug` prints it; none for a whole value or a list of keys.
        key: Option<String>,
        /// What the closure said.
        source: Box<dyn std::error::Error + Send + Sync>,
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
    #[error("cannot use the directory {}: {step}: {source}", path.display())]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer, or what is wrong.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread that {what}: {source}")]
    Thread {
        /// What the thread does.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file does not hold a valid region of the type asked for.
    #[error("cannot load {}: {source}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: Box<Error>,
    },
    /// A file could not be written; the file that was there before still is.
    #[error("cannot save {}: {step}: {source}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file is in place, but the disk did not confirm its name: a power loss may undo it.
    #[error("saved {}, but the disk did not confirm it: {source}; save again to be sure", path.display())]
    PublishedNotDurable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },

    /// The channel of a cache could not be opened, passed on, watched or published on.
    #[error("the channel of cache {name:?} cannot {step}: {source}{}", remedy(.source))]
    Channel {
        /// The cache.
        name: String,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
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
        "cannot take generation {generation} of cache {name:?} out of its mailbox: {source}; it is being published, or another process has disturbed the mailbox: those who subscribe after the next publication get a sound one"
    )]
    Mailbox {
        /// The cache.
        name: String,
        /// The generation that is announced.
        generation: u64,
        /// What was found.
        source: io::Error,
    },
    /// A descriptor is not the control page of a channel.
    #[error("the descriptor is not the control page of a cache")]
    NotControlPage,
    /// There is no memory for the counters of workers.
    #[error("cannot make counters for {count} workers (mmap): {source}{}", remedy(.source))]
    Counters {
        /// Workers asked for.
        count: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// This program was given no caches to follow.
    #[error("no caches were passed to this program: {problem}")]
    NotInherited {
        /// What was found.
        problem: &'static str,
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
    /// A broker could not be started.
    #[error("cannot serve on {}: {source}{}", path.display(), serve_remedy(source))]
    Serve {
        /// The path of the socket.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A broker did not answer.
    #[error("cannot {step} the broker on {}: {source}{}", path.display(), broker_remedy(source))]
    Broker {
        /// The path of the socket.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
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
    ForeignBroker {
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
    BrokerBusy {
        /// The path of the socket.
        path: PathBuf,
    },
    /// A broker serves other users only.
    #[error("the broker on {} refused: it serves its own user and root, or a group that this process is not in", path.display())]
    BrokerRefused {
        /// The path of the socket.
        path: PathBuf,
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
    #[error("cannot fork workers: {source}")]
    Fork {
        /// Why.
        source: Refusal,
    },
    /// Waiting for a worker failed.
    #[error("cannot wait for worker {worker} (process {pid}, waitid): {source}{}", remedy(.source))]
    WaitWorker {
        /// The worker.
        worker: usize,
        /// Its process.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// A worker gave no result.
    #[error("worker {worker} (process {pid}) gave no result: {source}")]
    WorkerFailed {
        /// The worker.
        worker: usize,
        /// Its process, which is gone.
        pid: u32,
        /// How it ended.
        #[source]
        source: Failure,
    },
    /// The memory of a process could not be read.
    #[error("cannot read {path} of process {pid}: {source}")]
    ReadProcess {
        /// The process asked for.
        pid: u32,
        /// The file of `/proc`.
        path: String,
        /// Why.
        source: Unreadable,
    },
}

impl Error {
    /// Whether an error of loading a file says something of what the file holds, rather than of
    /// memory, descriptors, a signal or the disk.
    pub(crate) fn tells_of_content(&self) -> bool {
        match self {
            Self::Load { source, .. } => source.tells_of_content(),
            Self::ReadFile { .. }
            | Self::MemoryFile { .. }
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
                source: Box::new(refused),
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
