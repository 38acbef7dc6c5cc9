//! Maps built entry by entry, also in forked processes.

use std::sync::{Mutex, MutexGuard};

use floe::map::MapShard;
use floe::value::{AsValue, Value};
use floe::{Map, MapBuilder};
use pyo3::prelude::*;

use crate::errors::{OrRaise, invalid};
use crate::freeze::Source;
use crate::frozen::{Content, Frozen};
use crate::lock::locked;

/// Builds a map from texts to values, entry by entry: none of them is kept on the heap.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Builder(Mutex<Option<Boxed>>);

/// A builder is aligned to lines of the cache, and objects of Python are not.
type Boxed = Box<MapBuilder<String, Value>>;

impl Builder {
    fn taken(&self, py: Python<'_>) -> MutexGuard<'_, Option<Boxed>> {
        locked(py, &self.0)
    }
}

fn finished(py: Python<'_>) -> PyErr {
    invalid(
        py,
        "this builder was finished, or has refused an entry".to_owned(),
    )
}

#[pymethods]
impl Builder {
    #[new]
    #[pyo3(signature = (name, *, last_wins = false))]
    fn new(py: Python<'_>, name: &str, last_wins: bool) -> PyResult<Self> {
        let builder = MapBuilder::new(name).or_raise(py)?;
        let builder = if last_wins {
            builder.last_wins()
        } else {
            builder
        };
        Ok(Self(Mutex::new(Some(Box::new(builder)))))
    }

    /// Adds an entry.
    #[pyo3(signature = (key, value, *, as_base = false))]
    fn insert(&self, key: String, value: &Bound<'_, PyAny>, as_base: bool) -> PyResult<()> {
        let py = value.py();
        let source = Source::new(value, as_base);
        let mut builder = self.taken(py);
        let builder = builder.as_mut().ok_or_else(|| finished(py))?;
        let inserted = builder.insert_as(&key, &AsValue(&source));
        match source.refused() {
            Some(refused) => Err(refused),
            None => inserted.or_raise(py),
        }
    }

    /// Adds all entries of a part that another process has built, or of a frozen map.
    fn append(&self, part: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = part.py();
        let opened = match part.cast::<Part>() {
            Ok(part) => Some(part.get().open(py)?),
            Err(_) => None,
        };
        let mut builder = self.taken(py);
        let builder = builder.as_mut().ok_or_else(|| finished(py))?;
        if let Some(map) = opened {
            return builder.append(&map).or_raise(py);
        }
        match part.cast::<Frozen>()?.get().content() {
            Content::Map(map) => builder.append(map).or_raise(py),
            _ => Err(invalid(
                py,
                "only maps that were built have entries to append".to_owned(),
            )),
        }
    }

    /// Seals the map, and returns the handle on it.
    fn finish(&self, py: Python<'_>) -> PyResult<Frozen> {
        let builder = self.taken(py).take().ok_or_else(|| finished(py))?;
        let map = py.detach(|| builder.finish()).or_raise(py)?;
        Ok(Frozen::new(Content::Map(map)))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.taken(py).as_ref().map_or(0, |builder| builder.len())
    }
}

/// Memory in which one forked process builds a part of a map: made before the fork.
#[pyclass(frozen, module = "floe")]
pub(crate) struct Part(Mutex<Option<MapShard>>);

impl Part {
    fn open(&self, py: Python<'_>) -> PyResult<floe::Frozen<Map<String, Value>>> {
        let shard = locked(py, &self.0).take();
        match shard {
            Some(shard) => py.detach(|| shard.open()).or_raise(py),
            None => Err(invalid(py, "this part was appended before".to_owned())),
        }
    }
}

#[pymethods]
impl Part {
    #[new]
    fn new(py: Python<'_>, name: &str) -> PyResult<Self> {
        Ok(Self(Mutex::new(Some(MapShard::new(name).or_raise(py)?))))
    }

    /// The builder that fills this part, in whatever process it is asked for; once over all of them.
    fn builder(&self, py: Python<'_>) -> PyResult<Builder> {
        match &*locked(py, &self.0) {
            Some(shard) => {
                let builder = Box::new(shard.builder().or_raise(py)?);
                Ok(Builder(Mutex::new(Some(builder))))
            }
            None => Err(invalid(py, "this part was appended before".to_owned())),
        }
    }
}
