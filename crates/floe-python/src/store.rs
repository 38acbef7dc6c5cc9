//! Caches that functions of Python build, kept fresh.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floe::contribute::Limits;
use floe::value::Value;
use floe::{Error, Map};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::delta::{self, Delta, Given};
use crate::errors::{OrRaise, invalid};
use crate::freeze::owned;
use crate::frozen::{Content, Frozen};
use crate::functions::{Functions, Raised};
use crate::live::{Broker, Live, Publisher};
use crate::lock::locked;
use crate::methods::Made;
use crate::policy::{Policy, Text};

/// The owner's set of named caches, each built by functions from what they read through `Inputs`.
///
/// `refresh` builds what is due, and of a keyed cache only the entries whose inputs changed. With a
/// directory, every generation is saved there, and the next process starts from it.
#[pyclass(frozen, weakref, module = "floe")]
pub(crate) struct Store {
    store: floe::Store,
    functions: Arc<Functions>,
    /// Rules of merges. What could not be saved is merged once more, with what others have saved.
    rules: Arc<Functions>,
}

fn callable(function: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    match function.is_callable() {
        true => Ok(()),
        false => Err(PyTypeError::new_err(format!("{what} must be a function"))),
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (directory = None, *, lock_timeout = None))]
    fn new(
        py: Python<'_>,
        directory: Option<PathBuf>,
        lock_timeout: Option<f64>,
    ) -> PyResult<Self> {
        let mut store = match directory {
            Some(directory) => floe::Store::open(directory).or_raise(py)?,
            None => floe::Store::new(),
        };
        if let Some(time) = lock_timeout {
            let time = Duration::try_from_secs_f64(time);
            let time = time.map_err(|error| invalid(py, format!("lock_timeout: {error}")))?;
            store = store.with_lock_timeout(time);
        }
        let (functions, rules) = <(Arc<_>, Arc<_>)>::default();
        Ok(Self {
            store,
            functions,
            rules,
        })
    }

    /// Adds a cache that is one value, which `build(inputs)` returns.
    #[pyo3(signature = (name, build, policy = None))]
    fn cache(
        &self,
        py: Python<'_>,
        name: &str,
        build: Bound<'_, PyAny>,
        policy: Option<&Policy>,
    ) -> PyResult<Cache> {
        callable(&build, "build")?;
        let build = self.functions.add(name, build);
        let added = self.store.cache(name, chosen(policy), move |inputs| {
            build.build(inputs, |build, inputs| {
                owned(&build.call1((inputs,))?, false)
            })
        });
        self.functions.drop_unknown(py);
        Ok(Cache(Held::Value(added.or_raise(py)?)))
    }

    /// Adds a cache of entries: `keys(inputs)` lists the keys, which are texts, and
    /// `build(key, inputs)` returns the value of one.
    #[pyo3(signature = (name, keys, build, policy = None))]
    fn keyed(
        &self,
        py: Python<'_>,
        name: &str,
        keys: Bound<'_, PyAny>,
        build: Bound<'_, PyAny>,
        policy: Option<&Policy>,
    ) -> PyResult<Cache> {
        callable(&keys, "keys")?;
        callable(&build, "build")?;
        let keys = self.functions.add(name, keys);
        let build = self.functions.add(name, build);
        let added = self.store.keyed(
            name,
            chosen(policy),
            move |inputs| {
                keys.build(inputs, |keys, inputs| {
                    let listed = keys.call1((inputs,))?.try_iter()?;
                    listed.map(|key| key?.extract::<String>()).collect()
                })
            },
            move |key: &String, inputs| {
                build.build(inputs, |build, inputs| {
                    owned(&build.call1((key, inputs))?, false)
                })
            },
        );
        self.functions.drop_unknown(py);
        Ok(Cache(Held::Map(added.or_raise(py)?)))
    }

    /// Adds a cache from texts to values that no function builds: it begins empty, and grows by what
    /// is merged into it.
    #[pyo3(signature = (name, policy = None))]
    fn merged(&self, py: Python<'_>, name: &str, policy: Option<&Policy>) -> PyResult<Cache> {
        let added = self.store.merged::<String, Value>(name, chosen(policy));
        Ok(Cache(Held::Map(added.or_raise(py)?)))
    }

    /// Merges deltas into such a cache, in their order, and publishes the next generation; see
    /// `merge` for the rules, of which a function must not use its own store, and `"newest"` keeps
    /// the value whose inputs changed last. Returns a report.
    #[pyo3(
        signature = (name, deltas, rule = Given::first()),
        text_signature = "($self, name, deltas, rule='first')"
    )]
    fn merge<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        deltas: Vec<Py<Delta>>,
        rule: Given,
    ) -> Made<'py> {
        let rule = rule.for_cache(py, &self.rules, name)?;
        let deltas = delta::all(&deltas);
        let report = py.detach(|| self.store.merge(name, &deltas, &rule));
        drop(rule);
        self.rules.drop_unknown(py);
        let raised = self.rules.take_raised_for(py, name);
        delta::report(py, &report.or_raise(py)?, &raised)
    }

    /// Lets whoever follows such a cache hand deltas over, by handles that are made from now on; see
    /// `Overlay.contribute`. They are folded in by `refresh`, `fold` and the thread that refreshes.
    ///
    /// Who contributes is believed: it may put any data under any key, where the rule does not keep
    /// what is there.
    #[pyo3(
        signature = (
            name, rule = Given::first(), *, delta_bytes = None, delta_entries = None,
            other_users = false,
        ),
        text_signature = "($self, name, rule='first', *, delta_bytes=None, delta_entries=None, \
                          other_users=False)"
    )]
    fn accept(
        &self,
        py: Python<'_>,
        name: &str,
        rule: Given,
        delta_bytes: Option<u64>,
        delta_entries: Option<u64>,
        other_users: bool,
    ) -> PyResult<()> {
        let rule = rule.for_cache(py, &self.functions, name)?;
        let mut limits = Limits::new();
        if let Some(most) = delta_bytes {
            limits = limits.delta_bytes(most);
        }
        if let Some(most) = delta_entries {
            limits = limits.delta_entries(most);
        }
        if other_users {
            limits = limits.other_users();
        }
        let accepted = self.store.accept(name, rule, limits);
        self.functions.drop_unknown(py);
        accepted.or_raise(py)
    }

    /// Takes no more contributions to a cache.
    fn stop_accepting(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let stopped = py.detach(|| self.store.stop_accepting(name));
        self.functions.drop_unknown(py);
        stopped.or_raise(py)
    }

    /// Folds in what has been contributed to all caches, and looks for nothing else. Returns the
    /// reports of merges.
    fn fold<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let reports = py.detach(|| self.store.fold());
        let raised = self.take_raised(py);
        delta::reports(py, &reports.or_raise(py)?, &raised)
    }

    /// Judges every cache by its policy, and builds what is due. Returns a report.
    fn refresh<'py>(&self, py: Python<'py>) -> Made<'py> {
        let report = py.detach(|| self.store.refresh());
        self.report(py, report)
    }

    /// The same, but skips what another thread or process is building.
    fn refresh_idle<'py>(&self, py: Python<'py>) -> Made<'py> {
        let report = py.detach(|| self.store.refresh_idle());
        self.report(py, report)
    }

    /// Refreshes now and after each interval, in a thread, until the result is stopped. A process
    /// with a thread does not fork safely.
    #[pyo3(signature = (interval, on_report = None))]
    fn refresh_in_background<'py>(
        slf: &Bound<'py, Self>,
        interval: f64,
        on_report: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, Background>> {
        let py = slf.py();
        let interval = Duration::try_from_secs_f64(interval);
        let interval = interval.map_err(|error| invalid(py, format!("interval: {error}")))?;
        let store = slf.clone().unbind();
        let on_report = Mutex::new(on_report);
        let listener = Arc::new(Listener { store, on_report });
        let told = Arc::downgrade(&listener);
        let report = move |report: &floe::store::Report| {
            Python::attach(|py| {
                if let Some(listener) = told.upgrade() {
                    listener.tell(py, report);
                }
            });
        };
        let started = slf.get().store.refresh_in_background(interval, report);
        let thread = Mutex::new(Some(started.or_raise(py)?));
        let started = Background { thread, listener };
        let started = Bound::new(py, started)?;
        // A thread cannot enter an interpreter that has ended.
        let exit = py.import("floe._exit")?;
        exit.call_method1("stop_at_exit", (&started,))?;
        Ok(started)
    }

    /// How every cache stands, in the order in which they were added.
    fn status<'py>(&self, py: Python<'py>) -> Made<'py> {
        let status = self.store.status().or_raise(py)?;
        let json = serde_json::to_string(&status).map_err(failed)?;
        py.import("floe._report")?.call_method1("statuses", (json,))
    }

    /// Sets a named value that builds have recorded: what was built under another one is built again.
    fn set_value(&self, py: Python<'_>, name: &str, value: Text) -> PyResult<()> {
        self.store.set_value(name, value.0).or_raise(py)
    }

    /// Makes the next refresh build a cache again, or one entry of it.
    #[pyo3(signature = (name, key = None))]
    fn invalidate(&self, py: Python<'_>, name: &str, key: Option<&str>) -> PyResult<()> {
        match key {
            Some(key) => self.store.invalidate_key(name, key),
            None => self.store.invalidate(name),
        }
        .or_raise(py)
    }

    /// A handle that follows a cache, in this process and in its children.
    fn live(&self, py: Python<'_>, name: &str) -> PyResult<Live> {
        Live::of(|| self.store.live(name), || self.store.live(name), false).or_raise(py)
    }

    /// The publisher of a cache.
    fn publisher(&self, py: Python<'_>, name: &str) -> PyResult<Publisher> {
        self.store.publisher(name).map(Publisher::new).or_raise(py)
    }

    /// Serves all caches that have a generation to processes that this one did not start.
    fn serve(&self, py: Python<'_>, path: PathBuf) -> PyResult<Broker> {
        self.store.serve(path).map(Broker::new).or_raise(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.functions.traverse(&visit)?;
        self.rules.traverse(&visit)
    }

    fn __clear__(&self) {
        self.functions.clear();
        self.rules.clear();
    }
}

