//! What stands in the region of a delta.

use crate::archive::intern::Intern;
use crate::frozen::Content;
use crate::map::Map;
use crate::overlay::{OverlayKey, OverlayValue};
use crate::roots::{Root, RootName, Roots, Several};
use floe_derive::Schema;

/// The roots of a delta.
pub(super) struct Changes<K: OverlayKey, V: OverlayValue> {
    pub(super) added: Root<Map<K, V>>,
    pub(super) removed: Root<Map<K, ()>>,
    /// The inputs of added entries, where they were recorded.
    pub(super) recorded: Root<Map<K, Recorded>>,
    /// Hashes of keys that were read.
    pub(super) used: Root<Vec<u64>>,
}

/// The inputs of an entry. Those that were built from the same files have them once.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(Schema))]
pub(super) struct Recorded {
    /// As a store encodes them.
    #[rkyv(with = Intern)]
    pub(super) inputs: Vec<u8>,
}

impl ArchivedRecorded {
    pub(super) fn inputs(&self) -> &[u8] {
        &self.inputs
    }
}

impl<K: OverlayKey, V: OverlayValue> Changes<K, V> {
    pub(super) const ADDED: RootName<Map<K, V>> = RootName::new("added");
    pub(super) const REMOVED: RootName<Map<K, ()>> = RootName::new("removed");
    pub(super) const RECORDED: RootName<Map<K, Recorded>> = RootName::new("recorded");
    pub(super) const USED: RootName<Vec<u64>> = RootName::new("used");
}

impl<K: OverlayKey, V: OverlayValue> Content for Changes<K, V> {
    type Archived = Self;
    type Form = Several;
}

impl<K: OverlayKey, V: OverlayValue> Roots for Changes<K, V> {
    const NAMES: &'static [&'static str] = &["added", "removed", "recorded", "used"];
    type List = (
        Root<Map<K, V>>,
        (
            Root<Map<K, ()>>,
            (Root<Map<K, Recorded>>, (Root<Vec<u64>>, ())),
        ),
    );

    fn from_list((added, (removed, (recorded, (used, ())))): Self::List) -> Self {
        Self {
            added,
            removed,
            recorded,
            used,
        }
    }
}
