//! Regions read without their Rust types: equal to what serde says of the values, and safe whatever
//! the bytes say.

mod archive;
mod census;
mod file;
mod forged;
mod keys;
mod names;
mod nesting;
mod pages;
mod random;
mod read;
mod schema;
mod shapes;

use floe_testkit::{announce, forge, generations, recipes, sign, zoo};
