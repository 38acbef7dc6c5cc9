//! How frozen values show themselves for whoever looks for a fault.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;

use super::archived::{ArchivedList, View};
use super::dict::{ArchivedDict, ArchivedSet};
use super::raw::ArchivedValue;
use super::{number, surrogates};

/// Values and bytes of text after which no further item is shown: shared parts are shown at each use,
/// which could be endless.
const LIMIT: usize = 1 << 20;

/// A value, and how much may still be shown.
struct Shown<'a, 'b>(View<'a>, &'b Cell<usize>);

impl fmt::Debug for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(view, left) = self;
        let spend = |bytes: usize| left.set(left.get().saturating_sub(1 + bytes));
        let part = |value| Shown(value, left);
        match view {
            View::None => f.write_str("None"),
            View::Bool(flag) => fmt::Debug::fmt(flag, f),
            View::Int(number) => fmt::Debug::fmt(number, f),
            View::BigInt(bytes) => {
                spend(3 * bytes.len());
                number::write_digits(bytes, f)
            }
            View::Float(number) => fmt::Debug::fmt(number, f),
            View::Text(text) => {
                spend(text.len());
                fmt::Debug::fmt(text, f)
            }
            View::TextWithSurrogates(bytes) => {
                spend(bytes.len());
                fmt::Debug::fmt(&surrogates::lossy(bytes), f)
            }
            View::Bytes(bytes) => {
                spend(bytes.len());
                write!(f, "b\"{}\"", bytes.escape_ascii())
            }
            View::List(list) => {
                let mut shown = f.debug_list();
                for item in list.iter() {
                    if left.get() == 0 {
                        return shown.finish_non_exhaustive();
                    }
                    spend(0);
                    shown.entry(&part(item));
                }
                shown.finish()
            }
            View::Tuple([]) => f.write_str("()"),
            View::Tuple(items) => {
                let mut shown = f.debug_tuple("");
                for item in *items {
                    if left.get() == 0 {
                        return shown.finish_non_exhaustive();
                    }
                    spend(0);
                    shown.field(&part(item.view()));
                }
                shown.finish()
            }
            View::Dict(dict) => {
                let mut shown = f.debug_map();
                for (key, value) in dict.iter() {
                    if left.get() == 0 {
                        return shown.finish_non_exhaustive();
                    }
                    spend(1);
                    shown.entry(&part(key.view()), &part(value.view()));
                }
                shown.finish()
            }
            View::Set(set) => {
                let mut shown = f.debug_set();
                for item in set.items() {
                    if left.get() == 0 {
                        return shown.finish_non_exhaustive();
                    }
                    spend(0);
                    shown.entry(&part(item.view()));
                }
                shown.finish()
            }
        }
    }
}

/// As Python shows it: up to 2^20 values and bytes of text, `..` in the place of further items.
impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(*self, &Cell::new(LIMIT)).fmt(f)
    }
}

/// As [`View`] does.
impl fmt::Debug for ArchivedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// As [`View`] does.
impl fmt::Debug for ArchivedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        View::List(*self).fmt(f)
    }
}

/// As [`View`] does.
impl fmt::Debug for ArchivedDict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        View::Dict(*self).fmt(f)
    }
}

/// As [`View`] does.
impl fmt::Debug for ArchivedSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        View::Set(*self).fmt(f)
    }
}
