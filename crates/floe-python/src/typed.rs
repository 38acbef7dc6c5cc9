//! Regions that a Rust program froze, by the schema that they bring along.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use floe::dynamic::{Described, Dynamic, Fields, Items, View};
use floe::schema::{FieldStyle, TypeIndex};
use floe::value::Expansion;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyFrozenSet, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::errors::{OrRaise, invalid};
use crate::frozen::{Content, Frozen};
use crate::methods::EACH;
use crate::typed_keys;

/// A region with its schema, and the classes of its records.
pub(crate) struct Typed {
    described: Described,
    classes: Mutex<HashMap<(String, TypeIndex), Py<PyType>>>,
}

impl Typed {
    pub(crate) fn new(described: Described) -> Self {
        let classes = Mutex::default();
        Self { described, classes }
    }

    pub(crate) fn described(&self) -> &Described {
        &self.described
    }

    /// Shows the collector what this holds.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Held by nobody that does not have the interpreter.
        let classes = self.classes.try_lock();
        let mut classes = classes.iter().flat_map(|classes| classes.values());
        classes.try_for_each(|class| visit.call(class))
    }

    /// Lets go of the classes, which are made anew where they are needed.
    pub(crate) fn clear(&self) {
        let classes = self.classes.try_lock();
        drop(classes.map(|mut classes| std::mem::take(&mut *classes)));
    }

    /// The region, or one of its roots.
    fn of(&self, root: Option<&str>) -> Result<&Described, floe::Error> {
        root.map_or(Ok(&self.described), |root| self.described.named(root))
    }
}

/// What a region holds: maps stay in the region, and everything else is made at once.
pub(crate) fn value(handle: &Bound<'_, Frozen>, typed: &Typed) -> PyResult<Py<PyAny>> {
    let py = handle.py();
    let roots: Vec<&str> = typed.described.roots().map(|(name, _)| name).collect();
    if roots.is_empty() {
        return root_value(handle, typed, None);
    }
    let values = PyDict::new(py);
    for root in roots {
        values.set_item(root, root_value(handle, typed, Some(root.to_owned()))?)?;
    }
    let make = py.import("floe._record")?.getattr("record")?;
    Ok(make.call1(("Roots", values))?.unbind())
}

fn root_value(
    handle: &Bound<'_, Frozen>,
    typed: &Typed,
    root: Option<String>,
) -> PyResult<Py<PyAny>> {
    let py = handle.py();
    let described = typed.of(root.as_deref()).or_raise(py)?;
    if described.entry_count().is_some() {
        let handle = handle.clone().unbind();
        return Ok(Py::new(py, TypedMap { handle, root })?.into_any());
    }
    let reader = Reader {
        py,
        typed,
        root: root.as_deref(),
        spent: Cell::new(0),
        is_hashed: Cell::new(false),
    };
    let value = described.root().or_raise(py)?;
    Ok(reader.value(value)?.unbind())
}

/// The entries of a map in a region of another type, by their keys.
///
/// Where keys are structs, a record finds its entry, and so does a tuple of the fields.
#[pyclass(frozen, mapping, module = "floe")]
pub(crate) struct TypedMap {
    handle: Py<Frozen>,
    root: Option<String>,
}

#[pymethods]
impl TypedMap {
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.described(py)?.entry_count().unwrap_or(0) as usize)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.find(key)? {
            Some(value) => Ok(value),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        }
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.look_up(key)?.is_some())
    }

    /// The value of a key, or the default.
    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.find(key)?.or(default))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.pairs(py, Part::Key)?.try_iter()?.into_any())
    }

    /// The keys, in the order of the region.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.pairs(py, Part::Key)
    }

    /// The values, in the order of the keys.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.pairs(py, Part::Value)
    }

    /// Pairs of key and value.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.pairs(py, Part::Both)
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let own = self.thaw(py)?;
        match other.cast::<Self>() {
            Ok(other) => own
                .as_any()
                .rich_compare(other.get().thaw(py)?, pyo3::basic::CompareOp::Eq),
            Err(_) => own.as_any().rich_compare(other, pyo3::basic::CompareOp::Eq),
        }
    }

    /// An ordinary dict of all entries.
    fn thaw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        PyDict::from_sequence(self.pairs(py, Part::Both)?.as_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let described = self.described(py)?;
        let entries = described.entry_count().unwrap_or(0);
        Ok(format!(
            "<TypedMap {:?}: {entries} entries>",
            described.name()
        ))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<PyDict>(), (self.thaw(py)?,)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handle)
    }
}

