//! Archived values as their own types again.
#![forbid(unsafe_code)]

use rkyv::de::Pool;
use rkyv::rancor::{BoxedError, Strategy};
use rkyv::{Archive, Deserialize};

use super::Value;
use super::content::Content;
use crate::error::{Error, Result};

/// The deserialiser that values are thawed with.
pub type ThawStrategy = Strategy<Pool, BoxedError>;

/// Makes an owned value of an archived one: of a field, of an element, of an entry of a map.
/// [`Frozen::thaw`](crate::Frozen::thaw) does it for the whole of what is frozen.
///
/// The type derives `rkyv::Deserialize`.
///
/// ```
/// use floe::Map;
///
/// let depends = Map::freeze("depends", [("curl".to_owned(), vec!["zlib".to_owned()])])?;
/// let mut curl: Vec<String> = floe::thaw(&depends["curl"])?;
/// curl.push("openssl".to_owned());
/// # Ok::<(), floe::Error>(())
/// ```
///
/// Costs the time and the heap of building the value anew. What is [interned](crate::Intern) is
/// written once in a region, but built as often as it is pointed to: a region from somebody who is
/// not trusted can be far larger thawed than frozen, and is better read in place. One self-describing
/// [`Value`](crate::value::Value) has a limit.
///
/// # Errors
/// [`Error::Thaw`] if the deserialisation of the type, or of a wrapper in it, refuses the value.
/// Those that rkyv brings and derives refuse none; a self-describing value is refused as
/// [`to_value`](crate::value::ArchivedValue::to_value) says.
pub fn thaw<T>(archived: &T::Archived) -> Result<T>
where
    T: Archive<Archived: Deserialize<T, ThawStrategy>>,
{
    let thawed = rkyv::api::deserialize_using::<T, Pool, BoxedError>(archived, &mut Pool::new());
    thawed.map_err(|error| Error::Thaw {
        type_name: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}

/// What a frozen `Self` can be thawed into: a [`Value`] into itself, a [`Map`](crate::Map) into
/// every collection of pairs.
///
/// Implemented for all of them; there is nothing to implement by hand.
pub trait Thaw<O>: Content {
    /// Makes an owned value; see [`Frozen::thaw`](crate::Frozen::thaw).
    ///
    /// # Errors
    /// As [`thaw()`].
    fn thaw(archived: &Self::Archived) -> Result<O>;
}

impl<T> Thaw<T> for T
where
    T: Value + Archive<Archived: Deserialize<T, ThawStrategy>>,
{
    fn thaw(archived: &<T as Archive>::Archived) -> Result<T> {
        thaw(archived)
    }
}
