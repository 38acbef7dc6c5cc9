//! Self-describing values: what is frozen is read back, once in a region, in equal bytes.

mod any;
mod following;
mod hostile;
mod inspecting;
mod read;
mod reading;
mod tables;
