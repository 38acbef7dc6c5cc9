//! Python's objects on their way into a region.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hasher};

use floe::value::{BigInt, ToValue, Value, WriteError, Writer, Written};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use crate::map::FrozenMap;
use crate::raw::{Held, references};
use crate::refused::{Reason, Refused};

/// Deeper values than any region takes are refused.
const DEPTH_LIMIT: usize = 126;
/// What was written farther back than this is written again.
const MEMO_SPAN: usize = 1 << 28;
/// References to an object that nobody can meet a second time: its container's, and our own.
const ONLY_REFERENCES: isize = 2;

/// A Python object that writes itself.
pub(crate) struct Source<'a, 'py> {
    value: &'a Bound<'py, PyAny>,
    as_base: bool,
    refused: Cell<Option<PyErr>>,
}

impl<'a, 'py> Source<'a, 'py> {
    pub(crate) fn new(value: &'a Bound<'py, PyAny>, as_base: bool) -> Self {
        let refused = Cell::new(None);
        Self {
            value,
            as_base,
            refused,
        }
    }

    /// Why an object was refused, if that was the reason.
    pub(crate) fn refused(&self) -> Option<PyErr> {
        self.refused.take()
    }
}

impl ToValue for Source<'_, '_> {
    fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError> {
        let mut freezer = Freezer {
            writer,
            as_base: self.as_base,
            memo: HashMap::default(),
            written: 0,
            stack: Vec::new(),
        };
        freezer.value(self.value).map_err(|refused| {
            let told = refused.to_string();
            self.refused.set(Some(refused.exception()));
            WriteError::new(told)
        })
    }
}

type Frozen<T = Written> = Result<T, Box<Refused>>;

/// What an object is, as far as it is data.
enum Data<'a, 'py> {
    None,
    Bool(&'a Bound<'py, PyBool>),
    Int(&'a Bound<'py, PyInt>),
    Float(&'a Bound<'py, PyFloat>),
    Text(&'a Bound<'py, PyString>),
    Bytes(&'a Bound<'py, PyBytes>),
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
    Dict(&'a Bound<'py, PyDict>),
    Set(&'a Bound<'py, PySet>),
    FrozenSet(&'a Bound<'py, PyFrozenSet>),
    Held(Held<'a, 'py>),
    Map(&'a Bound<'py, FrozenMap>),
}

impl<'a, 'py> Data<'a, 'py> {
    fn of(value: &'a Bound<'py, PyAny>, as_base: bool) -> Frozen<Self> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return Ok(Self::Text(text));
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            return Ok(Self::List(list));
        }
        if let Ok(dict) = value.cast_exact::<PyDict>() {
            return Ok(Self::Dict(dict));
        }
        if value.is_none() {
            return Ok(Self::None);
        }
        if let Ok(flag) = value.cast_exact::<PyBool>() {
            return Ok(Self::Bool(flag));
        }
        if let Ok(number) = value.cast_exact::<PyInt>() {
            return Ok(Self::Int(number));
        }
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            return Ok(Self::Tuple(tuple));
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return Ok(Self::Float(number));
        }
        if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            return Ok(Self::Bytes(bytes));
        }
        if let Ok(set) = value.cast_exact::<PySet>() {
            return Ok(Self::Set(set));
        }
        if let Ok(set) = value.cast_exact::<PyFrozenSet>() {
            return Ok(Self::FrozenSet(set));
        }
        if let Some(held) = Held::of(value) {
            return Ok(Self::Held(held));
        }
        if let Ok(map) = value.cast_exact::<FrozenMap>() {
            return Ok(Self::Map(map));
        }
        let (base, name) = Self::base(value).ok_or_else(|| Reason::Type(type_name(value)))?;
        match as_base {
            true => Ok(base),
            false => Err(Reason::Subclass(type_name(value), name).into()),
        }
    }

    /// As what a subclass is data, and how that is called.
    fn base(value: &'a Bound<'py, PyAny>) -> Option<(Self, &'static str)> {
        if let Ok(text) = value.cast::<PyString>() {
            return Some((Self::Text(text), "str"));
        }
        if let Ok(list) = value.cast::<PyList>() {
            return Some((Self::List(list), "list"));
        }
        if let Ok(dict) = value.cast::<PyDict>() {
            return Some((Self::Dict(dict), "dict"));
        }
        if let Ok(number) = value.cast::<PyInt>() {
            return Some((Self::Int(number), "int"));
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return Some((Self::Tuple(tuple), "tuple"));
        }
        if let Ok(number) = value.cast::<PyFloat>() {
            return Some((Self::Float(number), "float"));
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Some((Self::Bytes(bytes), "bytes"));
        }
        if let Ok(set) = value.cast::<PySet>() {
            return Some((Self::Set(set), "set"));
        }
        let set = value.cast::<PyFrozenSet>().ok()?;
        Some((Self::FrozenSet(set), "frozenset"))
    }
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name();
    name.map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// Addresses are spread well enough by one multiplication.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        let mixed = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

