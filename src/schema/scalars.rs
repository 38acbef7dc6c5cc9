//! Schemas of types without parts: numbers, text, times, addresses.
#![allow(unsafe_code)]

use std::{
    marker::{PhantomData, PhantomPinned},
    num::{NonZeroI8, NonZeroU8},
};

use rkyv::{
    ffi::ArchivedCString,
    net::{
        ArchivedIpAddr, ArchivedIpv4Addr, ArchivedIpv6Addr, ArchivedSocketAddr,
        ArchivedSocketAddrV4, ArchivedSocketAddrV6,
    },
    niche::option_nonzero::*,
    ops::ArchivedRangeFull,
    primitive::*,
    string::ArchivedString,
    time::ArchivedDuration,
};

use super::{FieldStyle, NoneMark, Schema, Shape, TypeIndex, Types};

macro_rules! scalars {
    ($($type:ty, $name:literal, $shape:ident;)*) => {$(
        // SAFETY: size and alignment are the compiler's; rkyv documents the format that the shape
        // names, and a test reads such bytes by the shape alone. rkyv changes these types only
        // behind its `Seal`.
        unsafe impl Schema for $type {
            fn describe(types: &mut Types) -> TypeIndex {
                types.define::<Self>($name, |_| Shape::$shape)
            }
        }
    )*};
}

scalars! {
    (), "()", Unit;
    PhantomPinned, "PhantomPinned", Unit;
    ArchivedRangeFull, "RangeFull", Unit;
    bool, "bool", Bool;
    ArchivedChar, "char", Char;
    u8, "u8", Unsigned;
    ArchivedU16, "u16", Unsigned;
    ArchivedU32, "u32", Unsigned;
    ArchivedU64, "u64", Unsigned;
    ArchivedU128, "u128", Unsigned;
    i8, "i8", Signed;
    ArchivedI16, "i16", Signed;
    ArchivedI32, "i32", Signed;
    ArchivedI64, "i64", Signed;
    ArchivedI128, "i128", Signed;
    ArchivedF32, "f32", Float;
    ArchivedF64, "f64", Float;
    NonZeroU8, "NonZeroU8", Unsigned;
    ArchivedNonZeroU16, "NonZeroU16", Unsigned;
    ArchivedNonZeroU32, "NonZeroU32", Unsigned;
    ArchivedNonZeroU64, "NonZeroU64", Unsigned;
    ArchivedNonZeroU128, "NonZeroU128", Unsigned;
    NonZeroI8, "NonZeroI8", Signed;
    ArchivedNonZeroI16, "NonZeroI16", Signed;
    ArchivedNonZeroI32, "NonZeroI32", Signed;
    ArchivedNonZeroI64, "NonZeroI64", Signed;
    ArchivedNonZeroI128, "NonZeroI128", Signed;
    ArchivedString, "String", String;
    ArchivedCString, "CString", CString;
    ArchivedDuration, "Duration", Duration;
    ArchivedIpv4Addr, "Ipv4Addr", IpAddr;
    ArchivedIpv6Addr, "Ipv6Addr", IpAddr;
    ArchivedSocketAddrV4, "SocketAddrV4", SocketAddrV4;
    ArchivedSocketAddrV6, "SocketAddrV6", SocketAddrV6;
}

macro_rules! optional_nonzeros {
    ($($option:ty, $some:ty;)*) => {$(
        // SAFETY: rkyv makes this a transparent wrapper of the plain integer, in which 0 stands for
        // none; any other value is the non-zero integer itself.
        unsafe impl Schema for $option {
            fn describe(types: &mut Types) -> TypeIndex {
                let some = <$some>::describe(types);
                let shape = Shape::Option { some, offset: 0, none: NoneMark::Zero };
                types.define_generic::<Self>("Option", &[some], shape)
            }
        }
    )*};
}

optional_nonzeros! {
    ArchivedOptionNonZeroU8, NonZeroU8;
    ArchivedOptionNonZeroU16, ArchivedNonZeroU16;
    ArchivedOptionNonZeroU32, ArchivedNonZeroU32;
    ArchivedOptionNonZeroU64, ArchivedNonZeroU64;
    ArchivedOptionNonZeroU128, ArchivedNonZeroU128;
    ArchivedOptionNonZeroI8, NonZeroI8;
    ArchivedOptionNonZeroI16, ArchivedNonZeroI16;
    ArchivedOptionNonZeroI32, ArchivedNonZeroI32;
    ArchivedOptionNonZeroI64, ArchivedNonZeroI64;
    ArchivedOptionNonZeroI128, ArchivedNonZeroI128;
}

macro_rules! addresses {
    ($($type:ty, $name:literal, $v4:ty, $v6:ty;)*) => {$(
        // SAFETY: rkyv declares this as a public `#[repr(u8)]` enum of these two variants, in this
        // order.
        unsafe impl Schema for $type {
            fn describe(types: &mut Types) -> TypeIndex {
                types.define::<Self>($name, |types| {
                    let v4 = <$v4>::describe(types);
                    let v6 = <$v6>::describe(types);
                    Shape::Enum {
                        variants: vec![
                            types.variant("V4", 0, FieldStyle::Tuple, vec![("0", v4)]),
                            types.variant("V6", 1, FieldStyle::Tuple, vec![("0", v6)]),
                        ],
                    }
                })
            }
        }
    )*};
}

addresses! {
    ArchivedIpAddr, "IpAddr", ArchivedIpv4Addr, ArchivedIpv6Addr;
    ArchivedSocketAddr, "SocketAddr", ArchivedSocketAddrV4, ArchivedSocketAddrV6;
}

// SAFETY: there are no bytes.
unsafe impl<T: ?Sized + 'static> Schema for PhantomData<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        types.define::<Self>("PhantomData", |_| Shape::Unit)
    }
}

// SAFETY: a `str` is UTF-8 text and has the alignment 1.
unsafe impl Schema for str {
    fn describe(types: &mut Types) -> TypeIndex {
        types.define_unsized::<Self>("str".to_owned(), 1, Shape::Str)
    }
}