impl Store {
    /// What functions have raised since this was asked last.
    fn take_raised(&self, py: Python<'_>) -> Raised {
        for functions in [&self.functions, &self.rules] {
            functions.drop_unknown(py);
        }
        let mut raised = self.rules.take_raised(py);
        raised.extend(self.functions.take_raised(py));
        raised
    }

    /// A report as Python's objects, with the exceptions of builds that failed.
    fn report<'py>(
        &self,
        py: Python<'py>,
        report: Result<floe::store::Report, Error>,
    ) -> Made<'py> {
        let raised = self.take_raised(py);
        let report = report.or_raise(py)?;
        let json = serde_json::to_string(&report).map_err(failed)?;
        let lines: Vec<String> = report.caches.iter().map(ToString::to_string).collect();
        let merges = delta::reports(py, &report.merges, &raised)?;
        let exceptions = PyDict::new(py);
        for (name, error) in raised {
            exceptions.set_item(name, error)?;
        }
        let make = py.import("floe._report")?.getattr("report")?;
        make.call1((json, lines, exceptions, merges))
    }
}

fn failed(error: serde_json::Error) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

fn chosen(policy: Option<&Policy>) -> floe::Policy {
    policy.map_or_else(floe::Policy::new, |policy| policy.0.clone())
}

