//! The additions of an overlay, sealed.

mod changes;
mod shard;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::own::OwnChanges;
use super::{OverlayKey, OverlayValue};
use crate::archive::thaw;
use crate::error::{DeltaError, Error, Result};
use crate::frozen::Content;
use crate::frozen::Frozen;
use crate::map::{ArchivedMap, Key, Map, entries_are_independent};
use crate::region::{Backing, Label, Region, Unsealed};
use crate::roots::RootsBuilder;

use changes::{Changes, Recorded};
pub use shard::DeltaShard;

/// The additions and removals of an [`Overlay`](super::Overlay), sealed in a region of their own, on
/// their way to the owner of the cache.
///
/// It has the name and the lineage of the cache, and the number of the generation that the overlay
/// lay over. It travels as a region does: by its descriptors, or as a file. Whoever opens it, and did
/// not make it, checks every byte.
///
/// ```
/// use floe::{Delta, Map, Overlay};
///
/// let versions = Map::freeze("versions", [("zlib".to_owned(), 1_u32)])?;
/// let mut overlay = Overlay::over(&versions);
/// overlay.insert(&"gcc".to_owned(), &15)?;
/// overlay.remove(&"zlib".to_owned())?;
/// let delta = overlay.into_delta()?;
///
/// let opened = Delta::<String, u32>::from_fds(delta.region().try_clone_fds()?)?;
/// assert_eq!(opened.added()["gcc"], 15);
/// assert!(opened.removed().any(|key| key == "zlib"));
/// assert_eq!((opened.name(), opened.generation(), opened.len()), ("versions", 1, 2));
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Delta<K: OverlayKey, V: OverlayValue> {
    frozen: Frozen<Changes<K, V>>,
}

impl<K: OverlayKey, V: OverlayValue> Delta<K, V> {
    /// Seals changes, in a memfd of their own.
    pub(super) fn seal(label: Label, own: &OwnChanges<'_, K, V>) -> Result<Self> {
        let unsealed = Unsealed::create(label, Backing::Memfd)?;
        let frozen = Self::roots_in(unsealed, own)?.finish()?;
        Ok(Self { frozen })
    }

    /// The same in a memfd that is there already, for another process, which opens it with every
    /// check.
    fn seal_in(unsealed: Unsealed, own: &OwnChanges<'_, K, V>) -> Result<()> {
        let roots = Self::roots_in(unsealed, own)?;
        roots.seal_for_others::<Changes<K, V>>()
    }

    fn roots_in(unsealed: Unsealed, own: &OwnChanges<'_, K, V>) -> Result<RootsBuilder> {
        let independent = entries_are_independent(&Map::<K, V>::describe());
        let independent_keys = entries_are_independent(&Map::<K, ()>::describe());
        // A memfd that was made before a fork is the one that has to be filled.
        let roots = RootsBuilder::expecting(own.most_bytes(), unsealed)?
            .map_with(Changes::<K, V>::ADDED, |map| {
                own.added
                    .iter()
                    .try_for_each(|(entry, _)| match independent {
                        true => map.copy(*entry),
                        false => map.insert(&thaw::<K>(entry.key())?, &thaw::<V>(entry.value())?),
                    })
            })?
            .map_with(Changes::<K, V>::REMOVED, |map| {
                own.removed
                    .iter()
                    .try_for_each(|entry| match independent_keys {
                        true => map.copy(*entry),
                        false => map.insert(&thaw::<K>(entry.key())?, &()),
                    })
            })?
            .map_with(Changes::<K, V>::RECORDED, |map| {
                let recorded = own.added.iter();
                let mut recorded =
                    recorded.filter_map(|(entry, inputs)| Some((entry, *inputs.as_ref()?)));
                recorded.try_for_each(|(entry, inputs)| {
                    let recorded = Recorded {
                        inputs: inputs.to_vec(),
                    };
                    map.insert(&thaw::<K>(entry.key())?, &recorded)
                })
            })?;
        roots.value(Changes::<K, V>::USED, &own.used)
    }

