//! Equal values once: `#[rkyv(with = Intern)]` and what stands in the archive for it.
//!
//! Real caches repeat themselves, in whole lists and maps as much as in strings. A field marked
//! with [`Intern`] takes four bytes: a relative pointer to the one copy of its value in the
//! region. While a region is built, the builder keeps a digest and an offset for each distinct
//! value; readers need nothing.
#![forbid(unsafe_code)]

mod identify;
mod interner;

use std::any::TypeId;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use rkyv::rancor::{Fallible, Source};
use rkyv::ser::Writer;
use rkyv::string::ArchivedString;
use rkyv::traits::ArchivePointee;
use rkyv::with::{ArchiveWith, DeserializeWith, Identity, SerializeWith, With};
use rkyv::{Place, SerializeUnsized};

use crate::archive::Interning;

pub use super::checked::Interned;
pub use identify::Identify;
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

/// Where an interned value was written.
#[derive(Debug, Clone, Copy)]
pub struct InternedResolver {
    position: usize,
}

impl<F, W: ArchiveWith<F>> ArchiveWith<F> for Intern<W>
where
    W::Archived: ArchivePointee<ArchivedMetadata = ()>,
{
    type Archived = Interned<W::Archived>;
    type Resolver = InternedResolver;

    fn resolve_with(_: &F, resolver: InternedResolver, out: Place<Self::Archived>) {
        Interned::emplace(resolver.position, out);
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
        let position = With::<F, W>::cast(field).serialize_unsized(serializer)?;
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
pub(super) struct Cycle;
