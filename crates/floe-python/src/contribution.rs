//! Deltas on their way to an owner that accepts them.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use floe::contribute::Outcome;
use floe::value::Value;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::lock::locked;
use crate::methods::Made;

/// Changes that were handed over to the owner of a cache.
///
/// They are merged also if nobody asks what became of them.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Contribution(Mutex<floe::overlay::Contribution<String, Value>>);

/// How long signals wait.
const LOOK: Duration = Duration::from_millis(50);

impl Contribution {
    pub(crate) fn new(sent: floe::overlay::Contribution<String, Value>) -> Self {
        Self(Mutex::new(sent))
    }
}

#[pymethods]
impl Contribution {
    /// What became of them; None as long as that is not known.
    #[getter]
    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let outcome = locked(py, &self.0).try_outcome().cloned();
        outcome.map(|outcome| shown(py, &outcome)).transpose()
    }

    /// The same, for which it waits so many seconds at most. It ends also when the owner does.
    fn wait<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let timeout = Duration::try_from_secs_f64(timeout);
        let timeout = timeout.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let began = Instant::now();
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            let outcome = py.detach(|| {
                let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                sent.wait(left.min(LOOK)).cloned()
            });
            if let Some(outcome) = outcome {
                return shown(py, &outcome).map(Some);
            }
            if left <= LOOK {
                return Ok(None);
            }
            py.check_signals()?;
        }
    }

    /// A descriptor that is readable when it is known what became of them.
    fn fileno(&self, py: Python<'_>) -> RawFd {
        locked(py, &self.0).as_fd().as_raw_fd()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<Contribution to {:?}>", locked(py, &self.0).delta().name())
    }
}

fn shown<'py>(py: Python<'py>, outcome: &Outcome) -> Made<'py> {
    let (json, reason) = match outcome {
        Outcome::Merged(merged) => (serde_json::to_string(merged), None),
        Outcome::NotTaken(why) => (Ok("{}".to_owned()), Some(why.to_string())),
        other => (Ok("{}".to_owned()), Some(format!("{other:?}"))),
    };
    let json = json.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let make = py.import("floe._report")?.getattr("outcome")?;
    make.call1((json, reason))
}
