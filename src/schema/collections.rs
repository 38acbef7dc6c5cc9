//! Schemas of sequences, sets and maps.
#![allow(unsafe_code)]

use std::mem::offset_of;

use rkyv::{
    collections::{
        btree_map::ArchivedBTreeMap,
        btree_set::ArchivedBTreeSet,
        swiss_table::{ArchivedHashMap, ArchivedHashSet, ArchivedIndexMap, ArchivedIndexSet},
        util::Entry,
    },
    vec::ArchivedVec,
};

use super::{Field, FieldStyle, Schema, Shape, TypeIndex, Types};

/// Fails the build where a forged length of items without bytes would be a loop without end.
const fn refuse_zero_sized<T>() {
    assert!(
        size_of::<T>() > 0,
        "a sequence, set or map of zero-sized items has no `Schema`: store their number instead"
    );
}

// SAFETY: rkyv makes this repr(C): a relative pointer to the items, then their number. `T` keeps
// the contract for them.
unsafe impl<T: Schema> Schema for ArchivedVec<T> {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<T>() };
        let item = T::describe(types);
        types.define_generic::<Self>("Vec", &[item], Shape::Vec { item })
    }
}

// SAFETY: the language lays the items out one after the other. `T` keeps the contract for them.
unsafe impl<T: Schema> Schema for [T] {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<T>() };
        let item = T::describe(types);
        let name = format!("[{}]", types[item].name);
        types.define_unsized::<Self>(name, align_of::<T>(), Shape::Slice { item })
    }
}

// SAFETY: as for the slice.
unsafe impl<T: Schema, const N: usize> Schema for [T; N] {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<T>() };
        let item = T::describe(types);
        let name = format!("[{}; {N}]", types[item].name);
        types.define::<Self>(name, |_| Shape::Array { item, length: N })
    }
}

// SAFETY: both fields are public; their offsets are the compiler's. `K` and `V` keep the contract
// for them.
unsafe impl<K: Schema, V: Schema> Schema for Entry<K, V> {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<K>() };
        let key = K::describe(types);
        let value = V::describe(types);
        let fields = vec![
            Field::new("key", offset_of!(Self, key), key),
            Field::new("value", offset_of!(Self, value), value),
        ];
        let shape = Shape::Struct {
            style: FieldStyle::Named,
            fields,
        };
        types.define_generic::<Self>("Entry", &[key, value], shape)
    }
}

// SAFETY: rkyv makes this repr(C) with the parts that the shape documents; a test reads such bytes
// by the shape alone. `Entry` keeps the contract for keys and values. Only rkyv's own hasher is
// accepted.
unsafe impl<K: Schema, V: Schema> Schema for ArchivedHashMap<K, V> {
    fn describe(types: &mut Types) -> TypeIndex {
        let entry = Entry::<K, V>::describe(types);
        let arguments = [K::describe(types), V::describe(types)];
        types.define_generic::<Self>("HashMap", &arguments, Shape::HashMap { entry })
    }
}

// SAFETY: as for the map from `K` to `()`, of which this is a transparent wrapper.
unsafe impl<K: Schema> Schema for ArchivedHashSet<K> {
    fn describe(types: &mut Types) -> TypeIndex {
        let entry = Entry::<K, ()>::describe(types);
        let arguments = [K::describe(types)];
        types.define_generic::<Self>("HashSet", &arguments, Shape::HashMap { entry })
    }
}

// SAFETY: rkyv makes this repr(C): a table of positions, then a relative pointer to the entries; a
// test reads such bytes by the shape alone. `Entry` keeps the contract for keys and values. Only
// rkyv's own hasher is accepted.
unsafe impl<K: Schema, V: Schema> Schema for ArchivedIndexMap<K, V> {
    fn describe(types: &mut Types) -> TypeIndex {
        let entry = Entry::<K, V>::describe(types);
        let arguments = [K::describe(types), V::describe(types)];
        types.define_generic::<Self>("IndexMap", &arguments, Shape::IndexMap { entry })
    }
}

// SAFETY: as for the map from `K` to `()`, of which this is a transparent wrapper.
unsafe impl<K: Schema> Schema for ArchivedIndexSet<K> {
    fn describe(types: &mut Types) -> TypeIndex {
        let entry = Entry::<K, ()>::describe(types);
        let arguments = [K::describe(types)];
        types.define_generic::<Self>("IndexSet", &arguments, Shape::IndexMap { entry })
    }
}

// SAFETY: rkyv makes the map and its nodes repr(C) with the parts that the shape documents; a test
// reads such bytes by the shape alone. `K` and `V` keep the contract for keys and values.
unsafe impl<K: Schema, V: Schema, const E: usize> Schema for ArchivedBTreeMap<K, V, E> {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<K>() };
        let key = K::describe(types);
        let value = V::describe(types);
        let shape = Shape::BTreeMap {
            key,
            value,
            node_entries: E,
        };
        types.define_generic::<Self>("BTreeMap", &[key, value], shape)
    }
}

// SAFETY: as for the map from `K` to `()`, of which this is a transparent wrapper.
unsafe impl<K: Schema, const E: usize> Schema for ArchivedBTreeSet<K, E> {
    fn describe(types: &mut Types) -> TypeIndex {
        const { refuse_zero_sized::<K>() };
        let key = K::describe(types);
        let value = <()>::describe(types);
        let shape = Shape::BTreeMap {
            key,
            value,
            node_entries: E,
        };
        types.define_generic::<Self>("BTreeSet", &[key], shape)
    }
}
