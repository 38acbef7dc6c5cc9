//! Values on the heap.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;

use super::number::{BigInt, Whole};

/// Data whose structure is known at run time only: JSON, and what Python's data are made of.
///
/// It is frozen as it is, or as part of other types: `Frozen<Value>`, `Frozen<Map<String, Value>>`,
/// [`Root<Value>`](crate::Root), a field of a struct. What is read is an
/// [`ArchivedValue`](super::ArchivedValue). Equal values are written once in a region.
///
/// ```
/// use floe::Map;
/// use floe::value::Value;
///
/// let zlib = Value::dict([
///     ("version", Value::from("1.3.1")),
///     ("depends", Value::list(["virtual/cross-cc"])),
/// ]);
/// let recipes = Map::<String, Value>::freeze("recipes", [("zlib".to_owned(), zlib)])?;
/// assert_eq!(recipes["zlib"]["depends"][0].as_str(), Some("virtual/cross-cc"));
/// # Ok::<(), floe::Error>(())
/// ```
///
/// # Keys
/// None, bools, numbers, texts, byte strings, and tuples and frozen sets of these can be keys of
/// dicts and items of sets. As in Python, `1`, `1.0` and `true` are one key. A NaN is none, nor is
/// what has one: no lookup could find it.
///
/// # Limits
/// A value is nested at most 128 deep. All of it lies within 1 GiB, a text within 256 MiB; more goes
/// into a [`Map`](crate::Map) of values. What an entry of a map repeats that lies more than 512 MiB
/// back is written again.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Value {
    /// Nothing: JSON's `null`.
    #[default]
    None,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that an `i64` has no room for.
    BigInt(BigInt),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A text with lone surrogates, encoded as UTF-8 in which each of them is three bytes.
    TextWithSurrogates(Vec<u8>),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// Keys and values, in their order; each key once.
    Dict(Vec<(Value, Value)>),
    /// A set: each item once, in any order.
    Set(Vec<Value>),
    /// A set that can be a key.
    FrozenSet(Vec<Value>),
}

impl Value {
    /// A list.
    pub fn list<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// A tuple.
    pub fn tuple<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Tuple(items.into_iter().map(Into::into).collect())
    }

    /// A dict.
    pub fn dict<K: Into<Self>, V: Into<Self>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let pair = |(key, value): (K, V)| (key.into(), value.into());
        Self::Dict(entries.into_iter().map(pair).collect())
    }

    /// A set.
    pub fn set<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Set(items.into_iter().map(Into::into).collect())
    }

    /// A frozen set.
    pub fn frozen_set<T: Into<Self>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::FrozenSet(items.into_iter().map(Into::into).collect())
    }

    /// The value under a text, if this is a dict that has it. Looks at all keys: reading is what
    /// frozen values are for.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        let is_it = |found: &&(Self, Self)| matches!(&found.0, Self::Text(text) if text == key);
        entries.iter().find(is_it).map(|(_, value)| value)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The order in which the items of sets are written: by what kind of value they are, then by value.
pub(super) fn canonical_order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::None => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::BigInt(_) => 3,
        Value::Float(_) => 4,
        Value::Text(_) => 5,
        Value::TextWithSurrogates(_) => 6,
        Value::Bytes(_) => 7,
        Value::Tuple(_) => 8,
        Value::FrozenSet(_) => 9,
        Value::List(_) | Value::Dict(_) | Value::Set(_) => 10,
    };
    let within = match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::BigInt(left), Value::BigInt(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Value::Float(left), Value::Float(right)) => left.total_cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::TextWithSurrogates(left), Value::TextWithSurrogates(right))
        | (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        (Value::Tuple(left), Value::Tuple(right)) => in_turn(left.iter(), right.iter()),
        (Value::FrozenSet(left), Value::FrozenSet(right)) => {
            in_turn(sorted(left).into_iter(), sorted(right).into_iter())
        }
        _ => Ordering::Equal,
    };
    rank(left).cmp(&rank(right)).then(within)
}

fn in_turn<'a>(
    left: impl ExactSizeIterator<Item = &'a Value>,
    right: impl ExactSizeIterator<Item = &'a Value>,
) -> Ordering {
    let lengths = left.len().cmp(&right.len());
    let mut pairs = left.zip(right);
    let differing = pairs
        .find_map(|(left, right)| Some(canonical_order(left, right)).filter(|order| order.is_ne()));
    differing.unwrap_or(lengths)
}

/// Items in their canonical order.
pub(super) fn sorted(items: &[Value]) -> Vec<&Value> {
    let mut sorted: Vec<&Value> = items.iter().collect();
    sorted.sort_by(|left, right| canonical_order(left, right));
    sorted
}

macro_rules! from_integers {
    ($($small:ty),*; $($wide:ty),*) => {
        $(impl From<$small> for Value {
            fn from(number: $small) -> Self {
                Self::Int(number.into())
            }
        })*
        $(impl From<$wide> for Value {
            fn from(number: $wide) -> Self {
                match Whole::from(number) {
                    Whole::Small(number) => Self::Int(number),
                    Whole::Big(number) => Self::BigInt(number),
                }
            }
        })*
    };
}

from_integers!(i8, u8, i16, u16, i32, u32, i64; i128, u128);

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        u128::from(number).into()
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        (number as u64).into()
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::None
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Self::Float(number.into())
    }
}

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        Self::BigInt(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::list(items)
    }
}

impl<K: Into<Self>, V: Into<Self>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Self {
        Self::dict(map)
    }
}

/// In the order of the keys, so that equal maps give equal bytes.
impl<K: Into<Self>, V: Into<Self>, S: BuildHasher> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Self {
        let pair = |(key, value): (K, V)| (key.into(), value.into());
        let mut entries: Vec<(Self, Self)> = map.into_iter().map(pair).collect();
        entries.sort_by(|left, right| canonical_order(&left.0, &right.0));
        Self::Dict(entries)
    }
}

impl<T: Into<Self>> From<BTreeSet<T>> for Value {
    fn from(set: BTreeSet<T>) -> Self {
        Self::set(set)
    }
}

impl<T: Into<Self>, S: BuildHasher> From<HashSet<T, S>> for Value {
    fn from(set: HashSet<T, S>) -> Self {
        Self::set(set)
    }
}

impl<T: Into<Self>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::list(items)
    }
}
