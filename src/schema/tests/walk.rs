//! Reads little-endian archives with 32-bit pointers by their description alone.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::super::{Description, Field, FieldStyle, NoneMark, Shape, Type, TypeIndex};

/// The value of the root type at `position`. Maps become lists of pairs.
pub(super) fn walk(description: &Description, bytes: &[u8], position: usize) -> Value {
    Archive { description, bytes }.value(description.root, position)
}

struct Archive<'a> {
    description: &'a Description,
    bytes: &'a [u8],
}

impl Archive<'_> {
    fn value(&self, index: TypeIndex, at: usize) -> Value {
        let Type {
            name,
            size,
            align,
            shape,
        } = self.type_of(index);
        assert!(at.is_multiple_of(*align), "{name} at {at}");
        match shape {
            Shape::Unit => Value::Null,
            Shape::Bool => json!(self.bytes[at] == 1),
            Shape::Char => json!(char::from_u32(self.word(at) as u32).unwrap()),
            Shape::Unsigned => self.unsigned(at, *size),
            Shape::Signed => self.signed(at, *size),
            Shape::Float if *size == 4 => json!(f32::from_le_bytes(self.array(at))),
            Shape::Float => json!(f64::from_le_bytes(self.array(at))),
            Shape::String => self.string(at),
            Shape::CString => self.text(self.target(at), self.word(at + 4) - 1),
            Shape::Duration => json!([self.unsigned(at, 8), self.unsigned(at + 8, 4)]),
            Shape::IpAddr => self.address(at, *size),
            Shape::SocketAddrV4 => json!([self.address(at, 4), self.unsigned(at + 4, 2)]),
            Shape::SocketAddrV6 => json!([
                self.address(at, 16),
                self.unsigned(at + 16, 2),
                self.unsigned(at + 20, 4),
                self.unsigned(at + 24, 4),
            ]),
            Shape::Array { item, length } => self.items(*item, at, *length),
            Shape::Vec { item } => self.items(*item, self.target(at), self.word(at + 4)),
            Shape::Struct { style, fields } => self.fields(*style, fields, at),
            Shape::Enum { variants } => {
                let variant = variants.iter().find(|it| it.tag == self.bytes[at]).unwrap();
                match variant.style {
                    FieldStyle::Unit => json!(variant.name),
                    style => json!({ &variant.name: self.fields(style, &variant.fields, at) }),
                }
            }
            Shape::Option { some, offset, none } => match none {
                NoneMark::Tag if self.bytes[at] == 0 => Value::Null,
                NoneMark::Zero if self.bytes[at..][..*size].iter().all(|&it| it == 0) => {
                    Value::Null
                }
                NoneMark::Nowhere if self.word(at) == 1 => Value::Null,
                _ => self.value(*some, at + *offset),
            },
            Shape::Box { target } | Shape::Shared { target } => self.pointee(*target, at),
            Shape::BTreeMap {
                key,
                value,
                node_entries,
            } => {
                let mut entries = Vec::new();
                if self.word(at + 4) > 0 {
                    let tree = Tree {
                        archive: self,
                        key: *key,
                        value: *value,
                        room: *node_entries,
                    };
                    tree.node(self.target(at), &mut entries);
                }
                assert_eq!(entries.len(), self.word(at + 4));
                json!(entries)
            }
            Shape::HashMap { entry } => self.slots(*entry, at),
            other => panic!("{name} is not inline: {other:?}"),
        }
    }

    fn type_of(&self, index: TypeIndex) -> &Type {
        self.description.get(index).unwrap()
    }

    fn fields(&self, style: FieldStyle, fields: &[Field], at: usize) -> Value {
        let values = fields
            .iter()
            .map(|field| self.value(field.type_index, at + field.offset));
        match style {
            FieldStyle::Unit => Value::Null,
            FieldStyle::Tuple => values.collect(),
            FieldStyle::Named => fields
                .iter()
                .map(|field| field.name.clone())
                .zip(values)
                .collect(),
        }
    }

    fn items(&self, item: TypeIndex, at: usize, length: usize) -> Value {
        let size = self.type_of(item).size;
        (0..length)
            .map(|position| self.value(item, at + position * size))
            .collect()
    }

    fn pointee(&self, target: TypeIndex, at: usize) -> Value {
        match self.type_of(target).shape {
            Shape::Str => self.text(self.target(at), self.word(at + 4)),
            Shape::Slice { item } => self.items(item, self.target(at), self.word(at + 4)),
            _ => self.value(target, self.target(at)),
        }
    }

    fn string(&self, at: usize) -> Value {
        if self.bytes[at] >> 6 != 0b10 {
            let inline = &self.bytes[at..at + 8];
            return self.text(at, inline.iter().position(|&it| it == 0xff).unwrap_or(8));
        }
        let word = self.word(at);
        let length = (word & 0x3f) | (word & !0xff) >> 2;
        self.text(at.checked_add_signed(self.offset(at + 4)).unwrap(), length)
    }

    fn slots(&self, entry: TypeIndex, at: usize) -> Value {
        let size = self.type_of(entry).size;
        let (length, capacity) = (self.word(at + 4), self.word(at + 8));
        let controls = if length == 0 { 0..0 } else { 0..capacity };
        let used = controls.filter(|slot| self.bytes[self.target(at) + slot] & 0x80 == 0);
        let entries: Vec<Value> = used
            .map(|slot| self.value(entry, self.target(at) - (slot + 1) * size))
            .map(|entry| json!([entry["key"], entry["value"]]))
            .collect();
        assert_eq!(entries.len(), length);
        json!(entries)
    }

    fn text(&self, at: usize, length: usize) -> Value {
        json!(std::str::from_utf8(&self.bytes[at..at + length]).unwrap())
    }

    fn address(&self, at: usize, size: usize) -> Value {
        match size {
            4 => json!(Ipv4Addr::from(self.array::<4>(at)).to_string()),
            _ => json!(Ipv6Addr::from(self.array::<16>(at)).to_string()),
        }
    }

    fn unsigned(&self, at: usize, size: usize) -> Value {
        let mut wide = [0; 16];
        wide[..size].copy_from_slice(&self.bytes[at..at + size]);
        let number = u128::from_le_bytes(wide);
        u64::try_from(number).map_or_else(|_| json!(number.to_string()), |number| json!(number))
    }

    fn signed(&self, at: usize, size: usize) -> Value {
        let negative = self.bytes[at + size - 1] & 0x80 != 0;
        let mut wide = if negative { [0xff; 8] } else { [0; 8] };
        wide[..size].copy_from_slice(&self.bytes[at..at + size]);
        json!(i64::from_le_bytes(wide))
    }

    fn target(&self, at: usize) -> usize {
        at.checked_add_signed(self.offset(at)).unwrap()
    }

    fn offset(&self, at: usize) -> isize {
        i32::from_le_bytes(self.array(at)) as isize
    }

    fn word(&self, at: usize) -> usize {
        u32::from_le_bytes(self.array(at)) as usize
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes[at..at + N].try_into().unwrap()
    }
}

struct Tree<'a> {
    archive: &'a Archive<'a>,
    key: TypeIndex,
    value: TypeIndex,
    room: usize,
}

impl Tree<'_> {
    fn node(&self, at: usize, entries: &mut Vec<Value>) {
        let (key, value) = (
            self.archive.type_of(self.key),
            self.archive.type_of(self.value),
        );
        let keys = 1_usize.next_multiple_of(key.align);
        let values = (keys + key.size * self.room).next_multiple_of(value.align);
        let end = values + value.size * self.room;
        let rest = at
            + end
                .next_multiple_of(key.align.max(value.align))
                .next_multiple_of(4);
        let entry = |position: usize| {
            let key = self
                .archive
                .value(self.key, at + keys + position * key.size);
            let value = self
                .archive
                .value(self.value, at + values + position * value.size);
            json!([key, value])
        };
        if self.archive.bytes[at] == 0 {
            entries.extend((0..self.archive.word(rest)).map(entry));
            return;
        }
        for position in 0..=self.room {
            let pointer = rest + 4 * position;
            if self.archive.word(pointer) != 1 {
                self.node(self.archive.target(pointer), entries);
            }
            if position < self.room {
                entries.push(entry(position));
            }
        }
    }
}
