//! What workers add to maps, and what becomes of it.

mod apart;
mod bounds;
mod deltas;
mod fixture;
mod inputs;
mod model;
mod panics;
mod reading;
mod rules;
mod store;
