//! The types of proxies: which slots and methods each has.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_uint, c_ulong, c_void};
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

use pyo3::ffi::*;
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyType};

use super::calls::*;
use super::slots::*;
use super::{DICT, ITEMS, ITERATOR, KEYS, LIST, Proxy, SET, TYPES, VALUES, dealloc, type_of};

fn slot(slot: c_int, function: *mut c_void) -> PyType_Slot {
    PyType_Slot {
        slot,
        pfunc: function,
    }
}

fn method(
    name: &'static CStr,
    flags: c_int,
    function: PyMethodDefPointer,
    doc: &'static CStr,
) -> PyMethodDef {
    PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }
}

/// A method without arguments, or with one.
fn plain(
    name: &'static CStr,
    flags: c_int,
    function: PyCFunction,
    doc: &'static CStr,
) -> PyMethodDef {
    method(
        name,
        flags,
        PyMethodDefPointer {
            PyCFunction: function,
        },
        doc,
    )
}

/// What all but iterators have.
fn common_methods() -> Vec<PyMethodDef> {
    let generic_doc = c"The type with its parameters, for annotations.";
    vec![
        plain(c"__reduce__", METH_NOARGS, reduce, c"Pickles by content."),
        plain(
            c"__class_getitem__",
            METH_O | METH_CLASS,
            generic,
            generic_doc,
        ),
    ]
}

/// What stands for dict, list and set has beside.
fn copies() -> Vec<PyMethodDef> {
    let shallow = c"An ordinary one with the same items, which can be changed.";
    vec![
        plain(c"copy", METH_NOARGS, copy, shallow),
        plain(c"__copy__", METH_NOARGS, copy, shallow),
        plain(
            c"__deepcopy__",
            METH_O,
            deep_copy,
            c"An ordinary one all the way down.",
        ),
    ]
}

fn dict_methods() -> Vec<PyMethodDef> {
    let get = PyMethodDefPointer {
        PyCFunctionFast: dict_get,
    };
    let get_doc = c"get($self, key, default=None, /)\n--\n\nThe value of a key, or the default.";
    vec![
        method(c"get", METH_FASTCALL, get, get_doc),
        plain(
            c"keys",
            METH_NOARGS,
            view_keys,
            c"The keys, as a set-like view.",
        ),
        plain(
            c"values",
            METH_NOARGS,
            view_values,
            c"The values, as a view.",
        ),
        plain(
            c"items",
            METH_NOARGS,
            view_items,
            c"Pairs of key and value, as a view.",
        ),
        plain(
            c"__reversed__",
            METH_NOARGS,
            reversed_keys,
            c"The keys from the last to the first.",
        ),
    ]
}

fn list_methods() -> Vec<PyMethodDef> {
    let index_doc =
        c"index($self, value, start=0, stop=sys.maxsize, /)\n--\n\nThe first position of a value.";
    vec![
        plain(c"index", METH_VARARGS, index, index_doc),
        plain(c"count", METH_O, count, c"How often a value is there."),
        plain(
            c"__reversed__",
            METH_NOARGS,
            reversed_list,
            c"The items from the last to the first.",
        ),
    ]
}

fn set_methods() -> Vec<PyMethodDef> {
    vec![
        plain(
            c"isdisjoint",
            METH_O,
            is_disjoint,
            c"Whether no item is in both.",
        ),
        plain(
            c"issubset",
            METH_O,
            is_subset,
            c"Whether every item is in the other.",
        ),
        plain(
            c"issuperset",
            METH_O,
            is_superset,
            c"Whether every item of the other is here.",
        ),
        plain(
            c"union",
            METH_VARARGS,
            union,
            c"Items of this and the others.",
        ),
        plain(
            c"intersection",
            METH_VARARGS,
            intersection,
            c"Items that all have.",
        ),
        plain(
            c"difference",
            METH_VARARGS,
            difference,
            c"Items that no other has.",
        ),
        plain(
            c"symmetric_difference",
            METH_VARARGS,
            symmetric_difference,
            c"Items that one of both has.",
        ),
    ]
}

