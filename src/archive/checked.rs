//! What is `unsafe` about archives, in one place: which regions may be read as values, what rkyv's
//! traits want of the [`Validator`] and the [`Freezer`], and the pointer to an interned value.
//!
//! What the other files rely on:
//!
//! - A [`Checked`] region holds a valid value of its type. Its safe makers check it, or take a
//!   [`Vouched`], which is made of such a region alone.
//! - A `T` in an archive has passed rkyv's checks in a [`Validator`], and those of [`Collections`];
//!   what the latter look at follows from the descriptions of types, which is why [`Schema`] is an
//!   unsafe trait.
//! - An archive is never written, and every reference into it borrows what keeps its region mapped.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::Arc;

use rkyv::api::check_pos_with_context;
use rkyv::bytecheck::CheckBytes;
use rkyv::erased::{ErasedPtr, Metadata};
use rkyv::munge::munge;
use rkyv::rancor::{BoxedError, Fallible, Source, Strategy};
use rkyv::ser::Allocator;
use rkyv::traits::{ArchivePointee, LayoutRaw};
use rkyv::validation::shared::ValidationState;
use rkyv::validation::{ArchiveContext, ArchiveContextExt, SharedContext};
use rkyv::{Archive, Place, Portable, RelPtr};

use super::Value;
use super::collections::Collections;
use super::freezer::Freezer;
use super::intern::Cycle;
use super::validator::Validator;
use super::vouching::Vouched;
use crate::error::{Error, Result};
use crate::region::Region;
use crate::region::format::SectionKind;
use crate::schema::{Description, Schema, Shape, TypeIndex, Types};
use crate::sys::threads;

/// What a region can hold: every [`Value`], and [`Map`](crate::Map).
///
/// Sealed: it cannot be implemented outside of this crate.
pub trait Content: Sized + sealed::Sealed + 'static {
    /// What a handle derefs to.
    type Archived: ?Sized;
    /// Where the parts of the value lie in a region, found once when it is opened.
    #[doc(hidden)]
    type View: Send + Sync;

    /// The archived types.
    #[doc(hidden)]
    fn describe() -> Description;

    /// Checks the sections of a region, whoever wrote them.
    #[doc(hidden)]
    fn check(region: &Region) -> Result<Findings>;

    /// The same for a region that follows one with a valid value: what differs, where that shows
    /// that [`check`](Self::check) would accept all of it; otherwise by that.
    #[doc(hidden)]
    fn check_after(region: &Region, earlier: &Checked<Self>) -> Result<Findings>;

    /// The parts of the value in a region.
    ///
    /// # Safety
    /// [`check`](Self::check) accepted the region, or would.
    #[doc(hidden)]
    unsafe fn view(region: &Region) -> Result<Self::View>;

    /// The same parts again, for another handle on the same region.
    ///
    /// # Safety
    /// The region that the view was made of lives as long as the result.
    #[doc(hidden)]
    unsafe fn copy_view(view: &Self::View) -> Self::View;

    /// The value.
    ///
    /// # Safety
    /// The region that the view was made of lives as long as the result.
    #[doc(hidden)]
    unsafe fn archived(view: &Self::View) -> &Self::Archived;
}

/// What a check has found that the check of the next generation builds on.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// How many steps from line to line the searches for all keys of a map take in all, at most.
    /// None if nobody has counted them.
    pub(crate) steps: Option<u64>,
}

/// Refuses a region of another type.
pub(crate) fn check_type<T: Content>(region: &Region) -> Result<()> {
    let (expected, header) = (T::describe().fingerprint(), region.header());
    if header.fingerprint == expected {
        return Ok(());
    }
    Err(Error::SchemaMismatch {
        name: header.name.clone(),
        expected_type: std::any::type_name::<T>(),
        expected,
        got: header.fingerprint,
    })
}

