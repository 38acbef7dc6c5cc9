//! Proxies: objects that stand for dicts, lists and sets of a region, with hand-made slots.
//!
//! What all of this file relies on:
//!
//! 1. The interpreter calls slots and methods with live arguments of the documented kinds, with the
//!    first of the type that the slot belongs to, on a thread that is attached to it and, as the
//!    build has a global lock, on one thread at a time.
//! 2. All seven types have the layout of [`Proxy`]. They cannot be subclassed, and only [`make`]
//!    makes instances of them.
//! 3. A proxy holds a reference to its [`Frozen`], whose region never moves or changes and is unmapped
//!    when that goes. So `value` and `texts` live as long as any proxy that has them.
//! 4. What a proxy leads to are that handle, and from there plain texts: no proxy is ever part of a
//!    cycle, and the collector need not know it.
#![allow(unsafe_code)]

mod budget;
mod calls;
mod held;
mod slots;
mod thawing;
mod types;

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use floe::value::{ArchivedDict, ArchivedValue, Kind, View};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi::*;
use pyo3::prelude::*;

pub(crate) use budget::Budget;
pub(crate) use held::{Held, Which, duplicate, references, trust};
pub(crate) use types::add_types;

use crate::methods;

/// The types, by their places in [`TYPES`].
const DICT: usize = 0;
const LIST: usize = 1;
const SET: usize = 2;
const KEYS: usize = 3;
const VALUES: usize = 4;
const ITEMS: usize = 5;
const ITERATOR: usize = 6;

static TYPES: [AtomicPtr<PyTypeObject>; 7] = [const { AtomicPtr::new(null_mut()) }; 7];

#[inline]
fn type_of(which: usize) -> *mut PyTypeObject {
    TYPES[which].load(Ordering::Relaxed)
}

/// A dict, list or set of a region; a view of a dict; or an iterator over one of these.
#[repr(C)]
struct Proxy {
    head: PyObject,
    /// The handle on the region: a [`Frozen`], to which this is a reference.
    owner: *mut PyObject,
    texts: *const Texts,
    value: *const ArchivedValue,
    /// Of a dict, once it was read: where its keys and values are.
    dict: Cell<Option<ArchivedDict<'static>>>,
    /// How many items an iterator has given.
    next: Cell<usize>,
    /// Of an iterator: what it gives, and whether from the end.
    gives: usize,
    reversed: bool,
}

/// What was asked for lately, of one region: objects of short texts, by the addresses of the texts;
/// and which places keys were found at.
pub(crate) struct Texts {
    objects: UnsafeCell<Vec<(usize, *mut PyObject)>>,
    found: UnsafeCell<Vec<Found>>,
}

/// The place of a key among the keys of a shape.
#[derive(Clone, Copy)]
struct Found {
    /// A reference, or null.
    key: *mut PyObject,
    /// The address of the keys of the shape.
    shape: usize,
    position: u32,
}

/// The position of a key that is not there.
const ABSENT: u32 = u32::MAX;
/// Texts that are kept, and the longest of them: a process that reads everything has all of these.
const TEXTS: usize = 2048;
const LONGEST: usize = 128;
/// Places of keys that are kept, and the longest of these keys.
const PLACES: usize = 4096;
const LONGEST_KEY: usize = 256;

// SAFETY: only `text_object`, `find_text` and `drop` look into it: the first two are called with the
// interpreter's lock held, the last when nobody else can.
unsafe impl Send for Texts {}
// SAFETY: as above.
unsafe impl Sync for Texts {}

impl Texts {
    pub(crate) fn new() -> Self {
        let (objects, found) = (UnsafeCell::new(Vec::new()), UnsafeCell::new(Vec::new()));
        Self { objects, found }
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        let objects = self.objects.get_mut().drain(..).map(|(_, object)| object);
        let keys = self.found.get_mut().drain(..).map(|found| found.key);
        for object in objects.chain(keys) {
            // SAFETY: null or a reference that the cache took; handles are dropped by the
            // interpreter, so this thread is attached.
            unsafe { Py_XDECREF(object) };
        }
    }
}

/// Memory of proxies that are gone, for the next ones.
struct Spare(UnsafeCell<(usize, [*mut Proxy; 64])>);

