//! Maps whose entries are values of their own: what stores and builders make.

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyType};

use crate::frozen::Frozen;
use crate::methods::{Made, not_implemented};
use crate::raw::{Budget, Held};

/// A map from texts to values, in a region: read like a dict, and never changed.
///
/// Unlike a `FrozenDict` it can be built entry by entry, and rebuilt where entries changed.
#[pyclass(frozen, mapping, module = "floe")]
pub(crate) struct FrozenMap {
    handle: Py<Frozen>,
}

impl FrozenMap {
    pub(crate) fn new(handle: Py<Frozen>) -> Self {
        Self { handle }
    }

    fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let handle = self.handle.bind(key.py());
        if let Ok(text) = key.cast::<PyString>()
            && let Ok(text) = text.to_str()
        {
            let found = Held::in_handle(handle, |frozen| frozen.map()?.get(text));
            return found.map(|found| found.object()).transpose();
        }
        key.hash()?;
        Ok(None)
    }

    fn texts<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyString>> {
        let entries = Held::entries(self.handle.bind(py));
        entries.map(|(key, _)| PyString::new(py, key)).collect()
    }

    /// An ordinary dict of the values as they are.
    pub(crate) fn shallow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let budget = Budget::new();
        for (key, value) in Held::entries(self.handle.bind(py)) {
            dict.set_item(key, value.object_within(&budget)?)?;
        }
        Ok(dict)
    }
}

#[pymethods]
impl FrozenMap {
    fn __len__(&self) -> usize {
        self.handle.get().map().map_or(0, |map| map.len())
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> Made<'py> {
        match self.find(key)? {
            Some(value) => Ok(value),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(key)?.is_some())
    }

    /// The value of a key, or the default.
    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(key)?.or(default))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> Made<'py> {
        Ok(PyList::new(py, self.texts(py))?.try_iter()?.into_any())
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> Made<'py> {
        PyList::new(py, self.texts(py))?.call_method0("__reversed__")
    }

    /// The keys, as a set-like view.
    fn keys<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        view(slf, "KeysView")
    }

    /// The values, as a view.
    fn values<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        let values = slf.py().import("floe._views")?.getattr("MapValues")?;
        values.call1((slf,))
    }

    /// Pairs of key and value, as a view that goes over them without looking each up.
    fn items<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        let items = slf.py().import("floe._views")?.getattr("MapItems")?;
        items.call1((slf,))
    }

    /// The handle that this was read from.
    #[getter]
    fn _handle(&self, py: Python<'_>) -> Py<Frozen> {
        self.handle.clone_ref(py)
    }

    #[pyo3(name = "_pairs")]
    fn pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let pairs = PyList::empty(py);
        let budget = Budget::new();
        for (key, value) in Held::entries(self.handle.bind(py)) {
            pairs.append((key, value.object_within(&budget)?))?;
        }
        Ok(pairs)
    }

    fn __richcmp__<'py>(&self, other: &Bound<'py, PyAny>, op: CompareOp) -> Made<'py> {
        let py = other.py();
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            return Ok(not_implemented(py));
        }
        let own = self.shallow(py)?;
        match other.cast::<Self>() {
            Ok(other) => own.as_any().rich_compare(other.get().shallow(py)?, op),
            Err(_) => own.as_any().rich_compare(other, op),
        }
    }

    fn __or__<'py>(&self, other: &Bound<'py, PyAny>) -> Made<'py> {
        self.shallow(other.py())?.as_any().bitor(other)
    }

    fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> Made<'py> {
        other.bitor(self.shallow(other.py())?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.shallow(py)?.repr()?.to_string())
    }

    /// An ordinary dict of the same values, which can be changed.
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.shallow(py)
    }

    fn __copy__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.shallow(py)
    }

    fn __deepcopy__<'py>(&self, memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        self.thaw(memo.py())
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<PyDict>(), (self.thaw(py)?,)))
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        parameters: &Bound<'py, PyAny>,
    ) -> Made<'py> {
        crate::methods::generic(class.as_any(), parameters)
    }

    #[pyo3(name = "_thaw")]
    pub(crate) fn thaw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let budget = Budget::new();
        for (key, value) in Held::entries(self.handle.bind(py)) {
            dict.set_item(key, value.thaw(&budget)?)?;
        }
        Ok(dict)
    }
}

fn view<'py>(map: &Bound<'py, FrozenMap>, name: &str) -> Made<'py> {
    map.py()
        .import("collections.abc")?
        .getattr(name)?
        .call1((map,))
}
