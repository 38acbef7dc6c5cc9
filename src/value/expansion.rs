//! How large a frozen value may become outside of its region.
//!
//! What a region has once may be used at very many places: 128 lists, each of which has the one below
//! twice, stand in 1.5 KiB and are 2^128 values. To read them where they lie costs nothing; whatever
//! writes out each use has a limit.
#![forbid(unsafe_code)]

use super::archived::{ArchivedList, View};
use super::format::INTEGER;
use super::raw::ArchivedValue;
use crate::error::Error;

/// What a value may come to for each byte of the region between the first and the last that it takes:
/// honest data come to less than a tenth of it.
const FACTOR: u64 = 64;
/// And beyond that, in bytes of the heap, or in values and bytes of text.
const HEAP: u64 = 1 << 30;
const WRITTEN: u64 = 1 << 28;

/// What a frozen value may come to when its shared parts are written out at each use.
///
/// For whoever makes copies or texts of frozen values by hand, and asks before. It takes no heap, and
/// at most as many steps as the limit allows values.
///
/// ```
/// use floe::Frozen;
/// use floe::value::{Expansion, Value};
///
/// let dict = Value::dict([("a", 1)]);
/// let frozen = Frozen::freeze("two", &Value::list([dict.clone(), dict]))?;
/// assert!(Expansion::written().check(&frozen.view()).is_ok());
/// // The list has two values, and each time that it is used, the dict a key, a value and a letter.
/// assert!(Expansion::up_to(8, 1).check(&frozen.view()).is_ok());
/// assert!(Expansion::up_to(7, 1).check(&frozen.view()).is_err());
/// assert_eq!(Expansion::on_heap(1).most_of(1 << 20), (1 << 30) + (64 << 20));
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Expansion {
    /// What one value counts.
    each: u64,
    texts_count: bool,
    spent: u64,
    /// Without what the factor allows.
    most: u64,
    factor: u64,
    /// The addresses between which everything lies that was met.
    lowest: usize,
    highest: usize,
}

/// A frozen value has become larger outside of its region than honest data do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a self-describing value comes to more than {most} {unit} when its shared parts are written out \
     at each use; read it where it lies, or copy it with a limit of your own by `to_value_up_to`"
)]
#[non_exhaustive]
pub struct TooLarge {
    /// What was allowed.
    pub most: u64,
    unit: &'static str,
}

impl Expansion {
    /// The limit of what is written: 2^28 values and bytes of text, and 64 for each byte of the region
    /// that the value takes.
    #[must_use]
    pub const fn written() -> Self {
        Self::new(1, WRITTEN, FACTOR)
    }

    /// The limit of what is built on the heap by who has so many bytes for each value: 1 GiB, and 64
    /// bytes for each byte of the region that the value takes.
    #[must_use]
    pub const fn on_heap(each: usize) -> Self {
        Self::new(each as u64, HEAP, FACTOR)
    }

    /// As [`on_heap`](Self::on_heap), with a limit of one's own.
    #[must_use]
    pub const fn up_to(most: u64, each: usize) -> Self {
        Self::new(each as u64, most, 0)
    }

    const fn new(each: u64, most: u64, factor: u64) -> Self {
        Self {
            each,
            texts_count: true,
            spent: 0,
            most,
            factor,
            lowest: usize::MAX,
            highest: 0,
        }
    }

    /// Counts texts and byte strings as values only: for copies that share them.
    #[must_use]
    pub const fn with_shared_texts(mut self) -> Self {
        self.texts_count = false;
        self
    }

    /// The limit of a value that takes so many bytes of its region, for who counts as they go.
    #[must_use]
    pub const fn most_of(&self, bytes: u64) -> u64 {
        self.most.saturating_add(bytes.saturating_mul(self.factor))
    }

    /// Counts all that a value comes to.
    ///
    /// # Errors
    /// More than the limit.
    pub fn check(mut self, value: &View<'_>) -> Result<(), TooLarge> {
        self.walk(value)
    }

    fn walk(&mut self, value: &View<'_>) -> Result<(), TooLarge> {
        let (parts, bytes) = match value {
            View::None | View::Bool(_) | View::Int(_) | View::Float(_) => return Ok(()),
            View::Text(text) => (0, self.met(text.as_bytes())),
            // Digits take three characters for ten bits.
            View::BigInt(bytes) => (0, 3 * self.met(bytes)),
            View::TextWithSurrogates(bytes) | View::Bytes(bytes) => (0, self.met(bytes)),
            View::List(ArchivedList::Values(items)) | View::Tuple(items) => (self.met(items), 0),
            View::List(ArchivedList::Ints(items)) => (self.met(items), 0),
            View::List(ArchivedList::Floats(items)) => (self.met(items), 0),
            View::Dict(dict) => (self.met(dict.keys()) + self.met(dict.values()), 0),
            View::Set(set) => (self.met(set.items()), 0),
        };
        let bytes = if self.texts_count { bytes } else { 0 };
        let spent = parts.saturating_mul(self.each).saturating_add(bytes);
        self.spent = self.spent.saturating_add(spent);
        if self.spent > self.most {
            self.limit()?;
        }
        match value {
            View::List(ArchivedList::Values(items)) | View::Tuple(items) => self.walk_all(items),
            View::Dict(dict) => {
                self.walk_all(dict.keys())?;
                self.walk_all(dict.values())
            }
            View::Set(set) => self.walk_all(set.items()),
            _ => Ok(()),
        }
    }

    fn walk_all(&mut self, items: &[ArchivedValue]) -> Result<(), TooLarge> {
        let lead_on = |item: &&ArchivedValue| item.tag() > INTEGER;
        let mut items = items.iter().filter(lead_on);
        items.try_for_each(|item| self.walk(&item.view()))
    }

    /// The number of items of a run in the region.
    fn met<T>(&mut self, items: &[T]) -> u64 {
        let run = items.as_ptr_range();
        if !items.is_empty() {
            self.lowest = self.lowest.min(run.start.addr());
            self.highest = self.highest.max(run.end.addr());
        }
        items.len() as u64
    }

    #[cold]
    fn limit(&self) -> Result<(), TooLarge> {
        let met = self.highest.saturating_sub(self.lowest) as u64;
        let most = self.most_of(met);
        match self.spent > most {
            true => Err(TooLarge {
                most,
                unit: match self.each {
                    1 => "values and bytes of text",
                    _ => "bytes",
                },
            }),
            false => Ok(()),
        }
    }
}

impl From<TooLarge> for Error {
    fn from(refused: TooLarge) -> Self {
        Self::Thaw {
            type_name: std::any::type_name::<super::Value>(),
            reason: refused.to_string(),
        }
    }
}
