//! Where serialised bytes go: a buffer before the archive section of an unsealed region.
#![forbid(unsafe_code)]

use rkyv::rancor::{BoxedError, Source};
use rkyv::ser::allocator::Arena;
use rkyv::util::AlignedVec;

use crate::archive::intern::Interner;
use crate::error::{Error, Result};
use crate::region::{Unsealed, View};

/// Bytes that are collected before they are written.
const BUFFER_LENGTH: usize = 1 << 20;

/// Collects serialised bytes and writes them in large pieces.
///
/// rkyv keeps positions in 32 bits, but a map may be larger. So positions are counted from an
/// origin that is set anew for every entry: archive offset = position + origin.
pub(crate) struct Sink {
    pub(crate) unsealed: Unsealed,
    /// Bytes behind the `flushed` ones, aligned like the archive.
    pub(crate) buffer: AlignedVec<16>,
    flushed: u64,
    /// Archive offset of position 0; negative for entries near the start.
    origin: i64,
    /// Archive offset at which the value being written began.
    start: u64,
    /// Bytes that the value being written may take.
    most: u64,
    /// An entry is patched after it was written, so it stays in the buffer until it is complete.
    hold: bool,
    /// Nothing is written: all bytes stay in the buffer, for whoever puts them into the region.
    keeps: bool,
    failure: Option<Error>,
}

/// Serialised bytes, borrowed from where they are.
pub(crate) enum Readable<'a> {
    Kept(&'a [u8]),
    Written(View<'a>),
}

impl Readable<'_> {
    /// The bytes from the start of the archive section on.
    pub(crate) fn archive(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Written(view) => view.archive(),
        }
    }
}

impl Sink {
    pub(crate) fn new(unsealed: Unsealed) -> Self {
        Self {
            unsealed,
            buffer: AlignedVec::new(),
            flushed: 0,
            origin: 0,
            start: 0,
            most: 0,
            hold: false,
            keeps: false,
            failure: None,
        }
    }

    /// Makes room for so many bytes at once, as far as they are collected.
    pub(crate) fn expect(&mut self, bytes: u64) {
        self.buffer
            .reserve(bytes.min(BUFFER_LENGTH as u64) as usize);
    }

    /// Keeps what follows, and counts it from 0. Nothing may be buffered.
    pub(crate) fn keep(&mut self) {
        debug_assert!(self.buffer.is_empty());
        self.keeps = true;
        self.flushed = 0;
    }

    /// Goes on behind what stands in the archive; forgets what was kept. What was not may not be
    /// buffered.
    pub(crate) fn resume(&mut self) {
        debug_assert!(self.keeps || self.buffer.is_empty());
        self.keeps = false;
        self.buffer.clear();
        self.flushed = self.unsealed.archive_length();
    }

    /// Archive offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Archive offset behind the last byte that can be read back.
    pub(crate) fn readable_end(&self) -> u64 {
        match self.keeps {
            true => self.offset(),
            false => self.flushed,
        }
    }

    /// The bytes that can be read back.
    pub(crate) fn readable(&self) -> Result<Readable<'_>> {
        Ok(match self.keeps {
            true => Readable::Kept(&self.buffer),
            false => Readable::Written(self.unsealed.view()?),
        })
    }

    /// Position of the next byte, as rkyv counts.
    pub(crate) fn position(&self) -> usize {
        self.position_of(self.offset())
    }

    /// Position of an archive offset.
    pub(crate) fn position_of(&self, offset: u64) -> usize {
        (offset as i64 - self.origin) as usize
    }

    /// Archive offset of a position.
    pub(crate) fn offset_of(&self, position: usize) -> u64 {
        (position as i64 + self.origin) as u64
    }

    /// Whether relative pointers of the value being written reach back to an archive offset: the
    /// value itself and the way back together stay under the 2 GiB of a pointer.
    pub(crate) fn reaches(&self, offset: u64) -> bool {
        offset >= self.start || self.start - offset + self.most <= super::VALUE_LIMIT
    }

    /// Starts a value of at most `most` bytes at the next byte, which gets `position`. With
    /// `hold` its bytes stay in the buffer until [`release`](Self::release).
    pub(crate) fn start(&mut self, position: u32, most: u64, hold: bool) {
        self.origin = self.offset() as i64 - i64::from(position);
        self.start = self.offset();
        self.most = most;
        self.hold = hold;
        self.failure = None;
    }

    /// Ends a held value; the buffer may be written.
    pub(crate) fn release(&mut self) -> Result<()> {
        self.hold = false;
        if self.buffer.len() >= BUFFER_LENGTH {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Drops everything from an archive offset on, which must still be in the buffer.
    pub(crate) fn truncate(&mut self, offset: u64) {
        debug_assert!(offset >= self.flushed);
        self.buffer.resize((offset - self.flushed) as usize, 0);
        self.hold = false;
    }

    /// Appends zeros up to a multiple of `alignment`.
    pub(crate) fn pad(&mut self, alignment: u64) {
        let end = self.offset().next_multiple_of(alignment);
        self.buffer.resize((end - self.flushed) as usize, 0);
    }

    /// The buffered bytes from an archive offset on.
    pub(crate) fn buffered_mut(&mut self, offset: u64) -> &mut [u8] {
        &mut self.buffer[(offset - self.flushed) as usize..]
    }

    /// Appends bytes of a value; the error that rkyv carries is a stand-in for `failure`.
    pub(crate) fn write<E: Source>(&mut self, bytes: &[u8]) -> Result<(), E> {
        if self.offset() - self.start + bytes.len() as u64 > self.most {
            let name = self.unsealed.label().name.clone();
            return Err(self.fail(Error::TooLarge {
                name,
                most: self.most,
            }));
        }
        if self.hold || self.keeps {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.append(bytes).map_err(|error| self.fail(error))
    }

    fn fail<E: Source>(&mut self, error: Error) -> E {
        let message = error.to_string();
        self.failure = Some(error);
        E::new(Failed(message))
    }

    /// The reason why serialising failed: our own, or what a `Serialize` implementation said.
    pub(crate) fn failure(&mut self, reported: BoxedError) -> Error {
        self.failure.take().unwrap_or_else(|| Error::Serialize {
            name: self.unsealed.label().name.clone(),
            reason: reported.to_string(),
        })
    }

    /// Writes what is buffered, unless all is kept.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.keeps {
            return self.unsealed.check_owner();
        }
        self.unsealed.append(&self.buffer)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Appends bytes, through the buffer if they are few.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.keeps || self.buffer.len() + bytes.len() < BUFFER_LENGTH {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        let known = self.offset() + bytes.len() as u64;
        self.unsealed.expect_archive(known)?;
        self.flush()?;
        self.unsealed.append(bytes)?;
        self.flushed += bytes.len() as u64;
        Ok(())
    }

    /// Appends zeros to be overwritten through [`buffered_mut`](Self::buffered_mut).
    pub(crate) fn reserve(&mut self, length: usize) {
        self.buffer.resize(self.buffer.len() + length, 0);
    }
}

/// What freezing a sequence of values needs and reuses between them.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) arena: Arena,
    pub(crate) interner: Interner,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);
