//! Values whose structure is known at run time only: JSON, configuration, the dicts of Python.
//!
//! A [`Value`] is frozen like any other value, and read where it lies as an [`ArchivedValue`]. What is
//! written once, it shares with all equal values of the region, in whole lists and dicts as much as
//! in texts; dicts of the same keys share these.
//!
//! ```
//! use floe::value::{self, Value};
//!
//! #[derive(serde::Serialize)]
//! struct Recipe<'a> {
//!     version: &'a str,
//!     depends: Vec<&'a str>,
//! }
//!
//! let recipes = std::collections::BTreeMap::from([
//!     ("curl", Recipe { version: "8.12", depends: vec!["zlib", "openssl"] }),
//!     ("zlib", Recipe { version: "1.3.1", depends: vec![] }),
//! ]);
//! let frozen = value::freeze_serde("recipes", &recipes)?;
//! assert_eq!(frozen["curl"]["depends"][0].as_str(), Some("zlib"));
//! assert_eq!(serde_json::to_string(&frozen["zlib"]).unwrap(), r#"{"version":"1.3.1","depends":[]}"#);
//! # Ok::<(), floe::Error>(())
//! ```
//!
//! Whoever has data in yet another form writes them without making `Value`s of them: [`ToValue`] and
//! [`Writer`].

mod archived;
pub(crate) mod check;
mod dict;
mod equal;
pub(crate) mod format;
mod freeze;
mod key;
pub(crate) mod number;
mod owned;
mod raw;
pub(crate) mod surrogates;
mod through_serde;
mod writer;

pub use archived::{ArchivedList, Kind, View};
pub use dict::{ArchivedDict, ArchivedSet};
pub use freeze::{AsValue, ValueResolver};
pub use key::KeyRef;
pub use number::BigInt;
pub use owned::Value;
pub use raw::ArchivedValue;
pub use through_serde::{AsSerde, freeze_serde};
pub use writer::{ToValue, WriteError, Writer, Written};
