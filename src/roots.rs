//! Several named values in one region, which share what they intern.
//!
//! Caches that are built from the same sources repeat each other's text. In regions of their own
//! each of them has it; as roots of one region they have it once. A type says which roots there
//! are, each with a type of its own, and `Frozen` of that type is the handle on all of them:
//!
//! ```
//! use floe::{Frozen, Intern, Map, Root, Roots, RootsBuilder, Schema};
//!
//! #[derive(rkyv::Archive, rkyv::Serialize)]
//! #[rkyv(derive(Schema))]
//! struct Recipe {
//!     #[rkyv(with = Intern)]
//!     license: String,
//! }
//!
//! #[derive(Roots)]
//! struct Caches {
//!     recipes: Root<Map<String, Recipe>>,
//!     /// Recipes by license.
//!     licensed: Root<Map<String, Vec<String>>>,
//!     layers: Root<Vec<String>>,
//! }
//!
//! let recipe = || Recipe { license: "MIT AND BSD-3-Clause".to_owned() };
//! let recipes = [("acl".to_owned(), recipe()), ("zlib".to_owned(), recipe())];
//! let licensed = [("MIT AND BSD-3-Clause".to_owned(), vec!["acl".to_owned(), "zlib".to_owned()])];
//!
//! let caches: Frozen<Caches> = RootsBuilder::new("caches")?
//!     .map(Caches::RECIPES, recipes)?
//!     .map(Caches::LICENSED, licensed)?
//!     .value(Caches::LAYERS, &vec!["core".to_owned()])?
//!     .finish()?;
//! assert_eq!(caches.recipes["zlib"].license, "MIT AND BSD-3-Clause");
//! assert_eq!(caches.licensed["MIT AND BSD-3-Clause"][1], "zlib");
//! assert_eq!(caches.layers[0], "core");
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! It is published, followed, inherited, saved and loaded like any other value. Who needs some of
//! the roots declares only these, and no other is looked at:
//!
//! ```
//! # use floe::{Frozen, Map, Root, Roots, RootsBuilder};
//! # #[derive(Roots)]
//! # struct Caches { recipes: Root<Map<String, u32>>, layers: Root<Vec<String>> }
//! # let caches: Frozen<Caches> = RootsBuilder::new("caches")?
//! #     .map(Caches::RECIPES, [("zlib".to_owned(), 3)])?
//! #     .value(Caches::LAYERS, &vec!["core".to_owned()])?
//! #     .finish()?;
//! #[derive(Roots)]
//! struct Layers {
//!     layers: Root<Vec<String>>,
//! }
//!
//! let layers: Frozen<Layers> = Frozen::from_fds(caches.region().try_clone_fds()?)?;
//! assert_eq!(layers.layers[0], "core");
//!
//! #[derive(Debug, Roots)]
//! struct Tasks {
//!     tasks: Root<Vec<String>>,
//! }
//!
//! let refused = Frozen::<Tasks>::from_fds(caches.region().try_clone_fds()?).unwrap_err();
//! assert!(refused.to_string().starts_with(
//!     r#"root "tasks" of cache "caches": there is none; known roots: ["recipes", "layers"]"#
//! ));
//! # Ok::<(), floe::Error>(())
//! ```
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::fmt;
use std::ops::Range;

use crate::archive::checked::Checked;
use crate::archive::parts::{INDEX_ALIGNMENT, MOST_ROOTS, ROOT_ALIGNMENT, Row};
use crate::archive::roots::root_types;
use crate::archive::{ArchivedAs, Freezer, Scratch, Sink, Value};
use crate::error::{Error, Result, RootError, SectionKind};
use crate::frozen::{Content, Frozen};
use crate::map::{ENTRY_LIMIT, Map, MapKey, Pair, RootMapBuilder, sorted};
use crate::region::{Backing, Label, Unsealed};

pub use crate::archive::checked::RootList;
pub use crate::archive::roots::{Root, RootField, RootName, Roots, Several};

/// Position that rkyv is told for the first byte of a value, as for entries of maps: interned values
/// of earlier roots have positions too.
const VALUE_POSITION: u32 = 1 << 31;

/// Builds the roots of a region, one after the other.
///
/// What one root has interned, those behind it share: at best the root that is used most often
/// comes first, and the one that changes most often comes last. Relative pointers have 32 bits, so
/// what lies more than 1 GiB back is written again.
///
/// A step takes the builder and gives it back; after an error it is gone, and nothing is left
/// behind. See [the module](self) for an example.
#[must_use = "the region is made by `finish`"]
pub struct RootsBuilder {
    sink: Sink,
    scratch: Scratch,
    built: Vec<Built>,
    index: Vec<u8>,
    garbage: Vec<u8>,
}

/// A root that is complete.
struct Built {
    name: &'static str,
    content: TypeId,
    type_name: &'static str,
    row: Row,
}

