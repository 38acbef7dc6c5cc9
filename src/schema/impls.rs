//! [`Schema`], and which function describes which type: all `unsafe impl`s of the trait for types
//! of the language and of rkyv.
//!
//! Each says why the description is true. The functions that are called are safe: they do nothing
//! but fill a list.
#![allow(unsafe_code)]

use std::marker::{PhantomData, PhantomPinned};
use std::mem::offset_of;
use std::num::{NonZeroI8, NonZeroU8};

use rkyv::boxed::ArchivedBox;
use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::collections::swiss_table::{
    ArchivedHashMap, ArchivedHashSet, ArchivedIndexMap, ArchivedIndexSet,
};
use rkyv::collections::util::Entry;
use rkyv::ffi::ArchivedCString;
use rkyv::net::*;
use rkyv::niche::niched_option::NichedOption;
use rkyv::niche::niching::{Bool, DefaultNiche, NaN, Null, Zero};
use rkyv::niche::option_box::ArchivedOptionBox;
use rkyv::niche::option_nonzero::*;
use rkyv::ops::*;
use rkyv::option::ArchivedOption;
use rkyv::primitive::*;
use rkyv::rc::{ArchivedRc, ArchivedRcWeak, Flavor};
use rkyv::result::ArchivedResult;
use rkyv::string::ArchivedString;
use rkyv::time::ArchivedDuration;
use rkyv::traits::ArchivePointee;
use rkyv::tuple::*;
use rkyv::vec::ArchivedVec;

use super::{NoneMark, Shape, TypeIndex, Types, collections, compounds, pointers};

/// An archived type that can describe itself.
///
/// It is derived on the *archived* type, whose fields have their final types. rkyv passes the
/// derive on:
///
/// ```
/// use floe::Schema;
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct License(String);
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Recipe {
///     licenses: Vec<License>,
/// }
///
/// let description = floe::schema::Description::of::<ArchivedRecipe>();
/// println!("{}", description.fingerprint());
/// ```
///
/// Every field needs a `Schema` of its own:
///
/// ```compile_fail,E0277
/// use floe::Schema;
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// struct License(String);
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Recipe {
///     licenses: Vec<License>, // `License` lacks `#[rkyv(derive(Schema))]`
/// }
/// ```
///
/// A vector or slice of zero-sized items, and a hash or tree map with zero-sized keys, is refused
/// when the program is built, since a forged length of billions would cost nothing to store:
///
/// ```compile_fail,E0080
/// floe::schema::Description::of::<rkyv::vec::ArchivedVec<()>>();
/// ```
/// ```
/// floe::schema::Description::of::<rkyv::vec::ArchivedVec<u8>>();
/// ```
///
/// So is a type that is aligned to more than 16, as archives are:
///
/// ```compile_fail,E0080
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(derive(floe::Schema), attr(repr(align(32))))]
/// struct Wide(u8);
///
/// floe::schema::Description::of::<ArchivedWide>();
/// ```
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(derive(floe::Schema), attr(repr(align(16))))]
/// struct Wide(u8);
///
/// floe::schema::Description::of::<ArchivedWide>();
/// ```
///
/// Numbers have a `Schema` in rkyv's own byte order and alignment, as all fields of plain number
/// types are archived, and hash tables with rkyv's own hasher.
///
/// Types of other crates that rkyv archives behind its features have a `Schema` too: what archives
/// as a vector, a string or a shared pointer (`arrayvec-0_7`, `bytes-1`, `hashbrown-0_14` to
/// `0_17`, `smallvec-1`, `smol_str-0_2` and `0_3`, `thin-vec-0_2`, `tinyvec-1`, `triomphe-0_1`),
/// `IndexMap` and `IndexSet` (`indexmap-2`), and `Uuid` (`uuid-1`, a feature of this crate as
/// well). Options under `NicheInto` and `DefaultNiche` have one for the niches that rkyv brings.
/// Atomics have none: bytes that change cannot be shared.
///
/// Generic types work. A field under rkyv's `omit_bounds` gets no bound here either, so types may
/// contain themselves.
///
/// Where this crate has another name, or comes by way of another crate, the derives are told its
/// path:
///
/// ```
/// mod cache {
///     pub mod frozen {
///         pub use floe::*;
///     }
/// }
///
/// #[derive(rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(
///     derive(cache::frozen::Schema, cache::frozen::Key),
///     attr(floe(crate = "crate::cache::frozen"))
/// )]
/// #[derive(cache::frozen::Key)]
/// #[floe(crate = "crate::cache::frozen")]
/// struct Target(u32);
///
/// # fn main() {
/// let target = cache::frozen::Frozen::freeze("target", &Target(7)).unwrap();
/// assert_eq!(target.0, 7);
/// # }
/// ```
///
/// # Safety
///
/// The description must be true of `Self`: size, alignment, and each field's or item's offset and
/// type; so must [`SELF_CONTAINED`](Self::SELF_CONTAINED). Reading relies on it: hash tables and B-trees are found by it, and what rkyv's checks
/// leave open in them is checked there; entries of maps are aligned by it; and workers read as
/// `Self` what their owner publishes under its fingerprint. No byte of `Self` or of what it points
/// to may be changed through a shared reference (no `Cell`, no atomics).
///
/// The derive macro keeps this by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `Schema`",
    label = "needs a `Schema` to be stored in a region",
    note = "if `{Self}` is a type of yours in archived form, add `#[rkyv(derive(floe::Schema))]`",
    note = "if it comes from another crate, wrap the field with one of rkyv's `with` adapters"
)]
pub unsafe trait Schema: rkyv::Portable + 'static {
    /// Whether a value has all its bytes in itself: no pointer leads out of it, so that its bytes
    /// mean the same at any place.
    ///
    /// Small keys and values that are so stand in the table of a [`Map`](crate::Map) themselves.
    const SELF_CONTAINED: bool = false;

    /// Adds `Self` and all types in it to `types`, if they are not there yet, and returns its
    /// position.
    fn describe(types: &mut Types) -> TypeIndex;
}

