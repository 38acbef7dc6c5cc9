//! Equality of values, as Python has it: numbers by their value, dicts and sets without regard to
//! order, sets and frozen sets alike, lists and tuples never.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Value;
use super::archived::View;
use super::dict::ArchivedDict;
use super::format;
use super::key::{KeyRef, Number};
use super::raw::{ArchivedValue, Keys};

/// Comparisons after which it pays to remember what pairs were found to be: a value from anywhere may
/// use few parts very often.
const PATIENCE: usize = 1 << 12;
/// Most parts of a key that are hashed to find it: one that has more is compared with all.
const HASHED_PARTS: usize = 1 << 10;

/// A comparison of two values.
#[derive(Default)]
struct Comparison {
    steps: usize,
    known: HashMap<(usize, usize), bool>,
}

impl Comparison {
    fn values(&mut self, left: &ArchivedValue, right: &ArchivedValue) -> bool {
        let pair = left.address().zip(right.address());
        if let Some((left_at, right_at)) = pair
            && left_at == right_at
            && left.tag() == right.tag()
        {
            // What contains a NaN is not equal to itself, unless it is the same: so is it in Python.
            return !matches!(left.view(), View::Float(_));
        }
        let has_parts = |view: &View<'_>| {
            matches!(
                view,
                View::List(_) | View::Tuple(_) | View::Dict(_) | View::Set(_)
            )
        };
        let (left, right) = (left.view(), right.view());
        self.steps += 1;
        if self.steps <= PATIENCE || !has_parts(&left) {
            return self.views(&left, &right);
        }
        if let Some(known) = pair.and_then(|pair| self.known.get(&pair)) {
            return *known;
        }
        let is_equal = self.views(&left, &right);
        self.known.extend(pair.map(|pair| (pair, is_equal)));
        is_equal
    }

    fn views(&mut self, left: &View<'_>, right: &View<'_>) -> bool {
        match (left, right) {
            (View::None, View::None) => true,
            (View::Int(left), View::Int(right)) => left == right,
            (View::Text(left), View::Text(right)) => left == right,
            (View::TextWithSurrogates(left), View::TextWithSurrogates(right))
            | (View::Bytes(left), View::Bytes(right)) => left == right,
            (View::Tuple(left), View::Tuple(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .zip(*right)
                        .all(|(left, right)| self.values(left, right))
            }
            (View::List(left), View::List(right)) => {
                left.len() == right.len()
                    && match (left, right) {
                        (super::ArchivedList::Values(left), super::ArchivedList::Values(right)) => {
                            left.iter()
                                .zip(*right)
                                .all(|(left, right)| self.values(left, right))
                        }
                        _ => left
                            .iter()
                            .zip(right.iter())
                            .all(|(left, right)| self.views(&left, &right)),
                    }
            }
            (View::Dict(left), View::Dict(right)) => self.dicts(left, right),
            (View::Set(left), View::Set(right)) => {
                left.len() == right.len()
                    && left
                        .items()
                        .iter()
                        .all(|item| self.find(right.lookup(), item).is_some())
            }
            _ => match (Number::of(*left), Number::of(*right)) {
                (Some(left), Some(right)) => left == right,
                _ => false,
            },
        }
    }

    fn dicts(&mut self, left: &ArchivedDict<'_>, right: &ArchivedDict<'_>) -> bool {
        left.len() == right.len()
            && left.iter().all(|(key, value)| {
                let found = self.find(right.lookup(), key);
                let other = found.and_then(|number| right.values().get(number));
                other.is_some_and(|other| self.values(value, other))
            })
    }

    /// The position of a key among others.
    fn find(&mut self, keys: Keys<'_>, key: &ArchivedValue) -> Option<usize> {
        if let Some(text) = key.as_str() {
            return keys.find_text(format::text_hash(text.as_bytes()), text);
        }
        let mut most = HASHED_PARTS;
        match hash(key, &mut most) {
            Some(hash) => keys.find(hash, |found| self.values(key, found)),
            None => keys.keys.iter().position(|found| self.values(key, found)),
        }
    }
}

/// The hash of a key that has no more parts than `left`.
fn hash(key: &ArchivedValue, left: &mut usize) -> Option<u64> {
    *left = left.checked_sub(1)?;
    let mut all = |items: &[ArchivedValue]| -> Option<Vec<u64>> {
        items.iter().map(|item| hash(item, left)).collect()
    };
    match key.view() {
        View::Tuple(items) => Some(format::tuple_hash(all(items)?.into_iter())),
        View::Set(set) => Some(format::set_hash(all(set.items())?.into_iter())),
        View::None => KeyRef::None.hash(),
        View::Bool(flag) => KeyRef::Bool(flag).hash(),
        View::Int(number) => KeyRef::Int(number).hash(),
        View::BigInt(bytes) => KeyRef::BigInt(bytes).hash(),
        View::Float(number) => KeyRef::Float(number).hash(),
        View::Text(text) => KeyRef::Text(text).hash(),
        View::TextWithSurrogates(bytes) => KeyRef::TextWithSurrogates(bytes).hash(),
        View::Bytes(bytes) => KeyRef::Bytes(bytes).hash(),
        View::List(_) | View::Dict(_) => None,
    }
}

/// As Python compares: `1 == 1.0`, a dict is equal to one of another order, a list to no tuple.
impl PartialEq for ArchivedValue {
    fn eq(&self, other: &Self) -> bool {
        Comparison::default().values(self, other)
    }
}

impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        Comparison::default().views(self, other)
    }
}

/// As [`ArchivedValue`] compares.
impl PartialEq<Value> for ArchivedValue {
    fn eq(&self, other: &Value) -> bool {
        let all = |items: &[Self], others: &[Value]| {
            items.len() == others.len() && items.iter().zip(others).all(|(it, other)| it == other)
        };
        match (self.view(), other) {
            (View::List(super::ArchivedList::Values(items)), Value::List(others)) => {
                all(items, others)
            }
            (View::List(list), Value::List(others)) => {
                list.len() == others.len()
                    && list.iter().zip(others).all(|(item, other)| {
                        let number = KeyRef::Value(other).number();
                        number.is_some() && Number::of(item) == number
                    })
            }
            (View::Tuple(items), Value::Tuple(others)) => all(items, others),
            (View::Dict(dict), Value::Dict(others)) => {
                let is_there = |(key, value): &(Value, Value)| {
                    dict.get_value(key).is_some_and(|found| found == value)
                };
                dict.len() == others.len() && others.iter().all(is_there)
            }
            (View::Set(set), Value::Set(others) | Value::FrozenSet(others)) => {
                set.len() == others.len() && others.iter().all(|item| set.contains_value(item))
            }
            _ => KeyRef::Value(other).is(self),
        }
    }
}

impl PartialEq<ArchivedValue> for Value {
    fn eq(&self, other: &ArchivedValue) -> bool {
        other == self
    }
}

macro_rules! compares_with {
    ($($other:ty),*) => {$(
        impl PartialEq<$other> for ArchivedValue {
            fn eq(&self, other: &$other) -> bool {
                KeyRef::from(*other).is(self)
            }
        }
    )*};
}

compares_with!(bool, i32, i64, f64, &str);

impl PartialEq<str> for ArchivedValue {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<String> for ArchivedValue {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == Some(other)
    }
}
