//! Caches frozen into shared, kernel-sealed memory: forked, exec'd and unrelated workers read them
//! in place, through typed handles, and copy nothing.
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate self as floe;

pub mod schema;

mod archive;
mod clock;
mod error;
pub mod format;
mod frozen;
pub mod intern;
pub mod map;
pub mod memory;
pub mod prefork;
mod region;
mod sorted;

pub use archive::{CheckStrategy, FreezeStrategy, Freezer, Interning, Validator, Value};
pub use error::{Error, Result};
pub use floe_derive::{Key, Schema};
pub use frozen::{Content, Frozen};
pub use intern::{Intern, Interned};
pub use map::{Key, Map, MapBuilder};
pub use schema::Schema;
pub use sorted::Sorted;
