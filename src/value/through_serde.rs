//! Values and serde: whatever serialises becomes a value, and values serialise as JSON is written.
#![forbid(unsafe_code)]

mod data;
mod form;

use std::fmt;

use ::serde::Serialize;
use ::serde::ser;

use super::Value;
use super::freeze::AsValue;
use super::writer::{ToValue, WriteError, Writer, Written};
use crate::error::Result;
use crate::frozen::Frozen;

/// Freezes whatever serialises as a [`Value`]: structs and maps as dicts, sequences and tuples as
/// lists, enums as JSON has them.
///
/// Keys of maps stay what they are: numbers are numbers. A `HashMap` gives its entries in an order
/// that differs from run to run, and so does the region; a `BTreeMap` does not.
///
/// # Errors
/// As [`Frozen::freeze`]; [`Error::Serialize`](crate::Error::Serialize) for two equal keys of a map.
pub fn freeze_serde(name: &str, data: &(impl Serialize + ?Sized)) -> Result<Frozen<Value>> {
    Frozen::freeze_as(name, &AsValue(AsSerde(data)))
}

/// Data that serialise, as a source of values: `AsValue(AsSerde(&recipe))` is an entry of a map.
#[derive(Debug, Clone, Copy)]
pub struct AsSerde<T>(pub T);

impl<T: Serialize> ToValue for AsSerde<T> {
    fn write(&self, writer: &mut Writer<'_>) -> std::result::Result<Written, WriteError> {
        self.0.serialize(Serializer { writer, depth: 0 })
    }
}

impl ser::Error for WriteError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

/// Deeper data than any region takes are refused before they overflow the stack.
const DEPTH_LIMIT: usize = 128;

type Writes = std::result::Result<Written, WriteError>;

/// Writes what serialises.
struct Serializer<'s, 'w> {
    writer: &'s mut Writer<'w>,
    depth: usize,
}

impl<'w> Serializer<'_, 'w> {
    /// For the parts of a value.
    fn inner(&mut self) -> std::result::Result<Serializer<'_, 'w>, WriteError> {
        if self.depth == DEPTH_LIMIT {
            let message = format!("data are nested deeper than {DEPTH_LIMIT} levels");
            return Err(WriteError::new(message));
        }
        Ok(Serializer {
            writer: self.writer,
            depth: self.depth + 1,
        })
    }
}

/// A sequence, or the content of a variant that has a name.
struct Items<'s, 'w> {
    serializer: Serializer<'s, 'w>,
    items: Vec<Written>,
    variant: Option<&'static str>,
}

/// A map or struct, or the content of a variant that has a name.
struct Entries<'s, 'w> {
    serializer: Serializer<'s, 'w>,
    entries: Vec<(Written, Written)>,
    key: Option<Written>,
    variant: Option<&'static str>,
}

/// A variant with content, as a dict of one entry.
fn named(writer: &mut Writer<'_>, variant: Option<&'static str>, content: Written) -> Writes {
    match variant {
        None => Ok(content),
        Some(name) => {
            let name = writer.text(name)?;
            writer.dict(&[(name, content)])
        }
    }
}

impl<'s, 'w> Items<'s, 'w> {
    fn new(
        serializer: Serializer<'s, 'w>,
        length: Option<usize>,
        variant: Option<&'static str>,
    ) -> Self {
        // The length is what the data say.
        let items = Vec::with_capacity(length.unwrap_or(0).min(1024));
        Self {
            serializer,
            items,
            variant,
        }
    }

    fn push(&mut self, item: &(impl Serialize + ?Sized)) -> std::result::Result<(), WriteError> {
        let written = item.serialize(self.serializer.inner()?)?;
        self.items.push(written);
        Ok(())
    }

    fn finish(self) -> Writes {
        let list = self.serializer.writer.list(&self.items)?;
        named(self.serializer.writer, self.variant, list)
    }
}

impl<'s, 'w> Entries<'s, 'w> {
    fn new(
        serializer: Serializer<'s, 'w>,
        length: Option<usize>,
        variant: Option<&'static str>,
    ) -> Self {
        let entries = Vec::with_capacity(length.unwrap_or(0).min(1024));
        Self {
            serializer,
            entries,
            key: None,
            variant,
        }
    }

