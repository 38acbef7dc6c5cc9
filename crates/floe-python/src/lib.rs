//! The extension module behind the Python package `floe`.

mod builder;
mod contribution;
mod delta;
mod errors;
mod freeze;
mod frozen;
mod functions;
mod inputs;
mod keys;
mod live;
mod lock;
mod map;
mod memory;
mod methods;
mod policy;
mod raw;
mod refused;
mod sets;
mod show;
mod store;
mod tool;
mod typed;
mod typed_keys;

use pyo3::PyClass;
use pyo3::prelude::*;

/// Adds a class. The memory of its instances comes from Python, which aligns it to 16 bytes, whatever
/// PyO3 is given.
fn add<T: PyClass>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    const { assert!(align_of::<T>() <= 16) };
    module.add_class::<T>()
}

#[pymodule]
fn _floe(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    raw::add_types(module)?;
    add::<frozen::Frozen>(module)?;
    add::<map::FrozenMap>(module)?;
    add::<typed::TypedMap>(module)?;
    add::<builder::Builder>(module)?;
    add::<builder::Part>(module)?;
    add::<contribution::Contribution>(module)?;
    add::<delta::Delta>(module)?;
    add::<inputs::Inputs>(module)?;
    add::<live::Broker>(module)?;
    add::<live::Live>(module)?;
    add::<live::Publisher>(module)?;
    add::<policy::Policy>(module)?;
    add::<store::Background>(module)?;
    add::<store::Cache>(module)?;
    add::<store::Store>(module)?;
    module.add_function(wrap_pyfunction!(delta::merge, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::connect, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::freeze, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::load, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::thaw, module)?)?;
    module.add_function(wrap_pyfunction!(memory::_memory, module)?)?;
    module.add_function(wrap_pyfunction!(tool::_tool, module)?)
}
