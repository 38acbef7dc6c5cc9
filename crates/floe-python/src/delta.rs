//! Changes of overlays over maps, sealed, and what merges make of them.

use std::fmt::Display;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;

use floe::Overlay;
use floe::overlay::{Choice, MergeReport, Rule};
use floe::value::{ArchivedValue, Value};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PyTuple};

use crate::errors::{OrRaise, invalid};
use crate::freeze::owned;
use crate::frozen::{Content, Frozen, Values};
use crate::functions::{Functions, Raised};
use crate::inputs::Inputs;
use crate::methods::Made;
use crate::raw::duplicate;

type Deltas = floe::Delta<String, Value>;

/// What an overlay over a map has changed, sealed in memory of its own, on its way to the owner of the
/// cache: as a file, by its descriptors, or pickled, which takes its content along.
///
/// Whoever opens it, and did not make it, checks every byte.
#[pyclass(frozen, weakref, module = "floe")]
pub(crate) struct Delta(Deltas);

impl Delta {
    pub(crate) fn delta(&self) -> &Deltas {
        &self.0
    }
}

/// Handles of their own on deltas.
pub(crate) fn all(deltas: &[Py<Delta>]) -> Vec<Deltas> {
    deltas.iter().map(|delta| delta.get().0.clone()).collect()
}

/// A value that no handle of Python has, as what is read.
fn shown<'py>(py: Python<'py>, value: &Value) -> Made<'py> {
    let values = Values::freeze_on_heap("value", value).or_raise(py)?;
    Bound::new(py, Frozen::new(Content::Value(values)))?.getattr("value")
}

#[pymethods]
impl Delta {
    /// The cache that it belongs to.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// The generation that the overlay lay over.
    #[getter]
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// Bytes of its region.
    #[getter]
    fn size(&self) -> u64 {
        self.0.region().size()
    }

    /// Values that were set, by their keys: ordinary ones, made when they are asked for.
    #[getter]
    fn set<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let set = PyDict::new(py);
        for (key, value) in self.0.added().iter() {
            let value = shown(py, &value.to_value().or_raise(py)?)?;
            set.set_item(key.as_str(), crate::frozen::thaw(&value)?)?;
        }
        Ok(set)
    }

    /// Keys that were removed.
    #[getter]
    fn removed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, self.0.removed().map(|key| key.as_str()))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Writes it to a file, in place of one that may be there.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.0.save(path)).or_raise(py)
    }

    /// Reads what `save` wrote.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| Deltas::load(path)).or_raise(py).map(Self)
    }

    /// The descriptors of its memory, which belong to it.
    #[getter]
    fn fds(&self, py: Python<'_>) -> PyResult<Vec<RawFd>> {
        let fds = self.0.region().as_fds().or_raise(py)?;
        Ok(fds.iter().map(AsRawFd::as_raw_fd).collect())
    }

    /// Opens copies of descriptors, which may come from anywhere.
    #[staticmethod]
    fn from_fds(py: Python<'_>, fds: Vec<RawFd>) -> PyResult<Self> {
        let copies = fds.into_iter().map(duplicate);
        let copies = copies.collect::<Result<Vec<_>, _>>();
        let copies = copies.map_err(PyOSError::new_err)?;
        py.detach(|| Deltas::from_fds(copies))
            .or_raise(py)
            .map(Self)
    }

    #[staticmethod]
    fn _over(
        base: &Bound<'_, Frozen>,
        set: &Bound<'_, PyDict>,
        removed: Vec<String>,
        inputs: &Bound<'_, PyDict>,
        again: Vec<String>,
    ) -> PyResult<Self> {
        let py = base.py();
        let Content::Map(map) = base.get().content() else {
            let told = "only overlays over maps that a builder or a store has made give deltas";
            return Err(invalid(py, told.to_owned()));
        };
        let mut overlay = Overlay::over(map);
        // An overlay leaves out what the map says, too, unless a delta has told something else.
        for key in &again {
            match map.contains_key(key.as_str()) {
                true => overlay.remove(key).map(drop),
                false => overlay.insert(key, &Value::None),
            }
            .or_raise(py)?;
        }
        if !again.is_empty() {
            overlay.to_delta().map(drop).or_raise(py)?;
        }
        for (key, value) in set.iter() {
            let text = key.extract::<String>().map_err(|_| {
                PyTypeError::new_err(format!("keys of a map are texts, and {key:?} is none"))
            })?;
            let value = owned(&value, false)?;
            match inputs.get_item(&key)? {
                Some(inputs) => {
                    let inputs = inputs.cast::<Inputs>()?.get().so_far(py)?;
                    overlay.insert_with_inputs(&text, &value, inputs)
                }
                None => overlay.insert(&text, &value),
            }
            .or_raise(py)?;
        }
        for key in removed {
            overlay.remove(&key).or_raise(py)?;
        }
        overlay.into_delta().or_raise(py).map(Self)
    }

    #[staticmethod]
    fn _read(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        Deltas::from_reader(bytes).or_raise(py).map(Self)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let mut bytes = Vec::new();
        let written = self.0.region().write_to(&mut bytes);
        written
            .and_then(|()| bytes.flush())
            .map_err(PyOSError::new_err)?;
        let read = py.get_type::<Self>().getattr("_read")?;
        Ok((read, (PyBytes::new(py, &bytes),)))
    }

    fn __repr__(&self) -> String {
        let (name, generation) = (self.name(), self.generation());
        let (set, removed) = (self.0.added().len(), self.0.removed().count());
        format!("<Delta over {name:?}, generation {generation}: {set} set, {removed} removed>")
    }
}

