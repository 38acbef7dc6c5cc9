//! The extension module behind the Python package `floe`.

mod errors;
mod memory;
mod typed;

use pyo3::prelude::*;

#[pymodule]
fn _floe(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<typed::TypedMap>()?;
    module.add_function(wrap_pyfunction!(memory::_memory, module)?)
}
