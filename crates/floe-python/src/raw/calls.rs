//! Safe code in the form that the interpreter calls: everything but reading.
#![allow(unsafe_code)]

use std::ffi::c_int;

use pyo3::basic::CompareOp;
use pyo3::ffi::*;
use pyo3::prelude::*;

use super::guarded;
use crate::{methods, sets};

/// Functions of safe code as slots and methods, by the number of objects that they take.
macro_rules! calls {
    ($($name:ident($first:ident $(, $other:ident)* $(; $unused:ty)?) = $safe:path;)*) => {$(
        pub(super) unsafe extern "C" fn $name(
            $first: *mut PyObject
            $(, $other: *mut PyObject)*
            $(, _: $unused)?
        ) -> *mut PyObject {
            // SAFETY: as slots: live objects.
            unsafe {
                guarded(|py| {
                    let made = $safe(
                        Bound::ref_from_ptr(py, &$first)
                        $(, Bound::ref_from_ptr(py, &$other))*
                    );
                    made.map(Bound::into_ptr)
                })
            }
        }
    )*};
}

calls! {
    slice(a, b) = methods::slice;
    repr(a) = methods::repr;
    dict_or(a, b) = methods::dict_or;
    list_concat(a, b) = methods::list_concat;
    count(a, b) = methods::count;
    copy(a; *mut PyObject) = methods::copy;
    deep_copy(a, b) = methods::deep_copy;
    reduce(a; *mut PyObject) = methods::reduce;
    generic(a, b) = methods::generic;
    and(a, b) = sets::and;
    or(a, b) = sets::or;
    sub(a, b) = sets::sub;
    xor(a, b) = sets::xor;
    is_disjoint(a, b) = sets::is_disjoint;
    is_subset(a, b) = sets::is_subset;
    is_superset(a, b) = sets::is_superset;
}

/// Methods that take any number of arguments: these come as a tuple.
macro_rules! variadic {
    ($($name:ident = $safe:path;)*) => {$(
        pub(super) unsafe extern "C" fn $name(
            slf: *mut PyObject,
            arguments: *mut PyObject,
        ) -> *mut PyObject {
            // SAFETY: as slots: live objects, the second one a tuple.
            unsafe {
                guarded(|py| {
                    let arguments = Bound::ref_from_ptr(py, &arguments).cast_unchecked();
                    $safe(Bound::ref_from_ptr(py, &slf), arguments).map(Bound::into_ptr)
                })
            }
        }
    )*};
}

variadic! {
    index = methods::index;
    union = sets::union;
    intersection = sets::intersection;
    difference = sets::difference;
    symmetric_difference = sets::symmetric_difference;
}

pub(super) unsafe extern "C" fn list_repeat(slf: *mut PyObject, times: isize) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        guarded(|py| methods::repeat(Bound::ref_from_ptr(py, &slf), times).map(Bound::into_ptr))
    }
}

pub(super) unsafe extern "C" fn contains(slf: *mut PyObject, item: *mut PyObject) -> c_int {
    // SAFETY: as slots.
    unsafe {
        guarded(|py| {
            let item = Bound::ref_from_ptr(py, &item);
            methods::contains(Bound::ref_from_ptr(py, &slf), item).map(c_int::from)
        })
    }
}

pub(super) unsafe extern "C" fn hash(slf: *mut PyObject) -> Py_hash_t {
    // SAFETY: as slots.
    unsafe { guarded(|py| methods::hash(Bound::ref_from_ptr(py, &slf))) }
}

pub(super) unsafe extern "C" fn compare(
    slf: *mut PyObject,
    other: *mut PyObject,
    op: c_int,
) -> *mut PyObject {
    let Some(op) = CompareOp::from_raw(op) else {
        // SAFETY: always there.
        return unsafe { Py_NewRef(Py_NotImplemented()) };
    };
    // SAFETY: as slots.
    unsafe {
        guarded(|py| {
            let other = Bound::ref_from_ptr(py, &other);
            methods::compare(Bound::ref_from_ptr(py, &slf), other, op).map(Bound::into_ptr)
        })
    }
}
