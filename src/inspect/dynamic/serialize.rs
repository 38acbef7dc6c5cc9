//! Values in serde's terms, as the Rust values would say it themselves.

use std::cell::Cell;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, SerializeTuple, Serializer};

use super::fault::{Fault, FaultKind, Read};
use super::sequences::{Entries, Fields, Items};
use super::value::{Dynamic, View};
use crate::schema::FieldStyle;

/// What one serialisation may expand to beyond a multiple of its archive: shared values are
/// written at every use, and a hostile archive could make that endless.
const EXPANSION_LIMIT: u64 = 1 << 28;
const EXPANSION_FACTOR: u64 = 64;

impl Serialize for Dynamic<'_> {
    /// Fails if the archive does not hold what the schema says, and if shared values expand to
    /// more than 64 times the archive and 2^28 values and bytes of text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let most = EXPANSION_FACTOR
            .saturating_mul(self.archive.length())
            .saturating_add(EXPANSION_LIMIT);
        self.under(&Budget::new(most)).serialize(serializer)
    }
}

/// What may still be expanded.
pub(super) struct Budget {
    left: Cell<u64>,
    most: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        let left = Cell::new(most);
        Self { left, most }
    }

    fn spend(&self, amount: u64, at: u64) -> Read<()> {
        let left = self.left.get().checked_sub(amount);
        let most = self.most;
        self.left
            .set(left.ok_or_else(|| Fault::new(at, FaultKind::Expansion { most }))?);
        Ok(())
    }
}

impl<'a> Dynamic<'a> {
    /// Serialises what the budget, which other values may share, has room for.
    pub(super) fn under<'b>(self, budget: &'b Budget) -> Walk<'a, 'b> {
        Walk {
            value: self,
            budget,
        }
    }

    fn refused<E: Error>(&self) -> impl Fn(Box<Fault>) -> E + use<'a, E> {
        let archive = self.archive;
        move |fault| E::custom(archive.error(*fault))
    }
}

/// A value, and what its serialisation may still expand to.
pub(super) struct Walk<'a, 'b> {
    value: Dynamic<'a>,
    budget: &'b Budget,
}

impl Serialize for Walk<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { value, budget } = self;
        let refused = value.refused();
        budget.spend(1, value.at).map_err(&refused)?;
        match value.read().map_err(&refused)? {
            View::Unit | View::None => serializer.serialize_unit(),
            View::Bool(flag) => serializer.serialize_bool(flag),
            View::Char(character) => serializer.serialize_char(character),
            View::Unsigned(number) => match u64::try_from(number) {
                Ok(number) => serializer.serialize_u64(number),
                Err(_) => serializer.serialize_u128(number),
            },
            View::Signed(number) => match i64::try_from(number) {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_i128(number),
            },
            View::BigInt(number) => {
                // Digits take three characters for ten bits.
                let length = number.as_bytes().len() as u64 * 3;
                budget.spend(length, value.at).map_err(&refused)?;
                serializer.collect_str(&number)
            }
            View::F32(number) => serializer.serialize_f32(number),
            View::F64(number) => serializer.serialize_f64(number),
            View::Text(text) => {
                let length = text.len() as u64;
                budget.spend(length, value.at).map_err(&refused)?;
                serializer.serialize_str(&text)
            }
            View::CString(bytes) | View::Bytes(bytes) => {
                let length = bytes.len() as u64;
                budget.spend(length, value.at).map_err(&refused)?;
                serializer.serialize_bytes(&bytes)
            }
            View::Duration(duration) => duration.serialize(serializer),
            View::IpAddr(address) => address.serialize(serializer),
            View::SocketAddr(address) => address.serialize(serializer),
            View::Sequence(items) | View::Set(items) => self.sequence(items, serializer),
            View::Map(entries) => self.map(entries, serializer),
            View::Roots(roots) => {
                let mut map = serializer.serialize_map(Some(roots.len()))?;
                for (name, root) in roots {
                    let root = root.root().map_err(S::Error::custom)?;
                    map.serialize_entry(name, &root.under(budget))?;
                }
                map.end()
            }
            View::Tuple(fields) => {
                let budget = self.budget;
                Parts { fields, budget }.serialize(serializer)
            }
            View::Struct { style, fields } => self.fields(style, fields, serializer),
            View::Enum {
                variant,
                style,
                fields,
                ..
            } => self.variant(variant, style, fields, serializer),
            View::Option(None) => serializer.serialize_none(),
            View::Option(Some(inner)) => serializer.serialize_some(&inner.under(budget)),
            View::Pointer(target) => target.under(budget).serialize(serializer),
        }
    }
}

