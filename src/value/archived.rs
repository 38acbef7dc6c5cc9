//! Reading frozen values.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Index;

use rkyv::primitive::{ArchivedF64, ArchivedI64};

use super::dict::{ArchivedDict, ArchivedSet};
use super::format::{self, DICT, FALSE, INTEGER, LIST, NONE, TEXT, TRUE, TUPLE, signed};
use super::number::{self, BigInt};
use super::raw::{ArchivedValue, Other};
use super::{Value, surrogates};

/// What a frozen value is, with its content, which is borrowed from the region.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum View<'a> {
    /// Nothing.
    None,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that an `i64` has no room for, as two's complement bytes, the lowest first.
    BigInt(&'a [u8]),
    /// A float.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// A text with lone surrogates, encoded as UTF-8 in which each of them is three bytes.
    TextWithSurrogates(&'a [u8]),
    /// A byte string.
    Bytes(&'a [u8]),
    /// A list.
    List(ArchivedList<'a>),
    /// A tuple.
    Tuple(&'a [ArchivedValue]),
    /// A dict.
    Dict(ArchivedDict<'a>),
    /// A set, or a frozen one.
    Set(ArchivedSet<'a>),
}

/// What kind of value a frozen value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Nothing.
    None,
    /// True or false.
    Bool,
    /// An integer of any size.
    Int,
    /// A float.
    Float,
    /// A text, also one with lone surrogates.
    Text,
    /// A byte string.
    Bytes,
    /// A list.
    List,
    /// A tuple.
    Tuple,
    /// A dict.
    Dict,
    /// A set.
    Set,
    /// A frozen set.
    FrozenSet,
}

/// A frozen list.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ArchivedList<'a> {
    /// Values of any kinds.
    Values(&'a [ArchivedValue]),
    /// Integers, one at least larger than a word has room for.
    Ints(&'a [ArchivedI64]),
    /// Floats.
    Floats(&'a [ArchivedF64]),
}

impl<'a> ArchivedList<'a> {
    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Ints(integers) => integers.len(),
            Self::Floats(floats) => floats.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item, counted from 0.
    #[must_use]
    #[inline]
    pub fn get(&self, number: usize) -> Option<View<'a>> {
        match self {
            Self::Values(values) => values.get(number).map(ArchivedValue::view),
            Self::Ints(integers) => integers.get(number).map(|it| View::Int(it.to_native())),
            Self::Floats(floats) => floats.get(number).map(|it| View::Float(it.to_native())),
        }
    }

    /// All items.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = View<'a>> + DoubleEndedIterator + use<'a> {
        let list = *self;
        (0..self.len()).map(move |number| list.get(number).unwrap_or(View::None))
    }
}

impl ArchivedValue {
    /// What the value is, with its content.
    #[must_use]
    #[inline]
    pub fn view(&self) -> View<'_> {
        match self.word() {
            NONE => return View::None,
            FALSE => return View::Bool(false),
            TRUE => return View::Bool(true),
            word if format::tag(word) == INTEGER => return View::Int(signed(word).into()),
            _ => {}
        }
        if let Some((text, _)) = self.text() {
            return View::Text(text);
        }
        if let Some(words) = self.words() {
            return match self.tag() {
                TUPLE => View::Tuple(words),
                _ => View::List(ArchivedList::Values(words)),
            };
        }
        if let Some((keys, values)) = self.dict() {
            return View::Dict(ArchivedDict::new(keys, values));
        }
        if let Some((keys, is_frozen)) = self.set() {
            return View::Set(ArchivedSet::new(keys, is_frozen));
        }
        match self.other() {
            Some(Other::Float(number)) => View::Float(number),
            Some(Other::Integer(number)) => View::Int(number),
            Some(Other::Big(bytes)) => View::BigInt(bytes),
            Some(Other::Bytes(bytes)) => View::Bytes(bytes),
            Some(Other::Surrogates(bytes)) => View::TextWithSurrogates(bytes),
            Some(Other::Integers(integers)) => View::List(ArchivedList::Ints(integers)),
            Some(Other::Floats(floats)) => View::List(ArchivedList::Floats(floats)),
            None => View::None,
        }
    }

    /// What kind of value it is.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        // What the word tells is not looked up.
        match self.tag() {
            TEXT => Kind::Text,
            LIST => Kind::List,
            TUPLE => Kind::Tuple,
            DICT => Kind::Dict,
            _ => self.view().kind(),
        }
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.word() == NONE
    }

    /// The flag, if it is a bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.word() {
            FALSE => Some(false),
            TRUE => Some(true),
            _ => None,
        }
    }

    /// The number, if it is an integer that an `i64` has room for.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.view() {
            View::Int(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if it is a float or an integer; a large one is rounded.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.view() {
            View::Int(number) => Some(number as f64),
            View::Float(number) => Some(number),
            View::BigInt(bytes) => BigInt::from_checked(bytes).to_string().parse().ok(),
            _ => None,
        }
    }

    /// The text, if it is one without lone surrogates.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        self.text().map(|(text, _)| text)
    }

    /// The text, and whether all of it is ASCII, which is known without a look.
    #[must_use]
    #[inline]
    pub fn as_str_and_ascii(&self) -> Option<(&str, bool)> {
        self.text()
    }

    /// The bytes, if it is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self.view() {
            View::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items of a tuple, and of a list that is not packed: of floats, or of large integers.
    #[must_use]
    #[inline]
    pub fn items(&self) -> Option<&[Self]> {
        self.words()
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<ArchivedList<'_>> {
        match self.view() {
            View::List(list) => Some(list),
            _ => None,
        }
    }

    /// The dict, if it is one.
    #[must_use]
    #[inline]
    pub fn as_dict(&self) -> Option<ArchivedDict<'_>> {
        let (keys, values) = self.dict()?;
        Some(ArchivedDict::new(keys, values))
    }

    /// The set, if it is one, frozen or not.
    #[must_use]
    pub fn as_set(&self) -> Option<ArchivedSet<'_>> {
        let (keys, is_frozen) = self.set()?;
        Some(ArchivedSet::new(keys, is_frozen))
    }

    /// The value under a text, if it is a dict that has it.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dict()?.get(key)
    }

    /// Number of items, entries or bytes; `None` for values that have none.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        match self.view() {
            View::Text(text) => Some(text.len()),
            View::Bytes(bytes) => Some(bytes.len()),
            View::List(list) => Some(list.len()),
            View::Tuple(items) => Some(items.len()),
            View::Dict(dict) => Some(dict.len()),
            View::Set(set) => Some(set.len()),
            _ => None,
        }
    }

    /// Whether it has no items, entries or bytes; `None` for values that have none.
    #[must_use]
    pub fn is_empty(&self) -> Option<bool> {
        self.len().map(|length| length == 0)
    }

    /// The address of what the value leads to, for those that lead somewhere: texts, and whatever has
    /// parts. In one region, equal values mostly have one address.
    #[must_use]
    #[inline]
    pub fn address(&self) -> Option<usize> {
        (self.tag() > INTEGER).then(|| self.target_address())
    }

    /// The value on the heap.
    ///
    /// What a region has once is built as often as it is used: a region from somebody who is not
    /// trusted can be far larger so than frozen.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.view().to_value()
    }
}

