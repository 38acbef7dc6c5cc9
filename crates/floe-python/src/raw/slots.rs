//! The slots that reading is made of.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, null_mut};

use floe::value::{ArchivedDict, ArchivedList, ArchivedSet, ArchivedValue};
use pyo3::ffi::*;
use pyo3::prelude::*;

use super::calls::slice;
use super::{
    ABSENT, Found, Held, ITEMS, ITERATOR, KEYS, LIST, LONGEST_KEY, PLACES, Proxy, SET, Texts,
    VALUES, guarded, make, object, proxy, view_object,
};
use crate::keys;

#[inline]
pub(super) unsafe fn dict_of<'a>(value: &'a ArchivedValue) -> ArchivedDict<'a> {
    debug_assert!(value.as_dict().is_some());
    // SAFETY: proxies of dicts, their views and iterators are made for dicts alone.
    unsafe { value.as_dict().unwrap_unchecked() }
}

#[inline]
pub(super) unsafe fn set_of<'a>(value: &'a ArchivedValue) -> ArchivedSet<'a> {
    // SAFETY: proxies of sets are made for sets alone.
    unsafe { value.as_set().unwrap_unchecked() }
}

#[inline]
pub(super) unsafe fn list_of<'a>(value: &'a ArchivedValue) -> ArchivedList<'a> {
    match value.items() {
        Some(items) => ArchivedList::Values(items),
        // SAFETY: proxies of lists are made for lists alone.
        None => unsafe { value.as_list().unwrap_unchecked() },
    }
}

/// The text that a key is; none for other keys, and for texts with surrogates.
///
/// # Safety
/// As slots; the result is used as long as the key lives.
#[inline]
unsafe fn find_text<'a>(key: *mut PyObject) -> Option<&'a str> {
    // SAFETY: a live object; the text lives as long as it.
    unsafe {
        if PyUnicode_CheckExact(key) == 0 && PyUnicode_Check(key) == 0 {
            return None;
        }
        let mut length = 0;
        let text = PyUnicode_AsUTF8AndSize(key, &raw mut length);
        if text.is_null() {
            PyErr_Clear();
            return None;
        }
        let bytes = std::slice::from_raw_parts(text.cast(), length as usize);
        Some(std::str::from_utf8_unchecked(bytes))
    }
}

/// What is under an exact text; none if it has surrogates.
///
/// Programs ask for the same keys again and again, and mostly with the same objects: the places that
/// these were found at are kept.
///
/// # Safety
/// As slots; the dict is of the region that the cache belongs to.
#[inline]
unsafe fn find_exact<'a>(
    texts: *const Texts,
    dict: &ArchivedDict<'a>,
    key: *mut PyObject,
) -> Option<Option<&'a ArchivedValue>> {
    // SAFETY: nobody else has the cache while this runs: freeing a text runs no code of Python's.
    // Keys in it are references of its own, so no other object has the address of one.
    unsafe {
        if cfg!(Py_GIL_DISABLED) {
            return Some(dict.get(find_text(key)?));
        }
        let places = &mut *(*texts).found.get();
        if places.is_empty() {
            places.resize(
                PLACES,
                Found {
                    key: null_mut(),
                    shape: 0,
                    position: 0,
                },
            );
        }
        let shape = dict.keys().as_ptr().addr();
        let mixed = (key.addr() >> 4 ^ shape >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = places.get_unchecked_mut(mixed >> (usize::BITS - PLACES.ilog2()));
        if place.key == key && place.shape == shape {
            return Some(dict.values().get(place.position as usize));
        }
        let text = find_text(key)?;
        let found = dict.get(text);
        if text.len() <= LONGEST_KEY {
            let position = found.map_or(ABSENT, |found| {
                let start = dict.values().as_ptr().addr();
                ((ptr::from_ref(found).addr() - start) / size_of::<ArchivedValue>()) as u32
            });
            Py_INCREF(key);
            let old = std::mem::replace(
                place,
                Found {
                    key,
                    shape,
                    position,
                },
            );
            Py_XDECREF(old.key);
        }
        Some(found)
    }
}

/// The value under a key; `Err` with an error set.
#[inline]
unsafe fn dict_find<'a>(
    slf: *mut PyObject,
    key: *mut PyObject,
) -> Result<Option<&'a ArchivedValue>, ()> {
    // SAFETY: as slots.
    unsafe {
        let (proxy, _) = proxy(slf);
        if PyUnicode_CheckExact(key) != 0 {
            let dict = proxy.dict.get().unwrap_or_else(|| {
                let dict = dict_of(&*proxy.value);
                proxy.dict.set(Some(dict));
                dict
            });
            if let Some(found) = find_exact(proxy.texts, &dict, key) {
                return Ok(found);
            }
        } else if let Some(text) = find_text(key) {
            return Ok(dict_of(&*proxy.value).get(text));
        }
        let mut found = None;
        let run: c_int = guarded(|py| {
            let position = keys::position(Held::of_proxy(py, proxy), Bound::ref_from_ptr(py, &key));
            found = position?;
            Ok(0)
        });
        if run != 0 {
            return Err(());
        }
        Ok(found.and_then(|position| dict_of(&*proxy.value).values().get(position)))
    }
}

