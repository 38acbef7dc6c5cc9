//! What copies of values may come to: shared parts of a region are written out at each use.
#![allow(unsafe_code)]

use std::cell::Cell;

use floe::value::Expansion;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::errors::invalid;
use crate::frozen::Frozen;

use super::{LONGEST, guarded};

/// In bytes.
const LIMIT: Expansion = Expansion::on_heap(1);

/// What one call may still make.
pub(crate) struct Budget {
    left: Cell<isize>,
    is_extended: Cell<bool>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self {
            left: Cell::new(bytes(LIMIT.most_of(0))),
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
                let most = LIMIT.most_of(frozen.size());
                if !self.is_extended.replace(true) {
                    let more = bytes(most - LIMIT.most_of(0));
                    self.left.set(self.left.get().saturating_add(more));
                }
                match self.left.get() >= 0 {
                    true => Ok(0),
                    false => Err(invalid(py, told(most))),
                }
            })
        };
        done == 0
    }
}

fn bytes(number: u64) -> isize {
    isize::try_from(number).unwrap_or(isize::MAX)
}

fn told(most: u64) -> String {
    format!(
        "a self-describing value comes to more than {most} bytes when its shared parts are written \
         out at each use; read it where it lies"
    )
}
