//! Maps built in forked processes.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use super::{Map, MapBuilder, MapKey};
use crate::archive::Value;
use crate::error::{Error, Result};
use crate::frozen::Frozen;
use crate::region::{Label, Unsealed};
use crate::sys::memfd::UnclaimedFile;

/// A memfd in which one forked parser builds a map.
///
/// The owner makes the shards before the fork. Each child builds in one of them; the owner then
/// opens the shards, which checks every byte, and appends them to a builder of its own. So the
/// children's work reaches the owner as memory, and nothing is serialised twice.
///
/// ```
/// use floe::map::{MapBuilder, MapShard};
/// use floe::prefork;
///
/// let names = ["acl", "bash", "curl", "diffutils"];
/// let shards = [MapShard::new("lengths")?, MapShard::new("lengths")?];
/// let pool = prefork::spawn(2, |worker| -> Result<(), String> {
///     let fill = || -> floe::Result<()> {
///         let mut builder = shards[worker.index()].builder::<String, u64>()?;
///         for name in &names[worker.index() * 2..][..2] {
///             builder.insert(&name.to_string(), &(name.len() as u64))?;
///         }
///         builder.finish().map(drop)
///     };
///     fill().map_err(|error| error.to_string())
/// })?;
/// for filled in pool.join()? {
///     filled.expect("the parser built its shard");
/// }
///
/// let mut builder = MapBuilder::new("lengths")?;
/// for shard in shards {
///     builder.append(&shard.open::<String, u64>()?)?;
/// }
/// let lengths = builder.finish()?;
/// assert_eq!(lengths.len(), 4);
/// assert_eq!(lengths["diffutils"], 9);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct MapShard {
    file: UnclaimedFile,
    label: Label,
}

impl MapShard {
    /// An empty shard of a cache.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Memfd`].
    pub fn new(name: &str) -> Result<Self> {
        let label = Label::first(name)?;
        let file = Unsealed::unclaimed(&label)?;
        Ok(Self { file, label })
    }

    /// The builder that fills this shard, in whatever process it is called; once over all of them.
    ///
    /// # Errors
    /// [`Error::ShardTaken`] if another builder was made from this shard, in any process;
    /// [`Error::Memfd`], [`Error::Write`].
    pub fn builder<K: MapKey, V: Value>(&self) -> Result<MapBuilder<K, V>> {
        let failed = |source: io::Error| Error::Memfd {
            name: self.label.name.clone(),
            step: "lock",
            reason: source,
        };
        let taken = || Error::ShardTaken {
            name: self.label.name.clone(),
        };
        let file = self.file.claim().map_err(failed)?.ok_or_else(taken)?;
        Ok(MapBuilder::from_unsealed(Unsealed::adopt(
            self.label.clone(),
            file,
        )?))
    }

    /// The map that a child built here, every byte checked.
    ///
    /// # Errors
    /// As [`Frozen::from_fd`]; [`Error::Unsealed`] if no child finished its builder.
    pub fn open<K: MapKey, V: Value>(self) -> Result<Frozen<Map<K, V>>> {
        Frozen::from_fd(OwnedFd::from(self.file))
    }
}
