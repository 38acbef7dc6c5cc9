//! Hash maps and hash sets in canonical order: `#[rkyv(with = Sorted)]`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::marker::PhantomData;

use rkyv::collections::btree_map::{ArchivedBTreeMap, BTreeMapResolver};
use rkyv::collections::btree_set::{ArchivedBTreeSet, BTreeSetResolver};
use rkyv::rancor::{Fallible, Source};
use rkyv::ser::{Allocator, Writer};
use rkyv::with::{ArchiveWith, DeserializeWith, Identity, SerializeWith, With};
use rkyv::{Place, Serialize};

use crate::archive::intern::{Identify, Recorder};

/// Freezes a `HashMap` or a `HashSet` in the order of its keys: the wrapper for
/// `#[rkyv(with = Sorted)]`.
///
/// The order of a hash map differs from process to process, so frozen without this wrapper equal
/// maps give different bytes, and a rebuild that changed nothing looks like a change. The archived
/// form is that of a `BTreeMap` or `BTreeSet`. `Sorted<A, B>` wraps keys and values too.
///
/// ```
/// use std::collections::{HashMap, HashSet};
/// use floe::{Frozen, Intern, Schema, Sorted};
///
/// #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
/// #[rkyv(derive(Schema))]
/// struct Flags {
///     #[rkyv(with = Sorted)]
///     values: HashMap<String, u32>,
///     #[rkyv(with = Intern<Sorted<Intern>>)]
///     names: HashSet<String>,
/// }
///
/// let frozen = Frozen::freeze("flags", &Flags {
///     values: HashMap::from([("b".into(), 2), ("a".into(), 1)]),
///     names: HashSet::from(["x".into()]),
/// })?;
/// assert_eq!(frozen.values.get("b").unwrap().to_native(), 2);
/// assert!(frozen.names.get("x").is_some());
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug)]
pub struct Sorted<A = Identity, B = Identity>(PhantomData<(A, B)>);

impl<K, V, S, A, B> ArchiveWith<HashMap<K, V, S>> for Sorted<A, B>
where
    A: ArchiveWith<K>,
    B: ArchiveWith<V>,
{
    type Archived = ArchivedBTreeMap<A::Archived, B::Archived>;
    type Resolver = BTreeMapResolver;

    fn resolve_with(
        field: &HashMap<K, V, S>,
        resolver: Self::Resolver,
        out: Place<Self::Archived>,
    ) {
        ArchivedBTreeMap::resolve_from_len(field.len(), resolver, out);
    }
}

impl<K, V, S, A, B, Z> SerializeWith<HashMap<K, V, S>, Z> for Sorted<A, B>
where
    K: Ord,
    A: ArchiveWith<K>,
    B: ArchiveWith<V>,
    With<K, A>: Serialize<Z, Archived = A::Archived>,
    With<V, B>: Serialize<Z, Archived = B::Archived>,
    Z: Fallible + Allocator + Writer + ?Sized,
    Z::Error: Source,
{
    fn serialize_with(
        field: &HashMap<K, V, S>,
        serializer: &mut Z,
    ) -> Result<Self::Resolver, Z::Error> {
        let pairs = sorted_pairs(field)
            .into_iter()
            .map(|(key, value)| (With::<K, A>::cast(key), With::<V, B>::cast(value)));
        ArchivedBTreeMap::<A::Archived, B::Archived>::serialize_from_ordered_iter::<
            _,
            _,
            _,
            With<K, A>,
            With<V, B>,
            _,
        >(pairs, serializer)
    }
}

impl<K, V, S, A, B, D>
    DeserializeWith<ArchivedBTreeMap<A::Archived, B::Archived>, HashMap<K, V, S>, D>
    for Sorted<A, B>
where
    K: Hash + Eq,
    S: BuildHasher + Default,
    A: ArchiveWith<K> + DeserializeWith<<A as ArchiveWith<K>>::Archived, K, D>,
    B: ArchiveWith<V> + DeserializeWith<<B as ArchiveWith<V>>::Archived, V, D>,
    D: Fallible + ?Sized,
{
    fn deserialize_with(
        field: &ArchivedBTreeMap<A::Archived, B::Archived>,
        deserializer: &mut D,
    ) -> Result<HashMap<K, V, S>, D::Error> {
        let pair = |(key, value)| {
            Ok((
                A::deserialize_with(key, deserializer)?,
                B::deserialize_with(value, deserializer)?,
            ))
        };
        field.iter().map(pair).collect()
    }
}

impl<T, S, A, B> ArchiveWith<HashSet<T, S>> for Sorted<A, B>
where
    A: ArchiveWith<T>,
{
    type Archived = ArchivedBTreeSet<A::Archived>;
    type Resolver = BTreeSetResolver;

    fn resolve_with(field: &HashSet<T, S>, resolver: Self::Resolver, out: Place<Self::Archived>) {
        ArchivedBTreeSet::resolve_from_len(field.len(), resolver, out);
    }
}

impl<T, S, A, B, Z> SerializeWith<HashSet<T, S>, Z> for Sorted<A, B>
where
    T: Ord,
    A: ArchiveWith<T>,
    With<T, A>: Serialize<Z, Archived = A::Archived>,
    Z: Fallible + Allocator + Writer + ?Sized,
    Z::Error: Source,
{
    fn serialize_with(
        field: &HashSet<T, S>,
        serializer: &mut Z,
    ) -> Result<Self::Resolver, Z::Error> {
        let elements = sorted_elements(field).into_iter().map(With::<T, A>::cast);
        ArchivedBTreeSet::<A::Archived>::serialize_from_ordered_iter::<_, With<T, A>, _>(
            elements, serializer,
        )
    }
}

impl<T, S, A, B, D> DeserializeWith<ArchivedBTreeSet<A::Archived>, HashSet<T, S>, D>
    for Sorted<A, B>
where
    T: Hash + Eq,
    S: BuildHasher + Default,
    A: ArchiveWith<T> + DeserializeWith<<A as ArchiveWith<T>>::Archived, T, D>,
    D: Fallible + ?Sized,
{
    fn deserialize_with(
        field: &ArchivedBTreeSet<A::Archived>,
        deserializer: &mut D,
    ) -> Result<HashSet<T, S>, D::Error> {
        field
            .iter()
            .map(|element| A::deserialize_with(element, deserializer))
            .collect()
    }
}

impl<K: Ord, V, S, A: Identify<K>, B: Identify<V>> Identify<HashMap<K, V, S>> for Sorted<A, B> {
    fn identify(field: &HashMap<K, V, S>, recorder: &mut Recorder) {
        recorder.write_usize(field.len());
        for (key, value) in sorted_pairs(field) {
            A::identify(key, recorder);
            B::identify(value, recorder);
        }
    }
}

impl<T: Ord, S, A: Identify<T>, B> Identify<HashSet<T, S>> for Sorted<A, B> {
    fn identify(field: &HashSet<T, S>, recorder: &mut Recorder) {
        recorder.write_usize(field.len());
        for element in sorted_elements(field) {
            A::identify(element, recorder);
        }
    }
}

fn sorted_pairs<K: Ord, V, S>(map: &HashMap<K, V, S>) -> Vec<(&K, &V)> {
    let mut pairs: Vec<_> = map.iter().collect();
    pairs.sort_unstable_by(|left, right| left.0.cmp(right.0));
    pairs
}

fn sorted_elements<T: Ord, S>(set: &HashSet<T, S>) -> Vec<&T> {
    let mut elements: Vec<_> = set.iter().collect();
    elements.sort_unstable();
    elements
}
