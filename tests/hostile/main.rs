//! Hostile and damaged bytes are refused: with an error, in bounded time, and without a trace.

mod after;
mod collections;
mod damage;
mod delta;
mod descriptors;
mod garbage;
mod index;
mod nesting;
mod random;
mod read;
mod refusal;
mod saved;
mod shard;
mod slots;
mod types;
mod values;

use floe_testkit::{alone, forge, recipes, sign, zoo};
