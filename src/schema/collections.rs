//! What sequences, sets and maps look like.
#![forbid(unsafe_code)]

use std::mem::offset_of;

use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::collections::swiss_table::{
    ArchivedHashMap, ArchivedHashSet, ArchivedIndexMap, ArchivedIndexSet,
};
use rkyv::collections::util::Entry;
use rkyv::ffi::ArchivedCString;
use rkyv::string::ArchivedString;
use rkyv::vec::ArchivedVec;

use super::{Field, FieldStyle, Schema, Shape, TypeIndex, Types};

/// Fails the build where a forged length of items without bytes would be a loop without end.
const fn refuse_zero_sized<T>() {
    assert!(
        size_of::<T>() > 0,
        "a sequence, set or map of zero-sized items has no `Schema`: store their number instead"
    );
}

pub(super) fn string(types: &mut Types) -> TypeIndex {
    types.define::<ArchivedString>("String", |_| Shape::String)
}

pub(super) fn c_string(types: &mut Types) -> TypeIndex {
    types.define::<ArchivedCString>("CString", |_| Shape::CString)
}

pub(super) fn text(types: &mut Types) -> TypeIndex {
    types.define_unsized::<str>("str".to_owned(), 1, Shape::Str)
}

pub(super) fn slice<T: Schema>(types: &mut Types) -> TypeIndex {
    const { refuse_zero_sized::<T>() };
    let item = T::describe(types);
    let name = format!("[{}]", types[item].name);
    types.define_unsized::<[T]>(name, align_of::<T>(), Shape::Slice { item })
}

pub(super) fn array<T: Schema, const N: usize>(types: &mut Types) -> TypeIndex {
    const { refuse_zero_sized::<T>() };
    let item = T::describe(types);
    let name = format!("[{}; {N}]", types[item].name);
    types.define::<[T; N]>(name, |_| Shape::Array { item, length: N })
}

pub(super) fn vector<T: Schema>(types: &mut Types) -> TypeIndex {
    const { refuse_zero_sized::<T>() };
    let item = T::describe(types);
    types.define_generic::<ArchivedVec<T>>("Vec", &[item], Shape::Vec { item })
}

/// A slot of a hash table, or an entry of an index map.
pub(super) fn entry<K: Schema, V: Schema>(types: &mut Types) -> TypeIndex {
    const { refuse_zero_sized::<K>() };
    let key = K::describe(types);
    let value = V::describe(types);
    let fields = vec![
        Field::new("key", offset_of!(Entry<K, V>, key), key),
        Field::new("value", offset_of!(Entry<K, V>, value), value),
    ];
    let shape = Shape::Struct {
        style: FieldStyle::Named,
        fields,
    };
    types.define_generic::<Entry<K, V>>("Entry", &[key, value], shape)
}

pub(super) fn hash_map<K: Schema, V: Schema>(types: &mut Types) -> TypeIndex {
    let entry = Entry::<K, V>::describe(types);
    let arguments = [K::describe(types), V::describe(types)];
    types.define_generic::<ArchivedHashMap<K, V>>("HashMap", &arguments, Shape::HashMap { entry })
}

pub(super) fn hash_set<K: Schema>(types: &mut Types) -> TypeIndex {
    let map = ArchivedHashMap::<K, ()>::describe(types);
    set::<ArchivedHashSet<K>, K>(types, "HashSet", map)
}

pub(super) fn index_map<K: Schema, V: Schema>(types: &mut Types) -> TypeIndex {
    let entry = Entry::<K, V>::describe(types);
    let arguments = [K::describe(types), V::describe(types)];
    let shape = Shape::IndexMap { entry };
    types.define_generic::<ArchivedIndexMap<K, V>>("IndexMap", &arguments, shape)
}

pub(super) fn index_set<K: Schema>(types: &mut Types) -> TypeIndex {
    let map = ArchivedIndexMap::<K, ()>::describe(types);
    set::<ArchivedIndexSet<K>, K>(types, "IndexSet", map)
}

pub(super) fn btree_map<K: Schema, V: Schema, const E: usize>(types: &mut Types) -> TypeIndex {
    const { refuse_zero_sized::<K>() };
    let key = K::describe(types);
    let value = V::describe(types);
    let shape = Shape::BTreeMap {
        key,
        value,
        node_entries: E,
    };
    types.define_generic::<ArchivedBTreeMap<K, V, E>>("BTreeMap", &[key, value], shape)
}

pub(super) fn btree_set<K: Schema, const E: usize>(types: &mut Types) -> TypeIndex {
    let map = ArchivedBTreeMap::<K, (), E>::describe(types);
    set::<ArchivedBTreeSet<K, E>, K>(types, "BTreeSet", map)
}

/// The set `S` of keys of a map.
fn set<S: Schema, K: Schema>(types: &mut Types, name: &str, map: TypeIndex) -> TypeIndex {
    let key = K::describe(types);
    types.define_generic::<S>(name, &[key], Shape::Set { map })
}
