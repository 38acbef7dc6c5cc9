//! The serialiser: rkyv's traits over a [`Sink`], with interning.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::ptr::NonNull;

use rkyv::Serialize;
use rkyv::rancor::{BoxedError, Fallible, Source, Strategy};
use rkyv::ser::allocator::{Allocator, ArenaHandle};
use rkyv::ser::sharing::{Share, Sharing, SharingState};
use rkyv::ser::{Positional, Writer, WriterExt};

use super::sink::{Scratch, Sink};
use crate::archive::intern::{Interner, Recorder};
use crate::error::Result;

/// The serialiser that values are frozen with. Users meet it only in bounds.
pub struct Freezer<'a> {
    sink: &'a mut Sink,
    arena: ArenaHandle<'a>,
    share: Share,
    interner: &'a mut Interner,
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
        let resolver = self.serialize(value)?;
        let strategy = Strategy::<_, BoxedError>::wrap(self);
        let written = strategy.align_for::<T::Archived>().and_then(|_| {
            // SAFETY: `resolver` is the result of serialising `value` above, and the serialiser
            // was just aligned for the archived type.
            unsafe { strategy.resolve_aligned(value, resolver) }
        });
        written.map(drop).map_err(|error| self.sink.failure(error))
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

// SAFETY: every call is forwarded to rkyv's own arena, which keeps the contract.
unsafe impl<E> Allocator<E> for Freezer<'_> {
    unsafe fn push_alloc(&mut self, layout: Layout) -> Result<NonNull<[u8]>, E> {
        // SAFETY: the caller keeps the contract of `push_alloc`, which is the same.
        unsafe { self.arena.push_alloc(layout) }
    }

    unsafe fn pop_alloc(&mut self, ptr: NonNull<u8>, layout: Layout) -> Result<(), E> {
        // SAFETY: the caller keeps the contract of `pop_alloc`, which is the same.
        unsafe { self.arena.pop_alloc(ptr, layout) }
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
