//! Why objects are not frozen.

use std::fmt;

use floe::value::WriteError;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Why an object cannot be frozen, and the way to it, from its end.
#[derive(Debug)]
pub(crate) struct Refused {
    path: Vec<String>,
    reason: Reason,
}

#[derive(Debug)]
pub(crate) enum Reason {
    /// Not data: the name of its type.
    Type(String),
    /// A subclass: its name and that of its base.
    Subclass(String, &'static str),
    Recursive,
    Deep,
    Writer(WriteError),
    Raised(PyErr),
}

impl From<Reason> for Box<Refused> {
    fn from(reason: Reason) -> Self {
        let path = Vec::new();
        Self::new(Refused { path, reason })
    }
}

impl From<PyErr> for Box<Refused> {
    fn from(error: PyErr) -> Self {
        Reason::Raised(error).into()
    }
}

impl From<WriteError> for Box<Refused> {
    fn from(error: WriteError) -> Self {
        Reason::Writer(error).into()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("value")?;
        self.path
            .iter()
            .rev()
            .try_for_each(|step| f.write_str(step))?;
        match &self.reason {
            Reason::Type(name) => write!(
                f,
                ": {name} cannot be frozen; data are None, bool, int, float, str, bytes, list, tuple, dict, set and frozenset"
            ),
            Reason::Subclass(name, base) => write!(
                f,
                ": {name} is a subclass of {base}; as_base=True freezes it as a {base}"
            ),
            Reason::Recursive => f.write_str(": holds itself"),
            Reason::Deep => f.write_str(": is nested deeper than 126 levels"),
            Reason::Writer(error) => write!(f, ": {error}"),
            Reason::Raised(error) => write!(f, ": {error}"),
        }
    }
}

impl Refused {
    pub(crate) fn exception(self) -> PyErr {
        match self.reason {
            Reason::Type(_) | Reason::Subclass(..) => PyTypeError::new_err(self.to_string()),
            Reason::Raised(error) => error,
            _ => PyValueError::new_err(self.to_string()),
        }
    }

    pub(crate) fn under(mut self: Box<Self>, step: impl FnOnce() -> String) -> Box<Self> {
        self.path.push(step());
        self
    }
}