/// What views of keys and items have as sets.
fn set_like(reversed: PyCFunction) -> Vec<PyMethodDef> {
    vec![
        plain(
            c"isdisjoint",
            METH_O,
            is_disjoint,
            c"Whether no item is in both.",
        ),
        plain(
            c"__reversed__",
            METH_NOARGS,
            reversed,
            c"The items from the last to the first.",
        ),
    ]
}

fn set_operators() -> Vec<PyType_Slot> {
    vec![
        slot(Py_nb_and, and as *mut c_void),
        slot(Py_nb_or, or as *mut c_void),
        slot(Py_nb_subtract, sub as *mut c_void),
        slot(Py_nb_xor, xor as *mut c_void),
    ]
}

fn joined<T, const N: usize>(parts: [Vec<T>; N]) -> Vec<T> {
    parts.into_iter().flatten().collect()
}

/// Makes a type, and names it for the module.
fn add_type(
    module: &Bound<'_, PyModule>,
    which: usize,
    (name, doc): (&'static CStr, &'static CStr),
    flags: c_ulong,
    mut slots: Vec<PyType_Slot>,
    mut methods: Vec<PyMethodDef>,
) -> PyResult<()> {
    let py = module.py();
    methods.push(PyMethodDef::zeroed());
    // As long as the type, which is never freed.
    let methods: &'static mut [PyMethodDef] = Box::leak(methods.into_boxed_slice());
    slots.push(slot(Py_tp_methods, methods.as_mut_ptr().cast()));
    slots.push(slot(Py_tp_dealloc, dealloc as *mut c_void));
    slots.push(slot(Py_tp_doc, doc.as_ptr().cast_mut().cast()));
    slots.push(slot(0, null_mut()));
    let fixed = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let mut spec = PyType_Spec {
        name: name.as_ptr(),
        basicsize: size_of::<Proxy>() as c_int,
        itemsize: 0,
        flags: (fixed | flags) as c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: a name and a documentation that live for ever, a size that is that of all instances,
    // slots with functions of their kinds, and zeros at the ends.
    let class: Bound<'_, PyType> = unsafe {
        let class = PyType_FromSpec(&raw mut spec);
        Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked()
    };
    TYPES[which].store(class.as_type_ptr(), Ordering::Relaxed);
    let short = class.name()?;
    // The second reference keeps it for ever, so that `type_of` is always live.
    std::mem::forget(class.clone());
    module.add(short, class)
}

/// Py_TPFLAGS_SEQUENCE and Py_TPFLAGS_MAPPING: what `match` goes by.
const SEQUENCE: c_ulong = 1 << 5;
const MAPPING: c_ulong = 1 << 6;

/// `Py_bf_getbuffer`, which types of 3.10 take, too.
const GET_BUFFER: c_int = 1;

