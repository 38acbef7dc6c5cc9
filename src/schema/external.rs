//! Schemas of types of other crates that archive as themselves.
#![allow(unsafe_code)]

use uuid::Uuid;

use super::{Schema, Shape, TypeIndex, Types};

// SAFETY: a UUID is a transparent wrapper of its 16 bytes, which is what rkyv archives.
unsafe impl Schema for Uuid {
    fn describe(types: &mut Types) -> TypeIndex {
        let item = u8::describe(types);
        types.define::<Self>("Uuid", |_| Shape::Array { item, length: 16 })
    }
}
