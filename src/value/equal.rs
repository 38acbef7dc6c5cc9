//! Equality of values, as Python has it: numbers by their value, dicts and sets without regard to
//! order, sets and frozen sets alike, lists and tuples never.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Value;
use super::archived::View;
use super::dict::ArchivedDict;
use super::format::{self, LONG_RUN};
use super::key::{KeyRef, Number};
use super::raw::{ArchivedValue, Keys};

/// Comparisons after which it pays to remember what was found equal: a value from anywhere may use few
/// parts very often.
const PATIENCE: usize = 1 << 12;

/// A comparison of two values.
///
/// What is equal to one value is equal to all that are equal to that: values form classes, and as many
/// comparisons succeed as there are values, not pairs of them. The first one that fails ends it all.
#[derive(Default)]
struct Comparison {
    steps: usize,
    /// The address of another value of the same class, for those that are not the first of theirs.
    classes: HashMap<usize, usize>,
    /// Of keys that have parts.
    hashes: HashMap<usize, u64>,
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
        let (left, right) = (left.view(), right.view());
        self.steps += 1;
        if self.steps <= PATIENCE || !is_long(&left) {
            return self.views(&left, &right);
        }
        let Some((left_at, right_at)) = pair else {
            return self.views(&left, &right);
        };
        let (left_at, right_at) = (content_at(left_at, &left), content_at(right_at, &right));
        if self.class(left_at) == self.class(right_at) {
            return true;
        }
        let is_equal = self.views(&left, &right);
        if is_equal {
            let (own, other) = (self.class(left_at), self.class(right_at));
            if own != other {
                self.classes.insert(own, other);
            }
        }
        is_equal
    }

    /// The first value of a class.
    fn class(&mut self, mut at: usize) -> usize {
        while let Some(&next) = self.classes.get(&at) {
            // Halves the way for the next time.
            if let Some(&behind) = self.classes.get(&next) {
                self.classes.insert(at, behind);
            }
            at = next;
        }
        at
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
        if let Some(text) = key.as_str().filter(|text| text.len() < LONG_RUN) {
            return keys.find_text(format::text_hash(text.as_bytes()), text);
        }
        let hash = self.hash(key)?;
        // Few have the hash, of which the table knows a part only.
        keys.find(hash, |found| {
            self.hash(found) == Some(hash) && self.values(key, found)
        })
    }

    fn hash(&mut self, key: &ArchivedValue) -> Option<u64> {
        let view = key.view();
        let at = key.address().filter(|_| is_long(&view));
        let at = at.map(|at| content_at(at, &view));
        if let Some(hash) = at.and_then(|at| self.hashes.get(&at)) {
            return Some(*hash);
        }
        let hash = self.new_hash(view)?;
        self.hashes.extend(at.map(|at| (at, hash)));
        Some(hash)
    }

    fn new_hash(&mut self, view: View<'_>) -> Option<u64> {
        let items = match view {
            View::Tuple(items) => items,
            View::Set(set) => set.items(),
            View::None => return KeyRef::None.hash(),
            View::Bool(flag) => return KeyRef::Bool(flag).hash(),
            View::Int(number) => return KeyRef::Int(number).hash(),
            View::BigInt(bytes) => return KeyRef::BigInt(bytes).hash(),
            View::Float(number) => return KeyRef::Float(number).hash(),
            View::Text(text) => return KeyRef::Text(text).hash(),
            View::TextWithSurrogates(bytes) => return KeyRef::TextWithSurrogates(bytes).hash(),
            View::Bytes(bytes) => return KeyRef::Bytes(bytes).hash(),
            View::List(_) | View::Dict(_) => return None,
        };
        let hashes: Option<Vec<u64>> = items.iter().map(|item| self.hash(item)).collect();
        Some(match view {
            View::Tuple(_) => format::tuple_hash(hashes?.into_iter()),
            _ => format::set_hash(hashes?.into_iter()),
        })
    }
}

/// Where what is compared of a value at an address lies: very many sets may have the items of one
/// shape.
fn content_at(address: usize, view: &View<'_>) -> usize {
    match view {
        View::Set(set) => set.lookup().address(),
        _ => address,
    }
}

/// Whether a value takes more than a few steps to compare.
fn is_long(view: &View<'_>) -> bool {
    match view {
        View::List(_) | View::Tuple(_) | View::Dict(_) | View::Set(_) => true,
        View::Text(text) => text.len() >= LONG_RUN,
        View::TextWithSurrogates(bytes) | View::Bytes(bytes) | View::BigInt(bytes) => {
            bytes.len() >= LONG_RUN
        }
        View::None | View::Bool(_) | View::Int(_) | View::Float(_) => false,
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