impl<'a> Walk<'a, '_> {
    fn sequence<S: Serializer>(
        &self,
        mut items: Items<'a>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(items.remaining() as usize))?;
        while let Some(item) = items.read_next() {
            let item = item.map_err(self.value.refused())?;
            sequence.serialize_element(&item.under(self.budget))?;
        }
        sequence.end()
    }

    fn map<S: Serializer>(
        &self,
        mut entries: Entries<'a>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(entries.remaining() as usize))?;
        while let Some(entry) = entries.read_next() {
            let (key, value) = entry.map_err(self.value.refused())?;
            let key = key.under(self.budget);
            match key.is_simple().map_err(self.value.refused())? {
                true => map.serialize_key(&key)?,
                false => {
                    let text = serde_json::to_string(&key).map_err(S::Error::custom)?;
                    map.serialize_key(&text)?;
                }
            }
            map.serialize_value(&value.under(self.budget))?;
        }
        map.end()
    }

    /// Whether the value can be a key in JSON: text, a number, a flag, a variant without fields.
    fn is_simple(&self) -> Read<bool> {
        let inner = match self.value.read()? {
            View::Unit | View::None | View::CString(_) | View::Bytes(_) => return Ok(false),
            View::Duration(_) => return Ok(false),
            View::Sequence(_) | View::Set(_) | View::Map(_) | View::Roots(_) => return Ok(false),
            View::Struct {
                style: FieldStyle::Tuple,
                mut fields,
            } if fields.len() == 1 => fields.next().map(|(_, inner)| inner),
            View::Tuple(_) | View::Struct { .. } => return Ok(false),
            View::Enum { style, .. } => return Ok(style == FieldStyle::Unit),
            View::Option(inner) => inner,
            View::Pointer(inner) => Some(inner),
            _ => return Ok(true),
        };
        inner.map_or(Ok(false), |inner| inner.under(self.budget).is_simple())
    }

    fn fields<S: Serializer>(
        &self,
        style: FieldStyle,
        mut fields: Fields<'a>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match style {
            FieldStyle::Unit => serializer.serialize_unit(),
            FieldStyle::Named => Record {
                fields,
                budget: self.budget,
            }
            .serialize(serializer),
            // A struct of one part is that part, where a tuple of one is a list.
            FieldStyle::Tuple if fields.len() == 1 => {
                let only = fields.next().map(|(_, only)| only.under(self.budget));
                only.serialize(serializer)
            }
            FieldStyle::Tuple => Parts {
                fields,
                budget: self.budget,
            }
            .serialize(serializer),
        }
    }

    fn variant<S: Serializer>(
        &self,
        name: &str,
        style: FieldStyle,
        mut fields: Fields<'a>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let budget = self.budget;
        if style == FieldStyle::Unit {
            return serializer.serialize_str(name);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match style {
            FieldStyle::Named => map.serialize_entry(name, &Record { fields, budget })?,
            _ if fields.len() == 1 => {
                let only = fields.next().map(|(_, only)| only.under(budget));
                map.serialize_entry(name, &only)?;
            }
            _ => map.serialize_entry(name, &Parts { fields, budget })?,
        }
        map.end()
    }
}

/// Named fields.
struct Record<'a, 'b> {
    fields: Fields<'a>,
    budget: &'b Budget,
}

impl Serialize for Record<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.fields.clone();
        serializer.collect_map(fields.map(|(name, value)| (name, value.under(self.budget))))
    }
}

/// The parts of a tuple, or the fields of a struct or variant that is written like one.
struct Parts<'a, 'b> {
    fields: Fields<'a>,
    budget: &'b Budget,
}

impl Serialize for Parts<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.fields.len())?;
        for (_, part) in self.fields.clone() {
            tuple.serialize_element(&part.under(self.budget))?;
        }
        tuple.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen::Frozen;
    use crate::inspect::dynamic::Described;

    #[test]
    fn what_expands_too_far_is_refused() {
        let frozen = Frozen::freeze_on_heap("texts", &vec!["four".to_owned(); 3]).unwrap();
        let described = Described::of(&frozen).unwrap();
        let root = described.root().unwrap();
        let within = |most| serde_json::to_string(&root.under(&Budget::new(most)));
        // A list, and three texts of four bytes.
        assert_eq!(within(1 + 3 * 5).unwrap(), r#"["four","four","four"]"#);
        let told = within(3 * 5).unwrap_err().to_string();
        assert!(
            told.contains("more than 15 values and bytes of text"),
            "{told}"
        );
    }
}
