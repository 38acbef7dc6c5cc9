//! Typed handles on frozen generations.
#![deny(unsafe_code)]

mod in_place;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use crate::archive::checked::{Checked, Form};
use crate::archive::vouching::Vouched;
use crate::archive::{ArchivedAs, Freezer, Scratch, Sink, Thaw, VALUE_LIMIT, Value};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::region::format::SectionKind;
#[cfg(feature = "posix-shm")]
use crate::region::posix;
use crate::region::{self, Backing, Label, Region, Unsealed};
use crate::schema::Described;

pub use crate::archive::content::Content;
pub use crate::archive::trust::Trust;

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
    checked: Checked<T>,
}

impl<T: Value> Frozen<T> {
    /// Serialises a value into a new memfd named `floe:NAME.1`, seals it and maps it.
    ///
    /// Equal values give equal archive bytes, if their hash maps and hash sets are
    /// [`Sorted`](crate::Sorted). The value streams through a buffer of 1 MiB; it may take 2 GiB.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Memfd`], [`Error::Serialize`], [`Error::TooLarge`],
    /// [`Error::Write`]; [`Error::Invalid`] if a serialisation wrote what does not read, or a value
    /// is nested deeper than 128 pointers. Nothing is left behind then.
    pub fn freeze(name: &str, value: &T) -> Result<Self> {
        Self::freeze_in(Backing::Memfd, Label::first(name)?, value, None)
    }

    /// The same for a value of another type that is archived as a `T` is: a `&str` for a `String`, or
    /// an [`AsValue`](crate::value::AsValue) for a [`value::Value`](crate::value::Value).
    ///
    /// # Errors
    /// As [`freeze`](Self::freeze).
    pub fn freeze_as(name: &str, value: &impl ArchivedAs<T>) -> Result<Self> {
        Self::freeze_in(Backing::Memfd, Label::first(name)?, value, None)
    }

    /// The same in a private heap buffer, for tests and for systems without memfds: it
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
        value: &impl ArchivedAs<T>,
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
            unsealed.begin(SectionKind::Inputs)?;
            unsealed.append(inputs)?;
        }
        let region = Self::seal(unsealed, &T::describe())?;
        // rkyv's traits are safe to implement, so what they wrote is no more trusted than bytes
        // from elsewhere.
        Ok(Self::from_checked(Checked::from_region(region, None)?))
    }
}

impl<T: Content> Frozen<T> {
    /// Adds the schema section to a region that holds a `T`, and seals it.
    pub(crate) fn seal(mut unsealed: Unsealed, description: &Described) -> Result<Region> {
        unsealed.begin(SectionKind::Schema)?;
        unsealed.append(description.json())?;
        unsealed.seal(description.fingerprint())
    }

    /// The same in a memfd that others have and this process does not read.
    pub(crate) fn seal_for_others(mut unsealed: Unsealed, description: &Described) -> Result<()> {
        unsealed.begin(SectionKind::Schema)?;
        unsealed.append(description.json())?;
        unsealed.seal_for_others(description.fingerprint())
    }

