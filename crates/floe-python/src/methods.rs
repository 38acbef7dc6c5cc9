//! What proxies of dicts and lists do beside reading.

use floe::value::{ArchivedList, ArchivedValue, View};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyDict, PyFrozenSet, PyInt, PyList, PyNotImplemented, PySlice, PyString, PyTuple, PyType,
};

use crate::keys::{keys_of, values_of};
use crate::map::FrozenMap;
use crate::raw::{Held, Which};
use crate::{sets, show};

pub(crate) type Made<'py> = PyResult<Bound<'py, PyAny>>;

/// An integer that no machine word has room for; nothing else comes here.
pub(crate) fn number<'py>(py: Python<'py>, view: View<'_>) -> Made<'py> {
    let View::BigInt(bytes) = view else {
        return Err(PyValueError::new_err(
            "a value of a kind that this version does not know",
        ));
    };
    let sign = PyDict::new(py);
    sign.set_item("signed", true)?;
    py.get_type::<PyInt>()
        .call_method("from_bytes", (bytes, "little"), Some(&sign))
}

pub(crate) fn not_implemented(py: Python<'_>) -> Bound<'_, PyAny> {
    PyNotImplemented::get(py).to_owned().into_any()
}

/// Items of a list that is not packed, and of a tuple.
pub(crate) fn items_of(value: &ArchivedValue) -> &[ArchivedValue] {
    value.items().unwrap_or_default()
}

/// Objects of all items of a list, set or tuple, or of the keys of a dict.
pub(crate) fn objects<'py>(held: Held<'_, 'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match held.value().view() {
        View::List(ArchivedList::Values(_)) | View::Tuple(_) => {
            held.parts(items_of).map(|item| item.object()).collect()
        }
        View::List(packed) => packed.iter().map(|view| held.object_of(view)).collect(),
        _ => held.parts(keys_of).map(|key| key.object()).collect(),
    }
}

/// Pairs of objects of a dict.
pub(crate) fn pairs<'a, 'py>(
    held: Held<'a, 'py>,
) -> impl Iterator<Item = (Held<'a, 'py>, Held<'a, 'py>)> {
    held.parts(keys_of).zip(held.parts(values_of))
}

fn this<'a, 'py>(slf: &'a Bound<'py, PyAny>) -> PyResult<(Which, Held<'a, 'py>)> {
    Held::which(slf).ok_or_else(|| PyTypeError::new_err("not a frozen value"))
}

/// An ordinary dict of a mapping that has them; none for other objects.
fn dict_like<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    if let Ok(dict) = object.cast::<PyDict>() {
        return Ok(Some(dict.clone()));
    }
    if let Ok(map) = object.cast::<FrozenMap>() {
        return Ok(Some(map.get().shallow(object.py())?));
    }
    match Held::which(object) {
        Some((Which::Dict, held)) => shallow_dict(held).map(Some),
        _ => Ok(None),
    }
}

fn shallow_dict<'py>(held: Held<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(held.py());
    for (key, value) in pairs(held) {
        dict.set_item(key.object()?, value.object()?)?;
    }
    Ok(dict)
}

pub(crate) fn slice<'py>(slf: &Bound<'py, PyAny>, key: &Bound<'py, PyAny>) -> Made<'py> {
    let (_, held) = this(slf)?;
    let Ok(slice) = key.cast::<PySlice>() else {
        let name = key.get_type().name()?;
        let told = format!("list indices must be integers or slices, not {name}");
        return Err(PyTypeError::new_err(told));
    };
    let length = slf.len()?;
    let indices = slice.indices(length as isize)?;
    let list = PyList::empty(held.py());
    let mut position = indices.start;
    for _ in 0..indices.slicelength {
        list.append(slf.get_item(position)?)?;
        position += indices.step;
    }
    Ok(list.into_any())
}