/// The promise that the owner of a cache has checked what it publishes, so that another process
/// need not check it again.
///
/// With it a generation is opened in the time that a few system calls take, whatever its size: by
/// its seals, its header, its type and the names of its files alone.
///
/// | taken by | opens |
/// |---|---|
/// | [`Live::inherited_trusting`](crate::Live::inherited_trusting) | what the program passed that has started this one |
/// | [`Client::follow_trusting`](crate::Client::follow_trusting) | what the owner behind a broker publishes |
/// | [`Frozen::from_fds_trusting`](crate::Frozen::from_fds_trusting) | descriptors that came in another way |
///
/// ```no_run
/// use floe::{Live, Map, Trust};
///
/// // SAFETY: our server starts us. It is built along with this program, so it has the same
/// // `Map<String, u32>`, and passes nothing but caches that it has frozen itself.
/// let trust = unsafe { Trust::in_owner() };
/// let mut ages: Live<Map<String, u32>> = Live::inherited_trusting("ages", trust)?;
/// println!("{}", ages.get()?["ada"]);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct Trust<T>(PhantomData<fn() -> T>);

impl<T: Content> Trust<T> {
    /// Promises it for one handle.
    ///
    /// # Safety
    /// Each generation that is opened with the promise was frozen as a `T` by its owner, or opened
    /// by it with all checks. That is so if
    ///
    /// - the owner is the program that is meant: the parent of a program that inherits a cache, the
    ///   process behind the socket of a broker;
    /// - it was built with the same `T`. Its structure is compared, but not what implementations of
    ///   rkyv's traits ask beyond that;
    /// - it is as sound itself as this program wants to be: what it has done to its memory by
    ///   `unsafe` code, this program reads.
    ///
    /// Nobody else can break it: readers take a region only if it is the one that the owner
    /// announces, and sealed. A handle that [connects
    /// again](crate::Client::reconnect_every) to another owner checks what that one publishes.
    #[must_use]
    pub const unsafe fn in_owner() -> Self {
        Self(PhantomData)
    }
}

/// Keeps [`Content`] to the types of this crate that are made for it.
pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<T: Value> sealed::Sealed for T {}

/// A region that holds a valid `T`, and where the parts of the value lie in it.
///
/// Clones share the region.
pub struct Checked<T: Content> {
    view: T::View,
    region: Arc<Region>,
    findings: Findings,
}

/// Bytes from which on they are digested on another processor than the one that checks values.
const MANY_BYTES: u64 = 4 << 20;

impl<T: Content> Checked<T> {
    /// Checks digests, padding and sections of a region, whoever wrote them; if it follows an
    /// earlier one with a valid value, only what differs where that will do.
    pub(crate) fn from_region(region: Region, earlier: Option<&Self>) -> Result<Self> {
        let bytes = || region.check_bytes();
        let value = || match earlier {
            Some(earlier) => T::check_after(&region, earlier),
            None => T::check(&region),
        };
        let findings = match region.bytes_to_check() {
            MANY_BYTES.. => {
                let (bytes, findings) = threads::both(bytes, value);
                bytes.and(findings)?
            }
            _ => bytes().and_then(|()| value())?,
        };
        // SAFETY: `check` or `check_after` has just accepted the region.
        let checked = unsafe { Self::from_region_unchecked(region)? };
        Ok(Self {
            findings,
            ..checked
        })
    }

    /// Takes over what its owner vouches for: the seals are checked, header and layout are read, and
    /// the type is compared; digests and what the sections mean were checked when it was frozen.
    pub(crate) fn from_vouched(vouched: Vouched<T>) -> Result<Self> {
        let (region, is_named) = Region::from_fds_by_header(vouched.into_files())?;
        check_type::<T>(&region)?;
        if !is_named {
            return Self::from_region(region, None);
        }
        // SAFETY: the first file of a `Vouched` is that of a `Checked` of this type, here or in the
        // owner that a `Trust` was given for, and the others are those that its header names; their
        // bytes are sealed, so they are those that `check` accepted.
        unsafe { Self::from_region_unchecked(region) }
    }

    /// # Safety
    /// As [`Content::view`].
    pub(crate) unsafe fn from_region_unchecked(region: Region) -> Result<Self> {
        // SAFETY: the caller's promise.
        let view = unsafe { T::view(&region)? };
        Ok(Self {
            view,
            region: Arc::new(region),
            findings: Findings::default(),
        })
    }