struct Freezer<'a, 'w> {
    writer: &'a mut Writer<'w>,
    as_base: bool,
    /// What objects that can be met again were written as. They live until the end: nothing of
    /// theirs runs meanwhile.
    memo: HashMap<usize, Written, BuildHasherDefault<AddressHasher>>,
    /// About how many bytes were written since the memo was last emptied.
    written: usize,
    /// The containers around.
    stack: Vec<usize>,
}

impl Freezer<'_, '_> {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Frozen {
        let data = Data::of(value, self.as_base)?;
        match data {
            Data::None => return Ok(self.writer.none()),
            Data::Bool(flag) => return Ok(self.writer.bool(flag.is_true())),
            Data::Int(number) => return self.int(number),
            Data::Float(number) => return Ok(self.writer.float(number.value())),
            _ => {}
        }
        if references(value) == ONLY_REFERENCES {
            return self.write(value, &data);
        }
        let address = value.as_ptr() as usize;
        if let Some(written) = self.memo.get(&address) {
            return Ok(*written);
        }
        let written = self.write(value, &data)?;
        if self.written > MEMO_SPAN {
            self.memo.clear();
            self.written = 0;
        }
        self.memo.insert(address, written);
        Ok(written)
    }

    fn write(&mut self, value: &Bound<'_, PyAny>, data: &Data<'_, '_>) -> Frozen {
        match data {
            Data::Text(text) => self.text(text),
            Data::Bytes(bytes) => {
                self.written += bytes.as_bytes().len();
                Ok(self.writer.bytes(bytes.as_bytes())?)
            }
            Data::Held(held) => Ok(self.writer.value(&held.to_value())?),
            Data::Map(map) => {
                let dict = map.get().thaw(map.py())?;
                self.dict(&dict)
            }
            _ => {
                self.enter(value)?;
                let written = self.container(data);
                self.stack.pop();
                written
            }
        }
    }

    fn container(&mut self, data: &Data<'_, '_>) -> Frozen {
        match data {
            Data::List(list) => self.list(list),
            Data::Tuple(tuple) => {
                self.written += 4 * tuple.len();
                let items = self.items(tuple.iter(), tuple.len())?;
                Ok(self.writer.tuple(&items)?)
            }
            Data::Dict(dict) => self.dict(dict),
            Data::Set(set) => self.set(set.as_any(), set.len(), false),
            Data::FrozenSet(set) => self.set(set.as_any(), set.len(), true),
            _ => Ok(self.writer.none()),
        }
    }

    /// Goes into a container, unless it is one of those around.
    fn enter(&mut self, value: &Bound<'_, PyAny>) -> Frozen<()> {
        let address = value.as_ptr() as usize;
        if self.stack.contains(&address) {
            return Err(Reason::Recursive.into());
        }
        if self.stack.len() >= DEPTH_LIMIT {
            return Err(Reason::Deep.into());
        }
        self.stack.push(address);
        Ok(())
    }

