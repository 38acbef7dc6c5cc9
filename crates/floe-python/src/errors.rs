//! Errors of the library as Python's exceptions, with the same text.

use std::io;

use floe::Error;
use floe::error::{BrokerError, ChannelError, ProcError, RootError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

/// `?` on results of the library.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}

/// Which class an error is of.
enum Class<'a> {
    Invalid,
    Unknown,
    OtherType,
    /// The kernel's answer.
    System(&'a io::Error),
    /// The answer that the kernel would give.
    Number(i32),
}

const EPERM: i32 = 1;
const EIO: i32 = 5;
const ESRCH: i32 = 3;

/// The exception of an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.to_string();
    let made = match class(error) {
        Class::Invalid => named(py, "InvalidError").and_then(|class| class.call1((text,))),
        Class::Unknown => named(py, "UnknownNameError").and_then(|class| class.call1((text,))),
        Class::OtherType => named(py, "OtherTypeError").and_then(|class| class.call1((text,))),
        Class::System(reason) => system(py, reason.raw_os_error().unwrap_or(EIO), &text),
        Class::Number(number) => system(py, number, &text),
    };
    made.map_or_else(|failed| failed, PyErr::from_value)
}

/// The exception of a kernel's answer with a text of its own.
pub(crate) fn system<'py>(py: Python<'py>, number: i32, text: &str) -> PyResult<Bound<'py, PyAny>> {
    named(py, "system_call_error")?.call1((number, text))
}

/// An exception of bytes, names or values that are not valid.
pub(crate) fn invalid(py: Python<'_>, text: String) -> PyErr {
    let made = named(py, "InvalidError").and_then(|class| class.call1((text,)));
    made.map_or_else(|failed| failed, PyErr::from_value)
}

fn named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let import = || py.import("floe._errors").map(Bound::unbind);
    MODULE.get_or_try_init(py, import)?.bind(py).getattr(name)
}

fn class(error: &Error) -> Class<'_> {
    match error {
        Error::UnknownCache { .. } => Class::Unknown,
        Error::Root {
            reason: RootError::Missing { .. },
            ..
        } => Class::Unknown,
        Error::SchemaMismatch { .. } => Class::OtherType,
        Error::NotOwner { .. } => Class::Number(EPERM),
        Error::Memfd { reason, .. }
        | Error::Write { reason, .. }
        | Error::Advise { reason, .. }
        | Error::Descriptor { reason }
        | Error::ReadFile { reason, .. }
        | Error::ReadStream { reason }
        | Error::Directory { reason, .. }
        | Error::Thread { reason, .. }
        | Error::WaitWorker { reason, .. }
        | Error::Save { reason, .. }
        | Error::PublishedNotDurable { reason, .. } => Class::System(reason),
        Error::Load { reason, .. } => class(reason),
        Error::Broker(BrokerError::Step { reason, .. } | BrokerError::Serve { reason, .. }) => {
            Class::System(reason)
        }
        Error::Broker(BrokerError::Foreign { .. } | BrokerError::Refused { .. }) => {
            Class::Number(EPERM)
        }
        Error::Channel(ChannelError::Step { reason, .. }) => Class::System(reason),
        Error::ReadProcess { reason, .. } => match reason {
            ProcError::Gone => Class::Number(ESRCH),
            ProcError::NotPermitted => Class::Number(EPERM),
            ProcError::Refused(reason) => Class::System(reason),
            _ => Class::Invalid,
        },
        _ => Class::Invalid,
    }
}