macro_rules! scalars {
    ($($type:ty, $name:literal, $shape:expr;)*) => {$(
        // SAFETY: size and alignment are the compiler's; rkyv documents the format that the shape
        // names, and a test reads such bytes by the shape alone. rkyv changes these types only
        // behind its `Seal`.
        unsafe impl Schema for $type {
            const SELF_CONTAINED: bool = true;

            fn describe(types: &mut Types) -> TypeIndex {
                types.define::<Self>($name, |_| $shape)
            }
        }
    )*};
}

scalars! {
    (), "()", Shape::Unit;
    PhantomPinned, "PhantomPinned", Shape::Unit;
    ArchivedRangeFull, "RangeFull", Shape::Unit;
    bool, "bool", Shape::Bool;
    ArchivedChar, "char", Shape::Char;
    u8, "u8", Shape::Unsigned;
    ArchivedU16, "u16", Shape::Unsigned;
    ArchivedU32, "u32", Shape::Unsigned;
    ArchivedU64, "u64", Shape::Unsigned;
    ArchivedU128, "u128", Shape::Unsigned;
    i8, "i8", Shape::Signed;
    ArchivedI16, "i16", Shape::Signed;
    ArchivedI32, "i32", Shape::Signed;
    ArchivedI64, "i64", Shape::Signed;
    ArchivedI128, "i128", Shape::Signed;
    ArchivedF32, "f32", Shape::Float;
    ArchivedF64, "f64", Shape::Float;
    NonZeroU8, "NonZeroU8", Shape::Unsigned;
    ArchivedNonZeroU16, "NonZeroU16", Shape::Unsigned;
    ArchivedNonZeroU32, "NonZeroU32", Shape::Unsigned;
    ArchivedNonZeroU64, "NonZeroU64", Shape::Unsigned;
    ArchivedNonZeroU128, "NonZeroU128", Shape::Unsigned;
    NonZeroI8, "NonZeroI8", Shape::Signed;
    ArchivedNonZeroI16, "NonZeroI16", Shape::Signed;
    ArchivedNonZeroI32, "NonZeroI32", Shape::Signed;
    ArchivedNonZeroI64, "NonZeroI64", Shape::Signed;
    ArchivedNonZeroI128, "NonZeroI128", Shape::Signed;
    ArchivedDuration, "Duration", Shape::Duration;
    ArchivedIpv4Addr, "Ipv4Addr", Shape::IpAddr;
    ArchivedIpv6Addr, "Ipv6Addr", Shape::IpAddr;
    ArchivedSocketAddrV4, "SocketAddrV4", Shape::SocketAddrV4;
    ArchivedSocketAddrV6, "SocketAddrV6", Shape::SocketAddrV6;
}

