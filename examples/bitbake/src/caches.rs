//! The caches of the example, each in the three forms that are compared.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::Range;
use std::path::Path;

use floe::map::MapKey;
use floe::{Content, Frozen, Map, Value};
use rkyv::api::high::HighDeserializer;
use rkyv::rancor::BoxedError;
use rkyv::{Archive, Deserialize};

use crate::Result;
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
    fn verify(&self) -> Result<()>;
    fn make_objects(&mut self);
    fn drop_form(&mut self, form: Form);
    /// Reads every entry by its key, and every string and number in it.
    fn read(&self, form: Form) -> u64;
    /// Where the frozen form lies.
    fn region(&self) -> Option<Range<usize>>;
    /// Writes the frozen form to a file.
    fn save(&self, path: &Path) -> floe::Result<()>;
}

/// A cache of many entries.
pub(crate) fn keyed<K: Key, V: Entry>(
    name: &'static str,
    entries: BTreeMap<K, V>,
) -> Box<dyn Cache> {
    forms(name, entries.len(), HashMap::from_iter(entries))
}

/// A cache of one value, which is said to have a number of entries.
pub(crate) fn whole<T: Entry>(name: &'static str, entries: usize, value: T) -> Box<dyn Cache> {
    forms(name, entries, Whole(value))
}

fn forms<C: Contents + 'static>(name: &'static str, entries: usize, heap: C) -> Box<dyn Cache> {
    Box::new(Forms {
        name,
        entries,
        heap: Some(heap),
        objects: None,
        frozen: None,
    })
}

/// What a key must be able to do to be compared in all forms.
pub(crate) trait Key:
    MapKey + Archive<Archived: PartialEq<Self>> + Entry + Ord + Hash + Debug
{
}

impl<K: MapKey + Archive<Archived: PartialEq<K>> + Entry + Ord + Hash + Debug> Key for K {}

/// What a cached value must be able to do to be compared in all forms.
pub(crate) trait Entry:
    Value + Archive<Archived: Thaw<Self>> + Walk + Clone + PartialEq
{
}

impl<T: Value + Archive<Archived: Thaw<T>> + Walk + Clone + PartialEq> Entry for T {}

/// What the archived form of a cached value must be able to do.
pub(crate) trait Thaw<T>: Walk + Deserialize<T, HighDeserializer<BoxedError>> {}

impl<T, A: Walk + Deserialize<T, HighDeserializer<BoxedError>>> Thaw<T> for A {}

/// What a cache holds on the heap, and what is made of it.
trait Contents {
    type Objects;
    type Frozen: Content;

    fn objects(&self) -> Self::Objects;
    fn freeze(&self, name: &str) -> floe::Result<Frozen<Self::Frozen>>;
    /// The key of an entry that is not what was frozen.
    fn difference(&self, frozen: &Frozen<Self::Frozen>) -> Option<String>;

    // Each is a digest over all entries, which does not depend on their order.
    fn read(&self) -> u64;
    fn read_objects(objects: &Self::Objects) -> u64;
    fn read_frozen(frozen: &Frozen<Self::Frozen>) -> u64;
}

impl<K: Key, V: Entry> Contents for HashMap<K, V> {
    /// Key and value of each entry as objects.
    type Objects = HashMap<K, [Object; 2]>;
    type Frozen = Map<K, V>;

    fn objects(&self) -> Self::Objects {
        let pair = |(key, value): (&K, &V)| (key.clone(), [Object::of(key), Object::of(value)]);
        self.iter().map(pair).collect()
    }

    fn freeze(&self, name: &str) -> floe::Result<Frozen<Map<K, V>>> {
        Map::freeze(name, self)
    }

    fn difference(&self, frozen: &Frozen<Map<K, V>>) -> Option<String> {
        let differs = |key| frozen.get(key).and_then(thaw).as_ref() != self.get(key);
        let key = self.keys().find(|key| differs(key))?;
        Some(format!("{key:?}"))
    }

    fn read(&self) -> u64 {
        sum(self.keys().map(|key| digest(key, &self[key])))
    }

    fn read_objects(objects: &Self::Objects) -> u64 {
        let entries = objects.keys().map(|key| &objects[key]);
        sum(entries.map(|[key, value]| digest(key, value)))
    }

    fn read_frozen(frozen: &Frozen<Map<K, V>>) -> u64 {
        sum(frozen.keys().map(|key| digest(key, &frozen[key])))
    }
}

struct Whole<T>(T);

impl<T: Entry> Contents for Whole<T> {
    type Objects = Object;
    type Frozen = T;

    fn objects(&self) -> Object {
        Object::of(&self.0)
    }

    fn freeze(&self, name: &str) -> floe::Result<Frozen<T>> {
        Frozen::freeze(name, &self.0)
    }

    fn difference(&self, frozen: &Frozen<T>) -> Option<String> {
        (thaw(&**frozen).as_ref() != Some(&self.0)).then(|| "its only value".into())
    }

    fn read(&self) -> u64 {
        digest(&(), &self.0)
    }

    fn read_objects(object: &Object) -> u64 {
        digest(&(), object)
    }

    fn read_frozen(frozen: &Frozen<T>) -> u64 {
        digest(&(), &**frozen)
    }
}

fn thaw<T>(archived: &impl Thaw<T>) -> Option<T> {
    rkyv::deserialize::<T, BoxedError>(archived).ok()
}

fn sum(digests: impl Iterator<Item = u64>) -> u64 {
    digests.fold(0, u64::wrapping_add)
}

struct Forms<C: Contents> {
    name: &'static str,
    entries: usize,
    heap: Option<C>,
    objects: Option<C::Objects>,
    frozen: Option<Frozen<C::Frozen>>,
}

impl<C: Contents> Cache for Forms<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn entries(&self) -> usize {
        self.entries
    }

    fn freeze(&mut self) -> floe::Result<()> {
        let heap = self.heap.as_ref();
        self.frozen = heap.map(|heap| heap.freeze(self.name)).transpose()?;
        Ok(())
    }

    fn verify(&self) -> Result<()> {
        let pair = self.heap.as_ref().zip(self.frozen.as_ref());
        let Some(key) = pair.and_then(|(heap, frozen)| heap.difference(frozen)) else {
            return Ok(());
        };
        let name = self.name;
        Err(format!("cache {name}: the frozen entry {key} differs from its source").into())
    }

    fn make_objects(&mut self) {
        self.objects = self.heap.as_ref().map(C::objects);
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
            Form::Heap => self.heap.as_ref().map(C::read),
            Form::Objects => self.objects.as_ref().map(C::read_objects),
            Form::Frozen => self.frozen.as_ref().map(C::read_frozen),
        }
        .unwrap_or_default()
    }

    fn region(&self) -> Option<Range<usize>> {
        self.frozen.as_ref().map(|it| it.region().address_range())
    }

    fn save(&self, path: &Path) -> floe::Result<()> {
        let frozen = self.frozen.as_ref();
        frozen.map_or(Ok(()), |frozen| frozen.region().save(path))
    }
}
