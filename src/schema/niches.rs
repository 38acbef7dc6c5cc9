//! Schemas of options whose none is a value that their type does not have.
#![allow(unsafe_code)]

use std::num::{NonZeroI8, NonZeroU8};

use rkyv::{
    boxed::ArchivedBox,
    niche::{
        niched_option::NichedOption,
        niching::{Bool, DefaultNiche, NaN, Null, Zero},
    },
    primitive::*,
    traits::ArchivePointee,
};

use super::{NoneMark, Schema, Shape, TypeIndex, Types};

macro_rules! niches {
    ($([$($generics:tt)*] $some:ty, $niche:ty, $none:ident;)*) => {$(
        // SAFETY: rkyv makes this a transparent wrapper of the value, and documents which bytes of
        // it stand for none. The value keeps the contract for itself.
        unsafe impl<$($generics)*> Schema for NichedOption<$some, $niche> {
            fn describe(types: &mut Types) -> TypeIndex {
                let some = <$some>::describe(types);
                let shape = Shape::Option { some, offset: 0, none: NoneMark::$none };
                types.define_generic::<Self>("Option", &[some], shape)
            }
        }
    )*};
}

niches! {
    [] bool, Bool, AboveOne;
    [] bool, DefaultNiche, AboveOne;
    [] ArchivedF32, NaN, Nan;
    [] ArchivedF64, NaN, Nan;
    [T: Schema + ArchivePointee + ?Sized] ArchivedBox<T>, Null, Nowhere;
    [T: Schema + ArchivePointee + ?Sized] ArchivedBox<T>, DefaultNiche, Nowhere;
}

macro_rules! zero_niches {
    ($($some:ty),*) => {
        niches! {$(
            [] $some, Zero, Zero;
            [] $some, DefaultNiche, Zero;
        )*}
    };
}

zero_niches!(
    NonZeroU8,
    ArchivedNonZeroU16,
    ArchivedNonZeroU32,
    ArchivedNonZeroU64,
    ArchivedNonZeroU128,
    NonZeroI8,
    ArchivedNonZeroI16,
    ArchivedNonZeroI32,
    ArchivedNonZeroI64,
    ArchivedNonZeroI128
);
