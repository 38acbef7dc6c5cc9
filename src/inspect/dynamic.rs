//! Regions read without their Rust types: by the schema that each brings along.
//!
//! This is for tools that look at any cache: they show what it holds, look up a key, or convert it
//! to JSON. A [`Described`] is the region, a [`Dynamic`] one value in it, a [`View`] what that is.
//!
//! ```
//! use floe::{Frozen, Schema};
//! use floe::dynamic::Described;
//!
//! #[derive(rkyv::Archive, rkyv::Serialize)]
//! #[rkyv(derive(Schema))]
//! enum Source {
//!     Git { url: String },
//!     Archive(String, u32),
//!     None,
//! }
//!
//! let sources = vec![
//!     Source::Git { url: "git://example.org".into() },
//!     Source::Archive("zlib.tar.xz".into(), 7),
//!     Source::None,
//! ];
//! let frozen = Frozen::freeze("sources", &sources)?;
//! let json = serde_json::to_string(&Described::of(&frozen)?.root()?).unwrap();
//! assert_eq!(json, r#"[{"Git":{"url":"git://example.org"}},{"Archive":["zlib.tar.xz",7]},"None"]"#);
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! # Trust
//! Region and schema may come from anybody. Each pointer, length, tag and text is checked when it
//! is met; values are followed through 128 pointers and 384 levels at most; and a schema that
//! cannot be true is refused when the region is opened. All of it is safe code, in bounded memory.

mod archive;
mod check;
mod checked;
mod collections;
mod described;
mod fault;

mod key;
mod nearest;
mod roots;
mod self_describing;
mod sequences;
mod serialize;
mod source;
mod value;
mod view;

pub(crate) use archive::{Archive, Run};
pub(crate) use checked::Checked;
pub(crate) use collections::{EntryFrames, EntryLayout, Frame, FrameKind, Pair, Table, Tree};
pub use described::Described;
pub(crate) use fault::{Fault, FaultKind, Read};
pub use roots::RootValues;
pub(crate) use self_describing::{Found, boxed_number, find};
pub use sequences::{Entries, Fields, Items};
pub(crate) use value::Depth;
pub use value::{Dynamic, View};
pub(crate) use view::collection_shape;
