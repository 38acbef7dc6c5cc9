//! Generations on their way to processes that run.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use floe::value::{AsValue, Value};
use floe::{Error, Map, Watch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::contribution::Contribution;
use crate::delta::Delta;
use crate::errors::{OrRaise, exception, invalid};
use crate::freeze::Source;
use crate::frozen::{Content, Frozen};
use crate::lock::locked;
use crate::methods::Made;
use crate::raw::trust;

type Values = floe::Live<Value>;
type Maps = floe::Live<Map<String, Value>>;

/// A handle that follows a cache from one generation to the next.
///
/// `value` reads the newest one. What was read from it stays as it was, and keeps its own generation
/// in memory: ask again for the next.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Live(Mutex<Follower>);

struct Follower {
    live: Following,
    /// Whether it looks for another owner when its own has ended.
    reconnects: bool,
    /// The newest generation that was asked for.
    pinned: Option<Py<Frozen>>,
    watch: Option<Watch>,
}

enum Following {
    Value(Box<Values>),
    Map(Box<Maps>),
}

/// The same of both kinds.
macro_rules! both {
    ($following:expr, $live:ident => $made:expr) => {
        match $following {
            Following::Value($live) => $made,
            Following::Map($live) => $made,
        }
    };
}

/// Variables of the environment, and what is added to each.
type Rows = Vec<(String, String)>;

/// How long a look at a cache takes at most, and how often it is looked whether the owner lives.
const LOOK: Duration = Duration::from_millis(1);
const OWNER_LOOKED_AFTER: Duration = Duration::from_secs(1);

/// Waits for a publication, or for the time.
fn wait(watch: &Watch, time: Duration) {
    let time = Timespec {
        tv_sec: time.as_secs() as i64,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // An interrupt ends it early, which is allowed.
    let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&time));
}

fn is_other_type(error: &Error) -> bool {
    matches!(error, Error::SchemaMismatch { .. })
}

impl Live {
    /// Follows a cache of either kind.
    pub(crate) fn of(
        values: impl FnOnce() -> Result<Values, Error>,
        maps: impl FnOnce() -> Result<Maps, Error>,
        reconnects: bool,
    ) -> Result<Self, Error> {
        let live = match values() {
            Err(error) if is_other_type(&error) => Following::Map(Box::new(maps()?)),
            opened => Following::Value(Box::new(opened?)),
        };
        let (pinned, watch) = (None, None);
        Ok(Self(Mutex::new(Follower {
            live,
            reconnects,
            pinned,
            watch,
        })))
    }

    fn follower(&self, py: Python<'_>) -> MutexGuard<'_, Follower> {
        locked(py, &self.0)
    }
}

impl Follower {
    fn pin(&mut self, py: Python<'_>) -> PyResult<Py<Frozen>> {
        let content = match &mut self.live {
            Following::Value(live) => {
                let newest = live.pin();
                if let Some(pinned) = self.same(newest.region().generation()) {
                    return Ok(pinned.clone_ref(py));
                }
                Content::Value(newest)
            }
            Following::Map(live) => {
                let newest = live.pin();
                if let Some(pinned) = self.same(newest.region().generation()) {
                    return Ok(pinned.clone_ref(py));
                }
                Content::Map(newest)
            }
        };
        let frozen = Py::new(py, Frozen::new(content))?;
        self.pinned = Some(frozen.clone_ref(py));
        Ok(frozen)
    }

    fn same(&self, generation: u64) -> Option<&Py<Frozen>> {
        let pinned = self.pinned.as_ref();
        pinned.filter(|pinned| pinned.get().number() == generation)
    }
}

#[pymethods]
impl Live {
    /// Follows what the program that started this one has passed: see `Publisher.passing`.
    #[staticmethod]
    fn inherited(py: Python<'_>, name: &str) -> PyResult<Self> {
        let values = || Values::inherited_trusting(name, trust());
        Self::of(values, || Maps::inherited_trusting(name, trust()), false).or_raise(py)
    }

    /// Follows a cache of the broker behind a socket.
    #[staticmethod]
    fn connect(py: Python<'_>, socket: PathBuf, name: &str) -> PyResult<Self> {
        py.detach(|| {
            Self::of(
                || Values::connect(&socket, name),
                || Maps::connect(&socket, name),
                true,
            )
        })
        .or_raise(py)
    }

    /// The value of the newest generation.
    ///
    /// Raises `InvalidError` if that has expired.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Made<'py> {
        let mut follower = self.follower(py);
        let expired = both!(&mut follower.live, live => live.get().map(drop).err());
        if let Some(expired) = expired {
            return Err(exception(py, &expired));
        }
        follower.pin(py)?.bind(py).getattr("value")
    }

