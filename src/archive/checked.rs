//! What is `unsafe` about archives, in one place: which regions may be read as values, what rkyv's
//! traits want of the [`Validator`] and the [`Freezer`], and the pointer to an interned value.
//!
//! What the other files rely on:
//!
//! - A [`Checked`] region holds a valid value of its type. Its safe makers check it, or take a
//!   [`Vouched`], which is made of such a region alone.
//! - A `T` in an archive has passed rkyv's checks in a [`Validator`], and those of `Collections`;
//!   what the latter look at follows from the descriptions of types, which is why [`Schema`] is an
//!   unsafe trait.
//! - An archive is never written, and every reference into it borrows what keeps its region mapped.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::any::TypeId;
use std::ops::{Deref, Range};
use std::ptr::NonNull;
use std::sync::Arc;

use rkyv::bytecheck::CheckBytes;
use rkyv::erased::{ErasedPtr, Metadata};
use rkyv::munge::munge;
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::Allocator;
use rkyv::traits::{ArchivePointee, LayoutRaw};
use rkyv::validation::shared::ValidationState;
use rkyv::validation::{ArchiveContext, ArchiveContextExt, SharedContext};
use rkyv::{Archive, Portable, RelPtr};

use super::Value;
use super::content::{Content, sealed};
use super::findings::{self, Findings};
use super::freezer::Freezer;
use super::intern::Cycle;
use super::parts::{Part, ROW_LENGTH, RootType};
use super::roots::{Root, Roots, Several, parts_of, root_types};
use super::trust::Trust;
use super::validator::Validator;
use super::vouching::Vouched;
use crate::error::Result;
use crate::region::Region;
use crate::region::format::SectionKind;
use crate::schema::{Schema, Shape, TypeIndex, Types};

/// How contents of a kind lie in a region. Sealed, so that [`Content`] says nothing else than which
/// of the forms of this crate a type has.
pub trait Form<T: Content>: sealed::Sealed {
    /// Where the parts of the value lie in a region, found once when it is opened.
    type View: Send + Sync;

    /// Adds the archived types to a list.
    fn describe(types: &mut Types) -> TypeIndex;

    /// Refuses the region of another type.
    fn check_type(region: &Region) -> Result<()> {
        findings::check_fingerprint::<T>(region)
    }

    /// Checks the sections of a region, whoever wrote them.
    fn check(region: &Region) -> Result<Findings>;

    /// The same for a region that follows one with a valid value: what differs, where that shows
    /// that [`check`](Self::check) would accept all of it; otherwise by that.
    fn check_after(region: &Region, earlier: &Checked<T>) -> Result<Findings>;

    /// The parts of the value in a region.
    ///
    /// # Safety
    /// [`check`](Self::check) accepted the region, or would.
    unsafe fn view(region: &Arc<Region>) -> Result<Self::View>;

    /// The same parts again, for another handle on the same region.
    ///
    /// # Safety
    /// The region that the view was made of lives as long as the result.
    unsafe fn copy_view(view: &Self::View) -> Self::View;

    /// The value.
    ///
    /// # Safety
    /// The region that the view was made of lives as long as the result.
    unsafe fn archived(view: &Self::View) -> &T::Archived;
}