/// A cache of a store.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Cache(Held);

enum Held {
    Value(floe::Cache<Value>),
    Map(floe::Cache<Map<String, Value>>),
}

#[pymethods]
impl Cache {
    /// The newest generation. Builds nothing.
    fn get(&self, py: Python<'_>) -> PyResult<Frozen> {
        self.content(None).map(Frozen::new).or_raise(py)
    }

    /// What the newest generation holds.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Made<'py> {
        Bound::new(py, self.get(py)?)?.getattr("value")
    }

    /// The name of the cache.
    #[getter]
    fn name(&self) -> &str {
        match &self.0 {
            Held::Value(cache) => cache.name(),
            Held::Map(cache) => cache.name(),
        }
    }

    fn __repr__(&self) -> String {
        format!("<Cache {:?}>", self.name())
    }
}

impl Cache {
    /// The newest generation, recorded as an input if it is read for a build.
    pub(crate) fn content(&self, inputs: Option<&mut floe::Inputs>) -> Result<Content, Error> {
        Ok(match (&self.0, inputs) {
            (Held::Value(cache), None) => Content::Value(cache.get()?),
            (Held::Map(cache), None) => Content::Map(cache.get()?),
            (Held::Value(cache), Some(inputs)) => Content::Value(inputs.cache(cache)?),
            (Held::Map(cache), Some(inputs)) => Content::Map(inputs.cache(cache)?),
        })
    }
}

/// The thread that refreshes a store, until it is stopped.
#[pyclass(frozen, weakref, module = "floe")]
pub(crate) struct Background {
    thread: Mutex<Option<floe::store::Background>>,
    listener: Arc<Listener>,
}

/// Whom the thread tells of its refreshes. It knows this weakly, as the collector does not see what
/// threads hold.
struct Listener {
    store: Py<Store>,
    /// Not held without the interpreter.
    on_report: Mutex<Option<Py<PyAny>>>,
}

impl Listener {
    fn tell(&self, py: Python<'_>, report: &floe::store::Report) {
        // Not held while it runs.
        let on_report = locked(py, &self.on_report)
            .as_ref()
            .map(|it| it.clone_ref(py));
        let report = self.store.get().report(py, Ok(report.clone()));
        let told = match on_report {
            Some(on_report) => report.and_then(|report| on_report.call1(py, (report,)).map(drop)),
            None => report.map(drop),
        };
        if let Err(error) = told {
            error.write_unraisable(py, None);
        }
    }
}

impl Drop for Background {
    /// Its thread may be waiting for the interpreter.
    fn drop(&mut self) {
        let thread = self.thread.get_mut();
        if let Some(thread) = thread.unwrap_or_else(PoisonError::into_inner).take() {
            Python::attach(|py| py.detach(|| drop(thread)));
        }
    }
}

#[pymethods]
impl Background {
    /// Lets the thread refresh now.
    fn wake(&self, py: Python<'_>) {
        if let Some(background) = &*locked(py, &self.thread) {
            background.wake();
        }
    }

    /// Ends the thread, after the refresh that it is at.
    fn stop(&self, py: Python<'_>) {
        let background = locked(py, &self.thread).take();
        py.detach(|| drop(background));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) {
        self.stop(py);
    }
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.listener.store)?;
        match self.listener.on_report.try_lock() {
            Ok(on_report) => visit.call(on_report.as_ref()),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let on_report = self.listener.on_report.try_lock();
        drop(on_report.map(|mut on_report| on_report.take()));
    }
}