/// A rule as it was given: a name, or a function of key, earlier and later value.
pub(crate) enum Given {
    Named(String),
    Function(Py<PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Given {
    type Error = PyErr;

    fn extract(rule: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match rule.extract::<String>() {
            Ok(name) => Ok(Self::Named(name)),
            Err(_) if rule.is_callable() => Ok(Self::Function(rule.to_owned().unbind())),
            Err(_) => Err(unknown(&format!("{:?}", rule.to_owned()))),
        }
    }
}

fn unknown(rule: &str) -> PyErr {
    let told = "rule must be \"first\", \"last\", \"newest\", \"equal\" or a function";
    PyValueError::new_err(format!("{told}, not {rule}"))
}

impl Given {
    pub(crate) fn first() -> Self {
        Self::Named("first".to_owned())
    }

    /// The rule, for a cache. The functions hold what it calls.
    pub(crate) fn for_cache(
        self,
        py: Python<'_>,
        functions: &Arc<Functions>,
        cache: &str,
    ) -> PyResult<Rule<String, Value>> {
        let function = match self {
            Self::Function(function) => function.into_bound(py),
            Self::Named(name) => match &*name {
                "first" => return Ok(Rule::FirstWins),
                "last" => return Ok(Rule::LastWins),
                "newest" => return Ok(Rule::Newest),
                "equal" => py.import("floe._overlay")?.getattr("conflict")?,
                other => return Err(unknown(&format!("{other:?}"))),
            },
        };
        let function = functions.add(cache, function);
        Ok(Rule::by(move |key, earlier, later| {
            // What is removed here and was changed there stays.
            let Some(later) = later else {
                return Choice::Keep;
            };
            let chosen = function.ask(|function| choose(function, key, earlier, later));
            // A delta about which a rule raises is refused, as one about which it panics.
            chosen.unwrap_or_else(|error| resume_unwind(Box::new(error.to_string())))
        }))
    }
}

/// What a function of Python makes of two values.
fn choose(
    function: &Bound<'_, PyAny>,
    key: &impl Display,
    earlier: &ArchivedValue,
    later: &ArchivedValue,
) -> PyResult<Choice<Value>> {
    let py = function.py();
    let (first, second) = (
        earlier.to_value().or_raise(py)?,
        later.to_value().or_raise(py)?,
    );
    let made = function.call1((key.to_string(), shown(py, &first)?, shown(py, &second)?))?;
    let made = owned(&made, false)?;
    // 1 is not True.
    let is_made = |value: &ArchivedValue, copy: &Value| {
        std::mem::discriminant(copy) == std::mem::discriminant(&made) && made == *value
    };
    Ok(match (is_made(earlier, &first), is_made(later, &second)) {
        (true, _) => Choice::Keep,
        (false, true) => Choice::Take,
        (false, false) => Choice::Value(made),
    })
}

/// Merges deltas into the next generation of a map, in their order, and returns that with a report of
/// what became of each.
///
/// What is under a key counts as the earlier value, whether the map had it or a delta before has
/// brought it. The rule says which value stays where they differ: `"first"` the earlier one,
/// `"last"` the later one; `"equal"` takes nothing of the delta; a function of key, earlier and later
/// value returns the one that stays. Only `"last"` removes what is there.
#[pyfunction]
#[pyo3(
    signature = (base, deltas, rule = Given::first()),
    text_signature = "(base, deltas, rule='first')"
)]
pub(crate) fn merge<'py>(
    py: Python<'py>,
    base: &Frozen,
    deltas: Vec<Py<Delta>>,
    rule: Given,
) -> PyResult<(Frozen, Bound<'py, PyAny>)> {
    let Content::Map(map) = base.content() else {
        let told = "deltas are merged into maps that a builder or a store has made";
        return Err(invalid(py, told.to_owned()));
    };
    if matches!(&rule, Given::Named(name) if name == "newest") {
        let told =
            "inputs are recorded in a store: Store.merge finds out which entry is the newest";
        return Err(PyValueError::new_err(told));
    }
    let functions = Arc::default();
    let rule = rule.for_cache(py, &functions, map.region().name())?;
    let deltas = all(&deltas);
    let (next, merged) = py
        .detach(|| floe::overlay::merge(map, &deltas, &rule))
        .or_raise(py)?;
    let told = report(py, &merged, &functions.take_raised(py))?;
    Ok((Frozen::new(Content::Map(next)), told))
}

/// A report as an object of Python, with the exception of the rule, if it raised one.
pub(crate) fn report<'py>(py: Python<'py>, report: &MergeReport, raised: &Raised) -> Made<'py> {
    let json = serde_json::to_string(report);
    let json = json.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let refused = report.deltas.iter().map(|delta| delta.refused.as_ref());
    let refused: Vec<Option<String>> = refused.map(|why| why.map(ToString::to_string)).collect();
    let raised = raised.get(&report.name);
    let make = py.import("floe._report")?.getattr("merge_report")?;
    make.call1((json, report.to_string(), refused, raised))
}

/// The same of several.
pub(crate) fn reports<'py>(
    py: Python<'py>,
    reports: &[MergeReport],
    raised: &Raised,
) -> PyResult<Bound<'py, PyTuple>> {
    let told = reports.iter().map(|it| report(py, it, raised));
    PyTuple::new(py, told.collect::<PyResult<Vec<_>>>()?)
}
