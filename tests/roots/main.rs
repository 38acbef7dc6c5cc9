//! Several named roots in one region: read, refused, forged, described and kept by a store.

mod building;
mod caches;
mod dynamic;
mod forged;
mod reading;

mod small;
mod store;

use floe_testkit::{announce, forge, sign, zoo};
