//! The tool `floe`: see the library of this package.

use std::env::args_os;
use std::process::ExitCode;

/// Does what the command line says.
fn main() -> ExitCode {
    ExitCode::from(floe_cli::run(args_os()))
}
