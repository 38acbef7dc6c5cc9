//! Locks that a thread of Python waits for without keeping the others from running.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// What a mutex holds: whoever has it may need the interpreter to go on.
pub(crate) fn locked<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
    let guard = mutex.lock_py_attached(py);
    guard.unwrap_or_else(PoisonError::into_inner)
}
