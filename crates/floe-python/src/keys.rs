//! Keys that are no texts: numbers, bytes, tuples, and objects that equal one.

use floe::value::{ArchivedValue, KeyRef, Value, View};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyString};

use crate::freeze::owned;
use crate::raw::{Held, Which};

/// The position of a key in a dict, or of an item in a set.
///
/// What is data is found by its hash. Any other object may say that it equals a key, so all are
/// compared. An object without a hash is an error, as in a dict.
pub(crate) fn position(held: Held<'_, '_>, key: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let find = |key: KeyRef<'_>| Ok(place(held.value(), key));
    if key.is_none() {
        return find(KeyRef::None);
    }
    if let Ok(number) = key.cast_exact::<PyInt>()
        && let Ok(number) = number.extract::<i64>()
    {
        return find(KeyRef::Int(number));
    }
    if let Ok(number) = key.cast_exact::<PyFloat>() {
        return find(KeyRef::Float(number.value()));
    }
    if let Ok(bytes) = key.cast_exact::<PyBytes>() {
        return find(KeyRef::Bytes(bytes.as_bytes()));
    }
    let hash = key.hash()?;
    match Held::which(key) {
        Some((Which::Set, set)) => return find(KeyRef::Value(&as_key(set.to_value()))),
        Some(_) => return Ok(None),
        None => {}
    }
    if (key.is_instance_of::<PyString>() || key.hash_is_by_value())
        && let Ok(owned) = owned(key, true)
    {
        return find(KeyRef::Value(&as_key(owned)));
    }
    for (position, own) in held.parts(keys_of).enumerate() {
        let own = own.object()?;
        if own.hash()? == hash && own.eq(key)? {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// Keys of a dict, items of a set.
pub(crate) fn keys_of(value: &ArchivedValue) -> &[ArchivedValue] {
    match value.view() {
        View::Dict(dict) => dict.keys(),
        View::Set(set) => set.items(),
        _ => &[],
    }
}

pub(crate) fn values_of(value: &ArchivedValue) -> &[ArchivedValue] {
    value.as_dict().map_or(&[], |dict| dict.values())
}

fn place(value: &ArchivedValue, key: KeyRef<'_>) -> Option<usize> {
    let found = match value.view() {
        View::Dict(dict) => {
            let found = dict.get_value(key)?;
            return position_of(dict.values(), found);
        }
        View::Set(set) => set.contains_value(key),
        _ => false,
    };
    found.then_some(0)
}

fn position_of(values: &[ArchivedValue], found: &ArchivedValue) -> Option<usize> {
    let start = values.as_ptr().addr();
    Some((std::ptr::from_ref(found).addr().checked_sub(start)?) / size_of::<ArchivedValue>())
}

/// Sets are keys as frozen ones, wherever they stand in one.
fn as_key(value: Value) -> Value {
    match value {
        Value::Set(items) | Value::FrozenSet(items) => {
            Value::FrozenSet(items.into_iter().map(as_key).collect())
        }
        Value::Tuple(items) => Value::Tuple(items.into_iter().map(as_key).collect()),
        other => other,
    }
}

trait HashedByValue {
    fn hash_is_by_value(&self) -> bool;
}

impl HashedByValue for Bound<'_, PyAny> {
    /// Whether it is of one of the types that are data, or a subclass.
    fn hash_is_by_value(&self) -> bool {
        use pyo3::types::{PyFrozenSet, PyTuple};
        self.is_instance_of::<PyInt>()
            || self.is_instance_of::<PyTuple>()
            || self.is_instance_of::<PyFrozenSet>()
            || self.is_instance_of::<PyFloat>()
            || self.is_instance_of::<PyBytes>()
    }
}
