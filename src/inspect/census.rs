//! A census of a region: how many values of each kind and field it holds, and how many bytes they
//! take.
//!
//! One walk attributes every byte of the archive section to one value. The *own* bytes of a value
//! are its size without the parts that are values themselves, plus what belongs to it alone: the
//! text of a string, the nodes of a tree, the slots of a hash table. Shared and interned values
//! count where they were written: at the first use, in the entry that contains them. Bytes of no
//! value have rows of their own: padding, the headers of entries, free slots, and garbage with the values
//! interned there. So the rows add up to the whole section.
//!
//! ```
//! use floe::{Map, Schema};
//! use floe::census::{Census, Options};
//! use floe::dynamic::Described;
//!
//! #[derive(rkyv::Archive, rkyv::Serialize)]
//! #[rkyv(derive(Schema))]
//! struct Recipe {
//!     depends: Vec<String>,
//!     priority: u32,
//! }
//!
//! let recipe = |number: u32| Recipe {
//!     depends: vec!["virtual/libc".into(); number as usize],
//!     priority: number,
//! };
//! let recipes = (1..=3).map(|number| (format!("recipe {number}"), recipe(number)));
//! let frozen = Map::<String, Recipe>::freeze("recipes", recipes)?;
//!
//! let census = Census::of(&Described::of(&frozen)?, &Options::default())?;
//! let row = census.by_path.row("Recipe.depends[]").unwrap();
//! // Six strings of 8 bytes and 12 bytes of text each, all of it the same.
//! assert_eq!((row.count, row.bytes, row.saving()), (6, 6 * (8 + 12), 5 * 12));
//! println!("{}", census.by_kind);
//! # Ok::<(), floe::Error>(())
//! ```

mod count;
mod paths;
mod self_describing;
mod table;
mod texts;
mod walk;

use std::fmt;
use std::num::NonZero;

use serde::Serialize;

use crate::error::Result;
use crate::inspect::dynamic::Described;
use crate::inspect::pages::Pages;
use crate::sys::threads;

pub use table::{Row, Table, Text};

/// The values of a region, counted by kind and by field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Census {
    /// The name of the cache.
    pub name: String,
    /// Bytes of the archive section; the rows of each table add up to it.
    pub bytes: u64,
    /// Entries that are not garbage, if the region holds a [`Map`](crate::Map).
    pub entries: Option<u64>,
    /// Which pages of the whole image, section by section, come from earlier generations.
    pub pages: Pages,
    /// A row for each type: `String`, `Vec<String>`.
    pub by_kind: Table,
    /// A row for each field: `Recipe.depends`, `Recipe.depends[]`. Options, boxes, and shared and
    /// interned pointers count in the row of what they hold; recursive types in the row of the
    /// outermost value.
    pub by_path: Table,
}

/// Options of a census. Start from `Options::default()`.
#[derive(Clone, Copy)]
#[must_use]
pub struct Options<'a> {
    threads: NonZero<usize>,
    progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

impl<'a> Options<'a> {
    /// How many threads walk the entries of a [`Map`](crate::Map); by default as many as the
    /// process can run at once. One thread walks any other value. All are joined before
    /// [`Census::of`] returns.
    pub fn threads(self, threads: NonZero<usize>) -> Self {
        Self { threads, ..self }
    }

    /// Calls `tell` from time to time, from one thread at a time, with the bytes walked and the
    /// bytes in total.
    pub fn progress(self, tell: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        Self {
            progress: Some(tell),
            ..self
        }
    }
}

impl Census {
    /// Walks all values of a region.
    ///
    /// Each thread walks hundreds of megabytes a second in memory; so [`load`](Described::load) a
    /// file first, rather than [`open`](Described::open) it. Memory grows with the number of
    /// fields, not of values; at most 2^16 different texts of a field are remembered.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the archive does not hold what the schema
    /// says, or values overlap.
    pub fn of(described: &Described, options: &Options) -> Result<Self> {
        let archive = described.archive();
        count::count(described, options).map_err(|fault| archive.error(*fault))
    }
}

impl Default for Options<'_> {
    /// As many threads as the process may use at once, and no progress.
    fn default() -> Self {
        Self {
            threads: threads::processors(),
            progress: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
