//! When caches are built anew.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// When a generation of a cache is due, and what bounds it. Times are seconds.
///
/// Statements that are left out say nothing; without any, a cache is built once.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Policy(pub(crate) floe::Policy);

fn seconds(name: &str, time: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(time)
        .map_err(|_| PyValueError::new_err(format!("{name} must be seconds from 0 on, not {time}")))
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (
        *, inputs = false, revalidate_every = None, refresh_after = None, expire_after = None,
        settle = None, keyed_by = None, max_entries = None, max_bytes = None,
        max_idle_generations = None, stale_if_error = None, backoff = None, jitter = None,
        compare_content = false, read_limit = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is a statement with a name")]
    fn new(
        inputs: bool,
        revalidate_every: Option<f64>,
        refresh_after: Option<f64>,
        expire_after: Option<f64>,
        settle: Option<f64>,
        keyed_by: Option<Text>,
        max_entries: Option<u64>,
        max_bytes: Option<u64>,
        max_idle_generations: Option<u64>,
        stale_if_error: Option<f64>,
        backoff: Option<(f64, f64)>,
        jitter: Option<f64>,
        compare_content: bool,
        read_limit: Option<u64>,
    ) -> PyResult<Self> {
        let mut policy = floe::Policy::new();
        if inputs {
            policy = policy.revalidate_inputs();
        }
        if let Some(time) = revalidate_every {
            policy = policy.revalidate_every(seconds("revalidate_every", time)?);
        }
        if let Some(time) = refresh_after {
            policy = policy.refresh_after(seconds("refresh_after", time)?);
        }
        if let Some(time) = expire_after {
            policy = policy.expire_after(seconds("expire_after", time)?);
        }
        if let Some(time) = settle {
            policy = policy.settle(seconds("settle", time)?);
        }
        if let Some(Text(value)) = keyed_by {
            policy = policy.keyed_by(value);
        }
        if let Some(most) = max_entries {
            policy = policy.max_entries(most);
        }
        if let Some(most) = max_bytes {
            policy = policy.max_bytes(most);
        }
        if let Some(most) = max_idle_generations {
            policy = policy.max_idle_generations(most);
        }
        if let Some(time) = stale_if_error {
            policy = policy.stale_if_error(seconds("stale_if_error", time)?);
        }
        if let Some((first, most)) = backoff {
            policy = policy.backoff(seconds("backoff", first)?, seconds("backoff", most)?);
        }
        if let Some(part) = jitter {
            policy = policy.jitter(part);
        }
        if compare_content {
            policy = policy.compare_content();
        }
        if let Some(most) = read_limit {
            policy = policy.read_limit(most);
        }
        Ok(Self(policy))
    }
}

/// Bytes, or a text as UTF-8.
pub(crate) struct Text(pub(crate) Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = value.extract::<String>() {
            return Ok(Self(text.into_bytes()));
        }
        Ok(Self(value.extract::<Vec<u8>>()?))
    }
}
