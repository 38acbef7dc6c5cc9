//! The additions of an overlay, sealed.

mod changes;
mod shard;

use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::merge::Contested;
use super::own::OwnChanges;
use super::{OverlayKey, OverlayValue};
use crate::archive::{Value, thaw};
use crate::error::{DeltaError, Error, Result, shown};
use crate::frozen::Content;
use crate::frozen::Frozen;
use crate::map::{ArchivedMap, EntryRef, Key, Map, entries_are_independent, expanded};
use crate::region::format::inputs_head::without_inputs;
use crate::region::{Backing, Label, Region, Unsealed};
use crate::roots::RootsBuilder;

use changes::{Changes, Recorded};
pub use shard::DeltaShard;

/// The additions and removals of an [`Overlay`](super::Overlay), sealed in a region of their own, on
/// their way to the owner of the cache.
///
/// It has the name and the lineage of the cache, the number of the generation that the overlay lay
/// over, and what value of [`Policy::keyed_by`](crate::Policy::keyed_by) that was built under. It
/// travels as a region does: by its descriptors, as a file, or in a stream. Whoever opens it, and did
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
    /// What the entries come to where each use of what they share is written out, if somebody else has
    /// made it.
    expanded: u64,
}

/// What a delta from elsewhere may come to: 64 bytes for each of its region, and 1 GiB.
const EXPANSION: u64 = 64;
const EXPANDED: u64 = 1 << 30;

impl<K: OverlayKey, V: OverlayValue> Delta<K, V> {
    /// Seals changes, in a memfd of their own.
    ///
    /// `keyed_by` is that of the map that they are changes of.
    pub(super) fn seal(
        label: Label,
        keyed_by: Option<u128>,
        own: &OwnChanges<'_, K, V>,
    ) -> Result<Self> {
        let unsealed = Unsealed::create(label, Backing::Memfd)?;
        let inputs = keyed_by.map(without_inputs);
        let roots = Self::roots_in(unsealed, own)?;
        let frozen = roots.finish_with(inputs.as_deref())?;
        Ok(Self {
            frozen,
            expanded: 0,
        })
    }

    /// The same in a memfd that is there already, for another process, which opens it with every
    /// check.
    fn seal_in(
        unsealed: Unsealed,
        keyed_by: Option<u128>,
        own: &OwnChanges<'_, K, V>,
    ) -> Result<()> {
        let roots = Self::roots_in(unsealed, own)?;
        let inputs = keyed_by.map(without_inputs);
        roots.seal_for_others::<Changes<K, V>>(inputs.as_deref())
    }

    /// Entries of a map, with their inputs if they have any, as an overlay would add them.
    pub(crate) fn of_entries<'a>(
        region: &Region,
        entries: impl Iterator<Item = (EntryRef<'a, K, V>, Option<&'a [u8]>)>,
    ) -> Result<Self>
    where
        K: 'a,
        V: 'a,
    {
        let changes = OwnChanges {
            added: entries.collect(),
            removed: Vec::new(),
            used: Vec::new(),
        };
        let label = Label::after(region, region.generation());
        Self::seal(label, region.keyed_by(), &changes)
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
    /// [`DeltaError::Contradiction`], [`DeltaError::Twice`] and [`DeltaError::Expands`].
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

    /// Reads a delta from a stream, where [`Region::write_to`] has written it, as
    /// [`Frozen::from_reader`](crate::Frozen::from_reader) does.
    ///
    /// # Errors
    /// As [`Frozen::from_reader`](crate::Frozen::from_reader), and [`from_fds`](Self::from_fds).
    pub fn from_reader(reader: impl Read) -> Result<Self> {
        Self::opened(Frozen::from_reader(reader)?)
    }

    /// What is left to check of a delta from elsewhere.
    fn opened(frozen: Frozen<Changes<K, V>>) -> Result<Self> {
        let added = |key: &&K::Archived| frozen.added.find_entry(key.key_hash(), *key).is_some();
        let contradiction = frozen.removed.keys().find(added);
        let contradiction = contradiction.map(|key| DeltaError::Contradiction { key: shown(key) });
        // The check of a map leaves that to whoever minds.
        let twice = || key_twice(&frozen.added).or_else(|| key_twice(&frozen.removed));
        let twice = || twice().map(|key| DeltaError::Twice { key: shown(key) });
        let expanded = expanded(&*frozen.added);
        let most = frozen.region().size().saturating_mul(EXPANSION);
        let most = most.saturating_add(EXPANDED);
        let expands = (expanded > most).then_some(DeltaError::Expands {
            most,
            got: expanded,
        });
        match expands.or(contradiction).or_else(twice) {
            Some(reason) => Err(Error::Delta {
                name: frozen.region().name().to_owned(),
                reason,
            }),
            None => Ok(Self { frozen, expanded }),
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

    /// What its entries come to where each use of what they share is written out, in bytes of archives;
    /// 0 for those that share nothing.
    pub(crate) fn expanded(&self) -> u64 {
        self.expanded
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

/// A key under which a map from elsewhere has two entries.
fn key_twice<K: OverlayKey, V: Value>(map: &ArchivedMap<K, V>) -> Option<&K::Archived> {
    let mut hashes = Contested::among(map.len());
    hashes.note_all(map.keys().map(Key::key_hash));
    let is_other = |entry: &EntryRef<'_, K, V>| {
        let hash = entry.key().key_hash();
        let found = || map.find_entry(hash, entry.key());
        hashes.may_have(hash) && found().is_none_or(|found| found != *entry)
    };
    map.entries().find(is_other).map(|entry| entry.key())
}

impl<K: OverlayKey, V: OverlayValue> Clone for Delta<K, V> {
    fn clone(&self) -> Self {
        Self {
            frozen: self.frozen.clone(),
            expanded: self.expanded,
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
