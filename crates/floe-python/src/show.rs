//! The text that shows a value, as Python shows one: written in one go, without copies of it.

use std::fmt::Write;

use floe::value::{ArchivedList, View};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use crate::keys::{keys_of, values_of};
use crate::methods::items_of;
use crate::raw::{Held, Which};

pub(crate) fn show(which: Which, held: Held<'_, '_>) -> PyResult<String> {
    let mut text = String::new();
    match which {
        Which::Dict | Which::List | Which::Set => value(held, &mut text)?,
        Which::Keys => {
            text.push_str("FrozenKeys([");
            row(held.parts(keys_of), &mut text)?;
            text.push_str("])");
        }
        Which::Values => {
            text.push_str("FrozenValues([");
            row(held.parts(values_of), &mut text)?;
            text.push_str("])");
        }
        Which::Items => {
            text.push_str("FrozenItems([");
            for (number, (key, item)) in crate::methods::pairs(held).enumerate() {
                text.push_str(if number > 0 { ", (" } else { "(" });
                row([key, item].into_iter(), &mut text)?;
                text.push(')');
            }
            text.push_str("])");
        }
    }
    Ok(text)
}

fn row<'a, 'py>(parts: impl Iterator<Item = Held<'a, 'py>>, text: &mut String) -> PyResult<()> {
    for (number, part) in parts.enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        value(part, text)?;
    }
    Ok(())
}

fn value(held: Held<'_, '_>, text: &mut String) -> PyResult<()> {
    match held.value().view() {
        View::None => text.push_str("None"),
        View::Bool(true) => text.push_str("True"),
        View::Bool(false) => text.push_str("False"),
        View::Int(number) => write(text, number),
        View::Text(plain) if is_plain(plain) => {
            text.push('\'');
            text.push_str(plain);
            text.push('\'');
        }
        View::Dict(_) => {
            text.push('{');
            for (number, (key, item)) in crate::methods::pairs(held).enumerate() {
                if number > 0 {
                    text.push_str(", ");
                }
                value(key, text)?;
                text.push_str(": ");
                value(item, text)?;
            }
            text.push('}');
        }
        View::List(ArchivedList::Values(_)) => {
            text.push('[');
            row(held.parts(items_of), text)?;
            text.push(']');
        }
        View::List(packed) => {
            text.push('[');
            for (number, item) in packed.iter().enumerate() {
                if number > 0 {
                    text.push_str(", ");
                }
                match item {
                    View::Int(number) => write(text, number),
                    View::Float(number) => {
                        text.push_str(PyFloat::new(held.py(), number).repr()?.to_str()?);
                    }
                    _ => {}
                }
            }
            text.push(']');
        }
        View::Tuple(items) => {
            text.push('(');
            row(held.parts(items_of), text)?;
            text.push_str(if items.len() == 1 { ",)" } else { ")" });
        }
        View::Set(set) => {
            let (open, close) = match (set.is_frozen(), set.is_empty()) {
                (true, true) => ("frozenset(", ")"),
                (false, true) => ("set(", ")"),
                (true, false) => ("frozenset({", "})"),
                (false, false) => ("{", "}"),
            };
            text.push_str(open);
            row(held.parts(keys_of), text)?;
            text.push_str(close);
        }
        _ => text.push_str(held.object()?.repr()?.to_str()?),
    }
    Ok(())
}

fn write(text: &mut String, number: i64) {
    // Writing to a text cannot fail.
    let _ = write!(text, "{number}");
}

/// Whether it shows as it is, between quotes.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'\'' && byte != b'\\')
}
