//! Ordinary copies of values, of ordinary values all the way down.
#![allow(unsafe_code)]

use std::ptr::{self, null_mut};

use floe::value::{ArchivedList, ArchivedValue, Kind};
use pyo3::ffi::*;

use super::slots::{dict_of, list_of, set_of};
use super::{Budget, Texts, bounded_object, bounded_text, view_object};

/// A new reference to an ordinary copy, or null with an error set. Values are at most 128 levels deep;
/// what their shared parts grow to is taken from the budget.
///
/// # Safety
/// As [`make`](super::make).
pub(super) unsafe fn thawed(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: the caller's promise. What is made here nobody else has before it is returned, and
    // all that is put into it is a new reference.
    unsafe {
        if let Some(text) = value.as_str() {
            return bounded_text(owner, texts, text, budget);
        }
        match value.kind() {
            Kind::Dict => dict(owner, texts, value, budget),
            Kind::List => list(owner, texts, value, budget),
            Kind::Tuple => {
                let items = value.items().unwrap_or_default();
                tuple_of(items, owner, budget, |item, budget| {
                    thawed(owner, texts, item, budget)
                })
            }
            Kind::Set | Kind::FrozenSet => set(owner, texts, value, budget),
            _ => bounded_object(owner, texts, value, budget),
        }
    }
}

/// # Safety
/// As [`thawed`], of a dict.
unsafe fn dict(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: as in `thawed`; `PyDict_SetItem` takes references of its own.
    unsafe {
        let dict = dict_of(value);
        if !budget.parts(owner, 2 * dict.len()) {
            return null_mut();
        }
        let made = PyDict_New();
        if made.is_null() {
            return made;
        }
        for (key, item) in dict.iter() {
            let key = thawed(owner, texts, key, budget);
            let item = if key.is_null() {
                null_mut()
            } else {
                thawed(owner, texts, item, budget)
            };
            let failed = item.is_null() || PyDict_SetItem(made, key, item) != 0;
            Py_XDECREF(key);
            Py_XDECREF(item);
            if failed {
                Py_DECREF(made);
                return null_mut();
            }
        }
        made
    }
}

/// # Safety
/// As [`thawed`], of a list.
unsafe fn list(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: as in `thawed`; `PyList_SetItem` takes over the item, and there is room for each.
    unsafe {
        let list = list_of(value);
        if !budget.parts(owner, list.len()) {
            return null_mut();
        }
        let made = PyList_New(list.len() as isize);
        if made.is_null() {
            return made;
        }
        for position in 0..list.len() {
            let item = match &list {
                ArchivedList::Values(values) => match values.get(position) {
                    Some(item) => thawed(owner, texts, item, budget),
                    None => null_mut(),
                },
                packed => match packed.get(position) {
                    Some(view) => view_object(owner, texts, view, ptr::null()),
                    None => null_mut(),
                },
            };
            if item.is_null() {
                Py_DECREF(made);
                return null_mut();
            }
            PyList_SetItem(made, position as isize, item);
        }
        made
    }
}

/// A tuple of items that are made one by one, or null with an error set.
///
/// # Safety
/// `owner` as in [`thawed`]; what makes items returns new references, or null with an error set.
pub(super) unsafe fn tuple_of(
    items: &[ArchivedValue],
    owner: *mut PyObject,
    budget: &Budget,
    item_of: impl Fn(&ArchivedValue, &Budget) -> *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as in `list`.
    unsafe {
        if !budget.parts(owner, items.len()) {
            return null_mut();
        }
        let made = PyTuple_New(items.len() as isize);
        if made.is_null() {
            return made;
        }
        for (position, item) in items.iter().enumerate() {
            let item = item_of(item, budget);
            if item.is_null() {
                Py_DECREF(made);
                return null_mut();
            }
            PyTuple_SetItem(made, position as isize, item);
        }
        made
    }
}

/// # Safety
/// As [`thawed`], of a set.
unsafe fn set(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: as in `thawed`; `PySet_Add` takes a reference of its own, and fills a frozen set that
    // nobody else has.
    unsafe {
        let set = set_of(value);
        if !budget.parts(owner, 2 * set.len()) {
            return null_mut();
        }
        let made = match set.is_frozen() {
            true => PyFrozenSet_New(null_mut()),
            false => PySet_New(null_mut()),
        };
        if made.is_null() {
            return made;
        }
        for item in set.items() {
            let item = thawed(owner, texts, item, budget);
            let failed = item.is_null() || PySet_Add(made, item) != 0;
            Py_XDECREF(item);
            if failed {
                Py_DECREF(made);
                return null_mut();
            }
        }
        made
    }
}
