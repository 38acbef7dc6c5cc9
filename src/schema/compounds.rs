//! Schemas of rkyv's structs and enums whose parts are public: tuples, ranges, options, results,
//! bounds.
#![allow(unsafe_code)]

use std::mem::offset_of;

use rkyv::{
    ops::{
        ArchivedBound, ArchivedRange, ArchivedRangeFrom, ArchivedRangeInclusive, ArchivedRangeTo,
        ArchivedRangeToInclusive,
    },
    option::ArchivedOption,
    result::ArchivedResult,
    tuple::*,
};

use super::{Field, FieldStyle, NoneMark, Schema, Shape, TypeIndex, Types};

// SAFETY: rkyv declares this as a public `#[repr(u8)]` enum of `None` and `Some(T)`, in this order.
// `T` keeps the contract for the value.
unsafe impl<T: Schema> Schema for ArchivedOption<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        let some = T::describe(types);
        let offset = size_of::<u8>().next_multiple_of(align_of::<T>());
        let shape = Shape::Option {
            some,
            offset,
            none: NoneMark::Tag,
        };
        types.define_generic::<Self>("Option", &[some], shape)
    }
}

// SAFETY: rkyv declares this as a public `#[repr(u8)]` enum of these variants, in this order. `T`
// and `E` keep the contract for the values.
unsafe impl<T: Schema, E: Schema> Schema for ArchivedResult<T, E> {
    fn describe(types: &mut Types) -> TypeIndex {
        let ok = T::describe(types);
        let err = E::describe(types);
        let variants = vec![
            types.variant("Ok", 0, FieldStyle::Tuple, vec![("0", ok)]),
            types.variant("Err", 1, FieldStyle::Tuple, vec![("0", err)]),
        ];
        types.define_generic::<Self>("Result", &[ok, err], Shape::Enum { variants })
    }
}

// SAFETY: rkyv declares this as a public `#[repr(u8)]` enum of these variants, in this order. `T`
// keeps the contract for the value.
unsafe impl<T: Schema> Schema for ArchivedBound<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        let bound = T::describe(types);
        let variants = vec![
            types.variant("Included", 0, FieldStyle::Tuple, vec![("0", bound)]),
            types.variant("Excluded", 1, FieldStyle::Tuple, vec![("0", bound)]),
            types.variant("Unbounded", 2, FieldStyle::Unit, Vec::new()),
        ];
        types.define_generic::<Self>("Bound", &[bound], Shape::Enum { variants })
    }
}

macro_rules! ranges {
    ($($type:ident, $name:literal, $($field:ident),*;)*) => {$(
        // SAFETY: the fields are public; their offsets are the compiler's. `T` keeps the contract
        // for the ends.
        unsafe impl<T: Schema> Schema for $type<T> {
            fn describe(types: &mut Types) -> TypeIndex {
                let end = T::describe(types);
                let fields = vec![
                    $(Field::new(stringify!($field), offset_of!(Self, $field), end)),*
                ];
                let shape = Shape::Struct { style: FieldStyle::Named, fields };
                types.define_generic::<Self>($name, &[end], shape)
            }
        }
    )*};
}

ranges! {
    ArchivedRange, "Range", start, end;
    ArchivedRangeInclusive, "RangeInclusive", start, end;
    ArchivedRangeFrom, "RangeFrom", start;
    ArchivedRangeTo, "RangeTo", end;
    ArchivedRangeToInclusive, "RangeToInclusive", end;
}

macro_rules! tuples {
    ($($type:ident, $($part:ident $position:tt),*;)*) => {$(
        // SAFETY: the fields are public; their offsets are the compiler's. Each part keeps the
        // contract for itself.
        unsafe impl<$($part: Schema),*> Schema for $type<$($part),*> {
            fn describe(types: &mut Types) -> TypeIndex {
                let parts = [$($part::describe(types)),*];
                let name = tuple_name(types, &parts);
                let fields = vec![
                    $(Field::new(
                        stringify!($position),
                        offset_of!(Self, $position),
                        parts[$position],
                    )),*
                ];
                let shape = Shape::Struct { style: FieldStyle::Tuple, fields };
                types.define::<Self>(name, |_| shape)
            }
        }
    )*};
}

tuples! {
    ArchivedTuple1, A 0;
    ArchivedTuple2, A 0, B 1;
    ArchivedTuple3, A 0, B 1, C 2;
    ArchivedTuple4, A 0, B 1, C 2, D 3;
    ArchivedTuple5, A 0, B 1, C 2, D 3, E 4;
    ArchivedTuple6, A 0, B 1, C 2, D 3, E 4, F 5;
    ArchivedTuple7, A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    ArchivedTuple8, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    ArchivedTuple9, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    ArchivedTuple10, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    ArchivedTuple11, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    ArchivedTuple12, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
    ArchivedTuple13, A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12;
}

/// The name as Rust writes it: `(u8, String)`, and `(u8,)` for one part.
fn tuple_name(types: &Types, parts: &[TypeIndex]) -> String {
    match parts {
        [part] => format!("({},)", types[*part].name),
        parts => format!("({})", types.names(parts)),
    }
}
