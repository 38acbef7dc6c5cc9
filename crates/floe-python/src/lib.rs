//! The extension module behind the Python package `floe`.

mod builder;
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
mod typed;

use pyo3::prelude::*;

#[pymodule]
fn _floe(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    raw::add_types(module)?;
    module.add_class::<frozen::Frozen>()?;
    module.add_class::<map::FrozenMap>()?;
    module.add_class::<typed::TypedMap>()?;
    module.add_class::<builder::Builder>()?;
    module.add_class::<builder::Part>()?;
    module.add_class::<inputs::Inputs>()?;
    module.add_class::<live::Broker>()?;
    module.add_class::<live::Live>()?;
    module.add_class::<live::Publisher>()?;
    module.add_class::<policy::Policy>()?;
    module.add_class::<store::Background>()?;
    module.add_class::<store::Cache>()?;
    module.add_class::<store::Store>()?;
    module.add_function(wrap_pyfunction!(frozen::connect, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::freeze, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::load, module)?)?;
    module.add_function(wrap_pyfunction!(frozen::thaw, module)?)?;
    module.add_function(wrap_pyfunction!(memory::_memory, module)?)
}
