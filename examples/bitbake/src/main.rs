//! A BitBake layer's caches, frozen and read by forked workers, beside the same caches inherited
//! on the heap.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bitbake::run()
}