pub(crate) fn repr<'py>(slf: &Bound<'py, PyAny>) -> Made<'py> {
    let (which, held) = this(slf)?;
    Ok(PyString::new(slf.py(), &show::show(which, held)?).into_any())
}

pub(crate) fn dict_or<'py>(left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> Made<'py> {
    let (Some(first), Some(second)) = (dict_like(left)?, dict_like(right)?) else {
        return Ok(not_implemented(left.py()));
    };
    let joined = first.copy()?;
    joined.update(second.as_mapping())?;
    Ok(joined.into_any())
}

fn list_like<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
    if let Ok(list) = object.cast::<PyList>() {
        return Ok(Some(list.clone()));
    }
    match Held::which(object) {
        Some((Which::List, held)) => PyList::new(object.py(), objects(held)?).map(Some),
        _ => Ok(None),
    }
}

pub(crate) fn list_concat<'py>(left: &Bound<'py, PyAny>, right: &Bound<'py, PyAny>) -> Made<'py> {
    let (Some(first), Some(second)) = (list_like(left)?, list_like(right)?) else {
        let name = right.get_type().name()?;
        let told = format!("can only concatenate list (not \"{name}\") to list");
        return Err(PyTypeError::new_err(told));
    };
    first.as_any().add(second)
}

pub(crate) fn repeat<'py>(slf: &Bound<'py, PyAny>, times: isize) -> Made<'py> {
    let (_, held) = this(slf)?;
    PyList::new(slf.py(), objects(held)?)?.as_any().mul(times)
}

pub(crate) fn count<'py>(slf: &Bound<'py, PyAny>, item: &Bound<'py, PyAny>) -> Made<'py> {
    let (_, held) = this(slf)?;
    let mut count = 0_usize;
    for own in objects(held)? {
        count += usize::from(is_equal(&own, item)?);
    }
    Ok(count.into_pyobject(slf.py())?.into_any())
}

pub(crate) fn index<'py>(slf: &Bound<'py, PyAny>, arguments: &Bound<'py, PyTuple>) -> Made<'py> {
    let (_, held) = this(slf)?;
    let list = PyList::new(slf.py(), objects(held)?)?;
    list.as_any().call_method1("index", arguments)
}

/// As containers of Python compare: what is the same object is equal to itself.
fn is_equal(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(left.is(right) || left.eq(right)?)
}

/// Whether a list has an item, or a view of items a pair.
pub(crate) fn contains(slf: &Bound<'_, PyAny>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (which, held) = this(slf)?;
    if which == Which::Items {
        let Ok((key, value)) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
            return Ok(false);
        };
        let found = match key.cast::<PyString>().map(|text| text.to_str()) {
            Ok(Ok(text)) => held.find(|value| value.get(text)),
            _ => {
                let position = crate::keys::position(held, &key)?;
                position.and_then(|position| held.parts(values_of).nth(position))
            }
        };
        return found.map_or(Ok(false), |found| is_equal(&found.object()?, &value));
    }
    if let Ok(text) = item.cast_exact::<PyString>()
        && let Ok(text) = text.to_str()
    {
        return Ok(items_of(held.value())
            .iter()
            .any(|own| own.as_str() == Some(text)));
    }
    for own in objects(held)? {
        if is_equal(&own, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An ordinary container of the same items.
pub(crate) fn copy<'py>(slf: &Bound<'py, PyAny>) -> Made<'py> {
    let (which, held) = this(slf)?;
    Ok(match which {
        Which::Dict => shallow_dict(held)?.into_any(),
        Which::List => PyList::new(slf.py(), objects(held)?)?.into_any(),
        _ => sets::shallow(which, held)?,
    })
}

pub(crate) fn deep_copy<'py>(slf: &Bound<'py, PyAny>, _: &Bound<'py, PyAny>) -> Made<'py> {
    this(slf)?.1.thaw()
}