// SAFETY: touched by `make` and `dealloc` alone, with the interpreter's lock held.
unsafe impl Sync for Spare {}

static SPARE: Spare = Spare(UnsafeCell::new((0, [null_mut(); 64])));

/// A new proxy.
///
/// # Safety
/// `owner` is a live [`Frozen`] that has `texts` and the region of `value`.
#[inline]
unsafe fn make(
    which: usize,
    owner: *mut PyObject,
    texts: *const Texts,
    value: *const ArchivedValue,
    gives: usize,
    reversed: bool,
) -> *mut PyObject {
    // SAFETY: memory is as large as a proxy, from the allocator that `dealloc` gives it back to, and
    // `PyObject_Init` and the writes set every field.
    unsafe {
        let spare = &mut *SPARE.0.get();
        let proxy = if spare.0 > 0 {
            spare.0 -= 1;
            spare.1[spare.0]
        } else {
            PyObject_Malloc(size_of::<Proxy>()).cast::<Proxy>()
        };
        if proxy.is_null() {
            return PyErr_NoMemory();
        }
        PyObject_Init(proxy.cast(), type_of(which));
        Py_INCREF(owner);
        (*proxy).owner = owner;
        (*proxy).texts = texts;
        (*proxy).value = value;
        (&raw mut (*proxy).dict).write(Cell::new(None));
        (*proxy).next = Cell::new(0);
        (*proxy).gives = gives;
        (*proxy).reversed = reversed;
        proxy.cast()
    }
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the last reference to a proxy of `make` has gone. Its memory is taken before the
    // owner goes, which may end the region but touches no proxy.
    unsafe {
        let (class, owner) = (Py_TYPE(slf), (*slf.cast::<Proxy>()).owner);
        let spare = &mut *SPARE.0.get();
        if spare.0 < spare.1.len() {
            spare.1[spare.0] = slf.cast();
            spare.0 += 1;
        } else {
            PyObject_Free(slf.cast());
        }
        Py_DECREF(owner);
        Py_DECREF(class.cast());
    }
}

/// What a proxy stands for.
///
/// # Safety
/// `slf` is a proxy; the result is used as long as it lives.
#[inline]
unsafe fn proxy<'a>(slf: *mut PyObject) -> (&'a Proxy, &'a ArchivedValue) {
    // SAFETY: of this layout, and the value lives as long as the proxy.
    unsafe {
        let proxy = &*slf.cast::<Proxy>();
        let value = &*proxy.value;
        (proxy, value)
    }
}

/// The object of a text, or null with an error set.
///
/// # Safety
/// The text lies in the region that the cache belongs to; called as slots are.
#[inline]
unsafe fn text_object(texts: *const Texts, text: &str) -> *mut PyObject {
    let decode = || {
        // SAFETY: the bytes of the text, which is UTF-8.
        unsafe { PyUnicode_DecodeUTF8(text.as_ptr().cast(), text.len() as isize, ptr::null()) }
    };
    if cfg!(Py_GIL_DISABLED) || text.len() > LONGEST {
        return decode();
    }
    // SAFETY: nobody else has the cache while this runs: making and freeing texts runs no code of
    // Python's. Objects in it are references of its own.
    unsafe {
        let slots = &mut *(*texts).objects.get();
        if slots.is_empty() {
            slots.resize(TEXTS, (0, null_mut()));
        }
        let address = text.as_ptr().addr();
        let slot = slots.get_unchecked_mut(address / 4 % TEXTS);
        if slot.0 == address && !slot.1.is_null() {
            Py_INCREF(slot.1);
            return slot.1;
        }
        let object = decode();
        if !object.is_null() {
            Py_INCREF(object);
            let old = std::mem::replace(slot, (address, object));
            Py_XDECREF(old.1);
        }
        object
    }
}

/// The object of a value: a new reference, or null with an error set.
///
/// # Safety
/// As [`make`].
#[inline]
unsafe fn object(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(text) = value.as_str() {
            return text_object(texts, text);
        }
        // A container is not looked at before it is read.
        match value.kind() {
            Kind::List => make(LIST, owner, texts, value, 0, false),
            Kind::Dict => make(DICT, owner, texts, value, 0, false),
            _ => view_object(owner, texts, value.view(), value),
        }
    }
}

