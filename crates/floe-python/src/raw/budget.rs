//! What copies of values may come to: shared parts of a region are written out at each use.
#![allow(unsafe_code)]

use std::cell::Cell;

use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::errors::invalid;
use crate::frozen::Frozen;

use super::{LONGEST, guarded};

/// Bytes that any value may come to, and those for each byte of its region beyond that: honest values
/// come to less than a tenth of it.
const ANY: isize = 1 << 30;
const FACTOR: u64 = 64;

/// What one call may still make.
pub(crate) struct Budget {
    left: Cell<isize>,
    is_extended: Cell<bool>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: Cell::new(ANY),
            is_extended: Cell::new(false),
        }
    }

    /// Takes what a container of so many parts comes to; false with an error set.
    ///
    /// # Safety
    /// `owner` is a live [`Frozen`]; called as slots are.
    #[inline]
    pub(super) unsafe fn parts(&self, owner: *mut PyObject, number: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.bytes(owner, number.saturating_mul(40).saturating_add(64)) }
    }

    /// Takes what a text comes to. Short ones are shared by the cache mostly.
    ///
    /// # Safety
    /// As [`parts`](Self::parts).
    #[inline]
    pub(super) unsafe fn text(&self, owner: *mut PyObject, length: usize) -> bool {
        // SAFETY: the caller's promise.
        length <= LONGEST || unsafe { self.bytes(owner, length) }
    }

    /// # Safety
    /// As [`parts`](Self::parts).
    #[inline]
    pub(super) unsafe fn bytes(&self, owner: *mut PyObject, number: usize) -> bool {
        let left = self.left.get().saturating_sub_unsigned(number);
        self.left.set(left);
        // SAFETY: the caller's promise.
        left >= 0 || unsafe { self.extend(owner) }
    }

    /// Adds what the size of the region allows, once.
    #[cold]
    unsafe fn extend(&self, owner: *mut PyObject) -> bool {
        // SAFETY: the caller's promise.
        let done = unsafe {
            guarded(|py| {
                let frozen = Bound::ref_from_ptr(py, &owner).cast::<Frozen>()?.get();
                let more = isize::try_from(frozen.size().saturating_mul(FACTOR));
                let more = more.unwrap_or(isize::MAX);
                if !self.is_extended.replace(true) {
                    self.left.set(self.left.get().saturating_add(more));
                }
                match self.left.get() >= 0 {
                    true => Ok(0),
                    false => Err(invalid(py, told(ANY.saturating_add(more)))),
                }
            })
        };
        done == 0
    }
}

fn told(most: isize) -> String {
    format!(
        "a self-describing value comes to more than {most} bytes when its shared parts are written \
         out at each use; read it where it lies"
    )
}