pub(super) unsafe extern "C" fn dict_subscript(
    slf: *mut PyObject,
    key: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        let (proxy, _) = proxy(slf);
        match dict_find(slf, key) {
            Ok(Some(found)) => object(proxy.owner, proxy.texts, found),
            Ok(None) => {
                // A tuple would be taken for the arguments of the exception.
                let arguments = PyTuple_New(1);
                if !arguments.is_null() {
                    PyTuple_SetItem(arguments, 0, Py_NewRef(key));
                    PyErr_SetObject(PyExc_KeyError, arguments);
                    Py_DECREF(arguments);
                }
                null_mut()
            }
            Err(()) => null_mut(),
        }
    }
}

pub(super) unsafe extern "C" fn dict_get(
    slf: *mut PyObject,
    arguments: *mut *mut PyObject,
    number: isize,
) -> *mut PyObject {
    // SAFETY: as slots; there are so many arguments.
    unsafe {
        if !(1..=2).contains(&number) {
            let told = c"get takes a key and perhaps a default";
            PyErr_SetString(PyExc_TypeError, told.as_ptr());
            return null_mut();
        }
        let (proxy, _) = proxy(slf);
        match dict_find(slf, *arguments) {
            Ok(Some(found)) => object(proxy.owner, proxy.texts, found),
            Ok(None) if number == 2 => Py_NewRef(*arguments.add(1)),
            Ok(None) => Py_NewRef(Py_None()),
            Err(()) => null_mut(),
        }
    }
}

pub(super) unsafe extern "C" fn dict_contains(slf: *mut PyObject, key: *mut PyObject) -> c_int {
    // SAFETY: as slots.
    unsafe { dict_find(slf, key).map_or(-1, |found| found.is_some().into()) }
}

pub(super) unsafe extern "C" fn dict_length(slf: *mut PyObject) -> isize {
    // SAFETY: as slots.
    unsafe { dict_of(proxy(slf).1).len() as isize }
}

pub(super) unsafe extern "C" fn set_length(slf: *mut PyObject) -> isize {
    // SAFETY: as slots.
    unsafe { set_of(proxy(slf).1).len() as isize }
}

pub(super) unsafe extern "C" fn list_length(slf: *mut PyObject) -> isize {
    // SAFETY: as slots.
    unsafe { list_of(proxy(slf).1).len() as isize }
}

pub(super) unsafe extern "C" fn set_contains(slf: *mut PyObject, key: *mut PyObject) -> c_int {
    // SAFETY: as slots.
    unsafe {
        let (proxy, value) = proxy(slf);
        match find_text(key) {
            Some(text) => set_of(value).contains(text).into(),
            None => guarded(|py| {
                let position =
                    keys::position(Held::of_proxy(py, proxy), Bound::ref_from_ptr(py, &key));
                Ok(position?.is_some().into())
            }),
        }
    }
}

/// An item of a list, or null without an error if there are no more.
///
/// # Safety
/// As [`make`].
#[inline]
unsafe fn list_at(proxy: &Proxy, list: &ArchivedList<'_>, position: usize) -> *mut PyObject {
    // SAFETY: the caller's promise; packed lists have no parts.
    unsafe {
        match list {
            ArchivedList::Values(values) => match values.get(position) {
                Some(value) => object(proxy.owner, proxy.texts, value),
                None => null_mut(),
            },
            packed => match packed.get(position) {
                Some(view) => view_object(proxy.owner, proxy.texts, view, ptr::null()),
                None => null_mut(),
            },
        }
    }
}

pub(super) unsafe extern "C" fn list_item(slf: *mut PyObject, position: isize) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        let (proxy, value) = proxy(slf);
        let list = list_of(value);
        if position < 0 || position as usize >= list.len() {
            PyErr_SetString(PyExc_IndexError, c"list index out of range".as_ptr());
            return null_mut();
        }
        list_at(proxy, &list, position as usize)
    }
}

pub(super) unsafe extern "C" fn list_subscript(
    slf: *mut PyObject,
    key: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        if PyLong_Check(key) == 0 && PyIndex_Check(key) == 0 {
            return slice(slf, key);
        }
        let mut position = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if position == -1 && !PyErr_Occurred().is_null() {
            return null_mut();
        }
        if position < 0 {
            position += list_length(slf);
        }
        list_item(slf, position)
    }
}

