//! Typed handles on frozen generations.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use rkyv::Archive;
use rkyv::api::check_pos_with_context;
use rkyv::rancor::{BoxedError, Strategy};
use xxhash_rust::xxh3::xxh3_128;

use crate::archive::{Collections, Freezer, Scratch, Sink, VALUE_LIMIT, Validator, Value};
use crate::error::{Error, Result};
use crate::region::format::SectionKind;
use crate::region::{self, Backing, Label, Region, Unsealed};
use crate::schema::Description;

/// A typed handle on one frozen generation of a cache; derefs to the archived value.
///
/// Reading through it writes nothing: no lock, no count, no copied page, in whatever process and
/// on whatever thread. `Frozen<Map<K, V>>` derefs to [`ArchivedMap`](crate::map::ArchivedMap).
///
/// Clones share one mapping, which goes when the last of them in a process is dropped; the memory
/// itself goes back to the system with the last mapping and descriptor in any process. A clone
/// counts in this process's own heap, never in the region.
///
/// ```
/// use floe::Frozen;
///
/// let frozen = Frozen::freeze("primes", &vec![2_u32, 3, 5, 7])?;
/// assert_eq!(frozen.len(), 4);
/// assert_eq!(frozen[3], 7);
///
/// let copy: Frozen<Vec<u32>> = Frozen::from_fd(frozen.region().try_clone_fd()?)?;
/// assert_eq!(copy.region().name(), "primes");
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Frozen<T: Content> {
    view: T::View,
    region: Arc<Region>,
}

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
    fn check(region: &Region) -> Result<()>;

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

/// Keeps [`Content`] to the types of this crate that are made for it.
pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<T: Value> sealed::Sealed for T {}

impl<T: Value> Frozen<T> {
    /// Serialises a value into a new memory file named `floe:NAME.1`, seals it and maps it.
    ///
    /// Equal values give equal archive bytes, if their hash maps and hash sets are
    /// [`Sorted`](crate::Sorted). The value streams through a buffer of 1 MiB; it may take 2 GiB.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::MemoryFile`], [`Error::Serialize`], [`Error::TooLarge`],
    /// [`Error::Write`]; [`Error::Invalid`] if a serialisation wrote what does not read, or a value
    /// is nested deeper than 128 pointers. Nothing is left behind then.
    pub fn freeze(name: &str, value: &T) -> Result<Self> {
        Self::freeze_in(Backing::Memfd, Label::first(name)?, value, None)
    }

    /// The same in a private heap buffer, for tests and for systems without memory files: it
    /// cannot be handed to other processes, and a fork copies it like any heap.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Serialize`], [`Error::TooLarge`] and [`Error::Invalid`].
    pub fn freeze_on_heap(name: &str, value: &T) -> Result<Self> {
        Self::freeze_in(Backing::Heap, Label::first(name)?, value, None)
    }

    /// Freezes a generation of a cache, with its inputs section.
    pub(crate) fn freeze_generation(label: Label, value: &T, inputs: &[u8]) -> Result<Self> {
        Self::freeze_in(Backing::Memfd, label, value, Some(inputs))
    }

    pub(crate) fn freeze_in(
        backing: Backing,
        label: Label,
        value: &T,
        inputs: Option<&[u8]>,
    ) -> Result<Self> {
        const {
            assert!(
                align_of::<T::Archived>() <= 16,
                "archived values may be aligned to 16 at most"
            )
        }
        let mut sink = Sink::new(Unsealed::create(label, backing)?);
        let mut scratch = Scratch::default();
        sink.start(0, VALUE_LIMIT, false);
        Freezer::new(&mut sink, &mut scratch).serialize_whole(value)?;
        sink.flush()?;
        let mut unsealed = sink.unsealed;
        if let Some(inputs) = inputs {
            unsealed.begin(SectionKind::Inputs);
            unsealed.append(inputs)?;
        }
        let region = Self::seal(unsealed, &T::describe())?;
        // rkyv's traits are safe to implement, so what they wrote is no more trusted than bytes
        // from elsewhere.
        T::check(&region)?;
        // SAFETY: `check` has just accepted the region.
        unsafe { Self::over(region) }
    }
}

/// A memory file that holds a value which was frozen and checked already.
pub(crate) struct Vouched(OwnedFd);

