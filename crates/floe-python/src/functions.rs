//! Functions of Python that a store calls, where the collector sees them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error;
use std::sync::{Arc, Mutex, Weak};

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
    held: Mutex<Vec<Py<PyAny>>>,
    /// Exceptions since the last report, by the names of the caches.
    raised: Mutex<HashMap<String, PyErr>>,
}

/// One of the functions of a store, as a cache knows it.
pub(crate) struct Function {
    functions: Weak<Functions>,
    place: usize,
    cache: String,
}

type Failed = Box<dyn Error + Send + Sync>;

impl Functions {
    /// Holds one more, for a cache.
    pub(crate) fn add(self: &Arc<Self>, cache: &str, function: Bound<'_, PyAny>) -> Function {
        let mut held = locked(function.py(), &self.held);
        let place = held.len();
        held.push(function.unbind());
        Function {
            functions: Arc::downgrade(self),
            place,
            cache: cache.to_owned(),
        }
    }

    /// What was raised since this was asked last.
    pub(crate) fn take_raised(&self, py: Python<'_>) -> HashMap<String, PyErr> {
        std::mem::take(&mut *locked(py, &self.raised))
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let held = self.held.try_lock();
        let mut held = held.iter().flat_map(|held| held.iter());
        held.try_for_each(|function| visit.call(function))
    }

    /// Lets go of all of them, for which code of Python's may run.
    pub(crate) fn clear(&self) {
        let held = self
            .held
            .try_lock()
            .map(|mut held| std::mem::take(&mut *held));
        drop(held);
    }

    fn get(&self, py: Python<'_>, place: usize) -> Option<Py<PyAny>> {
        let held = locked(py, &self.held);
        held.get(place).map(|function| function.clone_ref(py))
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
