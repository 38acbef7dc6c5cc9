//! Frozen maps as collections on the heap again.
#![forbid(unsafe_code)]

use rkyv::{Archive, Deserialize};

use super::{ArchivedMap, Map, MapKey};
use crate::archive::{Thaw, ThawStrategy, Value, thaw};
use crate::error::Result;

impl<K, V, C> Thaw<C> for Map<K, V>
where
    K: MapKey + Archive<Archived: Deserialize<K, ThawStrategy>>,
    V: Value + Archive<Archived: Deserialize<V, ThawStrategy>>,
    C: FromIterator<(K, V)>,
{
    fn thaw(archived: &ArchivedMap<K, V>) -> Result<C> {
        let pair = |(key, value): (&_, &_)| Ok((thaw::<K>(key)?, thaw::<V>(value)?));
        archived.iter().map(pair).collect()
    }
}
