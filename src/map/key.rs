//! What can key a map: values with a portable hash that their archived twins share.
//!
//! All arithmetic is modulo 2^64; `fold(x * y)` is the low half of a product of 128 bits, xor its
//! high half. A test pins the values.
//!
//! ```text
//! integer of up to 64 bits, char, bool   fold(x * 8bb84b93962eacc9) * 9e3779b97f4a7c15
//!                                        signed ones are sign-extended
//! integer of 128 bits                    mix(low half, high half) * 9e3779b97f4a7c15
//! text, slice or array of u8             rapidhash V3, nano, with its default secrets and seed 0
//! slice or array of others               mix(.. mix(mix(length, first), second) ..)
//! tuple, derived struct                  mix(.. mix(mix(0, first), second) ..)
//! derived enum                           the same, from mix(0, number of the variant, from 1)
//! Option                                 0, or mix(value, 1)
//! ()                                     0
//! mix(l, r)                              fold((l ^ 2d358dccaa6c78a5) * (rot32(r) ^ 8bb84b93962eacc9))
//! ```
//!
//! The high bits of a hash give the place in a table, so they must be even for keys that are not:
//! a fold alone leaves them uneven for runs such as `i << 8`, hence the second multiplication.
#![forbid(unsafe_code)]

use rapidhash::v3::{DEFAULT_RAPID_SECRETS, rapidhash_v3_nano_inline};
use rkyv::boxed::ArchivedBox;
use rkyv::option::ArchivedOption;
use rkyv::primitive::{
    ArchivedChar, ArchivedI16, ArchivedI32, ArchivedI64, ArchivedI128, ArchivedU16, ArchivedU32,
    ArchivedU64, ArchivedU128,
};
use rkyv::string::ArchivedString;
use rkyv::traits::ArchivePointee;
use rkyv::vec::ArchivedVec;

use crate::archive::intern::Interned;

/// A hash that is the same on every machine, in every process, and for a value and its archived
/// twin.
///
/// Implemented for strings, byte strings, integers, `char`, `bool`, options, tuples, vectors,
/// slices and arrays of those, and for both twins of a type that derives it:
///
/// ```
/// use floe::{Frozen, Key, Map, Schema};
///
/// #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Key, rkyv::Archive, rkyv::Serialize)]
/// #[rkyv(derive(Debug, PartialEq, Eq, Key, Schema), compare(PartialEq))]
/// struct Task {
///     recipe: String,
///     number: u32,
/// }
///
/// let compile = Task { recipe: "zlib".into(), number: 3 };
/// let tasks: Frozen<Map<Task, String>> =
///     Map::freeze("tasks", [(&compile, &"do_compile".to_owned())])?;
/// assert_eq!(tasks[&compile].as_str(), "do_compile");
/// # Ok::<(), floe::Error>(())
/// ```
///
/// The hash is rapidhash V3 (the variant for short inputs, with the last mixing step) of bytes, and
/// multiplications folded to 64 bits elsewhere. It is part of the format: where the index of a
/// region has a key depends on it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot key a map",
    note = "derive `floe::Key` for the type, and for its archived twin with `#[rkyv(derive(floe::Key))]`"
)]
pub trait Key {
    /// The hash of the value.
    fn key_hash(&self) -> u64;

    /// The hash of a slice of such values; bytes have a faster one than the default.
    fn slice_hash(slice: &[Self]) -> u64
    where
        Self: Sized,
    {
        slice.iter().fold(slice.len() as u64, |hash, element| {
            mix(hash, element.key_hash())
        })
    }
}

// Odd constants, the first two as in rapidhash's default secrets, the last one from the golden
// ratio: any with balanced bits serve.
const LEFT: u64 = 0x2d35_8dcc_aa6c_78a5;
const RIGHT: u64 = 0x8bb8_4b93_962e_acc9;
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Joins two hashes into one; the order counts.
#[inline]
#[must_use]
pub fn mix(left: u64, right: u64) -> u64 {
    fold(left ^ LEFT, right.rotate_left(32) ^ RIGHT)
}

#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ (product >> 64) as u64
}

/// The hash of an integer of up to 64 bits.
#[inline]
pub(crate) fn integer_hash(integer: u64) -> u64 {
    fold(integer, RIGHT).wrapping_mul(SPREAD)
}

/// The hash of an integer of 128 bits.
#[inline]
pub(crate) fn wide_hash(low: u64, high: u64) -> u64 {
    mix(low, high).wrapping_mul(SPREAD)
}

macro_rules! integer_keys {
    ($($native:ty, $archived:ty;)*) => {$(
        impl Key for $native {
            #[inline]
            fn key_hash(&self) -> u64 {
                integer_hash(*self as u64)
            }
        }

        impl Key for $archived {
            #[inline]
            fn key_hash(&self) -> u64 {
                self.to_native().key_hash()
            }
        }
    )*};
}