    /// Opens a sealed memfd from anywhere: another process, an inherited descriptor.
    ///
    /// Checks, in this order: the four seals, the header, the digest of every memfd, the
    /// schema's fingerprint, and the structure of every value, at most 128 pointers deep. After
    /// that nobody can change the bytes, and reading needs no checks.
    ///
    /// # Errors
    /// One variant for each check: [`Error::Unsealed`] to [`Error::Invalid`]. Nothing stays
    /// mapped then.
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::from_fds(vec![fd])
    }

    /// The same for a region whose pages come from several memfds: those of
    /// [`Region::try_clone_fds`], in their order.
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self> {
        Self::checked(Region::open(fds, None)?, None)
    }

    /// The same for a generation that follows another one: takes from that what both have, and
    /// checks what differs. An associated function: `Frozen::from_fds_after(&earlier, fds)`.
    ///
    /// Accepts what [`from_fds`](Self::from_fds) accepts, and refuses what that refuses. Memfds
    /// that both have are opened and digested no more. What is checked beside the others:
    ///
    /// | type | what follows | is checked |
    /// |---|---|---|
    /// | [`Map`](crate::Map) | all entries where they were, and others behind them | the new entries, and the lines of the index that changed |
    /// | any | the same bytes, in other memfds perhaps | nothing more |
    /// | any | whatever else | everything |
    ///
    /// ```
    /// use floe::{Frozen, Map};
    ///
    /// let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)])?;
    /// let first = Frozen::<Map<String, u32>>::from_fds(ages.region().try_clone_fds()?)?;
    /// let again = Frozen::from_fds_after(&first, ages.region().try_clone_fds()?)?;
    /// assert_eq!(again["ada"], 36);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    pub fn from_fds_after(earlier: &Self, fds: Vec<OwnedFd>) -> Result<Self> {
        let region = Region::open(fds, Some(earlier.region()))?;
        Self::checked(region, Some(earlier))
    }

    /// Opens page files that their owner has checked, by their seals, the header and the type alone:
    /// in no time, whatever their size. Files beside the first that are not those which the header
    /// names make it check everything, as [`from_fds`](Self::from_fds) does.
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    pub fn from_fds_trusting(fds: Vec<OwnedFd>, trust: Trust<T>) -> Result<Self> {
        Self::from_vouched(Vouched::promised(fds, &trust))
    }

    /// Opens a copy of the bytes of a region on the heap, with the checks of
    /// [`from_fd`](Self::from_fd).
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd), but for the seals.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::checked(Region::from_bytes(bytes)?, None)
    }

    /// Reads one region from a stream, where [`Region::write_to`] has written it: copies it into a
    /// sealed memfd and checks that like [`from_fd`](Self::from_fd). What follows the region
    /// stays in the stream.
    ///
    /// Takes memory for what has arrived, not for what the stream announces. A sender who is not
    /// trusted can still send without end: [`Read::take`] sets a limit.
    ///
    /// ```
    /// use floe::{Frozen, Map};
    ///
    /// let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)])?;
    /// let (stream, mut other_end) = std::os::unix::net::UnixStream::pair()?;
    /// ages.region().write_to(&mut other_end)?;
    ///
    /// let copy: Frozen<Map<String, u32>> = Frozen::from_reader(stream)?;
    /// assert_eq!(copy["ada"], 36);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ReadStream`] if the reader fails; [`Error::Memfd`] and [`Error::Write`] if there is
    /// no memory for the copy; otherwise as [`from_fd`](Self::from_fd), and
    /// [`HeaderError::Length`](crate::error::HeaderError::Length) if the stream ends early.
    pub fn from_reader(reader: impl Read) -> Result<Self> {
        Self::checked(region::read(reader)?, None)
    }

    /// Loads a file that [`Region::save`] wrote: copies it into a sealed memfd and
    /// checks that like [`from_fd`](Self::from_fd). What happens to the file afterwards cannot
    /// reach a reader.
    ///
    /// The copy of a file of 8 MiB or more lies in huge pages, where the kernel has some
    /// (Linux 6.1): these are filled in half the time.
    ///
    /// # Errors
    /// [`Error::ReadFile`], and [`Error::Load`] with the reason why the content was refused.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::loaded(region::load(path), path)
    }

    /// Opens what an owner of this user has published under a POSIX name, by
    /// [`Region::publish_posix`]: copies it into a sealed memfd and checks that like
    /// [`from_fd`](Self::from_fd). What happens to the object afterwards cannot reach a reader.
    ///
    /// The object has to be a file of this user with mode 0600, one name and no holes. There is an
    /// [example](mod@crate::posix).
    ///
    /// # Errors
    /// [`PosixError`](crate::error::PosixError) for the object, [`Error::Load`] for its content.
    #[cfg(feature = "posix-shm")]
    pub fn open_posix(name: &str) -> Result<Self> {
        Self::load_opened(posix::open(name)?, &posix::path(name))
    }

    /// The same for a file that was opened before.
    pub(crate) fn load_opened(file: File, path: &Path) -> Result<Self> {
        Self::loaded(region::load_opened(file, path), path)
    }

    fn loaded(region: Result<Region>, path: &Path) -> Result<Self> {
        region
            .and_then(|region| Self::checked(region, None))
            .map_err(|error| error.of_file(path))
    }

    /// Checks type, digests and values of a region, which may follow an earlier one.
    fn checked(region: Region, earlier: Option<&Self>) -> Result<Self> {
        if let Err(mismatch) = T::Form::check_type(&region) {
            region.check_bytes()?;
            return Err(mismatch);
        }
        let earlier = earlier.map(Self::as_checked);
        Ok(Self::from_checked(Checked::from_region(region, earlier)?))
    }

    /// Takes over what its owner vouches for: the seals are checked, and the header is read.
    ///
    /// # Errors
    /// Those of [`from_fd`](Self::from_fd).
    pub(crate) fn from_vouched(vouched: Vouched<T>) -> Result<Self> {
        Ok(Self::from_checked(Checked::from_vouched(vouched)?))
    }

    pub(crate) fn from_checked(checked: Checked<T>) -> Self {
        Self { checked }
    }

    /// The same value, in a region that has the pages of an earlier generation which are equal.
    pub(crate) fn sharing(self, earlier: &Region) -> Result<Self> {
        Ok(Self::from_checked(self.checked.sharing(earlier)?))
    }

    pub(crate) fn as_checked(&self) -> &Checked<T> {
        &self.checked
    }

    /// A digest of all but the inputs, the number and the date.
    pub(crate) fn content_digest(&self) -> u128 {
        self.region().header().content
    }

    /// Makes an owned value of a frozen one: a `T` of a `Frozen<T>`, and whatever collects pairs,
    /// such as `HashMap<K, V>` and `Vec<(K, V)>`, of a `Frozen<Map<K, V>>`. Types derive
    /// `rkyv::Deserialize`.
    ///
    /// An associated function, so that it hides nothing of the value: `Frozen::thaw(&frozen)`. For
    /// a part of the value, or an entry of a map, there is [`thaw()`](crate::thaw()), which
    /// tells what it costs, too.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    ///
    /// use floe::{Frozen, Map};
    ///
    /// let frozen = Frozen::freeze("primes", &vec![2_u32, 3, 5])?;
    /// let mut primes = Frozen::thaw(&frozen)?;
    /// primes.push(7);
    ///
    /// let ages = Map::freeze("ages", [("ada".to_owned(), 36_u32)])?;
    /// let mut ages: BTreeMap<String, u32> = Frozen::thaw(&ages)?;
    /// ages.insert("alan".to_owned(), 41);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Thaw`] if a deserialisation refuses its value.
    pub fn thaw<O>(frozen: &Self) -> Result<O>
    where
        T: Thaw<O>,
    {
        T::thaw(frozen)
    }

    /// The region that the value lies in: its name, generation and size, its descriptor, and its
    /// way into files.
    ///
    /// The only method of a handle: all others are those of the value that it derefs to, or of
    /// traits.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.checked.region()
    }

    pub(crate) fn shared_region(&self) -> Arc<Region> {
        Arc::clone(self.checked.region())
    }
}

impl<T: Content> Deref for Frozen<T> {
    type Target = T::Archived;

    #[inline]
    fn deref(&self) -> &T::Archived {
        &self.checked
    }
}

impl<T: Content> Clone for Frozen<T> {
    fn clone(&self) -> Self {
        Self::from_checked(self.checked.clone())
    }
}

impl<T: Content> AsRef<T::Archived> for Frozen<T> {
    fn as_ref(&self) -> &T::Archived {
        self
    }
}

/// `for entry in &frozen`, of whatever can be iterated by reference.
impl<'a, T: Content> IntoIterator for &'a Frozen<T>
where
    &'a T::Archived: IntoIterator,
{
    type Item = <&'a T::Archived as IntoIterator>::Item;
    type IntoIter = <&'a T::Archived as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (**self).into_iter()
    }
}

/// Shows the value; `frozen.region()` shows where it lies.
impl<T: Content<Archived: fmt::Debug>> fmt::Debug for Frozen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
