//! Equal values once: `#[rkyv(with = Intern)]` and what stands in the archive for it.
//!
//! Real caches repeat themselves, in whole lists and maps as much as in strings. A field marked
//! with [`Intern`] takes four bytes: a relative pointer to the one copy of its value in the
//! region. While a region is built, the builder keeps a digest and an offset for each distinct
//! value; readers need nothing.
#![allow(unsafe_code)]

mod identity;
mod interner;

use std::any::TypeId;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

use rkyv::bytecheck::CheckBytes;
use rkyv::erased::ErasedPtr;
use rkyv::munge::munge;
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::{Writer, WriterExt};
use rkyv::string::ArchivedString;
use rkyv::traits::{ArchivePointee, LayoutRaw};
use rkyv::validation::shared::ValidationState;
use rkyv::validation::{ArchiveContext, ArchiveContextExt, SharedContext};
use rkyv::with::{ArchiveWith, DeserializeWith, Identity, SerializeWith, With};
use rkyv::{Place, Portable, RelPtr};

use crate::archive::Interning;
use crate::schema::{Schema, Shape, TypeIndex, Types};

pub use identity::Identify;
pub(crate) use interner::Interner;
pub use interner::Recorder;

/// Writes equal values once per region: the wrapper for `#[rkyv(with = Intern)]`.
///
/// Works on every field whose value can be hashed: strings, vectors, options, ordered sets and
/// maps, structs. `Intern<W>` applies another wrapper to the value first, so wrappers combine:
///
/// | field | wrapper | what is written once |
/// |---|---|---|
/// | `String` | `Intern` | the string |
/// | `Vec<String>` | `Intern` | the whole list |
/// | `Vec<String>` | `Map<Intern>` | each string |
/// | `Vec<String>` | `Intern<Map<Intern>>` | the list, and each string of the lists |
/// | `Option<String>` | `Map<Intern>` | the string |
/// | `BTreeMap<String, Vec<String>>` | `Intern<MapKV<Intern, Intern>>` | map, keys and lists |
/// | `HashSet<String>` | `Intern<Sorted>` | the set, in canonical order |
///
/// (`Map` and `MapKV` are `rkyv::with::Map` and `rkyv::with::MapKV`, `Sorted` is
/// [`Sorted`](crate::Sorted).)
///
/// Values are told apart by a digest of 128 bits with a key that is drawn for each builder. A
/// use costs four bytes and, in the reader, one addition. Relative pointers have 32 bits, so in a
/// map, values of entries that lie more than 1 GiB apart are written again.
///
/// What is digested is what the value's `Hash` feeds to its hasher: a type whose `Hash` leaves out
/// what distinguishes two values would read as one of them. Derived `Hash` leaves out nothing.
///
/// ```
/// use floe::{Frozen, Intern, Schema};
/// use rkyv::with::Map;
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Recipe {
///     #[rkyv(with = Intern)]
///     license: String,
///     #[rkyv(with = Intern<Map<Intern>>)]
///     tasks: Vec<String>,
/// }
///
/// let recipe = |_| Recipe {
///     license: "MIT AND BSD-3-Clause".into(),
///     tasks: vec!["do_fetch".into(), "do_configure".into(), "do_compile".into()],
/// };
/// let recipes: Vec<Recipe> = (0..1000).map(recipe).collect();
/// let frozen = Frozen::freeze("recipes", &recipes)?;
/// assert_eq!(frozen[999].tasks[2].as_str(), "do_compile");
/// assert!(frozen.region().size() < 12_000);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct Intern<W = Identity>(PhantomData<W>);

/// A pointer to the one copy of a value in its region; derefs to the value.
#[derive(Portable)]
#[repr(transparent)]
pub struct Interned<T: ArchivePointee> {
    pointer: RelPtr<T>,
}

/// Where an interned value was written.
#[derive(Debug, Clone, Copy)]
pub struct InternedResolver {
    position: usize,
}

impl<T: ArchivePointee<ArchivedMetadata = ()>> Deref for Interned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: an `Interned` exists only in archives, and no archive is read before `check_bytes`
        // has made sure that its pointer leads to a valid `T` in the same archive, which lives as
        // long as `self` is borrowed.
        unsafe { &*self.pointer.as_ptr() }
    }
}

impl<F, W: ArchiveWith<F>> ArchiveWith<F> for Intern<W>
where
    W::Archived: ArchivePointee<ArchivedMetadata = ()>,
{
    type Archived = Interned<W::Archived>;
    type Resolver = InternedResolver;

    fn resolve_with(_: &F, resolver: InternedResolver, out: Place<Self::Archived>) {
        munge!(let Interned { pointer } = out);
        RelPtr::emplace(resolver.position, pointer);
    }
}

impl<F, W, S> SerializeWith<F, S> for Intern<W>
where
    W: SerializeWith<F, S> + Identify<F> + 'static,
    W::Archived: ArchivePointee<ArchivedMetadata = ()> + 'static,
    S: Fallible + Writer + Interning + ?Sized,
    S::Error: Source,
{
    fn serialize_with(field: &F, serializer: &mut S) -> Result<InternedResolver, S::Error> {
        const {
            assert!(
                size_of::<W::Archived>() > 0,
                "a value without bytes cannot be interned"
            )
        }
        // Two wrappers may write the same value differently, as the same archived type.
        let written_as = TypeId::of::<(W, W::Archived)>();
        let identity = serializer.identify(|recorder| W::identify(field, recorder));
        if let Some(position) = serializer.find(written_as, identity) {
            return Ok(InternedResolver { position });
        }
        let resolver = W::serialize_with(field, serializer)?;
        serializer.align_for::<W::Archived>()?;
        // SAFETY: `resolver` is the result of serialising `field` with `W`, which is what `With`
        // does, and the serialiser was just aligned for the archived type.
        let position = unsafe { serializer.resolve_aligned(With::<F, W>::cast(field), resolver)? };
        serializer.remember(written_as, identity, position);
        Ok(InternedResolver { position })
    }
}

impl<F, W, D> DeserializeWith<Interned<W::Archived>, F, D> for Intern<W>
where
    W: ArchiveWith<F> + DeserializeWith<<W as ArchiveWith<F>>::Archived, F, D>,
    W::Archived: ArchivePointee<ArchivedMetadata = ()>,
    D: Fallible + ?Sized,
{
    fn deserialize_with(
        field: &Interned<W::Archived>,
        deserializer: &mut D,
    ) -> Result<F, D::Error> {
        W::deserialize_with(field, deserializer)
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

impl<T: ArchivePointee<ArchivedMetadata = ()> + fmt::Debug> fmt::Debug for Interned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()> + fmt::Display> fmt::Display for Interned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()> + PartialEq> PartialEq for Interned<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()> + Eq> Eq for Interned<T> {}

impl<T: ArchivePointee<ArchivedMetadata = ()> + PartialOrd> PartialOrd for Interned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()> + Ord> Ord for Interned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ArchivePointee<ArchivedMetadata = ()> + Hash> Hash for Interned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

// Interned text compares with text, and can be looked up by it as a key of an archived map.

impl PartialEq<str> for Interned<ArchivedString> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Interned<ArchivedString> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Interned<ArchivedString> {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl Borrow<str> for Interned<ArchivedString> {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an interned value contains itself")]
struct Cycle;
