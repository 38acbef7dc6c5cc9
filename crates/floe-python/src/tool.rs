//! The tool `floe`, as `python -m floe`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what a command line says, and returns the exit code.
#[pyfunction]
pub(crate) fn _tool(py: Python<'_>, command_line: Vec<OsString>) -> u8 {
    py.detach(|| floe_cli::run(command_line))
}
