//! Handles on regions.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::SystemTime;

use floe::dynamic::Described;
use floe::map::ArchivedMap;
use floe::value::{ArchivedValue, AsValue, Value};
use floe::{Error, Map, Region, broker};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};

use crate::errors::{OrRaise, invalid};
use crate::freeze::Source;
use crate::map::FrozenMap;
use crate::methods::Made;
use crate::raw::{Budget, Held, Texts, duplicate, trust};
use crate::typed::{self, Typed};

pub(crate) type Values = floe::Frozen<Value>;
pub(crate) type Maps = floe::Frozen<Map<String, Value>>;

/// A handle on a frozen value: what can be sent, saved and inherited.
///
/// `value` reads it. The region stays in memory as long as a handle or anything read from it does.
#[pyclass(frozen, weakref, module = "floe")]
pub(crate) struct Frozen {
    held: Content,
    texts: Texts,
}

/// What a region holds.
pub(crate) enum Content {
    Value(Values),
    Map(Maps),
    /// What a Rust program froze as types of its own, and its descriptors, if it came by these.
    Typed(Box<Typed>, Vec<OwnedFd>),
}

impl Frozen {
    pub(crate) fn new(held: Content) -> Self {
        let texts = Texts::new();
        Self { held, texts }
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) fn map(&self) -> Option<&ArchivedMap<String, Value>> {
        match &self.held {
            Content::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.held
    }

    /// The number of the generation.
    pub(crate) fn number(&self) -> u64 {
        self.region().map_or(0, Region::generation)
    }

    fn root(&self) -> Option<&ArchivedValue> {
        match &self.held {
            Content::Value(value) => Some(value),
            _ => None,
        }
    }

    fn region(&self) -> Option<&Region> {
        match &self.held {
            Content::Value(value) => Some(value.region()),
            Content::Map(map) => Some(map.region()),
            Content::Typed(..) => None,
        }
    }

    /// Opens what descriptors hold; with trust, only seals, header and structure are looked at.
    pub(crate) fn open(fds: &[OwnedFd], trusting: bool) -> Result<Self, Error> {
        let copies = || -> Result<Vec<OwnedFd>, Error> {
            let copies = fds.iter().map(OwnedFd::try_clone).collect::<Result<_, _>>();
            copies.map_err(|reason| Error::Descriptor { reason })
        };
        let value = match trusting {
            true => Values::from_fds_trusting(copies()?, trust()),
            false => Values::from_fds(copies()?),
        };
        match value {
            Err(Error::SchemaMismatch { .. }) => {}
            opened => return opened.map(Content::Value).map(Self::new),
        }
        let map = match trusting {
            true => Maps::from_fds_trusting(copies()?, trust()),
            false => Maps::from_fds(copies()?),
        };
        match map {
            Err(Error::SchemaMismatch { .. }) => {}
            opened => return opened.map(Content::Map).map(Self::new),
        }
        let typed = Box::new(Typed::new(Described::from_fds(copies()?)?));
        Ok(Self::new(Content::Typed(typed, copies()?)))
    }
}

/// Whether a file holds something else than was tried.
fn is_other_type(error: &Error) -> bool {
    match error {
        Error::SchemaMismatch { .. } => true,
        Error::Load { reason, .. } => is_other_type(reason),
        _ => false,
    }
}

#[pymethods]
impl Frozen {
    /// What was frozen: a `FrozenDict`, `FrozenList` or `FrozenSet`, or a plain object.
    #[getter]
    fn value<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        let py = slf.py();
        match &slf.get().held {
            Content::Value(_) => match Held::in_handle(slf, |frozen| frozen.root()) {
                Some(root) => root.object(),
                None => Ok(py.None().into_bound(py)),
            },
            Content::Map(_) => {
                let map = FrozenMap::new(slf.clone().unbind());
                Ok(Bound::new(py, map)?.into_any())
            }
            Content::Typed(typed, _) => Ok(typed::value(slf, typed)?.into_bound(py)),
        }
    }

