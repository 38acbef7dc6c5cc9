//! Everything that a region on the heap can do, small enough for an interpreter: Miri runs this
//! target and reports undefined behaviour in the files that may be `unsafe`. `just miri` says how.
//!
//! What is frozen must read back, what lies must be refused, and what a check accepts must be safe
//! to read, whatever it says.

mod damage;
mod maps;
mod self_describing;
mod values;