/// The object of a text within a budget.
///
/// # Safety
/// As [`make`].
#[inline]
unsafe fn bounded_text(
    owner: *mut PyObject,
    texts: *const Texts,
    text: &str,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        match budget.text(owner, text.len()) {
            true => text_object(texts, text),
            false => null_mut(),
        }
    }
}

/// The same of any value: what is made whole, and not shared, is taken from that.
///
/// # Safety
/// As [`make`].
unsafe fn bounded_object(
    owner: *mut PyObject,
    texts: *const Texts,
    value: &ArchivedValue,
    budget: &Budget,
) -> *mut PyObject {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(text) = value.as_str() {
            return bounded_text(owner, texts, text, budget);
        }
        match value.kind() {
            Kind::List => make(LIST, owner, texts, value, 0, false),
            Kind::Dict => make(DICT, owner, texts, value, 0, false),
            Kind::Tuple => {
                let items = value.items().unwrap_or_default();
                thawing::tuple_of(items, owner, budget, |item, budget| {
                    bounded_object(owner, texts, item, budget)
                })
            }
            _ => {
                let view = value.view();
                let is_left = match view {
                    View::Bytes(bytes) | View::BigInt(bytes) | View::TextWithSurrogates(bytes) => {
                        budget.bytes(owner, bytes.len())
                    }
                    _ => true,
                };
                match is_left {
                    true => view_object(owner, texts, view, value),
                    false => null_mut(),
                }
            }
        }
    }
}

/// The same for what is not a text mostly; `value` is what the view is of, where that has parts.
///
/// # Safety
/// As [`make`].
unsafe fn view_object(
    owner: *mut PyObject,
    texts: *const Texts,
    view: View<'_>,
    value: *const ArchivedValue,
) -> *mut PyObject {
    let bytes = |bytes: &[u8]| {
        // SAFETY: a pointer and its length.
        unsafe { PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize) }
    };
    // SAFETY: the caller's promise; constructors return new references or null.
    unsafe {
        match view {
            View::None => Py_NewRef(Py_None()),
            View::Bool(true) => Py_NewRef(Py_True()),
            View::Bool(false) => Py_NewRef(Py_False()),
            View::Int(number) => PyLong_FromLongLong(number),
            View::Float(number) => PyFloat_FromDouble(number),
            View::Text(text) => text_object(texts, text),
            View::Bytes(content) => bytes(content),
            View::List(_) => make(LIST, owner, texts, value, 0, false),
            View::Dict(_) => make(DICT, owner, texts, value, 0, false),
            View::Set(_) => make(SET, owner, texts, value, 0, false),
            View::Tuple(items) => {
                thawing::tuple_of(items, owner, &Budget::new(), |item, budget| {
                    bounded_object(owner, texts, item, budget)
                })
            }
            View::TextWithSurrogates(content) => PyUnicode_DecodeUTF8(
                content.as_ptr().cast(),
                content.len() as isize,
                c"surrogatepass".as_ptr(),
            ),
            other => guarded(|py| methods::number(py, other).map(Bound::into_ptr)),
        }
    }
}

/// Runs what is not hand-made: an error or panic in it becomes an exception, and the result null.
///
/// # Safety
/// Called as slots are.
unsafe fn guarded<T: Failed>(run: impl FnOnce(Python<'_>) -> PyResult<T>) -> T {
    // SAFETY: called by the interpreter.
    let py = unsafe { Python::assume_attached() };
    let error = match catch_unwind(AssertUnwindSafe(|| run(py))) {
        Ok(Ok(result)) => return result,
        Ok(Err(error)) => error,
        Err(_) => PyRuntimeError::new_err("floe has failed; please report what led to it"),
    };
    error.restore(py);
    T::FAILED
}

/// What slots return if an error is set.
trait Failed {
    const FAILED: Self;
}

impl Failed for *mut PyObject {
    const FAILED: Self = null_mut();
}

impl Failed for isize {
    const FAILED: Self = -1;
}

impl Failed for c_int {
    const FAILED: Self = -1;
}