impl RootsBuilder {
    /// No roots yet, in a memfd named `floe:NAME.1`.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Memfd`].
    pub fn new(name: &str) -> Result<Self> {
        Self::with_label(Label::first(name)?, Backing::Memfd)
    }

    /// The same on the heap, for tests and for systems without memfds: it cannot be handed to other
    /// processes, and a fork copies it like any heap.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn on_heap(name: &str) -> Result<Self> {
        Self::with_label(Label::first(name)?, Backing::Heap)
    }

    pub(crate) fn with_label(label: Label, backing: Backing) -> Result<Self> {
        Ok(Self::in_unsealed(Unsealed::create(label, backing)?))
    }

    /// No roots yet, in an empty region; the archive will have about so many bytes.
    pub(crate) fn expecting(bytes: u64, mut unsealed: Unsealed) -> Result<Self> {
        unsealed.expect_archive(bytes)?;
        let mut roots = Self::in_unsealed(unsealed);
        roots.sink.expect(bytes);
        Ok(roots)
    }

    fn in_unsealed(unsealed: Unsealed) -> Self {
        Self {
            sink: Sink::new(unsealed),
            scratch: Scratch::default(),
            built: Vec::new(),
            index: Vec::new(),
            garbage: Vec::new(),
        }
    }

    /// Adds a value, which may take 1 GiB.
    ///
    /// # Errors
    /// [`Error::Root`] for a name that there is; [`Error::Serialize`], [`Error::TooLarge`],
    /// [`Error::Write`] and [`Error::NotOwner`].
    pub fn value<T: Value>(self, root: RootName<T>, value: &T) -> Result<Self> {
        self.value_as(root, value)
    }

    /// Adds a value of another type that is archived as a `T` is: a `&str` for a `String`, or an
    /// [`AsValue`](crate::value::AsValue) for a [`value::Value`](crate::value::Value).
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn value_as<T: Value>(
        mut self,
        root: RootName<T>,
        value: &impl ArchivedAs<T>,
    ) -> Result<Self> {
        self.begin(root.as_str())?;
        let start = self.sink.offset();
        self.sink.start(VALUE_POSITION, ENTRY_LIMIT, false);
        Freezer::new(&mut self.sink, &mut self.scratch).serialize_whole(value)?;
        let archive = start..self.sink.offset();
        Ok(self.with(root, archive, &[], &[]))
    }

    /// Adds a map, in the order of its keys, as [`Map::freeze`] does. The pairs are owned or
    /// borrowed; larger maps are better streamed by [`map_with`](Self::map_with).
    ///
    /// # Errors
    /// [`Error::Root`] for a name that there is; as
    /// [`MapBuilder::insert`](crate::MapBuilder::insert) and
    /// [`MapBuilder::finish`](crate::MapBuilder::finish).
    pub fn map<K: MapKey + Ord, V: Value>(
        self,
        root: RootName<Map<K, V>>,
        pairs: impl IntoIterator<Item = impl Pair<K, V>>,
    ) -> Result<Self> {
        let pairs = sorted(pairs);
        self.map_with(root, |map| {
            let mut pairs = pairs.iter();
            pairs.try_for_each(|pair| map.insert(pair.key(), pair.value()))
        })
    }

    /// Adds a map that a closure fills, entry by entry. Entries keep the order of insertion.
    ///
    /// ```
    /// use floe::{Error, Frozen, Map, Root, Roots, RootsBuilder};
    ///
    /// #[derive(Roots)]
    /// struct Numbers {
    ///     squares: Root<Map<u32, u64>>,
    /// }
    ///
    /// let numbers: Frozen<Numbers> = RootsBuilder::new("numbers")?
    ///     .map_with(Numbers::SQUARES, |squares| {
    ///         (0..100_u32).try_for_each(|n| squares.insert(&n, &u64::from(n).pow(2)))
    ///     })?
    ///     .finish()?;
    /// assert_eq!(numbers.squares[&12_u32], 144);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the closure; as [`map`](Self::map).
    pub fn map_with<K: MapKey, V: Value, E: From<Error>>(
        mut self,
        root: RootName<Map<K, V>>,
        fill: impl FnOnce(&mut RootMapBuilder<K, V>) -> Result<(), E>,
    ) -> Result<Self, E> {
        self.begin(root.as_str())?;
        let start = self.sink.offset();
        let (cache, lineage) = {
            let label = self.sink.unsealed.label();
            (label.name.clone(), label.lineage)
        };
        let mut map = RootMapBuilder::behind(self.sink, self.scratch);
        fill(&mut map)?;
        let (first, label) = map.place();
        if (first, label.lineage) != (start, lineage) {
            let (root, reason) = (root.as_str().to_owned(), RootError::Exchanged);
            let name = cache;
            return Err(Error::Root { name, root, reason }.into());
        }
        let map = map.finish()?;
        let built = Self {
            sink: map.sink,
            scratch: map.scratch,
            built: self.built,
            index: self.index,
            garbage: self.garbage,
        };
        Ok(built.with(root, map.archive, &map.index, &map.garbage))
    }

    /// Checks that these are the roots that the type declares, seals the region and maps it.
    ///
    /// All roots are checked here, like bytes from elsewhere; maps were checked while they were filled
    /// as well.
    ///
    /// # Errors
    /// [`Error::Root`] if a root is missing, is of another type, or is not declared;
    /// [`Error::Invalid`] if a serialisation wrote what does not read, or a value is nested deeper
    /// than 128 pointers; [`Error::Write`], [`Error::Memfd`] and [`Error::NotOwner`].
    pub fn finish<R: Roots>(self) -> Result<Frozen<R>> {
        self.finish_with(None)
    }

    /// The same with an inputs section.
    pub(crate) fn finish_with<R: Roots>(self, inputs: Option<&[u8]>) -> Result<Frozen<R>> {
        let region = Frozen::<R>::seal(self.complete::<R>(inputs)?, &R::describe())?;
        Ok(Frozen::from_checked(Checked::from_region(region, None)?))
    }

    /// The same in a memfd that others have, who check the roots. It is not mapped here.
    pub(crate) fn seal_for_others<R: Roots>(self, inputs: Option<&[u8]>) -> Result<()> {
        Frozen::<R>::seal_for_others(self.complete::<R>(inputs)?, &R::describe())
    }

    /// All sections but that of the schema.
    fn complete<R: Roots>(mut self, inputs: Option<&[u8]>) -> Result<Unsealed> {
        let table = self.table::<R>()?;
        self.sink.pad(ROOT_ALIGNMENT);
        self.sink.append(&table)?;
        self.sink.flush()?;
        let mut unsealed = self.sink.unsealed.in_pages()?;
        for (kind, bytes) in [
            (SectionKind::Index, &self.index),
            (SectionKind::Garbage, &self.garbage),
        ] {
            if !bytes.is_empty() {
                unsealed.begin(kind)?;
                unsealed.append(bytes)?;
            }
        }
        if let Some(inputs) = inputs {
            unsealed.begin(SectionKind::Inputs)?;
            unsealed.append(inputs)?;
        }
        Ok(unsealed)
    }

    /// The table of where each declared root lies.
    fn table<R: Roots>(&self) -> Result<Vec<u8>> {
        let mut table = Vec::new();
        for (name, declared) in R::NAMES.iter().zip(root_types::<R>()) {
            let built = self.built.iter().find(|built| built.name == *name);
            let built = built.ok_or_else(|| {
                let known = self
                    .built
                    .iter()
                    .map(|built| built.name.to_owned())
                    .collect();
                self.refused(name, RootError::Missing { known })
            })?;
            if built.content != declared.id {
                let (expected, got) = (declared.name, built.type_name);
                return Err(self.refused(name, RootError::Type { expected, got }));
            }
            table.extend(built.row.encode());
        }
        let is_declared = |built: &&Built| R::NAMES.contains(&built.name);
        match self.built.iter().find(|built| !is_declared(built)) {
            None => Ok(table),
            Some(built) => {
                let known = R::NAMES.iter().map(|name| (*name).to_owned()).collect();
                Err(self.refused(built.name, RootError::Undeclared { known }))
            }
        }
    }

    /// Makes room for a root of a new name.
    fn begin(&mut self, name: &str) -> Result<()> {
        if self.built.iter().any(|built| built.name == name) {
            return Err(self.refused(name, RootError::Twice));
        }
        if self.built.len() == MOST_ROOTS {
            return Err(self.refused(name, RootError::TooMany { most: MOST_ROOTS }));
        }
        // The buffer is aligned as archives are, and begins with what was not written yet.
        self.sink.pad(ROOT_ALIGNMENT);
        self.sink.flush()
    }

    fn with<T: Content>(
        mut self,
        root: RootName<T>,
        archive: Range<u64>,
        index: &[u8],
        garbage: &[u8],
    ) -> Self {
        let padded = self.index.len().next_multiple_of(INDEX_ALIGNMENT);
        self.index.resize(padded, 0);
        let append = |section: &mut Vec<u8>, bytes: &[u8]| {
            let start = section.len() as u64;
            section.extend_from_slice(bytes);
            start..section.len() as u64
        };
        self.built.push(Built {
            name: root.as_str(),
            content: TypeId::of::<T>(),
            type_name: std::any::type_name::<T>(),
            row: Row {
                archive,
                index: append(&mut self.index, index),
                garbage: append(&mut self.garbage, garbage),
            },
        });
        self
    }

    fn refused(&self, root: &str, reason: RootError) -> Error {
        Error::Root {
            name: self.sink.unsealed.label().name.clone(),
            root: root.to_owned(),
            reason,
        }
    }
}

impl fmt::Debug for RootsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots: Vec<&str> = self.built.iter().map(|built| built.name).collect();
        f.debug_struct("RootsBuilder")
            .field("name", &self.sink.unsealed.label().name)
            .field("roots", &roots)
            .finish_non_exhaustive()
    }
}