    /// The same value, in a region that shares pages with another one.
    pub(crate) fn sharing(self, earlier: &Region) -> Result<Self> {
        match self.region.sharing(earlier)? {
            Some(region) => {
                // SAFETY: its sections are, byte for byte, those of this one, which is valid.
                let shared = unsafe { Self::from_region_unchecked(region)? };
                let findings = self.findings;
                Ok(Self { findings, ..shared })
            }
            None => Ok(self),
        }
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    pub(crate) fn findings(&self) -> Findings {
        self.findings
    }
}

impl<T: Content> Deref for Checked<T> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        // SAFETY: the handle keeps the region of its view, and the result borrows the handle.
        unsafe { T::archived(&self.view) }
    }
}

impl<T: Content> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.region, f)
    }
}

impl<T: Content> Clone for Checked<T> {
    fn clone(&self) -> Self {
        // SAFETY: the new handle keeps the region as this one does.
        let view = unsafe { T::copy_view(&self.view) };
        Self {
            view,
            region: Arc::clone(&self.region),
            findings: self.findings,
        }
    }
}

/// Where the root of a whole value lies.
#[derive(Debug)]
pub struct Root<A>(NonNull<A>);

// SAFETY: a root gives shared references to an immutable `A` only.
unsafe impl<A: Sync> Send for Root<A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for Root<A> {}

impl<T: Value> Content for T {
    type Archived = <T as Archive>::Archived;
    type View = Root<<T as Archive>::Archived>;

    fn describe() -> Description {
        Description::of::<<T as Archive>::Archived>()
    }

    fn check(region: &Region) -> Result<Findings> {
        let archive = region.section(SectionKind::Archive)?;
        let invalid = |reason| Error::Invalid {
            name: region.header().name.clone(),
            section: SectionKind::Archive,
            reason,
        };
        let position = root_position::<T>(archive).map_err(|reason| invalid(reason.to_owned()))?;
        let mut validator = Validator::new(archive);
        let context = Strategy::<_, BoxedError>::wrap(&mut validator);
        check_pos_with_context::<<T as Archive>::Archived, _, BoxedError>(
            archive, position, context,
        )
        .map_err(|error| invalid(error.to_string()))?;
        Collections::new(&Self::describe(), archive)
            .check(position)
            .map_err(|refusal| invalid(refusal.to_string()))?;
        Ok(Findings::default())
    }

    fn check_after(region: &Region, earlier: &Checked<Self>) -> Result<Findings> {
        let kind = SectionKind::Archive;
        let (archive, before) = (region.section(kind)?, earlier.region().section(kind)?);
        match archive.len() == before.len() && region.begins_as(kind, earlier.region()) {
            // The same bytes, aligned alike: sections start at multiples of 64.
            true => Ok(Findings::default()),
            false => Self::check(region),
        }
    }

    unsafe fn view(region: &Region) -> Result<Self::View> {
        let archive = region.section(SectionKind::Archive)?;
        let position = archive.len() - size_of::<<T as Archive>::Archived>();
        Ok(Root(NonNull::from_ref(&archive[position..]).cast()))
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        Root(view.0)
    }

    unsafe fn archived(view: &Self::View) -> &Self::Archived {
        // SAFETY: the caller vouches that the region lives; `view` was made of a valid one, so a
        // valid root lies there.
        unsafe { view.0.as_ref() }
    }
}

/// The root of a whole value is the end of its archive.
fn root_position<T: Archive>(archive: &[u8]) -> Result<usize, &'static str> {
    let position = archive.len().checked_sub(size_of::<T::Archived>());
    let position = position.ok_or("it is shorter than the root of the type")?;
    if !position.is_multiple_of(align_of::<T::Archived>()) {
        return Err("the root of the type is not aligned");
    }
    Ok(position)
}

