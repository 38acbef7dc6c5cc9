//! The tool `floe`: looks into frozen regions, and into the memory of the processes that map them.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
