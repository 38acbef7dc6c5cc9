//! Regions read without their Rust types: equal to what serde says of the values, and safe whatever
//! the bytes say.

mod announce;
mod archive;
mod census;
mod file;
#[path = "../hostile/forge.rs"]
#[allow(dead_code)]
mod forge;
mod forged;
mod keys;
mod nesting;
mod random;
mod read;
#[path = "../hostile/recipes.rs"]
mod recipes;
mod schema;
mod shapes;
#[path = "../hostile/sign.rs"]
mod sign;
#[path = "../zoo/mod.rs"]
mod zoo;