    /// The value of the newest generation, even if that has expired.
    #[getter]
    fn stale_value<'py>(&self, py: Python<'py>) -> Made<'py> {
        self.follower(py).pin(py)?.bind(py).getattr("value")
    }

    /// A handle that stays on the newest generation.
    fn pin(&self, py: Python<'_>) -> PyResult<Py<Frozen>> {
        self.follower(py).pin(py)
    }

    /// The number of the generation that was last read.
    #[getter]
    fn generation(&self, py: Python<'_>) -> u64 {
        both!(&self.follower(py).live, live => live.generation())
    }

    /// The name of the cache.
    #[getter]
    fn name(&self, py: Python<'_>) -> String {
        both!(&self.follower(py).live, live => live.name().to_owned())
    }

    /// Waits, for so many seconds at most, until there is a newer generation; whether there is.
    fn wait_newer(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let timeout = Duration::try_from_secs_f64(timeout);
        let timeout = timeout.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let (began, before) = (Instant::now(), self.generation(py));
        loop {
            // Made before the look, so that it wakes for what is published after that. While this
            // waits, others may read.
            let watch = both!(&self.follower(py).live, live => live.watch()).or_raise(py)?;
            watch.clear();
            let step = timeout.saturating_sub(began.elapsed()).min(LOOK);
            let is_newer = py.detach(|| {
                let mut follower = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                both!(&mut follower.live, live => live.wait_newer(step))
            });
            if is_newer || self.generation(py) > before {
                return Ok(true);
            }
            let is_over = {
                let follower = self.follower(py);
                !follower.reconnects && both!(&follower.live, live => live.is_orphaned())
            };
            let left = timeout.saturating_sub(began.elapsed());
            if is_over || left.is_zero() {
                return Ok(false);
            }
            py.detach(|| wait(&watch, left.min(OWNER_LOOKED_AFTER)));
            py.check_signals()?;
        }
    }

    /// Whether the newest generation has expired.
    #[getter]
    fn is_expired(&self, py: Python<'_>) -> bool {
        both!(&self.follower(py).live, live => live.is_expired())
    }

    /// Whether no further generation can come: the owner is gone.
    #[getter]
    fn is_orphaned(&self, py: Python<'_>) -> bool {
        both!(&self.follower(py).live, live => live.is_orphaned())
    }

    /// How old the generation is, in seconds.
    #[getter]
    fn age(&self, py: Python<'_>) -> f64 {
        both!(&self.follower(py).live, live => live.age().as_secs_f64())
    }

    /// Why a newer generation could not be taken, if that is so.
    #[getter]
    fn last_error(&self, py: Python<'_>) -> Option<String> {
        both!(&self.follower(py).live, live => live.last_error().map(ToString::to_string))
    }

    /// Hands changes over to the owner of the cache, without waiting: a delta, or an overlay, which
    /// goes on with its changes. The owner has to accept them: see `Store.accept`.
    fn contribute(&self, changes: &Bound<'_, PyAny>) -> PyResult<Contribution> {
        let py = changes.py();
        let (delta, told) = match changes.cast::<Delta>() {
            Ok(delta) => (delta.clone(), None),
            Err(_) => {
                let sealed = changes.call_method0("_seal")?;
                let (delta, told) = sealed.extract::<(Bound<'_, Delta>, Bound<'_, PyAny>)>()?;
                (delta, Some(told))
            }
        };
        let sent = match &mut self.follower(py).live {
            Following::Map(live) => live.contribute_delta(delta.get().delta()).or_raise(py)?,
            Following::Value(_) => {
                let told = "this cache is one value; only caches of entries take contributions";
                return Err(invalid(py, told.to_owned()));
            }
        };
        if let Some(told) = told {
            changes.call_method1("_note_told", (told,))?;
        }
        Ok(Contribution::new(sent))
    }

    /// A descriptor that is readable while there is a newer generation, for `select` and its like.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        let mut follower = self.follower(py);
        if follower.watch.is_none() {
            follower.watch = Some(both!(&follower.live, live => live.watch()).or_raise(py)?);
        }
        Ok(follower.watch.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (name, generation) = (self.name(py), self.generation(py));
        format!("<Live {name:?}, generation {generation}>")
    }
}

/// The owner's side of a cache: publishes generations to those who follow it.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Publisher {
    publisher: floe::Publisher,
    /// Keeps descriptors open that were passed, with those for contributions or without.
    passed: Mutex<Vec<(bool, Command)>>,
}

impl Publisher {
    pub(crate) fn new(publisher: floe::Publisher) -> Self {
        let passed = Mutex::default();
        Self { publisher, passed }
    }
}

