//! Values of regions for the rest of the module, which is safe code.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use floe::value::{ArchivedValue, Expansion, Value, View};
use floe::{Content, Trust};
use pyo3::ffi;
use pyo3::prelude::*;

use super::thawing::thawed;
use super::{
    Budget, DICT, ITEMS, KEYS, LIST, Proxy, SET, Texts, VALUES, bounded_object, object, type_of,
    view_object,
};
use crate::errors::{OrRaise, invalid};
use crate::frozen::Frozen;

/// A value of a region, with the handle that keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a, 'py> {
    py: Python<'py>,
    owner: *mut ffi::PyObject,
    texts: *const Texts,
    value: &'a ArchivedValue,
}

/// What a proxy stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Dict,
    List,
    Set,
    /// A view of a dict.
    Keys,
    Values,
    Items,
}

impl<'a, 'py> Held<'a, 'py> {
    /// The dict, list or set that a proxy stands for; none for other objects.
    pub(crate) fn of(object: &'a Bound<'py, PyAny>) -> Option<Self> {
        let (which, held) = Self::which(object)?;
        matches!(which, Which::Dict | Which::List | Which::Set).then_some(held)
    }

    /// What any proxy but an iterator stands for, or shows.
    pub(crate) fn which(object: &'a Bound<'py, PyAny>) -> Option<(Which, Self)> {
        let class = object.get_type_ptr();
        let types = [
            (DICT, Which::Dict),
            (LIST, Which::List),
            (SET, Which::Set),
            (KEYS, Which::Keys),
            (VALUES, Which::Values),
            (ITEMS, Which::Items),
        ];
        let (_, which) = types
            .into_iter()
            .find(|(place, _)| type_of(*place) == class)?;
        // SAFETY: of a type that has this layout, and alive as long as it is borrowed.
        let proxy = unsafe { &*object.as_ptr().cast::<Proxy>() };
        Some((which, Self::of_proxy(object.py(), proxy)))
    }

    pub(super) fn of_proxy(py: Python<'py>, proxy: &'a Proxy) -> Self {
        // SAFETY: the value lives as long as the proxy.
        let value = unsafe { &*proxy.value };
        let (owner, texts) = (proxy.owner, proxy.texts);
        Self {
            py,
            owner,
            texts,
            value,
        }
    }

    /// A value that is looked up in what a handle holds.
    pub(crate) fn in_handle(
        handle: &'a Bound<'py, Frozen>,
        find: impl for<'f> FnOnce(&'f Frozen) -> Option<&'f ArchivedValue>,
    ) -> Option<Self> {
        let frozen = handle.get();
        let value = find(frozen)?;
        // The closure finds what lies in the handle's region, or is never freed: it knows no other
        // lifetime.
        let (owner, texts) = (handle.as_ptr(), &raw const *frozen.texts());
        Some(Self {
            py: handle.py(),
            owner,
            texts,
            value,
        })
    }

    /// Keys and values of the map that a handle holds.
    pub(crate) fn entries(handle: &'a Bound<'py, Frozen>) -> impl Iterator<Item = (&'a str, Self)> {
        let frozen = handle.get();
        let (py, owner, texts) = (handle.py(), handle.as_ptr(), &raw const *frozen.texts());
        let entries = frozen.map().into_iter().flat_map(|map| map.iter());
        entries.map(move |(key, value)| {
            (
                key.as_str(),
                Self {
                    py,
                    owner,
                    texts,
                    value,
                },
            )
        })
    }

    /// The object: a real one, or a proxy.
    pub(crate) fn object(&self) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the owner is alive as long as this is, and has texts and value.
        unsafe {
            let object = object(self.owner, self.texts, self.value);
            Bound::from_owned_ptr_or_err(self.py, object)
        }
    }

    /// The object, as one of many that a call makes.
    pub(crate) fn object_within(&self, budget: &Budget) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: as above.
        unsafe {
            let object = bounded_object(self.owner, self.texts, self.value, budget);
            Bound::from_owned_ptr_or_err(self.py, object)
        }
    }

    /// Refuses what grows without bound where shared parts are gone through at each use.
    pub(crate) fn check(&self, limit: Expansion) -> PyResult<()> {
        let checked = limit.check(&self.value.view());
        checked.map_err(|refused| invalid(self.py, refused.to_string()))
    }

    /// An ordinary copy, of ordinary values all the way down.
    pub(crate) fn thaw(&self, budget: &Budget) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: as above. Nothing that is made can be garbage, and no code of Python's runs
        // meanwhile: the collector would go over all of it again and again.
        unsafe {
            let was_enabled = ffi::PyGC_Disable();
            let object = thawed(self.owner, self.texts, self.value, budget);
            if was_enabled != 0 {
                ffi::PyGC_Enable();
            }
            Bound::from_owned_ptr_or_err(self.py, object)
        }
    }

    /// The object of a number or a text, which is no part of a value that could be shared.
    pub(crate) fn object_of(&self, view: View<'_>) -> PyResult<Bound<'py, PyAny>> {
        debug_assert!(!matches!(
            view,
            View::Dict(_) | View::List(_) | View::Set(_)
        ));
        // SAFETY: as above; what has parts is made of its value instead.
        unsafe {
            let object = view_object(self.owner, self.texts, view, self.value);
            Bound::from_owned_ptr_or_err(self.py, object)
        }
    }

    /// Parts of the value: items of a list or tuple, or keys or values.
    pub(crate) fn parts(
        self,
        select: impl for<'f> Fn(&'f ArchivedValue) -> &'f [ArchivedValue],
    ) -> impl ExactSizeIterator<Item = Self> {
        let parts = select(self.value).iter();
        parts.map(move |value| Self { value, ..self })
    }

    /// One part of the value, if it is there.
    pub(crate) fn find(
        self,
        find: impl for<'f> FnOnce(&'f ArchivedValue) -> Option<&'f ArchivedValue>,
    ) -> Option<Self> {
        find(self.value).map(|value| Self { value, ..self })
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    pub(crate) fn value(&self) -> &'a ArchivedValue {
        self.value
    }

    pub(crate) fn to_value(self) -> PyResult<Value> {
        self.value.to_value().or_raise(self.py)
    }
}

/// How many references there are to an object.
pub(crate) fn references(object: &Bound<'_, PyAny>) -> isize {
    // SAFETY: a live object.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// A descriptor of its own for a number from Python, which may be no descriptor at all.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(9));
    }
    // SAFETY: it is only duplicated, by a call that refuses what is none; and no number is -1.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

/// The promise that whoever sent descriptors has checked them.
///
/// It is asked for by a program of Python, for what its own parent passed or what it unpickled: both
/// could have it run any code, so reading memory is no more than what they may do already. Of the
/// structure, the fingerprint is still compared.
pub(crate) fn trust<T: Content>() -> Trust<T> {
    // SAFETY: as above; `Value` and maps of it ask nothing beyond their structure.
    unsafe { Trust::in_owner() }
}