/// Which part of the entries is wanted.
#[derive(Clone, Copy)]
enum Part {
    Key,
    Value,
    Both,
}

impl TypedMap {
    fn typed(&self, py: Python<'_>) -> PyResult<&Typed> {
        match self.handle.get().content() {
            Content::Typed(typed, _) => Ok(typed),
            _ => Err(invalid(py, "not a region of another type".to_owned())),
        }
    }

    fn described(&self, py: Python<'_>) -> PyResult<&Described> {
        self.typed(py)?.of(self.root.as_deref()).or_raise(py)
    }

    fn reader<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<Reader<'a, 'py>> {
        Ok(Reader {
            py,
            typed: self.typed(py)?,
            root: self.root.as_deref(),
            spent: Cell::new(0),
            is_hashed: Cell::new(false),
        })
    }

    fn find<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let reader = self.reader(key.py())?;
        let found = self.look_up(key)?;
        found.map(|value| reader.value(value)).transpose()
    }

    fn look_up(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<Dynamic<'_>>> {
        let py = key.py();
        if !key.hasattr("_fields")? {
            // Raises for what cannot be a key of a dict either.
            key.hash()?;
        }
        let described = self.described(py)?;
        let (types, map) = (described.description(), described.root_type());
        match typed_keys::json(key, types, map)? {
            Some(json) => described.get_json(&json).or_raise(py),
            None => Ok(None),
        }
    }

    fn pairs<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyList>> {
        let reader = self.reader(py)?;
        let list = PyList::empty(py);
        for entry in self.described(py)?.entries().into_iter().flatten() {
            let (key, value) = entry.or_raise(py)?;
            match part {
                Part::Key => list.append(reader.hashed(|| reader.value(key))?)?,
                Part::Value => list.append(reader.value(value)?)?,
                Part::Both => {
                    let key = reader.hashed(|| reader.value(key))?;
                    list.append((key, reader.value(value)?))?;
                }
            }
        }
        Ok(list)
    }
}

/// Makes Python's objects of values, as JSON has them, with records and tuples beside.
struct Reader<'a, 'py> {
    py: Python<'py>,
    typed: &'a Typed,
    root: Option<&'a str>,
    /// About how many bytes were made.
    spent: Cell<u64>,
    /// Whether what is made must have a hash.
    is_hashed: Cell<bool>,
}

