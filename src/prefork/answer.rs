//! How a worker hands back its result: in a memfd, which holds any amount and blocks nobody.
//!
//! The worker writes the payload from byte 16 on, then the header `[tag u64][length u64]` in
//! native byte order. A header that was never written reads as tag 0, or as nothing at all.
#![forbid(unsafe_code)]

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::{fmt, io};

use rkyv::api::access_with_context;
use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::shared::SharedValidator;
use rkyv::{Archive, Deserialize, Serialize, rancor};

use super::WorkerError;
use crate::error::Error;
use crate::sys::mapping::Mapping;
use crate::sys::memfd::{self, SealedFile};

const HEADER: u64 = 16;

/// The payload is the archive of the result.
const RESULT: u64 = 1;
/// The payload is the message of the panic in the closure.
const PANIC: u64 = 2;
/// The payload tells why the result could not be sent.
const UNSENT: u64 = 3;
/// The payload is the error that the closure returned.
const FAILED: u64 = 4;

/// The default of [`Pool::limit_answers`](super::Pool::limit_answers): the most bytes of an archive
/// that relative pointers of 32 bits can span.
pub const MOST_ANSWER: u64 = 1 << 31;

/// Longer messages are cut.
const MOST_TEXT: usize = 64 << 10;

/// Deeper nesting could overflow the stack of the process that reads the answer.
const MOST_NESTED: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// A type that a worker can return: any that derives rkyv's `Archive`, `Serialize` and
/// `Deserialize`, and those that rkyv supports, such as `()`, `u64`, `String`, `Vec` and tuples.
///
/// Implemented for all such types; do not implement it by hand. Pointers in a value may be nested
/// up to 128 levels deep.
pub trait Answer:
    Sized
    + Archive<Archived: CheckedFor<Self>>
    + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>
{
}

impl<R> Answer for R where
    R: Archive<Archived: CheckedFor<R>>
        + for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>
{
}

/// The archived form of an [`Answer`], which can be validated and deserialised into `R`.
pub trait CheckedFor<R>:
    for<'a> CheckBytes<HighValidator<'a, rancor::Error>>
    + Deserialize<R, HighDeserializer<rancor::Error>>
{
}

impl<R, A> CheckedFor<R> for A where
    A: for<'a> CheckBytes<HighValidator<'a, rancor::Error>>
        + Deserialize<R, HighDeserializer<rancor::Error>>
{
}

/// What a worker says of its closure.
pub(super) enum Outcome<R> {
    Done(R),
    Failed(String),
    Panicked(String),
}

/// The memory of one answer, shared by the owner and one worker.
#[derive(Debug)]
pub(super) struct Letter(File);

impl Letter {
    pub(super) fn create() -> io::Result<Self> {
        memfd::create("floe-answer").map(Self)
    }

    /// Called in the worker, once it has its result or a message instead.
    /// Whether the owner will learn what it was, or why it does not.
    pub(super) fn send<R: Answer>(&self, outcome: Outcome<R>) -> bool {
        let sent = match outcome {
            Outcome::Done(result) => match rkyv::to_bytes::<rancor::Error>(&result) {
                Ok(archive) => self.write(RESULT, &archive),
                Err(why) => self.write(UNSENT, format!("cannot serialise it: {why}").as_bytes()),
            },
            Outcome::Failed(message) => self.write(FAILED, message.as_bytes()),
            Outcome::Panicked(message) => self.write(PANIC, message.as_bytes()),
        };
        sent.or_else(|why| {
            // The reason goes where the first pages of the result went.
            self.write(UNSENT, format!("cannot write it: {why}").as_bytes())
                .inspect_err(|_| eprintln!("floe: cannot hand back the result of a worker: {why}"))
        })
        .is_ok()
    }

    fn write(&self, tag: u64, payload: &[u8]) -> io::Result<()> {
        self.0.write_all_at(payload, HEADER)?;
        let mut header = [0; HEADER as usize];
        header[..8].copy_from_slice(&tag.to_ne_bytes());
        header[8..].copy_from_slice(&(payload.len() as u64).to_ne_bytes());
        self.0.write_all_at(&header, 0)
    }

    /// Called in the owner, once the worker is gone; `None` when it left no answer.
    ///
    /// Processes that the worker has left behind may still hold this memory, so it is sealed before
    /// it is looked at. No number in it is believed: what is read are bytes that are there.
    pub(super) fn read<R: Answer>(self, most: u64) -> Option<Result<R, WorkerError>> {
        let sealed = match self.seal(most) {
            Ok(sealed) => sealed?,
            Err(failure) => return Some(Err(failure)),
        };
        let (header, payload) = sealed.split_at(HEADER as usize);
        let (words, _) = header.as_chunks();
        let [tag, length] = [words[0], words[1]].map(u64::from_ne_bytes);
        let got = payload.len() as u64;
        Some(match tag {
            0 => return None,
            _ if got < length => Err(unreadable(format!(
                "it is cut short: expected {length} bytes, got {got}"
            ))),
            // Behind an answer may stand what an earlier, longer one has left.
            RESULT => validate(&payload[..length as usize]),
            PANIC => Err(WorkerError::Panicked {
                message: text(payload, length),
            }),
            FAILED => Err(WorkerError::Failed {
                message: text(payload, length),
            }),
            UNSENT => Err(unreadable(text(payload, length))),
            _ => Err(unreadable(format!("expected tag 1, 2, 3 or 4, got {tag}"))),
        })
    }

    /// Maps the memory, with all seals; `None` if there is not so much as a header.
    fn seal(self, most: u64) -> Result<Option<Mapping>, WorkerError> {
        let cannot = |why: &dyn fmt::Display| unreadable(format!("cannot read it: {why}"));
        let written = self.0.metadata().map_err(|why| cannot(&why))?.len();
        if written < HEADER {
            return Ok(None);
        }
        let sealed = SealedFile::seal_shared(self.0).map_err(|why| cannot(&why))?;
        let sealed = Mapping::sealed(&sealed)
            .map_err(|source| cannot(&Error::Descriptor { reason: source }))?;
        match sealed.len() as u64 - HEADER {
            got if got > most => Err(WorkerError::TooLarge { most, got }),
            _ => Ok(Some(sealed)),
        }
    }
}

fn unreadable(reason: String) -> WorkerError {
    WorkerError::Unreadable { reason }
}

/// The start of a message of so many bytes.
fn text(payload: &[u8], length: u64) -> String {
    let length = payload.len().min(length as usize).min(MOST_TEXT);
    String::from_utf8_lossy(&payload[..length]).into_owned()
}

fn validate<R: Answer>(archive: &[u8]) -> Result<R, WorkerError> {
    let mut validator = Validator::new(
        ArchiveValidator::with_max_depth(archive, Some(MOST_NESTED)),
        SharedValidator::new(),
    );
    access_with_context::<R::Archived, _, rancor::Error>(archive, &mut validator)
        .and_then(|archived| rkyv::deserialize::<R, rancor::Error>(archived))
        .map_err(|why| WorkerError::Unreadable {
            reason: format!("not a valid archive of its type: {why}"),
        })
}