    fn int(&mut self, number: &Bound<'_, PyInt>) -> Frozen {
        match int(number)? {
            Ok(number) => Ok(self.writer.int(number)),
            Err(big) => Ok(self.writer.int_from_bytes(big.as_bytes())?),
        }
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> Frozen {
        match text.to_str() {
            Ok(text) => {
                self.written += text.len();
                Ok(self.writer.text(text)?)
            }
            Err(_) => Ok(self.writer.text_with_surrogates(&with_surrogates(text)?)?),
        }
    }

    fn list(&mut self, list: &Bound<'_, PyList>) -> Frozen {
        let length = list.len();
        self.written += 8 * length;
        if length > 0 && list.get_item(0)?.is_exact_instance_of::<PyFloat>() {
            let float =
                |item: Bound<'_, PyAny>| item.cast_exact::<PyFloat>().ok().map(|it| it.value());
            let floats: Option<Vec<f64>> = list.iter().map(float).collect();
            if let Some(floats) = floats {
                return Ok(self.writer.floats(&floats)?);
            }
        }
        let items = self.items(list.iter(), length)?;
        Ok(self.writer.list(&items)?)
    }

    fn items<'py>(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        length: usize,
    ) -> Frozen<Vec<Written>> {
        let mut written = Vec::with_capacity(length);
        for (position, item) in items.enumerate() {
            let item = self.value(&item);
            written.push(item.map_err(|refused| refused.under(|| format!("[{position}]")))?);
        }
        Ok(written)
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Frozen {
        self.written += 8 * dict.len();
        let mut entries = Vec::with_capacity(dict.len());
        for (key, value) in dict.iter() {
            let under = |refused: Box<Refused>| refused.under(|| format!("[{}]", shown(&key)));
            let written = self.value(&key).map_err(under)?;
            entries.push((written, self.value(&value).map_err(under)?));
        }
        Ok(self.writer.dict(&entries)?)
    }

    /// Sets are written in their canonical order.
    fn set(&mut self, set: &Bound<'_, PyAny>, length: usize, is_frozen: bool) -> Frozen {
        self.written += 8 * length;
        let items = set.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let texts: Option<Vec<&str>> = items
            .iter()
            .map(|item| item.cast_exact::<PyString>().ok()?.to_str().ok())
            .collect();
        if let Some(mut texts) = texts {
            self.written += texts.iter().map(|text| text.len()).sum::<usize>();
            return Ok(self.writer.set_of_texts(&mut texts, is_frozen)?);
        }
        let items = items
            .iter()
            .map(|item| owned_at(item, self.as_base, self.stack.len()));
        let items = items.collect::<Frozen<Vec<Value>>>()?;
        let set = match is_frozen {
            true => Value::FrozenSet(items),
            false => Value::Set(items),
        };
        Ok(self.writer.value(&set)?)
    }
}

/// A key as messages show it.
fn shown(key: &Bound<'_, PyAny>) -> String {
    let shown = key.repr().map(|shown| shown.to_string());
    let shown = shown.unwrap_or_else(|_| "?".to_owned());
    match shown.char_indices().nth(60) {
        None => shown,
        Some((end, _)) => {
            let mut short = shown[..end].to_owned();
            let _ = short.write_str("..");
            short
        }
    }
}

/// An integer, or the bytes of a big one.
fn int(number: &Bound<'_, PyInt>) -> PyResult<Result<i64, BigInt>> {
    if let Ok(number) = number.extract::<i64>() {
        return Ok(Ok(number));
    }
    let bits: usize = number.call_method0("bit_length")?.extract()?;
    let py = number.py();
    let sign = PyDict::new(py);
    sign.set_item("signed", true)?;
    let bytes = number.call_method("to_bytes", (bits / 8 + 1, "little"), Some(&sign))?;
    let bytes = bytes.cast_into::<PyBytes>()?;
    Ok(match BigInt::from_bytes(bytes.as_bytes()) {
        Ok(big) => Err(big),
        Err(small) => Ok(small),
    })
}

/// The bytes of a text that is no UTF-8.
fn with_surrogates(text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    let bytes = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
    Ok(bytes.cast_into::<PyBytes>()?.as_bytes().to_vec())
}

/// An object as a value on the heap.
pub(crate) fn owned(value: &Bound<'_, PyAny>, as_base: bool) -> Result<Value, PyErr> {
    owned_at(value, as_base, 0).map_err(|refused| refused.exception())
}

fn owned_at(value: &Bound<'_, PyAny>, as_base: bool, depth: usize) -> Frozen<Value> {
    if depth > DEPTH_LIMIT {
        return Err(Reason::Deep.into());
    }
    let item = |(position, item): (usize, Bound<'_, PyAny>)| {
        let item = owned_at(&item, as_base, depth + 1);
        item.map_err(|refused| refused.under(|| format!("[{position}]")))
    };
    let in_set = |items: &Bound<'_, PyAny>| -> Frozen<Vec<Value>> {
        items
            .try_iter()?
            .map(|item| owned_at(&item?, as_base, depth + 1))
            .collect()
    };
    Ok(match Data::of(value, as_base)? {
        Data::None => Value::None,
        Data::Bool(flag) => Value::Bool(flag.is_true()),
        Data::Int(number) => int(number)?.map_or_else(Value::BigInt, Value::Int),
        Data::Float(number) => Value::Float(number.value()),
        Data::Text(text) => match text.to_str() {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::TextWithSurrogates(with_surrogates(text)?),
        },
        Data::Bytes(bytes) => Value::Bytes(bytes.as_bytes().to_vec()),
        Data::List(list) => Value::List(list.iter().enumerate().map(item).collect::<Frozen<_>>()?),
        Data::Tuple(tuple) => {
            Value::Tuple(tuple.iter().enumerate().map(item).collect::<Frozen<_>>()?)
        }
        Data::Dict(dict) => {
            let mut entries = Vec::with_capacity(dict.len());
            for (key, value) in dict.iter() {
                let under = |refused: Box<Refused>| refused.under(|| format!("[{}]", shown(&key)));
                let owned = owned_at(&key, as_base, depth + 1).map_err(under)?;
                let value = owned_at(&value, as_base, depth + 1).map_err(under)?;
                entries.push((owned, value));
            }
            Value::Dict(entries)
        }
        Data::Set(set) => Value::Set(in_set(set.as_any())?),
        Data::FrozenSet(set) => Value::FrozenSet(in_set(set.as_any())?),
        Data::Held(held) => held.to_value(),
        Data::Map(map) => owned_at(map.get().thaw(map.py())?.as_any(), as_base, depth + 1)?,
    })
}
