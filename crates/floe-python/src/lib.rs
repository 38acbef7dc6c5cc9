//! The extension module behind the Python package `floe`.

mod errors;
mod freeze;
mod frozen;
mod keys;
mod map;
mod memory;
mod methods;
mod raw;
mod sets;
mod show;
mod typed;

use pyo3::prelude::*;

#[pymodule]
fn _floe(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    raw::add_types(module)?;
    module.add_class::<frozen::Frozen>()?;
    module.add_class::<map::FrozenMap>()?;
    module.add_class::<typed::TypedMap>()?;
    module.add_function(wrap_pyfunction!(frozen::connect, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::freeze, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::load, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::thaw, module)?)?;
    module.add_function(wrap_pyfunction!(memory::_memory, module)?)
}
