//! Keys to look for, and whether a frozen value is one.
#![forbid(unsafe_code)]

use super::Value;
use super::archived::View;
use super::format;
use super::number::{BigInt, Whole, whole};
use super::raw::ArchivedValue;

/// A key to look for in a dict or set.
///
/// ```
/// use floe::Frozen;
/// use floe::value::{KeyRef, Value};
///
/// let squares = Value::dict([(Value::from(3), 9), (Value::tuple([1, 2]), 0)]);
/// let squares = Frozen::freeze("squares", &squares)?;
/// let squares = squares.as_dict().unwrap();
/// assert_eq!(squares.get_value(3).unwrap().as_i64(), Some(9));
/// assert!(squares.get_value(3.0).is_some());
/// assert!(squares.get_value(&[KeyRef::from(1), KeyRef::from(2)][..]).is_some());
/// # Ok::<(), floe::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum KeyRef<'k> {
    /// Nothing.
    None,
    /// True or false, which are 1 and 0.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer of any size, as two's complement bytes, the lowest first.
    BigInt(&'k [u8]),
    /// A float; a NaN is no key.
    Float(f64),
    /// A text.
    Text(&'k str),
    /// A text with lone surrogates, encoded as UTF-8 in which each of them is three bytes.
    TextWithSurrogates(&'k [u8]),
    /// A byte string.
    Bytes(&'k [u8]),
    /// A tuple of keys.
    Tuple(&'k [KeyRef<'k>]),
    /// Any value that can be a key.
    Value(&'k Value),
}

/// A number as it is compared: one that is whole as an integer.
#[derive(Debug, PartialEq)]
pub(super) enum Number {
    Whole(Whole),
    Fraction(f64),
}

impl Number {
    pub(super) fn float(number: f64) -> Self {
        whole(number).map_or(Self::Fraction(number), Self::Whole)
    }

    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::Whole(match BigInt::from_bytes(bytes) {
            Ok(big) => Whole::Big(big),
            Err(small) => Whole::Small(small),
        })
    }

    pub(super) fn integer(number: i64) -> Self {
        Self::Whole(Whole::Small(number))
    }

    fn hash(&self) -> Option<u64> {
        match self {
            Self::Whole(Whole::Small(number)) => Some(format::int_hash(*number)),
            Self::Whole(Whole::Big(number)) => Some(format::big_hash(number.as_bytes())),
            Self::Fraction(number) => format::float_hash(*number),
        }
    }

    /// The number that a frozen value is.
    pub(super) fn of(view: View<'_>) -> Option<Self> {
        Some(match view {
            View::Bool(flag) => Self::integer(flag.into()),
            View::Int(number) => Self::integer(number),
            View::BigInt(bytes) => Self::bytes(bytes),
            View::Float(number) => Self::float(number),
            _ => return None,
        })
    }
}

impl KeyRef<'_> {
    pub(super) fn number(&self) -> Option<Number> {
        Some(match self {
            Self::Bool(flag) => Number::integer((*flag).into()),
            Self::Int(number) => Number::integer(*number),
            Self::BigInt(bytes) => Number::bytes(bytes),
            Self::Float(number) => Number::float(*number),
            Self::Value(Value::Bool(flag)) => Number::integer((*flag).into()),
            Self::Value(Value::Int(number)) => Number::integer(*number),
            Self::Value(Value::BigInt(number)) => Number::bytes(number.as_bytes()),
            Self::Value(Value::Float(number)) => Number::float(*number),
            _ => return None,
        })
    }

    /// The hash; `None` for what is no key.
    pub(super) fn hash(&self) -> Option<u64> {
        if let Some(number) = self.number() {
            return number.hash();
        }
        let all = |items: &[Value]| -> Option<Vec<u64>> {
            items
                .iter()
                .map(|item| KeyRef::Value(item).hash())
                .collect()
        };
        match self {
            Self::None | Self::Value(Value::None) => Some(format::none_hash()),
            Self::Text(text) => Some(format::text_hash(text.as_bytes())),
            Self::TextWithSurrogates(bytes) => Some(format::text_hash(bytes)),
            Self::Bytes(bytes) => Some(format::bytes_hash(bytes)),
            Self::Tuple(items) => {
                let hashes: Option<Vec<u64>> = items.iter().map(KeyRef::hash).collect();
                Some(format::tuple_hash(hashes?.into_iter()))
            }
            Self::Value(Value::Text(text)) => Some(format::text_hash(text.as_bytes())),
            Self::Value(Value::TextWithSurrogates(bytes)) => Some(format::text_hash(bytes)),
            Self::Value(Value::Bytes(bytes)) => Some(format::bytes_hash(bytes)),
            Self::Value(Value::Tuple(items)) => Some(format::tuple_hash(all(items)?.into_iter())),
            Self::Value(Value::FrozenSet(items)) => Some(format::set_hash(all(items)?.into_iter())),
            _ => None,
        }
    }

    /// Whether a frozen value is equal.
    pub(super) fn is(&self, found: &ArchivedValue) -> bool {
        if let Some(number) = self.number() {
            return Number::of(found.view()) == Some(number);
        }
        match (self, found.view()) {
            (Self::None | Self::Value(Value::None), View::None) => true,
            (Self::Text(text), View::Text(found)) => *text == found,
            (Self::Value(Value::Text(text)), View::Text(found)) => text == found,
            (Self::TextWithSurrogates(bytes), View::TextWithSurrogates(found)) => *bytes == found,
            (Self::Value(Value::TextWithSurrogates(bytes)), View::TextWithSurrogates(found)) => {
                bytes == found
            }
            (Self::Bytes(bytes), View::Bytes(found)) => *bytes == found,
            (Self::Value(Value::Bytes(bytes)), View::Bytes(found)) => bytes == found,
            (Self::Tuple(items), View::Tuple(found)) => {
                items.len() == found.len()
                    && items.iter().zip(found).all(|(item, found)| item.is(found))
            }
            (Self::Value(Value::Tuple(items)), View::Tuple(found)) => {
                let mut pairs = items.iter().zip(found);
                items.len() == found.len()
                    && pairs.all(|(item, found)| KeyRef::Value(item).is(found))
            }
            (Self::Value(Value::FrozenSet(items)), View::Set(found)) => {
                items.len() == found.len() && items.iter().all(|item| found.contains_value(item))
            }
            _ => false,
        }
    }
}

impl<'k> From<&'k String> for KeyRef<'k> {
    fn from(key: &'k String) -> Self {
        Self::Text(key)
    }
}

macro_rules! keys_from {
    ($($from:ty => $kind:ident;)*) => {$(
        impl<'k> From<$from> for KeyRef<'k> {
            fn from(key: $from) -> Self {
                Self::$kind(key.into())
            }
        }
    )*};
}

keys_from! {
    bool => Bool;
    i32 => Int;
    u32 => Int;
    i64 => Int;
    f64 => Float;
    &'k str => Text;
    &'k [u8] => Bytes;
    &'k [KeyRef<'k>] => Tuple;
    &'k Value => Value;
}
