//! What a store promises in one process: it builds what changed, and keeps what it has.
#![allow(missing_docs)]

mod directory;
mod eviction;
mod failures;
mod fixture;
mod keeping;
mod keyed;
mod paths;
mod small;
mod sources;
mod timing;
#[cfg(feature = "watch")]
mod watching;
mod whole;
