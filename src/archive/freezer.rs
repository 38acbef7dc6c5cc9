//! The serialiser: rkyv's traits over a [`Sink`], with interning.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::fmt;

use rkyv::rancor::{BoxedError, Fallible, Source, Strategy};
use rkyv::ser::allocator::ArenaHandle;
use rkyv::ser::sharing::{Share, Sharing, SharingState};
use rkyv::ser::{Positional, Writer};
use rkyv::{Serialize, SerializeUnsized};

use super::sink::{Scratch, Sink};
use crate::archive::intern::{Interner, Recorder};
use crate::error::Result;

/// The serialiser that values are frozen with. Users meet it only in bounds.
///
/// Its parts are private, other than those of rkyv's own `Serializer`: a `Serialize` that exchanged
/// the arena would free the memory of those who called it.
pub struct Freezer<'a> {
    sink: &'a mut Sink,
    pub(super) arena: ArenaHandle<'a>,
    share: Share,
    interner: &'a mut Interner,
}

impl fmt::Debug for Freezer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freezer").finish_non_exhaustive()
    }
}

/// A serialiser that remembers which values it has written.
///
/// [`Intern`](crate::Intern) needs it; [`Freezer`] has it.
pub trait Interning<E = <Self as Fallible>::Error> {
    /// The digest of a value, which `record` feeds, and of its archived type.
    fn identify(&mut self, record: impl FnOnce(&mut Recorder)) -> u128;

    /// The position at which an equal value was written by the same wrapper, as the same archived
    /// type, if relative pointers reach it from here.
    fn find(&self, written_as: TypeId, identity: u128) -> Option<usize>;

    /// Remembers that a value was written so at `position`.
    fn remember(&mut self, written_as: TypeId, identity: u128, position: usize);
}

impl<'a> Freezer<'a> {
    pub(crate) fn new(sink: &'a mut Sink, scratch: &'a mut Scratch) -> Self {
        Self {
            sink,
            arena: scratch.arena.acquire(),
            share: Share::new(),
            interner: &mut scratch.interner,
        }
    }

    /// Serialises what a value points to, and returns what resolves the value itself.
    pub(crate) fn serialize<T>(&mut self, value: &T) -> Result<T::Resolver>
    where
        T: for<'b> Serialize<Strategy<Freezer<'b>, BoxedError>>,
    {
        let resolver = value.serialize(Strategy::<_, BoxedError>::wrap(self));
        resolver.map_err(|error| self.sink.failure(error))
    }

    /// Serialises a value with its root behind what it points to.
    pub(crate) fn serialize_whole<T>(&mut self, value: &T) -> Result<()>
    where
        T: for<'b> Serialize<Strategy<Freezer<'b>, BoxedError>>,
    {
        let written = value.serialize_unsized(Strategy::<_, BoxedError>::wrap(self));
        written.map(drop).map_err(|error| self.sink.failure(error))
    }
}

/// What the writer of self-describing values needs of a serialiser. Offsets are those of the
/// archive.
pub(crate) trait Output {
    /// Offset of the next byte.
    fn offset(&self) -> u64;

    /// The position by which rkyv knows an offset.
    fn position_of(&self, offset: u64) -> usize;

    fn append(&mut self, bytes: &[u8]) -> Result<(), BoxedError>;

    /// The identity of what bytes tell, and the offset at which the same was written last.
    fn find_same(&mut self, written_as: TypeId, bytes: &[u8]) -> (u128, Option<u64>);

    fn remember_at(&mut self, written_as: TypeId, identity: u128, offset: u64);
}

impl Output for Freezer<'_> {
    fn offset(&self) -> u64 {
        self.sink.offset()
    }

    fn position_of(&self, offset: u64) -> usize {
        self.sink.position_of(offset)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), BoxedError> {
        self.sink.write(bytes)
    }

    fn find_same(&mut self, written_as: TypeId, bytes: &[u8]) -> (u128, Option<u64>) {
        let identity = self.interner.identify_bytes(bytes);
        (identity, self.interner.find(written_as, identity))
    }

    fn remember_at(&mut self, written_as: TypeId, identity: u128, offset: u64) {
        self.interner.remember(written_as, identity, offset);
    }
}

impl Positional for Freezer<'_> {
    fn pos(&self) -> usize {
        self.sink.position()
    }
}

impl<E: Source> Writer<E> for Freezer<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.sink.write(bytes)
    }
}

impl<E: Source> Sharing<E> for Freezer<'_> {
    fn start_sharing(&mut self, address: usize) -> SharingState {
        Sharing::<E>::start_sharing(&mut self.share, address)
    }

    fn finish_sharing(&mut self, address: usize, position: usize) -> Result<(), E> {
        Sharing::<E>::finish_sharing(&mut self.share, address, position)
    }
}

impl<E> Interning<E> for Freezer<'_> {
    fn identify(&mut self, record: impl FnOnce(&mut Recorder)) -> u128 {
        self.interner.identify(record)
    }

    fn find(&self, written_as: TypeId, identity: u128) -> Option<usize> {
        let offset = self.interner.find(written_as, identity)?;
        self.sink
            .reaches(offset)
            .then(|| self.sink.position_of(offset))
    }

    fn remember(&mut self, written_as: TypeId, identity: u128, position: usize) {
        let offset = self.sink.offset_of(position);
        self.interner.remember(written_as, identity, offset);
    }
}

impl<T: Interning<E>, E> Interning<E> for Strategy<T, E> {
    fn identify(&mut self, record: impl FnOnce(&mut Recorder)) -> u128 {
        T::identify(self, record)
    }

    fn find(&self, written_as: TypeId, identity: u128) -> Option<usize> {
        T::find(self, written_as, identity)
    }

    fn remember(&mut self, written_as: TypeId, identity: u128, position: usize) {
        T::remember(self, written_as, identity, position);
    }
}
