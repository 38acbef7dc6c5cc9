//! Functions of Python that a store calls, where the collector sees them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::sync::{Arc, Mutex, Weak};

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::inputs::Inputs;
use crate::lock::locked;

/// Functions that the caches of a store call, and what these have raised.
///
/// The store alone holds them, and its caches know them weakly: the collector does not see what the
/// library holds, and a function that leads back to its store would never be freed. Neither mutex
/// is held without the interpreter, nor while code of Python's may run: so no other thread takes one
/// while the collector is at work.
#[derive(Default)]
pub(crate) struct Functions {
    held: Mutex<Places>,
    /// Exceptions since the last report, by the names of the caches.
    raised: Mutex<Raised>,
}

/// What functions have raised, by the names of their caches.
pub(crate) type Raised = HashMap<String, Py<PyBaseException>>;

/// Functions by their places.
#[derive(Default)]
struct Places {
    all: HashMap<usize, Held>,
    next: usize,
}

struct Held {
    function: Py<PyAny>,
    /// Lives as long as a cache knows the function.
    known: Weak<()>,
}

/// One of the functions of a store, as a cache knows it.
pub(crate) struct Function {
    functions: Weak<Functions>,
    place: usize,
    cache: String,
    /// Tells that this is here.
    _known: Arc<()>,
}

type Failed = Box<dyn Error + Send + Sync>;

impl Functions {
    /// Holds one more, for a cache.
    pub(crate) fn add(self: &Arc<Self>, cache: &str, function: Bound<'_, PyAny>) -> Function {
        let known = Arc::new(());
        let mut held = locked(function.py(), &self.held);
        let place = held.next;
        held.next += 1;
        let function = Held {
            function: function.unbind(),
            known: Arc::downgrade(&known),
        };
        held.all.insert(place, function);
        Function {
            functions: Arc::downgrade(self),
            place,
            cache: cache.to_owned(),
            _known: known,
        }
    }

    /// Lets go of those that no cache knows any more, for which code of Python's may run.
    pub(crate) fn drop_unknown(&self, py: Python<'_>) {
        let mut held = locked(py, &self.held);
        let all = std::mem::take(&mut held.all).into_iter();
        let (known, unknown) = all.partition(|(_, held)| held.known.strong_count() > 0);
        held.all = known;
        drop(held);
        drop::<HashMap<usize, Held>>(unknown);
    }

    /// What was raised since this was asked last.
    pub(crate) fn take_raised(&self, py: Python<'_>) -> Raised {
        std::mem::take(&mut *locked(py, &self.raised))
    }

    /// The same of the functions of one cache.
    pub(crate) fn take_raised_for(&self, py: Python<'_>, cache: &str) -> Raised {
        let raised = locked(py, &self.raised).remove_entry(cache);
        raised.into_iter().collect()
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let held = self.held.try_lock();
        let mut held = held.iter().flat_map(|held| held.all.values());
        held.try_for_each(|held| visit.call(&held.function))?;
        let raised = self.raised.try_lock();
        let mut raised = raised.iter().flat_map(|raised| raised.values());
        raised.try_for_each(|error| visit.call(error))
    }

    /// Lets go of all of them, and of what they have raised. Code of Python's may run for that.
    pub(crate) fn clear(&self) {
        let held = self.held.try_lock();
        let held = held.map(|mut held| std::mem::take(&mut held.all));
        drop(held);
        let raised = self.raised.try_lock();
        let raised = raised.map(|mut raised| std::mem::take(&mut *raised));
        drop(raised);
    }

    fn get(&self, py: Python<'_>, place: usize) -> Option<Py<PyAny>> {
        let held = locked(py, &self.held);
        let held = held.all.get(&place);
        held.map(|held| held.function.clone_ref(py))
    }
}

impl Function {
    /// Calls it, and keeps what it raises.
    pub(crate) fn ask<T>(
        &self,
        call: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> Result<T, Failed> {
        Python::attach(|py| {
            let gone = || Failed::from("the store of this cache, and its functions, are gone");
            let functions = self.functions.upgrade().ok_or_else(gone)?;
            let function = functions.get(py, self.place).ok_or_else(gone)?;
            call(function.bind(py)).map_err(|error| {
                // Older interpreters keep the traceback beside the exception.
                if let Some(traceback) = error.traceback(py) {
                    let _ = error.value(py).setattr("__traceback__", traceback);
                }
                let told = Failed::from(error.to_string());
                let error = error.into_value(py);
                // The first one is kept. The other is dropped once the lock is free, since that may
                // run code of Python's.
                let mut raised = locked(py, &functions.raised);
                let spare = match raised.entry(self.cache.clone()) {
                    Entry::Vacant(place) => {
                        place.insert(error);
                        None
                    }
                    Entry::Occupied(_) => Some(error),
                };
                drop(raised);
                drop(spare);
                told
            })
        })
    }

    /// The same of a function that reads through inputs.
    pub(crate) fn build<T>(
        &self,
        inputs: &mut floe::Inputs,
        call: impl for<'py> FnOnce(&Bound<'py, PyAny>, &Bound<'py, Inputs>) -> PyResult<T>,
    ) -> Result<T, Failed> {
        self.ask(|function| {
            let py = function.py();
            let lent = Inputs::lend(py, std::mem::take(inputs))?;
            let made = call(function, &lent);
            if let Some(returned) = lent.get().take_back(py) {
                *inputs = returned;
            }
            made
        })
    }
}
