//! The structure of archived types, told by themselves.
//!
//! A region records the [`Description`] of its root type as JSON and the [`Fingerprint`] of that
//! JSON in its header. A reader with the Rust types compares fingerprints; a tool without them
//! reads the description and walks the bytes.
//!
//! The fingerprint changes with the name, size or alignment of any type inside the root type, with
//! the name, type, position or offset of any field, and with the name, tag or order of any variant.

mod collections;
mod compounds;
mod described;
mod description;
mod impls;
mod pointers;
mod reading;
#[cfg(test)]
mod tests;
mod types;

pub use crate::error::Fingerprint;
pub(crate) use described::Described;
pub use description::{
    Description, Field, FieldStyle, MapLayout, NamedRoot, NoneMark, Shape, Type, TypeIndex, Variant,
};
pub use impls::Schema;
pub(crate) use reading::read;
pub(crate) use types::ALIGNMENT_LIMIT;
pub use types::Types;
