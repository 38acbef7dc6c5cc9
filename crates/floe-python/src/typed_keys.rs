//! Keys of maps of Rust types, as JSON: how regions are asked without these types.

use floe::schema::{Description, Field, FieldStyle, Shape, TypeIndex};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFrozenSet, PyInt, PyList, PyString, PyTuple};

/// Nested deeper, it is no key.
const DEPTH_LIMIT: u32 = 128;

/// A type of a region.
#[derive(Clone, Copy)]
struct Type<'a>(&'a Description, TypeIndex);

/// A key as JSON; none for what is no key of any map. Where the type of keys has a struct, a record or
/// a tuple may stand for it.
pub(crate) fn json(
    key: &Bound<'_, PyAny>,
    types: &Description,
    map: TypeIndex,
) -> PyResult<Option<String>> {
    let like = match types.get(map).map(|described| &described.shape) {
        Some(Shape::Map { key, .. }) => Some(Type(types, *key)),
        _ => None,
    };
    let mut text = String::new();
    Ok(write(key, like, 0, &mut text)?.then_some(text))
}

/// Writes a part of a key; false if it can be none.
fn write(
    part: &Bound<'_, PyAny>,
    like: Option<Type<'_>>,
    depth: u32,
    json: &mut String,
) -> PyResult<bool> {
    if depth > DEPTH_LIMIT {
        return Ok(false);
    }
    let all = |parts: Vec<(Option<&str>, Bound<'_, PyAny>, Option<Type<'_>>)>,
               json: &mut String| {
        for (number, (name, part, like)) in parts.into_iter().enumerate() {
            if number > 0 {
                json.push(',');
            }
            if let Some(name) = name {
                json.push_str(&quoted(name));
                json.push(':');
            }
            if !write(&part, like, depth + 1, json)? {
                return Ok(false);
            }
        }
        PyResult::Ok(true)
    };
    let like = like.map(Type::within);
    if part.is_none() {
        json.push_str("null");
    } else if let Ok(flag) = part.cast::<PyBool>() {
        json.push_str(if flag.is_true() { "true" } else { "false" });
    } else if part.is_instance_of::<PyInt>() {
        json.push_str(part.call_method0("__int__")?.str()?.to_str()?);
    } else if let Ok(text) = part.cast::<PyString>() {
        match text.to_str() {
            Ok(text) => json.push_str(&quoted(text)),
            // No text of Rust has lone surrogates.
            Err(_) => return Ok(false),
        }
    } else if let Ok(bytes) = part.cast::<PyBytes>() {
        let numbers: Vec<String> = bytes.as_bytes().iter().map(u8::to_string).collect();
        json.push_str(&format!("[{}]", numbers.join(",")));
    } else if part.is_instance_of::<PyTuple>() || part.is_instance_of::<PyList>() {
        let items = part.try_iter()?.collect::<PyResult<Vec<_>>>()?;
        let (names, likes) = parts_of(like, items.len());
        let mut likes = likes.into_iter();
        let names_of = |number: usize| names.get(number).copied();
        let items = items.into_iter().enumerate();
        let items = items.map(|(number, item)| (names_of(number), item, likes.next().flatten()));
        let items = items.collect();
        let (first, last) = if names.is_empty() {
            ('[', ']')
        } else {
            ('{', '}')
        };
        json.push(first);
        let done = all(items, json)?;
        json.push(last);
        return Ok(done);
    } else if let Some(fields) = part.getattr_opt("_fields")? {
        let fields: Vec<String> = fields.extract()?;
        let (_, likes) = parts_of(like, fields.len());
        let mut likes = likes.into_iter();
        let value = |name: &String| part.getattr(name.as_str());
        let values = fields.iter().map(value).collect::<PyResult<Vec<_>>>()?;
        let values = fields.iter().zip(values);
        let values = values.map(|(name, it)| (Some(name.as_str()), it, likes.next().flatten()));
        json.push('{');
        let done = all(values.collect(), json)?;
        json.push('}');
        return Ok(done);
    } else if let Ok(set) = part.cast::<PyFrozenSet>() {
        // A variant with content, as keys have it.
        let Some(Ok(pair)) = set
            .iter()
            .next()
            .filter(|_| set.len() == 1)
            .map(|it| it.extract())
        else {
            return Ok(false);
        };
        let (name, content): (String, Bound<'_, PyAny>) = pair;
        json.push('{');
        let done = all(vec![(Some(&name), content, None)], json)?;
        json.push('}');
        return Ok(done);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'a> Type<'a> {
    fn shape(self) -> Option<&'a Shape> {
        self.0.get(self.1).map(|described| &described.shape)
    }

    /// What pointers, optional values and structs of one part without a name hold: JSON shows that
    /// alone.
    fn within(mut self) -> Self {
        // Pointers may lead around in a circle.
        for _ in 0..DEPTH_LIMIT {
            self.1 = match self.shape() {
                Some(Shape::Box { target } | Shape::Interned { target }) => *target,
                Some(Shape::Option { some, .. }) => *some,
                Some(Shape::Struct {
                    style: FieldStyle::Tuple,
                    fields,
                }) if fields.len() == 1 => fields[0].type_index,
                _ => break,
            };
        }
        self
    }
}

/// Names of the fields, if it is a struct that has so many with names, and the types of all parts.
fn parts_of(like: Option<Type<'_>>, number: usize) -> (Vec<&str>, Vec<Option<Type<'_>>>) {
    let Some(like) = like else {
        return (Vec::new(), Vec::new());
    };
    let types = |fields: &[Field]| {
        let types = fields
            .iter()
            .map(|field| Some(Type(like.0, field.type_index)));
        types.collect()
    };
    match like.shape() {
        Some(Shape::Struct {
            style: FieldStyle::Named,
            fields,
        }) if fields.len() == number => (
            fields.iter().map(|field| &*field.name).collect(),
            types(fields),
        ),
        Some(Shape::Struct { fields, .. } | Shape::Tuple { parts: fields })
            if fields.len() == number =>
        {
            (Vec::new(), types(fields))
        }
        Some(Shape::Vec { item } | Shape::Slice { item } | Shape::Array { item, .. }) => {
            (Vec::new(), vec![Some(Type(like.0, *item)); number])
        }
        _ => (Vec::new(), Vec::new()),
    }
}
