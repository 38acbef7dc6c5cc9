//! A cache of a store, as its readers and its dependents see it.

use std::fmt;
use std::sync::Arc;

use super::managed::{AnyCache, ManagedCache, value_name};
use crate::error::Result;
use crate::frozen::{Content, Frozen};
use crate::store::inputs::Inputs;

/// A typed handle on a cache of a [`Store`](crate::Store). Clones are handles on the same cache.
pub struct Cache<T: Content> {
    managed: Arc<ManagedCache<T>>,
}

impl<T: Content> Cache<T> {
    pub(super) fn of(managed: Arc<ManagedCache<T>>) -> Self {
        Self { managed }
    }

    /// The newest generation. Takes no lock and builds nothing.
    ///
    /// # Errors
    /// [`Error::NotBuilt`](crate::Error::NotBuilt) if there is none yet,
    /// [`Error::Expired`](crate::Error::Expired) if it may no longer be served.
    pub fn get(&self) -> Result<Frozen<T>> {
        self.managed.get()
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        self.managed.name()
    }
}

impl<T: Content> Clone for Cache<T> {
    fn clone(&self) -> Self {
        let managed = Arc::clone(&self.managed);
        Self { managed }
    }
}

impl<T: Content> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cache").field(&self.name()).finish()
    }
}

impl Inputs {
    /// The newest generation of another cache of the same store. A digest of its content is
    /// recorded: when the content changes, what was built from it is built again. Caches are
    /// refreshed in the order in which they were added, so add the other one first.
    ///
    /// # Errors
    /// As [`Cache::get`].
    pub fn cache<T: Content>(&mut self, cache: &Cache<T>) -> Result<Frozen<T>> {
        let frozen = cache.get()?;
        self.record_value(&value_name(cache.name()), frozen.content_digest());
        Ok(frozen)
    }
}