impl View<'_> {
    /// What kind of value it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::None => Kind::None,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) | Self::BigInt(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Text(_) | Self::TextWithSurrogates(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::List(_) => Kind::List,
            Self::Tuple(_) => Kind::Tuple,
            Self::Dict(_) => Kind::Dict,
            Self::Set(set) if set.is_frozen() => Kind::FrozenSet,
            Self::Set(_) => Kind::Set,
        }
    }

    /// The value on the heap; see [`ArchivedValue::to_value`].
    #[must_use]
    pub fn to_value(&self) -> Value {
        let all = |items: &[ArchivedValue]| items.iter().map(ArchivedValue::to_value).collect();
        match self {
            Self::None => Value::None,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Int(*number),
            Self::BigInt(bytes) => Value::BigInt(BigInt::from_checked(bytes)),
            Self::Float(number) => Value::Float(*number),
            Self::Text(text) => Value::Text((*text).to_owned()),
            Self::TextWithSurrogates(bytes) => Value::TextWithSurrogates(bytes.to_vec()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::List(list) => Value::List(list.iter().map(|item| item.to_value()).collect()),
            Self::Tuple(items) => Value::Tuple(all(items)),
            Self::Dict(dict) => {
                let pair = |(key, value): (&ArchivedValue, &ArchivedValue)| {
                    (key.to_value(), value.to_value())
                };
                Value::Dict(dict.iter().map(pair).collect())
            }
            Self::Set(set) if set.is_frozen() => Value::FrozenSet(all(set.items())),
            Self::Set(set) => Value::Set(all(set.items())),
        }
    }
}

/// # Panics
/// If it is no dict, or does not have the key.
impl Index<&str> for ArchivedValue {
    type Output = Self;

    fn index(&self, key: &str) -> &Self {
        match self.as_dict() {
            Some(dict) => dict.get(key).unwrap_or_else(|| panic!("no key {key:?}")),
            None => panic!("a {:?} has no keys", self.kind()),
        }
    }
}

/// # Panics
/// If it is no list or tuple, has fewer items, or is packed: [`as_list`](ArchivedValue::as_list)
/// reads lists of floats, and of integers beyond 2^28.
impl Index<usize> for ArchivedValue {
    type Output = Self;

    fn index(&self, number: usize) -> &Self {
        match self.items() {
            Some(items) => &items[number],
            None if self.kind() == Kind::List => {
                panic!("a packed list has no values in place: use `as_list`")
            }
            None => panic!("a {:?} has no items", self.kind()),
        }
    }
}

/// As Python shows it.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(flag) => fmt::Debug::fmt(flag, f),
            Self::Int(number) => fmt::Debug::fmt(number, f),
            Self::BigInt(bytes) => number::write_digits(bytes, f),
            Self::Float(number) => fmt::Debug::fmt(number, f),
            Self::Text(text) => fmt::Debug::fmt(text, f),
            Self::TextWithSurrogates(bytes) => fmt::Debug::fmt(&surrogates::lossy(bytes), f),
            Self::Bytes(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            Self::List(list) => f.debug_list().entries(list.iter()).finish(),
            Self::Tuple(items) => {
                let mut tuple = f.debug_tuple("");
                items.iter().for_each(|item| {
                    tuple.field(item);
                });
                match items.is_empty() {
                    true => f.write_str("()"),
                    false => tuple.finish(),
                }
            }
            Self::Dict(dict) => fmt::Debug::fmt(dict, f),
            Self::Set(set) => fmt::Debug::fmt(set, f),
        }
    }
}

impl fmt::Debug for ArchivedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl fmt::Debug for ArchivedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

const _: () = assert!(LIST < TUPLE);
