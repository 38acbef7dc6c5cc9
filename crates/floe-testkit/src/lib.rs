//! What the tests, benches and examples of floe share.
//!
//! Helpers say what is wrong by panicking: a test that cannot set up its world has failed.
#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::missing_panics_doc)]

pub mod alone;
pub mod announce;
pub mod forge;
#[cfg(feature = "forking")]
pub mod forking;
pub mod gate;
pub mod generations;
pub mod measure;
pub mod mode;
pub mod recipes;
pub mod record;
pub mod sign;
pub mod text;
pub mod zoo;