    /// The name of the cache.
    #[getter]
    fn name(&self) -> &str {
        match &self.held {
            Content::Typed(typed, _) => typed.described().name(),
            _ => self.region().map_or("", Region::name),
        }
    }

    /// The number of the generation, counted from 1.
    #[getter]
    fn generation(&self) -> u64 {
        match &self.held {
            Content::Typed(typed, _) => typed.described().generation(),
            _ => self.region().map_or(0, Region::generation),
        }
    }

    /// Bytes of the region.
    #[getter]
    pub(crate) fn size(&self) -> u64 {
        match &self.held {
            Content::Typed(typed, _) => typed.described().size(),
            _ => self.region().map_or(0, Region::size),
        }
    }

    /// When it was frozen, in seconds since 1970.
    #[getter]
    fn created(&self) -> f64 {
        let created = match &self.held {
            Content::Typed(typed, _) => typed.described().created(),
            _ => self
                .region()
                .map_or(SystemTime::UNIX_EPOCH, Region::created),
        };
        let since = created.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_secs_f64()
    }

    /// The header of the region, which has the digests of everything in it.
    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let header = self.region().map_or(&[][..], Region::bytes);
        let length = header.len().min(floe::format::HEADER_LENGTH);
        let number = floe::error::Fingerprint::of_json(&header[..length]);
        PyBytes::new(py, &number.to_le_bytes())
    }

    /// The descriptors of its memory, which belong to the handle: one, or more where generations
    /// share pages.
    #[getter]
    fn fds(&self, py: Python<'_>) -> PyResult<Vec<RawFd>> {
        match &self.held {
            Content::Typed(_, fds) if fds.is_empty() => {
                let told =
                    "this handle was loaded from a file of another type and has no descriptor";
                Err(invalid(py, told.to_owned()))
            }
            Content::Typed(_, fds) => Ok(fds.iter().map(AsRawFd::as_raw_fd).collect()),
            _ => {
                let fds = self.region().map(Region::as_fds).transpose().or_raise(py)?;
                Ok(fds.iter().flatten().map(AsRawFd::as_raw_fd).collect())
            }
        }
    }

    /// The descriptor of its memory, which belongs to the handle.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        match self.fds(py)?[..] {
            [only] => Ok(only),
            ref several => {
                let told = format!("the region lies in {} files: see fds", several.len());
                Err(invalid(py, told))
            }
        }
    }

    /// Saves the region, in place of a file that may be there. `load` reads it.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        match self.region() {
            Some(region) => py.detach(|| region.save(path)).or_raise(py),
            None => {
                let told = "a region of another type cannot be saved from Python; copy its file";
                Err(invalid(py, told.to_owned()))
            }
        }
    }

    /// An ordinary value, all the way down.
    fn thaw<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        thaw(&Self::value(slf)?)
    }

    /// Opens what the program that started this one has passed: see `passing`.
    ///
    /// Its seals, header and structure are checked; not every value, as whoever starts a program can
    /// have it do anything.
    #[staticmethod]
    fn inherited(py: Python<'_>, name: &str) -> PyResult<Self> {
        let found = py
            .import("floe._handle")?
            .call_method1("inherited", (name,))?;
        Self::from_fds(py, found.extract()?, true)
    }

    /// Opens copies of descriptors, which may come from anywhere. With `trust`, only seals, header
    /// and structure are checked: a promise that whoever sent them has frozen or checked the rest.
    #[staticmethod]
    #[pyo3(signature = (fds, *, trust = false))]
    fn from_fds(py: Python<'_>, fds: Vec<RawFd>, trust: bool) -> PyResult<Self> {
        let copies = fds
            .into_iter()
            .map(duplicate)
            .collect::<Result<Vec<_>, _>>();
        let copies = copies.map_err(PyOSError::new_err)?;
        py.detach(|| Self::open(&copies, trust)).or_raise(py)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Made<'py> {
        slf.py()
            .import("floe._handle")?
            .call_method1("reduce", (slf,))
    }

    fn __repr__(&self) -> String {
        let (name, generation) = (self.name(), self.generation());
        let size = floe::error::bytes(self.size());
        format!("<Frozen {name:?}, generation {generation}, {size}>")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.held {
            Content::Typed(typed, _) => typed.traverse(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        if let Content::Typed(typed, _) = &self.held {
            typed.clear();
        }
    }
}

/// Freezes a value under a name: copies it into a sealed region of shared memory.
///
/// Data are None, bool, int, float, str, bytes, list, tuple, dict, set and frozenset. Subclasses of
/// them are refused, or with `as_base` frozen as what they are derived from.
#[pyfunction]
#[pyo3(signature = (value, name, *, as_base = false))]
pub(crate) fn freeze(value: &Bound<'_, PyAny>, name: &str, as_base: bool) -> PyResult<Frozen> {
    let source = Source::new(value, as_base);
    let frozen = Values::freeze_as(name, &AsValue(&source));
    if let Some(refused) = source.refused() {
        return Err(refused);
    }
    Ok(Frozen::new(Content::Value(frozen.or_raise(value.py())?)))
}

/// Loads what `Frozen.save`, or a Rust program, saved: copies it into sealed memory and checks it.
#[pyfunction]
pub(crate) fn load(py: Python<'_>, path: PathBuf) -> PyResult<Frozen> {
    py.detach(|| {
        match Values::load(&path) {
            Err(error) if is_other_type(&error) => {}
            loaded => return loaded.map(Content::Value).map(Frozen::new),
        }
        match Maps::load(&path) {
            Err(error) if is_other_type(&error) => {}
            loaded => return loaded.map(Content::Map).map(Frozen::new),
        }
        let typed = Box::new(Typed::new(Described::load(&path)?));
        Ok(Frozen::new(Content::Typed(typed, Vec::new())))
    })
    .or_raise(py)
}

/// Fetches the newest generation of a cache from the broker behind a socket, and checks it.
#[pyfunction]
pub(crate) fn connect(py: Python<'_>, socket: PathBuf, name: &str) -> PyResult<Frozen> {
    py.detach(|| Frozen::open(&broker::fetch(&socket, name)?, false))
        .or_raise(py)
}

/// An ordinary copy of anything frozen, all the way down; other objects are returned as they are.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub(crate) fn thaw<'py>(value: &Bound<'py, PyAny>) -> Made<'py> {
    if let Some(held) = Held::of(value) {
        return held.thaw(&Budget::new());
    }
    if let Ok(map) = value.cast::<FrozenMap>() {
        return Ok(map.get().thaw(value.py())?.into_any());
    }
    if let Ok(frozen) = value.cast::<Frozen>() {
        return Frozen::thaw(frozen);
    }
    thaw_other(value)
}

/// Containers of Python may hold frozen values, and so may tuples that were read.
fn thaw_other<'py>(value: &Bound<'py, PyAny>) -> Made<'py> {
    use pyo3::types::{PyDict, PyList, PyTuple};
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        let items = tuple
            .iter()
            .map(|item| thaw(&item))
            .collect::<PyResult<Vec<_>>>()?;
        return Ok(PyTuple::new(value.py(), items)?.into_any());
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        let items = list
            .iter()
            .map(|item| thaw(&item))
            .collect::<PyResult<Vec<_>>>()?;
        return Ok(PyList::new(value.py(), items)?.into_any());
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        let thawed = PyDict::new(value.py());
        for (key, item) in dict.iter() {
            thawed.set_item(thaw(&key)?, thaw(&item)?)?;
        }
        return Ok(thawed.into_any());
    }
    match value.getattr_opt("thaw")? {
        Some(own) if value.get_type().module()?.to_str()?.starts_with("floe") => own.call0(),
        _ => Ok(value.clone()),
    }
}