#[pymethods]
impl Publisher {
    /// Publishes a handle as the first generation of its cache.
    #[new]
    #[pyo3(signature = (first, *, expire_after = None))]
    fn of(py: Python<'_>, first: &Frozen, expire_after: Option<f64>) -> PyResult<Self> {
        let publisher = match first.content() {
            Content::Value(value) => floe::Publisher::new(value),
            Content::Map(map) => floe::Publisher::new(map),
            Content::Typed(..) => {
                let told = "a region of another type is published by the program that froze it";
                return Err(invalid(py, told.to_owned()));
            }
        };
        let mut publisher = publisher.or_raise(py)?;
        if let Some(time) = expire_after {
            let time = Duration::try_from_secs_f64(time);
            let time = time.map_err(|error| invalid(py, format!("expire_after: {error}")))?;
            publisher = publisher.expire_after(time).or_raise(py)?;
        }
        Ok(Self::new(publisher))
    }

    /// Freezes a value as the next generation, and publishes it.
    #[pyo3(signature = (value, *, as_base = false))]
    fn publish(&self, value: &Bound<'_, PyAny>, as_base: bool) -> PyResult<Frozen> {
        let py = value.py();
        let source = Source::new(value, as_base);
        let frozen = self.publisher.freeze_as::<Value>(&AsValue(&source));
        if let Some(refused) = source.refused() {
            return Err(refused);
        }
        let frozen = frozen.or_raise(py)?;
        self.publisher.publish(&frozen).or_raise(py)?;
        Ok(Frozen::new(Content::Value(frozen)))
    }

    /// Says that the newest generation is still up to date: its age starts anew.
    fn renew(&self, py: Python<'_>) -> PyResult<()> {
        self.publisher.renew().or_raise(py)
    }

    /// A handle that follows the cache, in this process and in its children.
    fn live(&self, py: Python<'_>) -> PyResult<Live> {
        let publisher = &self.publisher;
        Live::of(|| publisher.subscribe(), || publisher.subscribe(), false).or_raise(py)
    }

    /// The number of the newest generation.
    #[getter]
    fn generation(&self, py: Python<'_>) -> PyResult<u64> {
        self.publisher.generation().or_raise(py)
    }

    /// The name of the cache.
    #[getter]
    fn name(&self) -> &str {
        self.publisher.name()
    }

    /// Serves the cache to processes that this one did not start.
    fn serve(&self, py: Python<'_>, path: PathBuf) -> PyResult<Broker> {
        floe::Broker::serve(path, [&self.publisher])
            .map(Broker::new)
            .or_raise(py)
    }

    /// What `passing` puts into the environment, by the names of variables, and the descriptors that
    /// go along.
    fn _passing(&self, py: Python<'_>) -> PyResult<(Rows, Vec<RawFd>)> {
        let mut passed = locked(py, &self.passed);
        let accepts = self
            .publisher
            .status()
            .or_raise(py)?
            .contributions
            .is_some();
        if passed
            .last()
            .is_none_or(|(accepted, _)| *accepted != accepts)
        {
            let mut command = Command::new("");
            self.publisher.pass_to(&mut command).or_raise(py)?;
            passed.push((accepts, command));
        }
        let envs = passed
            .last()
            .into_iter()
            .flat_map(|(_, command)| command.get_envs());
        let text = |text: &OsStr| text.to_str().unwrap_or_default().to_owned();
        let rows = envs.filter_map(|(name, value)| Some((text(name), text(value?))));
        let rows: Rows = rows.collect();
        let fields = rows.iter().flat_map(|(_, row)| row.split('/').skip(1));
        let numbers = fields.filter_map(|field| field.parse().ok()).collect();
        Ok((rows, numbers))
    }

    fn __repr__(&self) -> String {
        format!("<Publisher {:?}>", self.name())
    }
}

/// Hands caches to processes that ask at a socket, until it is stopped.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Broker(Mutex<Option<floe::Broker>>);

impl Broker {
    pub(crate) fn new(broker: floe::Broker) -> Self {
        Self(Mutex::new(Some(broker)))
    }
}

#[pymethods]
impl Broker {
    /// Serves one more cache.
    fn offer(&self, py: Python<'_>, publisher: &Publisher) -> PyResult<()> {
        match &*locked(py, &self.0) {
            Some(broker) => broker.offer(&publisher.publisher).or_raise(py),
            None => Err(invalid(py, "this broker was stopped".to_owned())),
        }
    }

    /// Ends it and removes the socket.
    fn stop(&self, py: Python<'_>) {
        let broker = locked(py, &self.0).take();
        py.detach(|| drop(broker));
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) {
        self.stop(py);
    }
}