impl Vouched {
    /// The file that a channel announces whose control page this process can write, or the process that
    /// it was forked from. Made by `Subscription::open_newest` alone, which says why it can be believed.
    pub(crate) fn announced(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl<T: Content> Frozen<T> {
    /// Adds the schema section to a region that holds a `T`, and seals it.
    pub(crate) fn seal(mut unsealed: Unsealed, description: &Description) -> Result<Region> {
        unsealed.begin(SectionKind::Schema);
        unsealed.append(&description.to_json())?;
        unsealed.seal(description.fingerprint())
    }

    /// Opens a sealed memory file from anywhere: another process, an inherited descriptor.
    ///
    /// Checks, in this order: the four seals, the header, the digest of every section, the
    /// schema's fingerprint, and the structure of every value, at most 128 pointers deep. After
    /// that nobody can change the bytes, and reading needs no checks.
    ///
    /// # Errors
    /// One variant for each check: [`Error::Unsealed`] to [`Error::Invalid`]. Nothing stays
    /// mapped then.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::checked(Region::from_fd(fd)?)
    }

    /// Opens a copy of the bytes of a region on the heap, with the checks of
    /// [`from_fd`](Self::from_fd).
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd), but for the seals.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::checked(Region::from_bytes(bytes)?)
    }

    /// Loads a file that [`Region::save`] wrote: copies it into a sealed memory file and
    /// checks that like [`from_fd`](Self::from_fd). What happens to the file afterwards cannot
    /// reach a reader.
    ///
    /// # Errors
    /// [`Error::ReadFile`], and [`Error::Load`] with the reason why the content was refused.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::loaded(region::load(path), path)
    }

    /// The same for a file that was opened before.
    pub(crate) fn load_opened(file: File, path: &Path) -> Result<Self> {
        Self::loaded(region::load_opened(file, path), path)
    }

    fn loaded(region: Result<Region>, path: &Path) -> Result<Self> {
        region
            .and_then(Self::checked)
            .map_err(|error| error.of_file(path))
    }

    fn checked(region: Region) -> Result<Self> {
        let header = region.header();
        let expected = T::describe().fingerprint();
        if header.fingerprint != expected {
            return Err(Error::SchemaMismatch {
                name: header.name.clone(),
                expected_type: std::any::type_name::<T>(),
                expected,
                got: header.fingerprint,
            });
        }
        T::check(&region)?;
        // SAFETY: `check` has just accepted the region.
        unsafe { Self::over(region) }
    }

    /// Takes over what its owner vouches for: the seals are checked, and the header is read; its
    /// digests and what the sections mean were checked when it was frozen.
    ///
    /// # Errors
    /// Those of [`from_fd`](Self::from_fd).
    pub(crate) fn from_vouched(vouched: Vouched) -> Result<Self> {
        let region = Region::vouched(vouched.0)?;
        // SAFETY: whoever made the `Vouched` knows that this is a region of a `Frozen` of this type,
        // which `check` accepted, and it is sealed.
        unsafe { Self::over(region) }
    }

    /// # Safety
    /// As [`Content::view`].
    pub(crate) unsafe fn over(region: Region) -> Result<Self> {
        // SAFETY: the caller's promise.
        let view = unsafe { T::view(&region)? };
        Ok(Self {
            view,
            region: Arc::new(region),
        })
    }

    /// A digest of all but the inputs, the number and the date.
    pub(crate) fn content_digest(&self) -> u128 {
        let sections = self.region.header().sections.iter();
        let content = sections.filter(|section| section.kind != SectionKind::Inputs);
        let digests: Vec<u8> = content
            .flat_map(|section| section.digest.to_le_bytes())
            .collect();
        xxh3_128(&digests)
    }

    /// The region that the value lies in: its name, generation and size, its descriptor, and its way
    /// into files.
    ///
    /// The only method of a handle: all others are those of the value that it derefs to.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn shared_region(&self) -> Arc<Region> {
        Arc::clone(&self.region)
    }
}

impl<T: Content> Deref for Frozen<T> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        // SAFETY: the handle keeps the region of its view, and the result borrows the handle.
        unsafe { T::archived(&self.view) }
    }
}

impl<T: Content> Clone for Frozen<T> {
    fn clone(&self) -> Self {
        // SAFETY: the new handle keeps the region as this one does.
        let view = unsafe { T::copy_view(&self.view) };
        Self {
            view,
            region: Arc::clone(&self.region),
        }
    }
}

impl<T: Content> fmt::Debug for Frozen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frozen")
            .field("name", &self.region.name())
            .field("generation", &self.region.generation())
            .field("size", &self.region.size())
            .finish_non_exhaustive()
    }
}

/// Where the root of a whole value lies.
pub struct Root<A>(NonNull<A>, PhantomData<A>);

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

    fn check(region: &Region) -> Result<()> {
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
            .map_err(|refusal| invalid(refusal.to_string()))
    }

    unsafe fn view(region: &Region) -> Result<Self::View> {
        let archive = region.section(SectionKind::Archive)?;
        let position = archive.len() - size_of::<<T as Archive>::Archived>();
        Ok(Root(
            NonNull::from_ref(&archive[position..]).cast(),
            PhantomData,
        ))
    }

    unsafe fn copy_view(view: &Self::View) -> Self::View {
        Root(view.0, PhantomData)
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