    /// Opens the memfds of a delta that somebody else made, as
    /// [`Frozen::from_fds`](crate::Frozen::from_fds) does.
    ///
    /// # Errors
    /// As [`Frozen::from_fd`](crate::Frozen::from_fd); [`Error::Root`] for a delta of other types;
    /// [`DeltaError::Contradiction`].
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self> {
        Self::opened(Frozen::from_fds(fds)?)
    }

    /// Loads a delta that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// As [`Frozen::load`](crate::Frozen::load), and [`from_fds`](Self::from_fds).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::opened(Frozen::load(path)?)
    }

    /// What is left to check of a delta from elsewhere.
    fn opened(frozen: Frozen<Changes<K, V>>) -> Result<Self> {
        let added = |key: &&K::Archived| frozen.added.find_entry(key.key_hash(), *key).is_some();
        let twice = frozen.removed.keys().find(added);
        let twice = twice.map(|key| DeltaError::Contradiction {
            key: format!("{key:?}"),
        });
        match twice {
            Some(reason) => Err(Error::Delta {
                name: frozen.region().name().to_owned(),
                reason,
            }),
            None => Ok(Self { frozen }),
        }
    }

    /// Writes the delta to a file, as [`Region::save`] does.
    ///
    /// # Errors
    /// As [`Region::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.region().save(path)
    }

    /// Descriptors of the memfds, closed on exec, for [`from_fds`](Self::from_fds) in another process.
    ///
    /// # Errors
    /// As [`Region::try_clone_fds`].
    pub fn try_clone_fds(&self) -> Result<Vec<OwnedFd>> {
        self.region().try_clone_fds()
    }

    /// The entries that it adds.
    #[must_use]
    pub fn added(&self) -> &ArchivedMap<K, V> {
        &self.frozen.added
    }

    /// The keys that it removes.
    pub fn removed(&self) -> impl Iterator<Item = &K::Archived> {
        self.frozen.removed.keys()
    }

    /// The recorded inputs of an entry, encoded.
    pub(crate) fn recorded(&self, hash: u64, key: &K::Archived) -> Option<&[u8]> {
        let entry = self.frozen.recorded.find_entry(hash, key)?;
        Some(entry.value().inputs())
    }

    /// The recorded inputs of all entries that have some.
    pub(crate) fn all_recorded(&self) -> impl Iterator<Item = (&K::Archived, &[u8])> {
        let recorded = self.frozen.recorded.iter();
        recorded.map(|(key, recorded)| (key, recorded.inputs()))
    }

    /// Hashes of the keys that were read, where reads are noted.
    pub(crate) fn used(&self) -> impl Iterator<Item = u64> {
        self.frozen.used.iter().map(|hash| hash.to_native())
    }

    /// How many keys it adds or removes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frozen.added.len() + self.frozen.removed.len()
    }

    /// Whether it adds and removes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cache that it belongs to.
    #[must_use]
    pub fn name(&self) -> &str {
        self.region().name()
    }

    /// The generation that the overlay lay over when it was sealed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.region().generation()
    }

    /// Whether it was made over a generation of the same lineage as a region: one that was published
    /// by the same owner, or by one that went on from what that had saved.
    #[must_use]
    pub fn is_of_lineage(&self, region: &Region) -> bool {
        self.region().header().lineage == region.header().lineage
    }

    /// The region that it lies in.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.frozen.region()
    }
}

impl<K: OverlayKey, V: OverlayValue> Clone for Delta<K, V> {
    fn clone(&self) -> Self {
        Self {
            frozen: self.frozen.clone(),
        }
    }
}

impl<K: OverlayKey, V: OverlayValue> fmt::Debug for Delta<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("added", &self.frozen.added.len())
            .field("removed", &self.frozen.removed.len())
            .finish_non_exhaustive()
    }
}