/// The form of contents that can be one of several roots of a region.
pub trait RootForm<T: Content>: Form<T> {
    /// Checks a part of a region, whoever wrote it.
    fn check_part(part: &Part<'_>) -> Result<Findings>;

    /// The parts of the value.
    ///
    /// # Safety
    /// [`check_part`](Self::check_part) accepted it, or would.
    unsafe fn view_part(part: &Part<'_>) -> Result<Self::View>;
}

impl<T: Content> Trust<T> {
    /// Promises it for one handle.
    ///
    /// # Safety
    /// [What is promised](Trust#what-is-promised) holds.
    #[must_use]
    pub const unsafe fn in_owner() -> Self {
        Self::given()
    }
}

type ViewOf<T> = <<T as Content>::Form as Form<T>>::View;

/// A region that holds a valid `T`, and where the parts of the value lie in it.
///
/// Clones share the region.
pub struct Checked<T: Content> {
    view: ViewOf<T>,
    region: Arc<Region>,
    findings: Findings,
}

impl<T: Content> Checked<T> {
    /// Checks digests, padding and sections of a region, whoever wrote them; if it follows an
    /// earlier one with a valid value, only what differs where that will do.
    pub(crate) fn from_region(region: Region, earlier: Option<&Self>) -> Result<Self> {
        let findings = findings::of_region(&region, earlier)?;
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
        T::Form::check_type(&region)?;
        if !is_named {
            return Self::from_region(region, None);
        }
        // SAFETY: the first file of a `Vouched` is that of a `Checked` of this type, here or in the
        // owner that a `Trust` was given for, and the others are those that its header names; their
        // bytes are sealed, so they are those that `check` accepted.
        unsafe { Self::from_region_unchecked(region) }
    }

    /// # Safety
    /// As [`Form::view`].
    pub(crate) unsafe fn from_region_unchecked(region: Region) -> Result<Self> {
        let region = Arc::new(region);
        // SAFETY: the caller's promise.
        let view = unsafe { T::Form::view(&region)? };
        let findings = Findings::default();
        Ok(Self {
            view,
            region,
            findings,
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
        unsafe { T::Form::archived(&self.view) }
    }
}

impl<T: Content> Clone for Checked<T> {
    fn clone(&self) -> Self {
        // SAFETY: the new handle keeps the region as this one does.
        let view = unsafe { T::Form::copy_view(&self.view) };
        Self {
            view,
            region: Arc::clone(&self.region),
            findings: self.findings,
        }
    }
}

/// Where a whole value lies.
#[derive(Debug)]
pub struct Place<A>(NonNull<A>);

// SAFETY: a place gives shared references to an immutable `A` only.
unsafe impl<A: Sync> Send for Place<A> {}
// SAFETY: as above.
unsafe impl<A: Sync> Sync for Place<A> {}

/// The form of a [`Value`].
#[derive(Debug)]
pub enum Whole {}

impl sealed::Sealed for Whole {}

impl<T: Value> Content for T {
    type Archived = <T as Archive>::Archived;
    type Form = Whole;
}

impl<T: Value> Form<T> for Whole {
    type View = Place<<T as Archive>::Archived>;

    fn describe(types: &mut Types) -> TypeIndex {
        <T as Archive>::Archived::describe(types)
    }

    fn check(region: &Region) -> Result<Findings> {
        <Self as RootForm<T>>::check_part(&Part::whole(region)?)
    }

    fn check_after(region: &Region, earlier: &Checked<T>) -> Result<Findings> {
        let kind = SectionKind::Archive;
        let (archive, before) = (region.section(kind)?, earlier.region().section(kind)?);
        match archive.len() == before.len() && region.begins_as(kind, earlier.region()) {
            // The same bytes, aligned alike: sections start at multiples of 64.
            true => Ok(Findings::default()),
            false => <Self as Form<T>>::check(region),
        }
    }

    unsafe fn view(region: &Arc<Region>) -> Result<Self::View> {
        // SAFETY: the caller's promise.
        unsafe { <Self as RootForm<T>>::view_part(&Part::whole(region)?) }
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        Place(view.0)
    }

    unsafe fn archived(view: &Self::View) -> &<T as Archive>::Archived {
        // SAFETY: the caller vouches that the region lives; `view` was made of a valid one, so a
        // valid root lies there.
        unsafe { view.0.as_ref() }
    }
}

impl<T: Value> RootForm<T> for Whole {
    fn check_part(part: &Part<'_>) -> Result<Findings> {
        findings::check_whole::<T>(part)?;
        Ok(Findings::default())
    }

    unsafe fn view_part(part: &Part<'_>) -> Result<Self::View> {
        let position = part.archive.len() - size_of::<<T as Archive>::Archived>();
        Ok(Place(NonNull::from_ref(&part.archive[position..]).cast()))
    }
}

/// [`Root`]s as pairs: `(A, (B, ()))`. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not made of roots",
    note = "every field of a type that derives `Roots` is a `Root<T>`, of a `Map` or a value `T`"
)]
#[doc(hidden)]
pub trait RootList: sealed::Sealed + Sized {
    /// How many there are.
    const LENGTH: usize;

    /// Adds the types of the roots to a list.
    fn list_types(types: &mut Vec<RootType>);

    /// Checks as many parts of a region, whoever wrote them.
    fn check(parts: &[Part<'_>]) -> Result<()>;

    /// The roots in these parts of a region.
    ///
    /// # Safety
    /// [`check`](Self::check) accepted them, or would.
    unsafe fn open(parts: &[Part<'_>], region: &Arc<Region>) -> Result<Self>;
}

impl sealed::Sealed for () {}

impl RootList for () {
    const LENGTH: usize = 0;

    fn list_types(_: &mut Vec<RootType>) {}

    fn check(_: &[Part<'_>]) -> Result<()> {
        Ok(())
    }

    unsafe fn open(_: &[Part<'_>], _: &Arc<Region>) -> Result<Self> {
        Ok(())
    }
}

impl<T: Content, L: RootList> sealed::Sealed for (Root<T>, L) {}

impl<T: Content<Form: RootForm<T>>, L: RootList> RootList for (Root<T>, L) {
    const LENGTH: usize = 1 + L::LENGTH;

    fn list_types(types: &mut Vec<RootType>) {
        types.push(RootType::of::<T>());
        L::list_types(types);
    }

    fn check(parts: &[Part<'_>]) -> Result<()> {
        T::Form::check_part(&parts[0])?;
        L::check(&parts[1..])
    }

    unsafe fn open(parts: &[Part<'_>], region: &Arc<Region>) -> Result<Self> {
        // SAFETY: the caller's promise, for the first part.
        let view = unsafe { T::Form::view_part(&parts[0])? };
        // SAFETY: the caller's promise, for the others.
        let rest = unsafe { L::open(&parts[1..], region)? };
        let first = Checked {
            view,
            region: Arc::clone(region),
            findings: Findings::default(),
        };
        Ok((Root(first), rest))
    }
}

impl<R: Roots> Form<R> for Several {
    type View = Arc<R>;

    fn describe(types: &mut Types) -> TypeIndex {
        let roots = root_types::<R>().into_iter().map(|root| root.describe);
        types.define_roots(ROW_LENGTH, R::NAMES.iter().copied().zip(roots))
    }

    fn check_type(region: &Region) -> Result<()> {
        parts_of::<R>(region).map(drop)
    }

    fn check(region: &Region) -> Result<Findings> {
        R::List::check(&parts_of::<R>(region)?)?;
        Ok(Findings::default())
    }

    fn check_after(region: &Region, _: &Checked<R>) -> Result<Findings> {
        <Self as Form<R>>::check(region)
    }

    unsafe fn view(region: &Arc<Region>) -> Result<Self::View> {
        let parts = parts_of::<R>(region)?;
        // SAFETY: the caller vouches for the region, and `check` looks at the same parts of it as the
        // same types.
        let list = unsafe { R::List::open(&parts, region)? };
        Ok(Arc::new(R::from_list(list)))
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        Arc::clone(view)
    }

    unsafe fn archived(view: &Self::View) -> &R {
        view
    }
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
    pub(super) fn emplace(position: usize, out: rkyv::Place<Self>) {
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