impl<'py> Reader<'_, 'py> {
    fn value(&self, value: Dynamic<'_>) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let view = value.view().or_raise(py)?;
        let length = match &view {
            View::Text(text) => text.len(),
            View::CString(bytes) | View::Bytes(bytes) => bytes.len(),
            View::BigInt(number) => number.as_bytes().len(),
            _ => 0,
        };
        self.spend(length)?;
        let made = match view {
            View::Unit | View::None | View::Option(None) => py.None().into_bound(py),
            View::Bool(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
            View::Char(character) => character.into_pyobject(py)?.into_any(),
            View::Unsigned(number) => number.into_pyobject(py)?.into_any(),
            View::Signed(number) => number.into_pyobject(py)?.into_any(),
            View::F32(number) => number.into_pyobject(py)?.into_any(),
            View::F64(number) => number.into_pyobject(py)?.into_any(),
            View::Text(text) => PyString::new(py, &text).into_any(),
            View::CString(bytes) | View::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
            View::BigInt(number) => {
                crate::methods::number(py, floe::value::View::BigInt(number.as_bytes()))?
            }
            View::Duration(time) => time.into_pyobject(py)?.into_any(),
            View::IpAddr(address) => address.into_pyobject(py)?.into_any(),
            View::SocketAddr(address) => PyString::new(py, &address.to_string()).into_any(),
            View::Sequence(items) if self.is_hashed.get() => {
                PyTuple::new(py, self.items(items)?)?.into_any()
            }
            View::Sequence(items) => PyList::new(py, self.items(items)?)?.into_any(),
            View::Set(items) => {
                let items = self.hashed(|| self.items(items))?;
                PyFrozenSet::new(py, items)?.into_any()
            }
            View::Map(entries) if self.is_hashed.get() => {
                let pair = |entry: Result<_, _>| {
                    let (key, item) = entry.or_raise(py)?;
                    (self.value(key)?, self.value(item)?).into_pyobject(py)
                };
                PyFrozenSet::new(py, entries.map(pair).collect::<PyResult<Vec<_>>>()?)?.into_any()
            }
            View::Map(entries) => {
                let map = PyDict::new(py);
                for entry in entries {
                    let (key, item) = entry.or_raise(py)?;
                    let key = self.hashed(|| self.value(key))?;
                    map.set_item(key, self.value(item)?)?;
                }
                map.into_any()
            }
            View::Tuple(fields) => PyTuple::new(py, self.fields(fields)?.1)?.into_any(),
            View::Struct { style, fields } => self.structure(&value, style, fields)?,
            View::Enum {
                variant,
                style,
                fields,
                ..
            } => {
                if style == FieldStyle::Unit {
                    PyString::new(py, variant).into_any()
                } else {
                    let content = self.variant(variant, style, fields)?;
                    match self.is_hashed.get() {
                        true => PyFrozenSet::new(py, [(variant, content)])?.into_any(),
                        false => [(variant, content)].into_py_dict(py)?.into_any(),
                    }
                }
            }
            View::Option(Some(inner)) | View::Pointer(inner) => self.value(inner)?,
            // Roots are never parts of values, and views may grow.
            other => {
                let told = format!("this version cannot read {other:?}");
                return Err(invalid(py, told));
            }
        };
        Ok(made)
    }

    /// What has a hash: tuples in the place of lists.
    fn hashed<T>(&self, make: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
        let before = self.is_hashed.replace(true);
        let made = make();
        self.is_hashed.set(before);
        made
    }

    /// Counts a value that is made, with so many bytes of text.
    fn spend(&self, length: usize) -> PyResult<()> {
        let spent = self.spent.get().saturating_add(EACH as u64 + length as u64);
        self.spent.set(spent);
        let most = Expansion::on_heap(1).most_of(self.typed.described.size());
        match spent <= most {
            true => Ok(()),
            false => Err(invalid(
                self.py,
                format!(
                    "a value comes to more than {most} bytes when its shared parts are written out at each use"
                ),
            )),
        }
    }

    fn items(&self, items: Items<'_>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        items
            .map(|item| self.value(item.or_raise(self.py)?))
            .collect()
    }

    /// Names and values of fields.
    fn fields<'a>(&self, fields: Fields<'a>) -> PyResult<(Vec<&'a str>, Vec<Bound<'py, PyAny>>)> {
        let read = fields.map(|(name, field)| Ok((name, self.value(field)?)));
        read.collect::<PyResult<Vec<_>>>()
            .map(|read| read.into_iter().unzip())
    }

    /// A record, a tuple, or the only part of a struct without names.
    fn structure(
        &self,
        value: &Dynamic<'_>,
        style: FieldStyle,
        fields: Fields<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let (names, mut parts) = self.fields(fields)?;
        match style {
            FieldStyle::Unit => Ok(py.None().into_bound(py)),
            FieldStyle::Tuple if parts.len() == 1 => Ok(parts.remove(0)),
            FieldStyle::Tuple => Ok(PyTuple::new(py, parts)?.into_any()),
            FieldStyle::Named => self.class(value, &names)?.call1(PyTuple::new(py, parts)?),
        }
    }

    fn variant(
        &self,
        name: &str,
        style: FieldStyle,
        fields: Fields<'_>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let (names, mut parts) = self.fields(fields)?;
        match style {
            FieldStyle::Named => {
                let values = PyDict::new(py);
                for (name, part) in names.into_iter().zip(parts) {
                    values.set_item(name, part)?;
                }
                let make = py.import("floe._record")?.getattr("record")?;
                make.call1((name, values))
            }
            _ if parts.len() == 1 => Ok(parts.remove(0)),
            _ => Ok(PyTuple::new(py, parts)?.into_any()),
        }
    }

    /// The class of a struct's records, made once for each region.
    fn class(&self, value: &Dynamic<'_>, names: &[&str]) -> PyResult<Bound<'py, PyType>> {
        let py = self.py;
        let key = (self.root.unwrap_or_default().to_owned(), value.type_index());
        let classes = || {
            self.typed
                .classes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(class) = classes().get(&key) {
            return Ok(class.bind(py).clone());
        }
        let make = py.import("floe._record")?.getattr("record_class")?;
        let made = make.call1((value.type_name(), PyTuple::new(py, names)?))?;
        let class = made.cast_into::<PyType>()?;
        classes().insert(key, class.clone().unbind());
        Ok(class)
    }
}
