//! Numbers, texts and collections, on the heap and archived.

use std::collections::{BTreeMap, BTreeSet};

use floe::Interned;
use rkyv::boxed::ArchivedBox;
use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::option::ArchivedOption;
use rkyv::primitive::{
    ArchivedF64, ArchivedI16, ArchivedI32, ArchivedI64, ArchivedU16, ArchivedU32, ArchivedU64,
};
use rkyv::string::ArchivedString;
use rkyv::traits::ArchivePointee;
use rkyv::tuple::{ArchivedTuple2, ArchivedTuple3, ArchivedTuple4};
use rkyv::vec::ArchivedVec;

use super::{Visitor, Walk, walk_struct};

macro_rules! walk_number {
    ($($type:ty: $value:ident => $number:expr;)+) => {
        $(impl Walk for $type {
            fn walk(&self, visitor: &mut impl Visitor) {
                let $value = *self;
                visitor.number($number);
            }
        })+
    };
}

// A cast to u64 extends the sign, so all widths of one negative number are the same number.
walk_number! {
    u16: value => u64::from(value);
    u32: value => u64::from(value);
    u64: value => value;
    usize: value => value as u64;
    i8: value => value as u64;
    i16: value => value as u64;
    i32: value => value as u64;
    i64: value => value as u64;
    f64: value => value.to_bits();
    bool: value => u64::from(value);
    ArchivedU16: value => u64::from(value.to_native());
    ArchivedU32: value => u64::from(value.to_native());
    ArchivedU64: value => value.to_native();
    ArchivedI16: value => value.to_native() as u64;
    ArchivedI32: value => value.to_native() as u64;
    ArchivedI64: value => value.to_native() as u64;
    ArchivedF64: value => value.to_native().to_bits();
}

impl Walk for u8 {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.number(u64::from(*self));
    }

    fn walk_slice(values: &[Self], visitor: &mut impl Visitor) {
        visitor.bytes(values);
    }
}

impl Walk for str {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.text(self);
    }
}

impl Walk for String {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.text(self);
    }
}

impl Walk for ArchivedString {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.text(self);
    }
}

impl Walk for () {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.begin(0);
        visitor.end();
    }
}

impl<T: Walk + ?Sized> Walk for &T {
    fn walk(&self, visitor: &mut impl Visitor) {
        (**self).walk(visitor);
    }
}

impl<T: Walk + ?Sized> Walk for Box<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        (**self).walk(visitor);
    }
}

impl<T: Walk + ArchivePointee + ?Sized> Walk for ArchivedBox<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        self.get().walk(visitor);
    }
}

impl<T: Walk + ArchivePointee<ArchivedMetadata = ()>> Walk for Interned<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        (**self).walk(visitor);
    }
}

impl<T: Walk> Walk for Option<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_option(self.as_ref(), visitor);
    }
}

impl<T: Walk> Walk for ArchivedOption<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_option(self.as_ref(), visitor);
    }
}

impl<T: Walk> Walk for [T] {
    fn walk(&self, visitor: &mut impl Visitor) {
        T::walk_slice(self, visitor);
    }
}

impl<T: Walk, const N: usize> Walk for [T; N] {
    fn walk(&self, visitor: &mut impl Visitor) {
        T::walk_slice(self, visitor);
    }
}

impl<T: Walk> Walk for Vec<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        T::walk_slice(self, visitor);
    }
}

impl<T: Walk> Walk for ArchivedVec<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        T::walk_slice(self, visitor);
    }
}

impl<T: Walk> Walk for BTreeSet<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_set(self.len(), self, visitor);
    }
}

impl<T: Walk> Walk for ArchivedBTreeSet<T> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_set(self.len(), self.iter(), visitor);
    }
}

impl<K: Walk, V: Walk> Walk for BTreeMap<K, V> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_map(self.len(), self, visitor);
    }
}

impl<K: Walk, V: Walk> Walk for ArchivedBTreeMap<K, V> {
    fn walk(&self, visitor: &mut impl Visitor) {
        walk_map(self.len(), self.iter(), visitor);
    }
}

macro_rules! walk_tuple {
    ($archived:ident ( $($type:ident),+ ) ( $($field:ident),+ )) => {
        impl<$($type: Walk),+> Walk for ($($type,)+) {
            fn walk(&self, visitor: &mut impl Visitor) {
                let ($($field,)+) = self;
                walk_struct!(@visit visitor, $($field),+);
            }
        }

        impl<$($type: Walk),+> Walk for $archived<$($type),+> {
            fn walk(&self, visitor: &mut impl Visitor) {
                let $archived($($field),+) = self;
                walk_struct!(@visit visitor, $($field),+);
            }
        }
    };
}

walk_tuple!(ArchivedTuple2(A, B)(a, b));
walk_tuple!(ArchivedTuple3(A, B, C)(a, b, c));
walk_tuple!(ArchivedTuple4(A, B, C, D)(a, b, c, d));

fn walk_option(value: Option<&impl Walk>, visitor: &mut impl Visitor) {
    visitor.begin(usize::from(value.is_some()));
    if let Some(value) = value {
        value.walk(visitor);
    }
    visitor.end();
}

fn walk_set<'a, T: Walk + 'a>(
    length: usize,
    values: impl IntoIterator<Item = &'a T>,
    visitor: &mut impl Visitor,
) {
    visitor.begin(length);
    for value in values {
        value.walk(visitor);
    }
    visitor.end();
}

fn walk_map<'a, K: Walk + 'a, V: Walk + 'a>(
    length: usize,
    entries: impl IntoIterator<Item = (&'a K, &'a V)>,
    visitor: &mut impl Visitor,
) {
    visitor.begin(2 * length);
    for (key, value) in entries {
        key.walk(visitor);
        value.walk(visitor);
    }
    visitor.end();
}
