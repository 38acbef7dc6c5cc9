//! Deltas of forked processes.

use std::io;
use std::os::fd::OwnedFd;

use super::Delta;
use crate::error::{Error, Result};
use crate::overlay::{Overlay, OverlayKey, OverlayValue};
use crate::region::{Label, Unsealed};
use crate::sys::memfd::UnclaimedFile;

/// A memfd into which one forked worker seals its delta.
///
/// The owner makes the shards before the fork, one for each worker, and opens them once the workers
/// have ended. So a delta comes back beside the results of a [`prefork`](crate::prefork) pool, as
/// memory.
///
/// ```
/// use floe::overlay::{DeltaShard, Overlay};
/// use floe::{Map, prefork};
///
/// let lengths = Map::freeze("lengths", [("acl".to_owned(), 3_u64)])?;
/// let shards = [DeltaShard::new("lengths")?, DeltaShard::new("lengths")?];
/// prefork::spawn_try(2, |worker| {
///     let mut overlay = Overlay::over(&lengths);
///     let name = ["bash", "diffutils"][worker.index()];
///     overlay.insert(&name.to_owned(), &(name.len() as u64))?;
///     shards[worker.index()].seal(overlay)
/// })?
/// .join()?;
///
/// let deltas = shards.map(|shard| shard.open::<String, u64>());
/// assert_eq!(deltas[1].as_ref().unwrap().added()["diffutils"], 9);
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct DeltaShard {
    file: UnclaimedFile,
    name: String,
}

impl DeltaShard {
    /// An empty shard for a delta of a cache.
    ///
    /// # Errors
    /// [`Error::Name`] and [`Error::Memfd`].
    pub fn new(name: &str) -> Result<Self> {
        let file = Unsealed::unclaimed(&Label::first(name)?)?;
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// Seals the changes of an overlay in this shard, in whatever process it is called; once over all
    /// of them.
    ///
    /// # Errors
    /// [`Error::ShardTaken`] if another process, or an earlier call, has filled it; as
    /// [`Overlay::into_delta`].
    pub fn seal<K: OverlayKey, V: OverlayValue>(&self, overlay: Overlay<K, V>) -> Result<()> {
        let failed = |reason: io::Error| Error::Memfd {
            name: self.name.clone(),
            step: "lock",
            reason,
        };
        let taken = || Error::ShardTaken {
            name: self.name.clone(),
        };
        let file = self.file.claim().map_err(failed)?.ok_or_else(taken)?;
        let unsealed = Unsealed::adopt(overlay.label(), file)?;
        Delta::seal_in(unsealed, overlay.keyed_by(), &overlay.own_changes())
    }

    /// The delta that a worker has sealed here, every byte checked.
    ///
    /// # Errors
    /// As [`Delta::from_fds`]; [`Error::Unsealed`] if no worker has sealed one.
    pub fn open<K: OverlayKey, V: OverlayValue>(self) -> Result<Delta<K, V>> {
        Delta::from_fds(vec![OwnedFd::from(self.file)])
    }
}