    fn push_named(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> std::result::Result<(), WriteError> {
        let key = self.serializer.writer.text(name)?;
        let value = value.serialize(self.serializer.inner()?)?;
        self.entries.push((key, value));
        Ok(())
    }

    fn finish(self) -> Writes {
        let dict = self.serializer.writer.dict(&self.entries)?;
        named(self.serializer.writer, self.variant, dict)
    }
}

macro_rules! sequences {
    ($($of:ident::$add:ident),*) => {$(
        impl ser::$of for Items<'_, '_> {
            type Ok = Written;
            type Error = WriteError;

            fn $add<T: Serialize + ?Sized>(
                &mut self,
                item: &T,
            ) -> std::result::Result<(), WriteError> {
                self.push(item)
            }

            fn end(self) -> Writes {
                self.finish()
            }
        }
    )*};
}

sequences! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
}

macro_rules! records {
    ($($of:ident),*) => {$(
        impl ser::$of for Entries<'_, '_> {
            type Ok = Written;
            type Error = WriteError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> std::result::Result<(), WriteError> {
                self.push_named(name, value)
            }

            fn end(self) -> Writes {
                self.finish()
            }
        }
    )*};
}

records!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Entries<'_, '_> {
    type Ok = Written;
    type Error = WriteError;

    fn serialize_key<T: Serialize + ?Sized>(
        &mut self,
        key: &T,
    ) -> std::result::Result<(), WriteError> {
        self.key = Some(key.serialize(self.serializer.inner()?)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
    ) -> std::result::Result<(), WriteError> {
        let value = value.serialize(self.serializer.inner()?)?;
        let key = self.key.take();
        let key = key.ok_or_else(|| WriteError::new("a map gives a value without a key"))?;
        self.entries.push((key, value));
        Ok(())
    }

    fn end(self) -> Writes {
        self.finish()
    }
}

impl<'s, 'w> ser::Serializer for Serializer<'s, 'w> {
    type Ok = Written;
    type Error = WriteError;
    type SerializeSeq = Items<'s, 'w>;
    type SerializeTuple = Items<'s, 'w>;
    type SerializeTupleStruct = Items<'s, 'w>;
    type SerializeTupleVariant = Items<'s, 'w>;
    type SerializeMap = Entries<'s, 'w>;
    type SerializeStruct = Entries<'s, 'w>;
    type SerializeStructVariant = Entries<'s, 'w>;

    fn serialize_bool(self, flag: bool) -> Writes {
        Ok(self.writer.bool(flag))
    }

    fn serialize_i8(self, number: i8) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_i16(self, number: i16) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_i32(self, number: i32) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_i64(self, number: i64) -> Writes {
        Ok(self.writer.int(number))
    }

    fn serialize_i128(self, number: i128) -> Writes {
        self.writer.int_from_bytes(&number.to_le_bytes())
    }

    fn serialize_u8(self, number: u8) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_u16(self, number: u16) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_u32(self, number: u32) -> Writes {
        Ok(self.writer.int(number.into()))
    }

    fn serialize_u64(self, number: u64) -> Writes {
        self.serialize_u128(number.into())
    }

    fn serialize_u128(self, number: u128) -> Writes {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&number.to_le_bytes());
        self.writer.int_from_bytes(&bytes)
    }

    fn serialize_f32(self, number: f32) -> Writes {
        Ok(self.writer.float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> Writes {
        Ok(self.writer.float(number))
    }

    fn serialize_char(self, character: char) -> Writes {
        self.writer.text(character.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Writes {
        self.writer.text(text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Writes {
        self.writer.bytes(bytes)
    }

    fn serialize_none(self) -> Writes {
        Ok(self.writer.none())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Writes {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Writes {
        Ok(self.writer.none())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Writes {
        Ok(self.writer.none())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Writes {
        self.writer.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Writes {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Writes {
        let content = value.serialize(self.inner()?)?;
        named(self.writer, Some(variant), content)
    }

    fn serialize_seq(
        self,
        length: Option<usize>,
    ) -> std::result::Result<Items<'s, 'w>, WriteError> {
        Ok(Items::new(self, length, None))
    }

    fn serialize_tuple(self, length: usize) -> std::result::Result<Items<'s, 'w>, WriteError> {
        Ok(Items::new(self, Some(length), None))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> std::result::Result<Items<'s, 'w>, WriteError> {
        Ok(Items::new(self, Some(length), None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> std::result::Result<Items<'s, 'w>, WriteError> {
        Ok(Items::new(self, Some(length), Some(variant)))
    }

    fn serialize_map(
        self,
        length: Option<usize>,
    ) -> std::result::Result<Entries<'s, 'w>, WriteError> {
        Ok(Entries::new(self, length, None))
    }

    fn serialize_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> std::result::Result<Entries<'s, 'w>, WriteError> {
        Ok(Entries::new(self, Some(length), None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> std::result::Result<Entries<'s, 'w>, WriteError> {
        Ok(Entries::new(self, Some(length), Some(variant)))
    }
}
