//! Values on their way into regions, and back.
#![forbid(unsafe_code)]

use rkyv::rancor::{BoxedError, Fallible};
use rkyv::{Archive, Deserialize, Place, Serialize};

use super::format::{OUT_OF_REACH, pointer_word};
use super::owned::sorted;
use super::writer::{self, ToValue, WriteError, Writer, Written};
use super::{ArchivedValue, Value};
use crate::archive::FreezeStrategy;

/// What of another form is frozen as a [`Value`]: the content writes itself.
///
/// It stands in for a `Value` in [`Frozen::freeze_as`](crate::Frozen::freeze_as),
/// [`MapBuilder::insert_as`](crate::MapBuilder::insert_as) and
/// [`RootsBuilder::value_as`](crate::RootsBuilder::value_as). See [`Writer`] for an example.
#[derive(Debug, Clone, Copy)]
pub struct AsValue<T>(pub T);

/// Where a value was written.
#[derive(Debug, Clone, Copy)]
pub struct ValueResolver(writer::Place);

impl ValueResolver {
    fn resolve(self, out: Place<ArchivedValue>) {
        let word = match self.0 {
            writer::Place::Word(word) => word,
            writer::Place::At(tag, position) => {
                pointer_word(tag, out.pos() as u64, position).unwrap_or(OUT_OF_REACH)
            }
        };
        ArchivedValue::emplace(word, out);
    }
}

fn write(
    source: &impl ToValue,
    serializer: &mut FreezeStrategy<'_>,
) -> Result<ValueResolver, BoxedError> {
    let mut writer = Writer::new(&mut **serializer);
    let written = source.write(&mut writer);
    let written = written.and_then(|written| writer.finish(written));
    let place = written.map(|written| written.place(writer.out()));
    place.map(ValueResolver).map_err(|WriteError(error)| error)
}

impl<T: ToValue> Archive for AsValue<T> {
    type Archived = ArchivedValue;
    type Resolver = ValueResolver;

    fn resolve(&self, resolver: ValueResolver, out: Place<ArchivedValue>) {
        resolver.resolve(out);
    }
}

impl<'a, T: ToValue> Serialize<FreezeStrategy<'a>> for AsValue<T> {
    fn serialize(&self, serializer: &mut FreezeStrategy<'a>) -> Result<ValueResolver, BoxedError> {
        write(&self.0, serializer)
    }
}

impl Archive for Value {
    type Archived = ArchivedValue;
    type Resolver = ValueResolver;

    fn resolve(&self, resolver: ValueResolver, out: Place<ArchivedValue>) {
        resolver.resolve(out);
    }
}

impl<'a> Serialize<FreezeStrategy<'a>> for Value {
    fn serialize(&self, serializer: &mut FreezeStrategy<'a>) -> Result<ValueResolver, BoxedError> {
        write(self, serializer)
    }
}

impl<D: Fallible + ?Sized> Deserialize<Value, D> for ArchivedValue {
    fn deserialize(&self, _: &mut D) -> Result<Value, D::Error> {
        Ok(self.to_value())
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError> {
        (**self).write(writer)
    }
}

impl ToValue for Value {
    fn write(&self, writer: &mut Writer<'_>) -> Result<Written, WriteError> {
        writer.value(self)
    }
}

/// Deeper values than any region takes are refused before they overflow the stack.
const DEPTH_LIMIT: usize = 128;

impl Writer<'_> {
    /// A value of the heap with all its parts. Sets get their canonical order.
    ///
    /// # Errors
    /// A value of more than 128 levels; otherwise those of the methods for its parts.
    pub fn value(&mut self, value: &Value) -> Result<Written, WriteError> {
        self.value_at(value, 0)
    }

    fn value_at(&mut self, value: &Value, depth: usize) -> Result<Written, WriteError> {
        if depth > DEPTH_LIMIT {
            let message = format!("a value is nested deeper than {DEPTH_LIMIT} levels");
            return Err(WriteError::new(message));
        }
        match value {
            Value::None => Ok(self.none()),
            Value::Bool(flag) => Ok(self.bool(*flag)),
            Value::Int(number) => Ok(self.int(*number)),
            Value::BigInt(number) => self.int_from_bytes(number.as_bytes()),
            Value::Float(number) => Ok(self.float(*number)),
            Value::Text(text) => self.text(text),
            Value::TextWithSurrogates(bytes) => self.text_with_surrogates(bytes),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(items) => {
                let items = self.values(items.iter(), depth + 1)?;
                self.list(&items)
            }
            Value::Tuple(items) => {
                let items = self.values(items.iter(), depth + 1)?;
                self.tuple(&items)
            }
            Value::Dict(entries) => {
                let mut written = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.value_at(key, depth + 1)?;
                    written.push((key, self.value_at(value, depth + 1)?));
                }
                self.dict(&written)
            }
            Value::Set(items) => {
                let items = self.values(sorted(items).into_iter(), depth + 1)?;
                self.set(&items, false)
            }
            Value::FrozenSet(items) => {
                let items = self.values(sorted(items).into_iter(), depth + 1)?;
                self.set(&items, true)
            }
        }
    }

    fn values<'v>(
        &mut self,
        values: impl ExactSizeIterator<Item = &'v Value>,
        depth: usize,
    ) -> Result<Vec<Written>, WriteError> {
        values.map(|value| self.value_at(value, depth)).collect()
    }
}