macro_rules! optional_nonzeros {
    ($($option:ty, $some:ty;)*) => {$(
        // SAFETY: rkyv makes this a transparent wrapper of the plain integer, in which 0 stands for
        // none; any other value is the non-zero integer itself.
        unsafe impl Schema for $option {
            const SELF_CONTAINED: bool = true;

            fn describe(types: &mut Types) -> TypeIndex {
                compounds::niched::<Self, $some>(types, NoneMark::Zero)
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

macro_rules! niches {
    ($([$($generics:tt)*] $some:ty, $niche:ty, $none:ident;)*) => {$(
        // SAFETY: rkyv makes this a transparent wrapper of the value, and documents which bytes of
        // it stand for none. The value keeps the contract for itself.
        unsafe impl<$($generics)*> Schema for NichedOption<$some, $niche> {
            const SELF_CONTAINED: bool = <$some>::SELF_CONTAINED;

            fn describe(types: &mut Types) -> TypeIndex {
                compounds::niched::<Self, $some>(types, NoneMark::$none)
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

macro_rules! described {
    ($([$($generics:tt)*] $type:ty, $describe:expr $(, $contained:expr)?;)*) => {$(
        // SAFETY: for the reason in the comment before the type. What a parameter stands for keeps
        // the contract for itself.
        unsafe impl<$($generics)*> Schema for $type {
            $(const SELF_CONTAINED: bool = $contained;)?

            fn describe(types: &mut Types) -> TypeIndex {
                $describe(types)
            }
        }
    )*};
}

described! {
    // There are no bytes.
    [T: ?Sized + 'static] PhantomData<T>, compounds::phantom::<T>, true;

    // rkyv documents the format that the shape names, and a test reads such bytes by the shape alone.
    [] ArchivedString, collections::string;
    [] ArchivedCString, collections::c_string;

    // The language lays the items out one after the other. A `str` is UTF-8 text and has the
    // alignment 1.
    [] str, collections::text;
    [T: Schema] [T], collections::slice::<T>;
    [T: Schema, const N: usize] [T; N], collections::array::<T, N>, T::SELF_CONTAINED;

    // rkyv makes it repr(C): a relative pointer to the items, then their number.
    [T: Schema] ArchivedVec<T>, collections::vector::<T>;

    // Both fields are public; their offsets are the compiler's.
    [K: Schema, V: Schema] Entry<K, V>, collections::entry::<K, V>;

    // rkyv makes the maps, and the nodes of B-trees, repr(C) with the parts that the shape documents;
    // a test reads such bytes by the shape alone. Only rkyv's own hasher is accepted. A set is a
    // transparent wrapper of the map from `K` to `()`.
    [K: Schema, V: Schema] ArchivedHashMap<K, V>, collections::hash_map::<K, V>;
    [K: Schema] ArchivedHashSet<K>, collections::hash_set::<K>;
    [K: Schema, V: Schema] ArchivedIndexMap<K, V>, collections::index_map::<K, V>;
    [K: Schema] ArchivedIndexSet<K>, collections::index_set::<K>;
    [K: Schema, V: Schema, const E: usize] ArchivedBTreeMap<K, V, E>,
        collections::btree_map::<K, V, E>;
    [K: Schema, const E: usize] ArchivedBTreeSet<K, E>, collections::btree_set::<K, E>;

    // rkyv declares a public `#[repr(u8)]` enum of these variants, in this order.
    [T: Schema] ArchivedOption<T>, compounds::option::<T>, T::SELF_CONTAINED;
    [T: Schema, E: Schema] ArchivedResult<T, E>, compounds::result::<T, E>,
        T::SELF_CONTAINED && E::SELF_CONTAINED;
    [T: Schema] ArchivedBound<T>, compounds::bound::<T>, T::SELF_CONTAINED;
    [] ArchivedIpAddr, compounds::ip_address, true;
    [] ArchivedSocketAddr, compounds::socket_address, true;

    // rkyv makes it a transparent wrapper of a relative pointer, which is repr(C) with the offset
    // first and, for a `str` or a slice, the length second. It writes a pointer to nowhere for none.
    // There is no count in an archive.
    [T: Schema + ArchivePointee + ?Sized] ArchivedBox<T>, pointers::boxed::<T>;
    [T: Schema + ArchivePointee + ?Sized] ArchivedOptionBox<T>, pointers::boxed_option::<T>;
    [T: Schema + ArchivePointee + ?Sized, F: Flavor] ArchivedRc<T, F>, pointers::shared::<T, F>;
    [T: Schema + ArchivePointee + ?Sized, F: Flavor] ArchivedRcWeak<T, F>, pointers::weak::<T, F>;
}

#[cfg(feature = "uuid-1")]
described! {
    // A UUID is a transparent wrapper of its 16 bytes, which is what rkyv archives.
    [] uuid::Uuid, compounds::uuid, true;
}

macro_rules! ranges {
    ($($type:ident, $name:literal, $($field:ident),*;)*) => {$(
        // SAFETY: the fields are public; their offsets are the compiler's. `T` keeps the contract
        // for the ends.
        unsafe impl<T: Schema> Schema for $type<T> {
            const SELF_CONTAINED: bool = T::SELF_CONTAINED;

            fn describe(types: &mut Types) -> TypeIndex {
                let ends = [$((stringify!($field), offset_of!(Self, $field))),*];
                compounds::range::<Self, T>(types, $name, &ends)
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
            const SELF_CONTAINED: bool = true $(&& $part::SELF_CONTAINED)*;

            fn describe(types: &mut Types) -> TypeIndex {
                let parts = [$((offset_of!(Self, $position), $part::describe(types))),*];
                compounds::tuple::<Self>(types, &parts)
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
