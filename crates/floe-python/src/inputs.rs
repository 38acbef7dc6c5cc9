//! What a build reads, recorded.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::OrRaise;
use crate::frozen::Frozen;
use crate::lock::locked;
use crate::policy::Text;
use crate::store::Cache;

/// What a build reads, and so depends on: files, absent files, listings, environment, named values.
///
/// A build function gets one, and reads through it; that of a store is of no use after that.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Inputs(Mutex<Option<floe::Inputs>>);

impl Inputs {
    pub(crate) fn lend(py: Python<'_>, inputs: floe::Inputs) -> PyResult<Bound<'_, Self>> {
        Bound::new(py, Self(Mutex::new(Some(inputs))))
    }

    pub(crate) fn take_back(&self, py: Python<'_>) -> Option<floe::Inputs> {
        locked(py, &self.0).take()
    }

    /// What was read so far.
    pub(crate) fn so_far(&self, py: Python<'_>) -> PyResult<floe::Inputs> {
        self.with(py, |inputs| Ok(inputs.clone()))
    }

    fn with<T>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&mut floe::Inputs) -> Result<T, floe::Error>,
    ) -> PyResult<T> {
        let mut inputs = locked(py, &self.0);
        match &mut *inputs {
            Some(inputs) => read(inputs).or_raise(py),
            None => Err(PyValueError::new_err(
                "these inputs are of a build that has ended",
            )),
        }
    }
}

#[pymethods]
impl Inputs {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Some(floe::Inputs::new())))
    }

    /// The bytes of a file; None if it is absent, which is recorded too.
    fn read<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let bytes = self.with(py, |inputs| inputs.read(path))?;
        Ok(bytes.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// The text of a file in UTF-8; None if it is absent.
    fn read_text(&self, py: Python<'_>, path: PathBuf) -> PyResult<Option<String>> {
        self.with(py, |inputs| inputs.read_to_string(path))
    }

    /// Whether a file or directory is there.
    fn exists(&self, py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        self.with(py, |inputs| inputs.exists(path))
    }

    /// The names in a directory, sorted; None if it is absent.
    fn listdir(&self, py: Python<'_>, path: PathBuf) -> PyResult<Option<Vec<OsString>>> {
        let entries = self.with(py, |inputs| inputs.read_dir(path))?;
        Ok(entries.map(|entries| entries.into_iter().map(|entry| entry.name).collect()))
    }

    /// The paths that match a pattern, sorted.
    fn glob(&self, py: Python<'_>, pattern: OsString) -> PyResult<Vec<OsString>> {
        let paths = self.with(py, |inputs| inputs.glob(pattern))?;
        Ok(paths.into_iter().map(PathBuf::into_os_string).collect())
    }

    /// Size in bytes and time of change in nanoseconds since 1970; None if it is absent.
    fn stat(&self, py: Python<'_>, path: PathBuf) -> PyResult<Option<(u64, i128)>> {
        let found = self.with(py, |inputs| inputs.stat(path))?;
        let time = |it: &std::fs::Metadata| {
            i128::from(it.mtime()) * 1_000_000_000 + i128::from(it.mtime_nsec())
        };
        Ok(found.map(|found| (found.len(), time(&found))))
    }

    /// A variable of the environment; None if it is not set.
    fn env(&self, py: Python<'_>, name: OsString) -> PyResult<Option<OsString>> {
        self.with(py, |inputs| Ok(inputs.env(name)))
    }

    /// Records a named value, which the store sets: see `Store.set_value`.
    fn value(&self, py: Python<'_>, name: &str, value: Text) -> PyResult<()> {
        self.with(py, |inputs| {
            inputs.value(name, value.0);
            Ok(())
        })
    }

    /// The newest generation of another cache of the store, which is recorded by its content.
    fn cache(&self, py: Python<'_>, cache: &Cache) -> PyResult<Frozen> {
        self.with(py, |inputs| cache.content(Some(inputs)).map(Frozen::new))
    }
}