/// Makes all types; a second time it does nothing but name them.
pub(crate) fn add_types(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if !type_of(DICT).is_null() {
        for class in [DICT, LIST, SET, KEYS, VALUES, ITEMS, ITERATOR].map(type_of) {
            // SAFETY: made before, and kept for ever.
            let class = unsafe { PyType::from_borrowed_type_ptr(py, class) };
            module.add(class.name()?, class)?;
        }
        return Ok(());
    }
    let shown = || {
        vec![
            slot(Py_tp_repr, repr as *mut c_void),
            slot(Py_tp_richcompare, compare as *mut c_void),
            slot(Py_tp_hash, hash as *mut c_void),
        ]
    };
    let viewed = || {
        vec![
            slot(Py_tp_repr, repr as *mut c_void),
            slot(Py_tp_richcompare, compare as *mut c_void),
            slot(Py_tp_hash, PyObject_HashNotImplemented as *mut c_void),
            slot(Py_sq_length, dict_length as *mut c_void),
        ]
    };
    let dict = (
        c"floe.FrozenDict",
        c"A dict in a region: read like a dict, and never changed.",
    );
    let slots = vec![
        slot(Py_mp_subscript, dict_subscript as *mut c_void),
        slot(Py_mp_length, dict_length as *mut c_void),
        slot(Py_sq_contains, dict_contains as *mut c_void),
        slot(Py_tp_iter, iter_keys as *mut c_void),
        slot(Py_nb_or, dict_or as *mut c_void),
    ];
    let methods = joined([common_methods(), copies(), dict_methods()]);
    add_type(
        module,
        DICT,
        dict,
        MAPPING,
        joined([slots, shown()]),
        methods,
    )?;
    let list = (
        c"floe.FrozenList",
        c"A list in a region: read like a list, and never changed.",
    );
    let slots = vec![
        slot(Py_mp_subscript, list_subscript as *mut c_void),
        slot(Py_mp_length, list_length as *mut c_void),
        slot(Py_sq_length, list_length as *mut c_void),
        slot(Py_sq_item, list_item as *mut c_void),
        slot(Py_sq_contains, contains as *mut c_void),
        slot(Py_sq_concat, list_concat as *mut c_void),
        slot(Py_sq_repeat, list_repeat as *mut c_void),
        slot(GET_BUFFER, list_buffer as *mut c_void),
        slot(Py_tp_iter, iter_list as *mut c_void),
    ];
    let methods = joined([common_methods(), copies(), list_methods()]);
    add_type(
        module,
        LIST,
        list,
        SEQUENCE,
        joined([slots, shown()]),
        methods,
    )?;
    let set = (
        c"floe.FrozenSet",
        c"A set or frozenset in a region: read like one, and never changed.",
    );
    let slots = vec![
        slot(Py_sq_length, set_length as *mut c_void),
        slot(Py_sq_contains, set_contains as *mut c_void),
        slot(Py_tp_iter, iter_set as *mut c_void),
    ];
    let methods = joined([common_methods(), copies(), set_methods()]);
    add_type(
        module,
        SET,
        set,
        0,
        joined([slots, shown(), set_operators()]),
        methods,
    )?;
    let keys = (
        c"floe.FrozenKeys",
        c"The keys of a `FrozenDict`, as a set-like view.",
    );
    let slots = vec![
        slot(Py_sq_contains, dict_contains as *mut c_void),
        slot(Py_tp_iter, iter_keys as *mut c_void),
    ];
    let methods = joined([common_methods(), set_like(reversed_keys)]);
    add_type(
        module,
        KEYS,
        keys,
        0,
        joined([slots, viewed(), set_operators()]),
        methods,
    )?;
    let values = (
        c"floe.FrozenValues",
        c"The values of a `FrozenDict`, as a view.",
    );
    let slots = vec![slot(Py_tp_iter, iter_values as *mut c_void)];
    let reversed = plain(
        c"__reversed__",
        METH_NOARGS,
        reversed_values,
        c"The values from the last to the first.",
    );
    let methods = joined([common_methods(), vec![reversed]]);
    add_type(
        module,
        VALUES,
        values,
        0,
        joined([slots, viewed()]),
        methods,
    )?;
    let items = (
        c"floe.FrozenItems",
        c"Pairs of key and value of a `FrozenDict`, as a set-like view.",
    );
    let slots = vec![
        slot(Py_sq_contains, contains as *mut c_void),
        slot(Py_tp_iter, iter_items as *mut c_void),
    ];
    let methods = joined([common_methods(), set_like(reversed_items)]);
    add_type(
        module,
        ITEMS,
        items,
        0,
        joined([slots, viewed(), set_operators()]),
        methods,
    )?;
    let iterator = (c"floe.FrozenIterator", c"Goes over what lies in a region.");
    let slots = vec![
        slot(Py_tp_iter, iter_self as *mut c_void),
        slot(Py_tp_iternext, iter_next as *mut c_void),
    ];
    let hint = plain(
        c"__length_hint__",
        METH_NOARGS,
        length_hint,
        c"How many items are left.",
    );
    add_type(module, ITERATOR, iterator, 0, slots, vec![hint])
}
