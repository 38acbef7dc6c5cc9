//! Values in rkyv's zero-copy form: written by [`Freezer`], checked by [`Validator`].

pub(crate) mod checked;
mod collections;
pub(crate) mod content;
pub(crate) mod findings;
mod freezer;
pub mod intern;
mod layout;
pub(crate) mod parts;
pub(crate) mod roots;
mod sink;
mod sorted;
mod thaw;
pub(crate) mod trust;
mod validator;
mod visited;
pub(crate) mod vouching;

use rkyv::bytecheck::CheckBytes;
use rkyv::primitive::FixedIsize;
use rkyv::rancor::{BoxedError, Strategy};
use rkyv::{Archive, Serialize};

use crate::schema::Schema;

pub(crate) use collections::{Collections, Seen};
pub(crate) use freezer::Output;
pub use freezer::{Freezer, Interning};
pub(crate) use layout::{GROUP, NodeLayout, WORD, Word, is_nan};
pub(crate) use sink::{Readable, Scratch, Sink};
pub use sorted::Sorted;
pub use thaw::{Thaw, ThawStrategy, thaw};
pub use validator::Validator;
pub(crate) use validator::{DEPTH_LIMIT, PointerError};

/// Most that one whole value may take: relative pointers have 32 bits. Entries of a map, and
/// interned values that they share, count on them.
pub(crate) const VALUE_LIMIT: u64 = {
    assert!(
        FixedIsize::BITS >= 32,
        "floe needs relative pointers of 32 bits: build it without rkyv's feature `pointer_width_16`"
    );
    (1 << 31) - 4096
};

/// The serialiser that values are frozen with.
pub type FreezeStrategy<'a> = Strategy<Freezer<'a>, BoxedError>;
/// The context that values from elsewhere are checked in.
pub type CheckStrategy = Strategy<Validator, BoxedError>;

/// A type that can be frozen: everything that derives `rkyv::Archive`, `rkyv::Serialize` and
/// [`Schema`](macro@crate::Schema).
///
/// Implemented for every such type; there is nothing to implement by hand.
///
/// rkyv archives `usize` and `isize` in 32 bits and cuts off the rest: use `u64` and `i64` where
/// values may be larger.
///
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(floe::Schema))]
/// struct Recipe {
///     name: String,
///     depends: Vec<String>,
/// }
///
/// fn is_value<T: floe::Value>() {}
/// is_value::<Recipe>();
/// is_value::<Vec<(String, Option<u64>)>>();
/// ```
pub trait Value:
    Archive<Archived: Schema + Send + Sync + CheckBytes<CheckStrategy>>
    + for<'a> Serialize<FreezeStrategy<'a>>
    + 'static
{
}

impl<T> Value for T where
    T: Archive<Archived: Schema + Send + Sync + CheckBytes<CheckStrategy>>
        + for<'a> Serialize<FreezeStrategy<'a>>
        + 'static
{
}

/// What is archived as a `T` is, and can be frozen in its place: `T` itself, and whatever has its
/// archived type.
///
/// Implemented for every such type; there is nothing to implement by hand.
pub trait ArchivedAs<T: Archive>:
    Archive<Archived = T::Archived> + for<'a> Serialize<FreezeStrategy<'a>>
{
}

impl<S, T: Archive> ArchivedAs<T> for S where
    S: Archive<Archived = T::Archived> + for<'a> Serialize<FreezeStrategy<'a>> + ?Sized
{
}
