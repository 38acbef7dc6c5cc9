//! Looking at regions and processes without changing them.

pub mod census;
pub mod dynamic;
pub mod usage;