/// Pickles as what it would be thawed to, so that the receiver needs nothing of this package.
pub(crate) fn reduce<'py>(slf: &Bound<'py, PyAny>) -> Made<'py> {
    let (which, held) = this(slf)?;
    let py = slf.py();
    let thawed = held.thaw()?;
    let (class, arguments) = match which {
        Which::Dict => (py.get_type::<PyDict>(), (thawed,)),
        Which::List => (py.get_type::<PyList>(), (thawed,)),
        Which::Set => {
            let items = PyList::new(py, thawed.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
            (thawed.get_type(), (items.into_any(),))
        }
        _ => {
            let name = slf.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "cannot pickle '{name}' object"
            )));
        }
    };
    Ok((class, arguments).into_pyobject(py)?.into_any())
}

pub(crate) fn generic<'py>(class: &Bound<'py, PyAny>, parameters: &Bound<'py, PyAny>) -> Made<'py> {
    let alias = class.py().import("types")?.getattr("GenericAlias")?;
    alias.call1((class.cast::<PyType>()?, parameters))
}

/// The hash of the frozenset of pairs, of the tuple, of the frozenset.
pub(crate) fn hash(slf: &Bound<'_, PyAny>) -> PyResult<isize> {
    let (which, held) = this(slf)?;
    let py = slf.py();
    match which {
        Which::Dict => {
            let pairs =
                pairs(held).map(|(key, value)| PyTuple::new(py, [key.object()?, value.object()?]));
            PyFrozenSet::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.hash()
        }
        Which::List => PyTuple::new(py, objects(held)?)?.hash(),
        _ => PyFrozenSet::new(py, objects(held)?)?.hash(),
    }
}

pub(crate) fn compare<'py>(
    slf: &Bound<'py, PyAny>,
    other: &Bound<'py, PyAny>,
    op: CompareOp,
) -> Made<'py> {
    let (which, held) = this(slf)?;
    let py = slf.py();
    let same = Held::which(other).is_some_and(|(theirs, other)| {
        theirs == which && held.value().address() == other.value().address()
    });
    let answer = |flag: bool| Ok(flag.into_pyobject(py)?.to_owned().into_any());
    let asks_equal = matches!(op, CompareOp::Eq);
    let is_equality = asks_equal || matches!(op, CompareOp::Ne);
    if is_equality && same {
        return answer(asks_equal);
    }
    match which {
        Which::Dict if is_equality => match dicts_are_equal(held, other)? {
            Some(equal) => answer(equal == asks_equal),
            None => Ok(not_implemented(py)),
        },
        Which::List => {
            let is_list = other.is_instance_of::<PyList>()
                || matches!(Held::which(other), Some((Which::List, _)));
            if !is_list {
                return Ok(not_implemented(py));
            }
            if is_equality && slf.len()? != other.len()? {
                return answer(!asks_equal);
            }
            let Some(other) = list_like(other)? else {
                return Ok(not_implemented(py));
            };
            PyList::new(py, objects(held)?)?
                .as_any()
                .rich_compare(other, op)
        }
        Which::Set | Which::Keys | Which::Items => sets::compare(slf, other, op),
        _ => Ok(not_implemented(py)),
    }
}

/// Whether a mapping has the same pairs; none if it is no dict.
fn dicts_are_equal(held: Held<'_, '_>, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    if let Some((Which::Dict, other)) = Held::which(other) {
        return Ok(Some(held.value() == other.value()));
    }
    let Some(other) = dict_like(other)? else {
        return Ok(None);
    };
    if held.value().len() != Some(other.len()) {
        return Ok(Some(false));
    }
    dict_equals(held, &other).map(Some)
}

fn dict_equals(held: Held<'_, '_>, other: &Bound<'_, PyDict>) -> PyResult<bool> {
    for (key, value) in pairs(held) {
        let Some(found) = other.get_item(key.object()?)? else {
            return Ok(false);
        };
        if !is_equal(&value.object()?, &found)? {
            return Ok(false);
        }
    }
    Ok(true)
}
