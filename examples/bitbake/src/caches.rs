//! The caches of the example, each in the three forms that are compared.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::ops::Range;
use std::path::Path;

use floe::map::MapKey;
use floe::{Frozen, Map, Value};
use rkyv::Deserialize;
use rkyv::de::Pool;
use rkyv::rancor::{BoxedError, Strategy};

use crate::objects::Object;
use crate::walk::{Walk, digest};

/// How a cache lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Rust values on the heap, read by reference.
    Heap,
    /// Counted objects on the heap, as an interpreter has them.
    Objects,
    /// A frozen region.
    Frozen,
}

/// One cache, in as many forms as have been made of it.
pub(crate) trait Cache {
    fn name(&self) -> &'static str;
    fn entries(&self) -> usize;
    fn freeze(&mut self) -> floe::Result<()>;
    /// Compares every field of every frozen entry with its source.
    fn verify(&self) -> Result<(), Different>;
    fn make_objects(&mut self);
    fn drop_form(&mut self, form: Form);
    /// Reads every entry by its key, and every string and number in it.
    fn read(&self, form: Form) -> u64;
    /// Where the frozen form lies.
    fn region(&self) -> Option<Range<usize>>;
    /// Writes the frozen form to a file.
    fn save(&self, path: &Path) -> floe::Result<()>;
}

/// A frozen entry that is not its source.
#[derive(Debug, thiserror::Error)]
#[error("cache {cache}: the frozen entry {key} differs from its source")]
pub(crate) struct Different {
    cache: &'static str,
    key: String,
}

/// A cache of many entries.
pub(crate) struct Keyed<K: MapKey, V: Value> {
    name: &'static str,
    entries: usize,
    heap: HashMap<K, V>,
    /// Key and value of each entry as objects.
    objects: HashMap<K, [Object; 2]>,
    frozen: Option<Frozen<Map<K, V>>>,
}

impl<K: MapKey + Eq + Hash, V: Value> Keyed<K, V> {
    pub(crate) fn new(name: &'static str, entries: BTreeMap<K, V>) -> Self {
        Self {
            name,
            entries: entries.len(),
            heap: entries.into_iter().collect(),
            objects: HashMap::new(),
            frozen: None,
        }
    }
}

/// What the archived form of a cached value must be able to do here.
pub(crate) trait Thaw<T>: Walk + Deserialize<T, Strategy<Pool, BoxedError>> {}

impl<T, A: Walk + Deserialize<T, Strategy<Pool, BoxedError>>> Thaw<T> for A {}

impl<K, V> Cache for Keyed<K, V>
where
    K: MapKey + Walk + Clone + Ord + Hash + fmt::Debug,
    K::Archived: PartialEq<K> + Walk,
    V: Value + Walk + Clone + PartialEq,
    V::Archived: Thaw<V>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn entries(&self) -> usize {
        self.entries
    }

    fn freeze(&mut self) -> floe::Result<()> {
        self.frozen = Some(Map::freeze(self.name, &self.heap)?);
        Ok(())
    }

    fn verify(&self) -> Result<(), Different> {
        let Some(frozen) = &self.frozen else {
            return Ok(());
        };
        for (key, value) in &self.heap {
            let thawed = frozen.get(key).map(rkyv::deserialize::<V, BoxedError>);
            if !matches!(thawed, Some(Ok(thawed)) if thawed == *value) {
                return Err(Different {
                    cache: self.name,
                    key: format!("{key:?}"),
                });
            }
        }
        Ok(())
    }

    fn make_objects(&mut self) {
        let pair = |(key, value): (&K, &V)| (key.clone(), [Object::of(key), Object::of(value)]);
        self.objects = self.heap.iter().map(pair).collect();
    }

    fn drop_form(&mut self, form: Form) {
        match form {
            Form::Heap => self.heap = HashMap::new(),
            Form::Objects => self.objects = HashMap::new(),
            Form::Frozen => self.frozen = None,
        }
    }

    fn read(&self, form: Form) -> u64 {
        // The sum of the entries' digests does not depend on their order.
        let sum = |digests: &mut dyn Iterator<Item = u64>| digests.fold(0, u64::wrapping_add);
        match (form, &self.frozen) {
            (Form::Heap, _) => sum(&mut self.heap.keys().map(|key| digest(key, &self.heap[key]))),
            (Form::Objects, _) => sum(&mut self.objects.keys().map(|key| {
                let [key, value] = &self.objects[key];
                digest(key, value)
            })),
            (Form::Frozen, Some(frozen)) => {
                sum(&mut frozen.keys().map(|key| digest(key, &frozen[key])))
            }
            (Form::Frozen, None) => 0,
        }
    }

    fn region(&self) -> Option<Range<usize>> {
        self.frozen.as_ref().map(Frozen::address_range)
    }

    fn save(&self, path: &Path) -> floe::Result<()> {
        self.frozen
            .as_ref()
            .map_or(Ok(()), |frozen| frozen.save(path))
    }
}

/// A cache that is one value.
pub(crate) struct Whole<T: Value> {
    name: &'static str,
    entries: usize,
    heap: Option<T>,
    objects: Option<Object>,
    frozen: Option<Frozen<T>>,
}

impl<T: Value> Whole<T> {
    /// A cache whose value is said to have a number of entries.
    pub(crate) fn new(name: &'static str, entries: usize, value: T) -> Self {
        Self {
            name,
            entries,
            heap: Some(value),
            objects: None,
            frozen: None,
        }
    }
}

impl<T> Cache for Whole<T>
where
    T: Value + Walk + Clone + PartialEq,
    T::Archived: Thaw<T>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn entries(&self) -> usize {
        self.entries
    }

    fn freeze(&mut self) -> floe::Result<()> {
        self.frozen = self
            .heap
            .as_ref()
            .map(|value| Frozen::freeze(self.name, value))
            .transpose()?;
        Ok(())
    }

    fn verify(&self) -> Result<(), Different> {
        let thawed = self
            .frozen
            .as_deref()
            .map(rkyv::deserialize::<T, BoxedError>);
        match (thawed.transpose(), &self.heap) {
            (Ok(thawed), heap) if thawed == *heap => Ok(()),
            _ => Err(Different {
                cache: self.name,
                key: "(its only value)".to_owned(),
            }),
        }
    }

    fn make_objects(&mut self) {
        self.objects = self.heap.as_ref().map(Object::of);
    }

    fn drop_form(&mut self, form: Form) {
        match form {
            Form::Heap => self.heap = None,
            Form::Objects => self.objects = None,
            Form::Frozen => self.frozen = None,
        }
    }

    fn read(&self, form: Form) -> u64 {
        match form {
            Form::Heap => self.heap.as_ref().map(|value| digest(&(), value)),
            Form::Objects => self.objects.as_ref().map(|value| digest(&(), value)),
            Form::Frozen => self.frozen.as_deref().map(|value| digest(&(), value)),
        }
        .unwrap_or_default()
    }

    fn region(&self) -> Option<Range<usize>> {
        self.frozen.as_ref().map(Frozen::address_range)
    }

    fn save(&self, path: &Path) -> floe::Result<()> {
        self.frozen
            .as_ref()
            .map_or(Ok(()), |frozen| frozen.save(path))
    }
}
