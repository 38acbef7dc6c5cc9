//! How a worker hands back its result: in a memfd, which holds any amount and blocks nobody.
//!
//! The worker writes the payload from byte 16 on, then the header `[tag u64][length u64]` in
//! native byte order. A header that was never written reads as tag 0, or as nothing at all.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    num::NonZeroUsize,
    os::unix::fs::FileExt,
};

use rkyv::{
    Archive, Deserialize, Serialize,
    api::{
        access_with_context,
        high::{HighDeserializer, HighSerializer, HighValidator},
    },
    bytecheck::CheckBytes,
    rancor,
    ser::allocator::ArenaHandle,
    util::AlignedVec,
    validation::{Validator, archive::ArchiveValidator, shared::SharedValidator},
};

use super::Failure;
use crate::sys::memfd;

const HEADER: u64 = 16;

/// The payload is the archive of the result.
const RESULT: u64 = 1;
/// The payload is the message of the panic in the closure.
const PANIC: u64 = 2;
/// The payload tells why the result could not be sent.
const UNSENT: u64 = 3;

/// Deeper nesting could overflow the stack of the process that reads the answer.
const MOST_NESTED: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// A type that a worker can hand back: any that derives rkyv's `Archive`, `Serialize` and
/// `Deserialize`, and those that rkyv brings, such as `()`, `u64`, `String`, `Vec` and tuples.
///
/// Implemented for all such types; not meant to be implemented by hand. A value may be nested no
/// deeper than 128 levels of pointers.
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

/// The archived form of an [`Answer`]: it can be validated and turned back into `R`.
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

/// The memory of one answer, shared by the owner and one worker.
#[derive(Debug)]
pub(super) struct Letter(File);

impl Letter {
    pub(super) fn create() -> io::Result<Self> {
        memfd::create("floe-answer").map(Self)
    }

    /// Called in the worker, once it has its result or a panic's message instead.
    pub(super) fn send<R: Answer>(&self, outcome: Result<R, String>) {
        let sent = match outcome {
            Ok(result) => match rkyv::to_bytes::<rancor::Error>(&result) {
                Ok(archive) => self.write(RESULT, &archive),
                Err(why) => self.write(UNSENT, format!("cannot serialise it: {why}").as_bytes()),
            },
            Err(message) => self.write(PANIC, message.as_bytes()),
        };
        if let Err(why) = sent {
            // The reason goes where the first pages of the result went. If even those were refused,
            // the worker leaves no answer, and its exit code alone is reported.
            let _ = self.write(UNSENT, format!("cannot write it: {why}").as_bytes());
        }
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
    /// Processes that the worker has left behind may still hold this memory, so it is copied
    /// before it is validated.
    pub(super) fn read<R: Answer>(mut self) -> Option<Result<R, Failure>> {
        let (tag, payload) = match self.copy() {
            Ok(copied) => copied?,
            Err(why) => {
                let reason = format!("cannot read it: {why}");
                return Some(Err(Failure::Unreadable { reason }));
            }
        };
        let text = || String::from_utf8_lossy(&payload).into_owned();
        Some(match tag {
            RESULT => validate(&payload),
            PANIC => Err(Failure::Panicked { message: text() }),
            UNSENT => Err(Failure::Unreadable { reason: text() }),
            _ => Err(Failure::Unreadable {
                reason: format!("expected tag 1, 2 or 3, got {tag}"),
            }),
        })
    }

    fn copy(&mut self) -> io::Result<Option<(u64, AlignedVec)>> {
        let written = self.0.metadata()?.len();
        if written < HEADER {
            return Ok(None);
        }
        let mut header = [[0; 8]; 2];
        self.0.read_exact_at(header.as_flattened_mut(), 0)?;
        let [tag, length] = header.map(u64::from_ne_bytes);
        if tag == 0 {
            return Ok(None);
        }
        let mut payload = AlignedVec::new();
        self.0.seek(SeekFrom::Start(HEADER))?;
        payload.extend_from_reader(&mut self.0.by_ref().take(length))?;
        if payload.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((tag, payload)))
    }
}

fn validate<R: Answer>(archive: &[u8]) -> Result<R, Failure> {
    let mut validator = Validator::new(
        ArchiveValidator::with_max_depth(archive, Some(MOST_NESTED)),
        SharedValidator::new(),
    );
    access_with_context::<R::Archived, _, rancor::Error>(archive, &mut validator)
        .and_then(|archived| rkyv::deserialize::<R, rancor::Error>(archived))
        .map_err(|why| Failure::Unreadable {
            reason: format!("not a valid archive of its type: {why}"),
        })
}