/// What the interpreter asks for the memory of an object: its `Py_buffer`, which the limited interface
/// names from 3.11 on, and which has had this layout before.
#[repr(C)]
pub(super) struct Buffer {
    memory: *mut c_void,
    object: *mut PyObject,
    length: isize,
    item_size: isize,
    read_only: c_int,
    dimensions: c_int,
    format: *mut c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

/// `PyBUF_WRITABLE`.
const WRITABLE: c_int = 1;

/// Lists of numbers lend their memory.
pub(super) unsafe extern "C" fn list_buffer(
    slf: *mut PyObject,
    buffer: *mut Buffer,
    flags: c_int,
) -> c_int {
    // SAFETY: as slots; the buffer is to be filled, and its shape and strides lie in the proxy, which
    // it keeps, and in itself. Nobody writes through it.
    unsafe {
        let (proxy, value) = proxy(slf);
        let (memory, number, format) = match list_of(value) {
            ArchivedList::Floats(items) => (items.as_ptr().cast::<c_void>(), items.len(), c"d"),
            ArchivedList::Ints(items) => (items.as_ptr().cast(), items.len(), c"q"),
            ArchivedList::Values(_) | _ => (ptr::null(), 0, c""),
        };
        (*buffer).object = null_mut();
        if memory.is_null() || flags & WRITABLE != 0 {
            let told =
                c"only a list of floats, or of integers beyond 2**28, lends its memory, to be read";
            PyErr_SetString(PyExc_BufferError, told.as_ptr());
            return -1;
        }
        proxy.next.set(number);
        buffer.write(Buffer {
            memory: memory.cast_mut(),
            object: Py_NewRef(slf),
            length: (number * 8) as isize,
            item_size: 8,
            read_only: 1,
            dimensions: 1,
            format: format.as_ptr().cast_mut(),
            shape: proxy.next.as_ptr().cast(),
            strides: &raw mut (*buffer).item_size,
            suboffsets: null_mut(),
            internal: null_mut(),
        });
        0
    }
}

/// An iterator, or a view.
unsafe fn over(slf: *mut PyObject, which: usize, gives: usize, reversed: bool) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        let (proxy, _) = proxy(slf);
        make(
            which,
            proxy.owner,
            proxy.texts,
            proxy.value,
            gives,
            reversed,
        )
    }
}

/// Slots, and methods without arguments, that make an iterator or a view of the same value.
macro_rules! iterators {
    ($($name:ident($($unused:ty)?): $which:ident $gives:ident $reversed:literal;)*) => {$(
        pub(super) unsafe extern "C" fn $name(
            slf: *mut PyObject
            $(, _: $unused)?
        ) -> *mut PyObject {
            // SAFETY: as slots.
            unsafe { over(slf, $which, $gives, $reversed) }
        }
    )*};
}

iterators! {
    iter_list(): ITERATOR LIST false;
    iter_set(): ITERATOR SET false;
    iter_keys(): ITERATOR KEYS false;
    iter_values(): ITERATOR VALUES false;
    iter_items(): ITERATOR ITEMS false;
    reversed_list(*mut PyObject): ITERATOR LIST true;
    reversed_keys(*mut PyObject): ITERATOR KEYS true;
    reversed_values(*mut PyObject): ITERATOR VALUES true;
    reversed_items(*mut PyObject): ITERATOR ITEMS true;
    view_keys(*mut PyObject): KEYS KEYS false;
    view_values(*mut PyObject): VALUES VALUES false;
    view_items(*mut PyObject): ITEMS ITEMS false;
}

pub(super) unsafe extern "C" fn iter_self(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe { Py_NewRef(slf) }
}

unsafe fn remaining(proxy: &Proxy, value: &ArchivedValue) -> usize {
    // SAFETY: what an iterator gives says what it is over.
    let length = unsafe {
        match proxy.gives {
            LIST => list_of(value).len(),
            SET => set_of(value).len(),
            _ => dict_of(value).len(),
        }
    };
    length - proxy.next.get().min(length)
}

pub(super) unsafe extern "C" fn length_hint(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as slots.
    unsafe {
        let (proxy, value) = proxy(slf);
        PyLong_FromSize_t(remaining(proxy, value))
    }
}

pub(super) unsafe extern "C" fn iter_next(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: as slots; positions are below the lengths.
    unsafe {
        let (proxy, value) = proxy(slf);
        let (owner, texts) = (proxy.owner, proxy.texts);
        let given = proxy.next.get();
        let mut position = given;
        if proxy.reversed {
            let left = remaining(proxy, value);
            if left == 0 {
                return null_mut();
            }
            position = left - 1;
        }
        proxy.next.set(given + 1);
        match proxy.gives {
            LIST => list_at(proxy, &list_of(value), position),
            SET => match set_of(value).items().get(position) {
                Some(item) => object(owner, texts, item),
                None => null_mut(),
            },
            gives => {
                let dict = dict_of(value);
                let (Some(key), Some(item)) =
                    (dict.keys().get(position), dict.values().get(position))
                else {
                    return null_mut();
                };
                match gives {
                    KEYS => object(owner, texts, key),
                    VALUES => object(owner, texts, item),
                    _ => pair(object(owner, texts, key), object(owner, texts, item)),
                }
            }
        }
    }
}

/// # Safety
/// Both are null, with an error set, or references that this takes.
unsafe fn pair(key: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        let pair = if key.is_null() || value.is_null() {
            null_mut()
        } else {
            PyTuple_New(2)
        };
        if pair.is_null() {
            Py_XDECREF(key);
            Py_XDECREF(value);
            return null_mut();
        }
        PyTuple_SetItem(pair, 0, key);
        PyTuple_SetItem(pair, 1, value);
        pair
    }
}
