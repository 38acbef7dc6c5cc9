//! Numbers, texts and collections, on the heap and archived.

use std::collections::{BTreeMap, BTreeSet};

use floe::Interned;
use rkyv::boxed::ArchivedBox;
use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::option::ArchivedOption;
use rkyv::primitive::{ArchivedI32, ArchivedI64, ArchivedU32, ArchivedU64};
use rkyv::string::ArchivedString;
use rkyv::traits::ArchivePointee;
use rkyv::vec::ArchivedVec;

use super::{Visitor, Walk};

/// Says how values of each type are shown, after the parameters of the type.
macro_rules! walk {
    ($([$($parameters:tt)*] $type:ty: $value:ident, $visitor:ident => $shown:expr;)+) => {
        $(impl<$($parameters)*> Walk for $type {
            fn walk(&self, $visitor: &mut impl Visitor) {
                let $value = self;
                $shown;
            }
        })+
    };
}

// A cast to u64 extends the sign, so all widths of one negative number are the same number.
walk! {
    [] bool: value, visitor => visitor.number(u64::from(*value));
    [] u32: value, visitor => visitor.number(u64::from(*value));
    [] u64: value, visitor => visitor.number(*value);
    [] i32: value, visitor => visitor.number(*value as u64);
    [] i64: value, visitor => visitor.number(*value as u64);
    [] ArchivedU32: value, visitor => visitor.number(u64::from(value.to_native()));
    [] ArchivedU64: value, visitor => visitor.number(value.to_native());
    [] ArchivedI32: value, visitor => visitor.number(value.to_native() as u64);
    [] ArchivedI64: value, visitor => visitor.number(value.to_native() as u64);
    [] String: text, visitor => visitor.text(text);
    [] ArchivedString: text, visitor => visitor.text(text);
    [] (): _nothing, visitor => { visitor.begin(0); visitor.end() };
    [T: Walk] Box<T>: inner, visitor => (**inner).walk(visitor);
    [T: Walk + ArchivePointee] ArchivedBox<T>: inner, visitor => inner.get().walk(visitor);
    [T: Walk + ArchivePointee<ArchivedMetadata = ()>] Interned<T>: inner, visitor => (**inner).walk(visitor);
    [T: Walk, const N: usize] [T; N]: values, visitor => T::walk_slice(values, visitor);
    [T: Walk] Vec<T>: values, visitor => T::walk_slice(values, visitor);
    [T: Walk] ArchivedVec<T>: values, visitor => T::walk_slice(values, visitor);
    [T: Walk] Option<T>: value, visitor => walk_each(value.iter().len(), value, visitor);
    [T: Walk] ArchivedOption<T>: value, visitor => walk_each(value.iter().count(), value.iter(), visitor);
    [T: Walk] BTreeSet<T>: set, visitor => walk_each(set.len(), set, visitor);
    [T: Walk] ArchivedBTreeSet<T>: set, visitor => walk_each(set.len(), set.iter(), visitor);
    [K: Walk, V: Walk] BTreeMap<K, V>: map, visitor => walk_pairs(map.len(), map, visitor);
    [K: Walk, V: Walk] ArchivedBTreeMap<K, V>: map, visitor => walk_pairs(map.len(), map.iter(), visitor);
}

impl Walk for u8 {
    fn walk(&self, visitor: &mut impl Visitor) {
        visitor.number(u64::from(*self));
    }

    fn walk_slice(values: &[Self], visitor: &mut impl Visitor) {
        visitor.bytes(values);
    }
}

fn walk_each<'a, T: Walk + 'a>(
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

fn walk_pairs<'a, K: Walk + 'a, V: Walk + 'a>(
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
