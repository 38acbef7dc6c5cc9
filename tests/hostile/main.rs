//! Hostile and damaged bytes are refused: with an error, in bounded time, and without a trace.

mod alone;
mod collections;
mod damage;
mod descriptors;
mod forge;
mod index;
mod nesting;
mod part;
mod random;
mod read;
mod recipes;
mod refusal;
mod saved;
mod sign;
mod types;
mod values;
#[path = "../zoo/mod.rs"]
mod zoo;