integer_keys! {
    u16, ArchivedU16;
    u32, ArchivedU32;
    u64, ArchivedU64;
    i16, ArchivedI16;
    i32, ArchivedI32;
    i64, ArchivedI64;
    char, ArchivedChar;
}

macro_rules! wide_keys {
    ($($native:ty, $archived:ty;)*) => {$(
        impl Key for $native {
            #[inline]
            fn key_hash(&self) -> u64 {
                wide_hash(*self as u64, (*self >> 64) as u64)
            }
        }

        impl Key for $archived {
            #[inline]
            fn key_hash(&self) -> u64 {
                self.to_native().key_hash()
            }
        }
    )*};
}

wide_keys! {
    u128, ArchivedU128;
    i128, ArchivedI128;
}

macro_rules! own_twin_keys {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            #[inline]
            fn key_hash(&self) -> u64 {
                integer_hash(*self as u64)
            }
        }
    )*};
}

// These have no archived twin of their own: `usize` is archived as one of the above.
own_twin_keys!(i8, bool, usize, isize);

impl Key for u8 {
    #[inline]
    fn key_hash(&self) -> u64 {
        integer_hash(u64::from(*self))
    }

    #[inline]
    fn slice_hash(slice: &[Self]) -> u64 {
        rapidhash_v3_nano_inline::<true, false>(slice, &DEFAULT_RAPID_SECRETS)
    }
}

impl Key for () {
    #[inline]
    fn key_hash(&self) -> u64 {
        0
    }
}

impl Key for str {
    #[inline]
    fn key_hash(&self) -> u64 {
        u8::slice_hash(self.as_bytes())
    }
}

impl Key for String {
    #[inline]
    fn key_hash(&self) -> u64 {
        self.as_str().key_hash()
    }
}

impl Key for ArchivedString {
    #[inline]
    fn key_hash(&self) -> u64 {
        self.as_str().key_hash()
    }
}

impl<T: Key> Key for [T] {
    #[inline]
    fn key_hash(&self) -> u64 {
        T::slice_hash(self)
    }
}

impl<T: Key, const N: usize> Key for [T; N] {
    #[inline]
    fn key_hash(&self) -> u64 {
        T::slice_hash(self)
    }
}

impl<T: Key> Key for Vec<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        T::slice_hash(self)
    }
}

impl<T: Key> Key for ArchivedVec<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        T::slice_hash(self.as_slice())
    }
}

macro_rules! forwarding_keys {
    ($([$($generics:tt)*] $pointer:ty;)*) => {$(
        impl<$($generics)*> Key for $pointer {
            #[inline]
            fn key_hash(&self) -> u64 {
                (**self).key_hash()
            }
        }
    )*};
}

forwarding_keys! {
    [T: Key + ?Sized] &T;
    [T: Key + ?Sized] Box<T>;
    [T: Key + ArchivePointee + ?Sized] ArchivedBox<T>;
    [T: Key + ArchivePointee<ArchivedMetadata = ()>] Interned<T>;
}

fn option_hash(inner: Option<u64>) -> u64 {
    inner.map_or(0, |hash| mix(hash, 1))
}

impl<T: Key> Key for Option<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        option_hash(self.as_ref().map(Key::key_hash))
    }
}

impl<T: Key> Key for ArchivedOption<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        option_hash(self.as_ref().map(Key::key_hash))
    }
}

macro_rules! tuple_keys {
    ($($archived:ident($($name:ident $index:tt),+);)*) => {$(
        impl<$($name: Key),+> Key for ($($name,)+) {
            #[inline]
            fn key_hash(&self) -> u64 {
                let hash = 0;
                $(let hash = mix(hash, self.$index.key_hash());)+
                hash
            }
        }

        impl<$($name: Key),+> Key for rkyv::tuple::$archived<$($name),+> {
            #[inline]
            fn key_hash(&self) -> u64 {
                let hash = 0;
                $(let hash = mix(hash, self.$index.key_hash());)+
                hash
            }
        }
    )*};
}

tuple_keys! {
    ArchivedTuple1(A 0);
    ArchivedTuple2(A 0, B 1);
    ArchivedTuple3(A 0, B 1, C 2);
    ArchivedTuple4(A 0, B 1, C 2, D 3);
    ArchivedTuple5(A 0, B 1, C 2, D 3, E 4);
    ArchivedTuple6(A 0, B 1, C 2, D 3, E 4, F 5);
}

#[cfg(feature = "uuid-1")]
impl Key for uuid::Uuid {
    #[inline]
    fn key_hash(&self) -> u64 {
        self.as_bytes().key_hash()
    }
}