// SAFETY: `check_subtree_ptr` accepts a pointer only if all its bytes lie in the archive that
// this validator was made for, and are aligned for the layout.
unsafe impl<E: Source> ArchiveContext<E> for Validator {
    fn check_subtree_ptr(&mut self, pointer: *const u8, layout: &Layout) -> Result<(), E> {
        self.check(pointer as usize, layout).map_err(E::new)
    }

    unsafe fn push_subtree_range(
        &mut self,
        _root: *const u8,
        _end: *const u8,
    ) -> Result<Range<usize>, E> {
        self.descend().map_err(E::new)
    }

    unsafe fn pop_subtree_range(&mut self, _range: Range<usize>) -> Result<(), E> {
        self.ascend();
        Ok(())
    }
}

impl<E: Source> SharedContext<E> for Validator {
    fn start_shared(
        &mut self,
        pointer_type: TypeId,
        pointer: ErasedPtr,
        same_metadata: unsafe fn(Metadata, Metadata) -> bool,
    ) -> Result<ValidationState, E> {
        let is_same = |known| {
            // SAFETY: both metadata belong to pointers of the type `pointer_type`, which the
            // caller's comparison is for.
            unsafe { same_metadata(known, pointer.metadata()) }
        };
        self.start(pointer_type, pointer, is_same).map_err(E::new)
    }

    fn finish_shared(&mut self, pointer_type: TypeId, pointer: ErasedPtr) -> Result<(), E> {
        self.finish(pointer_type, pointer).map_err(E::new)
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

/// A pointer to the one copy of a value in its region; derefs to the value.
#[derive(Portable)]
#[repr(transparent)]
pub struct Interned<T: ArchivePointee> {
    pointer: RelPtr<T>,
}

impl<T: ArchivePointee<ArchivedMetadata = ()>> Interned<T> {
    /// Makes `out` lead to what was written at a position.
    pub(super) fn emplace(position: usize, out: Place<Self>) {
        munge!(let Interned { pointer } = out);
        RelPtr::emplace(position, pointer);
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()>> Deref for Interned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: an `Interned` exists only in archives, and no archive is read before
        // `check_bytes` has made sure that its pointer leads to a valid `T` in the same
        // archive, which lives as long as `self` is borrowed.
        unsafe { &*self.pointer.as_ptr() }
    }
}

// SAFETY: accepts only a pointer to a value in the archive of `context` that is itself valid,
// and checks that value once for each address and type.
unsafe impl<T, C> CheckBytes<C> for Interned<T>
where
    T: CheckBytes<C> + ArchivePointee<ArchivedMetadata = ()> + LayoutRaw + 'static,
    RelPtr<T>: CheckBytes<C>,
    C: Fallible + ArchiveContext + SharedContext + ?Sized,
    C::Error: Source,
{
    unsafe fn check_bytes(value: *const Self, context: &mut C) -> Result<(), C::Error> {
        // SAFETY: the caller vouches for a readable, aligned `Self`, whose only field this is.
        let pointer = unsafe {
            let pointer = &raw const (*value).pointer;
            RelPtr::check_bytes(pointer, context)?;
            (*pointer).as_ptr_wrapping()
        };
        let own_type = TypeId::of::<Self>();
        let erased = ErasedPtr::new(pointer.cast_mut().cast::<u8>());
        match context.start_shared(own_type, erased, |_, _| true)? {
            ValidationState::Finished => Ok(()),
            ValidationState::Pending => Err(C::Error::new(Cycle)),
            ValidationState::Started => {
                // SAFETY: `in_subtree` runs the closure only if all bytes of the target lie in
                // the archive and are aligned for `T`.
                context.in_subtree(pointer, |context| unsafe {
                    T::check_bytes(pointer, context)
                })?;
                context.finish_shared(own_type, erased)
            }
        }
    }
}

// SAFETY: `Interned` is a transparent `RelPtr`, four bytes that are never written.
unsafe impl<T: Schema + ArchivePointee<ArchivedMetadata = ()>> Schema for Interned<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        let target = T::describe(types);
        types.define_generic::<Self>("Interned", &[target], Shape::Interned { target })
    }
}
