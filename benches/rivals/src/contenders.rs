//! The maps that are compared, behind one trait.

mod floe;
mod fst;
mod heap;
mod lmdb;
mod mmap_sync;
mod odht;
mod redb;
mod rkyv;
mod values;

use std::error::Error;

pub use floe::{Floe, freeze, freeze_interned, freeze_on_two_threads};
pub use fst::Fst;
pub use heap::{FoldHash, Heap, SipHash};
pub use lmdb::Lmdb;
pub use mmap_sync::MmapSync;
pub use odht::{Odht, OdhtKey};
pub use redb::Redb;
pub use rkyv::{Rkyv, to_bytes};

use crate::keys::Key;

/// Why a contender could not do something, in its own words.
pub type ContenderError = Box<dyn Error + Send + Sync>;

/// A map in some form, whose keys decide what its values are.
///
/// Each operation is a whole pass, so that nothing but the contender's own code is in its loop.
pub trait Contender<K: Key> {
    /// Bytes of this form of the map, wherever they lie.
    fn bytes(&self) -> u64;

    /// Looks up every query and adds up what it [touches](crate::data::Touch); a query that is
    /// not there adds nothing.
    fn get(&mut self, queries: &[&K::Query]) -> Result<u64, ContenderError>;

    /// The same with many queries at once, where a contender can do that.
    fn get_many(&mut self, _queries: &[&K::Query]) -> Option<Result<u64, ContenderError>> {
        None
    }

    /// Touches every value and adds up.
    fn iterate(&mut self) -> Result<u64, ContenderError>;
}
