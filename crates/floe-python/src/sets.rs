//! Frozen sets, and views of keys and items, as sets.

use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyList, PySet, PyTuple};

use crate::methods::{Made, not_implemented, objects};
use crate::raw::{Held, Which};

/// An ordinary set of the same items; a frozenset of what was one.
pub(crate) fn shallow<'py>(which: Which, held: Held<'_, 'py>) -> Made<'py> {
    let py = held.py();
    if which == Which::Items {
        let pairs = crate::methods::pairs(held)
            .map(|(key, value)| PyTuple::new(py, [key.object()?, value.object()?]));
        return Ok(PySet::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_any());
    }
    let is_frozen = which == Which::Set && held.value().as_set().is_some_and(|set| set.is_frozen());
    Ok(match is_frozen {
        true => PyFrozenSet::new(py, objects(held)?)?.into_any(),
        false => PySet::new(py, objects(held)?)?.into_any(),
    })
}

/// An ordinary set of whatever is a set; none for other objects.
fn set_like<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if object.is_instance_of::<PySet>() || object.is_instance_of::<PyFrozenSet>() {
        return Ok(Some(object.clone()));
    }
    match Held::which(object) {
        Some((which @ (Which::Set | Which::Keys | Which::Items), held)) => {
            return shallow(which, held).map(Some);
        }
        Some(_) => return Ok(None),
        None => {}
    }
    let sets = object.py().import("collections.abc")?.getattr("Set")?;
    match object.is_instance(&sets)? {
        true => Ok(Some(PySet::new(object.py(), elements(object)?)?.into_any())),
        false => Ok(None),
    }
}

fn elements<'py>(object: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    object.try_iter()?.collect()
}

/// Whether it is a view of a dict: its operators take anything that can be iterated over.
fn is_view(object: &Bound<'_, PyAny>) -> bool {
    matches!(Held::which(object), Some((Which::Keys | Which::Items, _)))
}

/// Both sides of an operator as ordinary sets.
fn sides<'py>(
    left: &Bound<'py, PyAny>,
    right: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    let widened = |object: &Bound<'py, PyAny>, by: &Bound<'py, PyAny>| match set_like(object)? {
        None if is_view(by) && object.try_iter().is_ok() => {
            Ok(Some(PySet::new(object.py(), elements(object)?)?.into_any()))
        }
        found => PyResult::Ok(found),
    };
    Ok(widened(left, right)?.zip(widened(right, left)?))
}

macro_rules! operators {
    ($($name:ident: $operator:ident;)*) => {$(
        pub(crate) fn $name<'py>(left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> Made<'py> {
            match sides(left, right)? {
                Some((first, second)) => first.$operator(second),
                None => Ok(not_implemented(left.py())),
            }
        }
    )*};
}

operators! {
    and: bitand;
    or: bitor;
    sub: sub;
    xor: bitxor;
}

fn own<'py>(slf: &Bound<'py, PyAny>) -> Made<'py> {
    match set_like(slf)? {
        Some(set) => Ok(set),
        None => Ok(not_implemented(slf.py())),
    }
}

macro_rules! questions {
    ($($name:ident: $method:literal;)*) => {$(
        pub(crate) fn $name<'py>(slf: &Bound<'py, PyAny>, other: &Bound<'py, PyAny>) -> Made<'py> {
            own(slf)?.call_method1($method, (other,))
        }
    )*};
}

questions! {
    is_disjoint: "isdisjoint";
    is_subset: "issubset";
    is_superset: "issuperset";
}

macro_rules! combinations {
    ($($name:ident: $method:literal;)*) => {$(
        pub(crate) fn $name<'py>(slf: &Bound<'py, PyAny>, others: &Bound<'py, PyTuple>) -> Made<'py> {
            own(slf)?.call_method1($method, others)
        }
    )*};
}

combinations! {
    union: "union";
    intersection: "intersection";
    difference: "difference";
    symmetric_difference: "symmetric_difference";
}

pub(crate) fn compare<'py>(
    slf: &Bound<'py, PyAny>,
    other: &Bound<'py, PyAny>,
    op: CompareOp,
) -> Made<'py> {
    // A list is no set, whatever it has.
    if other.is_instance_of::<PyList>() {
        return Ok(not_implemented(slf.py()));
    }
    match set_like(other)? {
        Some(other) => own(slf)?.rich_compare(other, op),
        None => Ok(not_implemented(slf.py())),
    }
}
