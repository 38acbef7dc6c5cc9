//! Caches frozen into shared, kernel-sealed memory: forked, exec'd and unrelated workers read them
//! in place through typed handles, and copy nothing.
//!
//! ```
//! use floe::{Map, prefork};
//!
//! // Build once, in the owner.
//! let versions = [("busybox", "1.37.0"), ("zlib", "1.3.1")];
//! let versions = Map::freeze("versions", versions.map(|(k, v)| (k.to_owned(), v.to_owned())))?;
//!
//! // Read from as many workers as you like.
//! let lengths = prefork::spawn(4, |_| versions["zlib"].len())?.join()?;
//! assert_eq!(lengths, [5, 5, 5, 5]);
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! # Words
//! | word | meaning |
//! |---|---|
//! | *archive* | the bytes of a value in rkyv's zero-copy form |
//! | *region* | one immutable span of memory: header, archive, index, inputs, schema |
//! | *root* | one of several named values of a region, each with its own type |
//! | *freeze* | serialise a value into a new region and seal it |
//! | *generation* | one frozen version of a cache, numbered from 1; never modified |
//! | *inputs* | what a build read: files, absent files, listings, environment, named values; with stamps |
//! | *owner*, *worker* | the process that builds and publishes, a process that reads |
//! | *channel* | how a new generation reaches workers that run: control page and mailbox |
//!
//! # Where to start
//! - [`Map`] and [`MapBuilder`]: a keyed cache, built entry by entry.
//! - [`mod@roots`]: several maps and values in one region, which share what they intern.
//! - [`Frozen`]: the handle on a map or on any other value; [`Frozen::freeze`] makes one.
//! - [`thaw()`] and [`Frozen::thaw`]: what was frozen as its own type again, to be changed.
//! - [`Schema`], [`Key`]: what types derive to be frozen, and to be keys.
//! - [`Intern`]: equal values written once. [`Sorted`]: hash maps in a canonical order.
//! - [`Store`], [`Policy`], [`Inputs`]: caches by name that are built anew when what they were
//!   built from changes, entry by entry.
//! - [`Publisher`] and [`Live`]: the owner publishes a generation, workers that run see it.
//! - [`Overlay`] and [`Delta`]: what a worker adds to a map, and how it comes back to the owner.
//! - [`Store::accept`] and [`mod@contribute`]: workers hand deltas over while they run.
//! - [`Broker`] and [`Client`]: the same for processes that the owner has not started.
//! - [`posix`]: regions by name in `/dev/shm`.
//! - [`prefork`]: workers that hand back typed results.
//! - [`dynamic`]: what is in a region whose Rust types are not at hand.
//! - [`census`]: which kinds and fields take the bytes of a region.
//! - [`pages`]: which generation wrote which page of a region, and which are shared.
//! - [`usage`]: what all that costs, from /proc.
//! - [`mod@format`]: the bytes of a region.
//!
//! # Promises
//! 1. Reading writes nothing: no lock, no count, no page copied, in any process.
//! 2. Safe code is sound: only bytes that nobody can change are ever read, because their seals were
//!    checked before them, or because they are private.
//! 3. A handle is typed: another type, or another version of it, is an error.
//! 4. Bytes are checked once, by whoever freezes them or brings them in, and not by each worker.
//! 5. Equal values give equal archives (with [`Sorted`] around hash maps and hash sets).
//! 6. Handles work in a child forked from any process; builders refuse there.
//! 7. Dropping the last handle gives the memory back at once.
//! 8. Publishing is atomic: a reader has the old generation or the new one, whole. Readers are
//!    registered nowhere, so one that dies leaves nothing behind, and the owner's death leaves them
//!    reading.
//! 9. A rebuild costs what changed, and one that changes nothing publishes nothing. What fails in
//!    it leaves the last generation.
//!
//! # Trust
//! Nobody can change a sealed region, not even its owner. A process that hands over a *lying*
//! region gets an error in the process that opens it: [`Frozen::from_fd`] and [`Frozen::load`]
//! check every byte. What they cannot know is whether well-formed data is *true*.
//!
//! A process that follows a cache checks of each later generation what differs from the one that it
//! has. One that was forked from the owner checks nothing, and one that [trusts](Trust) the owner
//! need not either.

#![deny(missing_debug_implementations)]
#![warn(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use
)]
// What one feature uses of a lower layer is unused without it.
#![cfg_attr(
    not(all(feature = "store", feature = "prefork", feature = "inspect")),
    allow(dead_code, unused_imports)
)]

// The derive macros name the crate by its path, inside of it too.
extern crate self as floe;

pub mod archive;
pub mod error;
pub mod map;
pub mod overlay;
#[cfg(feature = "prefork")]
pub mod prefork;
pub mod roots;
pub mod schema;
#[cfg(feature = "store")]
pub mod store;
pub mod value;

#[cfg(feature = "channel")]
mod channel;
mod frozen;
#[cfg(feature = "inspect")]
mod inspect;
mod region;
mod sys;

pub use archive::intern::{self, Intern, Interned};
pub use archive::{ArchivedAs, Sorted, Value, thaw};
#[cfg(feature = "channel")]
pub use channel::{
    Broker, ChannelStatus, Client, Counter, Counters, Live, Publisher, Watch, broker, contribute,
    prometheus,
};
pub use error::{Advice, Error, Result};
pub use floe_derive::{Key, Roots, Schema};
pub use frozen::{Content, Frozen, Trust};
#[cfg(feature = "inspect")]
pub use inspect::{census, dynamic, pages, usage};
pub use map::{Key, Map, MapBuilder};
pub use overlay::{Delta, Overlay};
#[cfg(feature = "posix-shm")]
pub use region::posix;
pub use region::{Region, format};
/// The serialisation framework that values are archived with, so that a crate which derives
/// its traits needs no dependency on it: the derives are told by `crate` where it is.
///
/// ```
/// use floe::{Frozen, Schema, rkyv};
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(crate = floe::rkyv, derive(Schema))]
/// struct Recipe {
///     name: String,
/// }
///
/// let recipe = Frozen::freeze("recipe", &Recipe { name: "zlib".to_owned() })?;
/// assert_eq!(recipe.name.as_str(), "zlib");
/// # Ok::<(), floe::Error>(())
/// ```
pub use rkyv;
pub use roots::{Root, Roots, RootsBuilder};
pub use schema::Schema;
#[cfg(feature = "store")]
pub use store::inputs::{self, Inputs};
#[cfg(feature = "store")]
pub use store::policy::{self, Facts, Policy, Verdict};
#[cfg(feature = "store")]
pub use store::{Cache, Store};
pub use sys::clock::{Clock, Moment};

/// The program of the README is run like the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
