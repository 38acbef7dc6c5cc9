//! Finding an entry by a key that is given as text.

use std::collections::HashSet;

use serde_json::Value;

use super::described::{Described, IndexKind};
use super::fault::Read;
use super::sequences::Entries;
use super::serialize::Budget;
use super::source::Bytes;
use super::value::{Dynamic, View};
use crate::error::{Error, HeaderError, Result};
use crate::map::{
    INDEX_HEADER_LENGTH, Key, Line, SlotHeader, bucket_of, first_slot, home, integer_hash, mix,
    next, slot_in_part, tag, wide_hash,
};
use crate::region::format::SectionKind;
use crate::schema::{Field, FieldStyle, Shape, TypeIndex};

/// How deep a key is hashed: a value that lies deeper is not read either.
const DEPTH_LIMIT: u16 = 384;

impl Described {
    /// The value of a key, if the region holds a [`Map`](crate::Map) that has it.
    ///
    /// The key is JSON, as the key itself would be serialised: `17`, `["zlib",3]`,
    /// `{"recipe":"zlib"}`. A key that is text may stand there plainly: `zlib`.
    ///
    /// Costs what [`get`](crate::map::ArchivedMap::get) costs, since the hash of the key follows
    /// from its type. A key that a struct or enum of a user makes may have a hash of its own, so
    /// one of those that is not where its hash leads is searched for among all entries.
    ///
    /// ```
    /// # use floe::{Map, dynamic::Described};
    /// let ports = [(22_u16, "ssh".to_owned()), (80, "http".to_owned())];
    /// let frozen = Map::<u16, String>::freeze("ports", ports)?;
    /// let described = Described::of(&frozen)?;
    /// let name = described.get("80")?.expect("it is there");
    /// assert_eq!(serde_json::to_string(&name).unwrap(), r#""http""#);
    /// assert!(described.get("443")?.is_none());
    /// assert_eq!(described.nearest_keys("81", 1)?, ["80"]);
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`HeaderError::MissingSection`] if the region holds no map; [`Error::Invalid`] if index or
    /// archive do not hold what the schema says.
    pub fn get(&self, key: &str) -> Result<Option<Dynamic<'_>>> {
        let entries = self.keyed()?;
        let wanted = Wanted::readings(self, entries.key_type(), key);
        let found = self.find(&entries, wanted);
        found.map_err(|fault| self.archive().error(*fault))
    }

    /// The same of a key that is JSON without exception: a text stands in quotes, so that a number is
    /// not taken for one. What is no JSON is no key.
    ///
    /// ```
    /// # use floe::{Map, dynamic::Described};
    /// let frozen = Map::freeze("texts", [("80".to_owned(), 1_u8)])?;
    /// let described = Described::of(&frozen)?;
    /// assert!(described.get_json(r#""80""#)?.is_some());
    /// assert!(described.get("80")?.is_some() && described.get_json("80")?.is_none());
    /// # Ok::<(), floe::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_json(&self, key: &str) -> Result<Option<Dynamic<'_>>> {
        let entries = self.keyed()?;
        let wanted = Wanted::of_json(key);
        let wanted = wanted.filter(|it| it.value.is_string() || !self.is_text(entries.key_type()));
        let found = self.find(&entries, wanted.into_iter());
        found.map_err(|fault| self.archive().error(*fault))
    }

    pub(super) fn keyed(&self) -> Result<Entries<'_>> {
        let section = SectionKind::Index;
        self.entries()
            .ok_or(Error::Header(HeaderError::MissingSection { section }))
    }

    fn find<'a>(
        &'a self,
        entries: &Entries<'a>,
        wanted: impl Iterator<Item = Wanted>,
    ) -> Read<Option<Dynamic<'a>>> {
        let has_known_hash = self.has_known_hash(entries.key_type());
        for wanted in wanted {
            let hash = wanted.hash(self, entries.key_type());
            if let Some(hash) = hash
                && let Some(value) = self.probe(entries, hash, &wanted)?
            {
                return Ok(Some(value));
            }
            if hash.is_some() && has_known_hash {
                continue;
            }
            let mut all = entries.clone();
            while let Some(entry) = all.read_next() {
                let (key, value) = entry?;
                if wanted.is(&key) {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    /// Looks where the index leads to.
    fn probe<'a>(
        &'a self,
        entries: &Entries<'a>,
        hash: u64,
        wanted: &Wanted,
    ) -> Read<Option<Dynamic<'a>>> {
        let (header, index) = match self.index() {
            None => return Ok(None),
            Some((IndexKind::Lines(header), index)) => (header, index),
            Some((IndexKind::Slots(header), index)) => {
                return probe_slots(entries, header, index, hash, wanted);
            }
        };
        let mut number = home(hash, header.lines);
        for _ in 0..header.lines {
            let start = INDEX_HEADER_LENGTH as u64 + number * size_of::<Line>() as u64;
            let line = Line::from_bytes(&index.array(start)?);
            for slot in line.candidates(tag(hash)) {
                let (key, value) = entries.at(line.offset(slot))?;
                if wanted.is(&key) {
                    return Ok(Some(value));
                }
            }
            if !line.overflows() {
                break;
            }
            number = next(number, header.lines);
        }
        Ok(None)
    }
}

/// Looks where hash and pilot lead to.
fn probe_slots<'a>(
    entries: &Entries<'a>,
    header: &SlotHeader,
    index: Bytes<'a>,
    hash: u64,
    wanted: &Wanted,
) -> Read<Option<Dynamic<'a>>> {
    if header.buckets == 0 {
        return Ok(None);
    }
    let bucket = bucket_of(hash, header.buckets);
    let [pilot] = index.array(INDEX_HEADER_LENGTH as u64 + bucket)?;
    let (first, slots) = (first_slot(bucket), header.slots());
    let slot = first + slot_in_part(hash, pilot, header.part_slots - 1);
    let (part, overflow) = match pilot {
        0 => (
            first..first + header.part_slots,
            slots..slots + header.overflow,
        ),
        _ => (slot..slot + 1, slots..slots),
    };
    for slot in part.chain(overflow) {
        let (key, value) = entries.in_slot(slot)?;
        if wanted.is(&key) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A key to look for.
struct Wanted {
    /// As compact JSON.
    text: String,
    value: Value,
}

impl Wanted {
    /// What a text can mean as a key of a type.
    fn readings(
        described: &Described,
        key: TypeIndex,
        text: &str,
    ) -> impl Iterator<Item = Self> + use<> {
        let value = Value::String(text.to_owned());
        let plain = Self {
            text: value.to_string(),
            value,
        };
        let readings = match (described.is_text(key), Self::of_json(text)) {
            (true, Some(parsed)) if parsed.value.is_string() => [Some(plain), Some(parsed)],
            (true, _) | (false, None) => [Some(plain), None],
            (false, Some(parsed)) => [Some(parsed), None],
        };
        readings.into_iter().flatten()
    }

    fn of_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let text = match &value {
            // Numbers of more than 64 bits are compared and hashed as text.
            Value::Number(_) => text.trim().to_owned(),
            value => value.to_string(),
        };
        Some(Self { text, value })
    }

    fn is(&self, key: &Dynamic<'_>) -> bool {
        if let (Value::String(wanted), Ok(View::Text(text))) = (&self.value, key.read()) {
            return *wanted == text;
        }
        serde_json::to_string(key).is_ok_and(|text| text == self.text)
            || serde_json::to_value(key).is_ok_and(|value| value == self.value)
    }

    /// The hash that [`Key`] gives; `None` if such a value cannot be a key of the type.
    fn hash(&self, described: &Described, key: TypeIndex) -> Option<u64> {
        let mut hasher = Hasher {
            described,
            depth: 0,
        };
        match &self.value {
            Value::Number(_) => hasher.number(key, &self.text),
            value => hasher.hash(key, value),
        }
    }
}

impl Described {
    /// The hash of a key of the archive, whose type [has a known one](Self::has_known_hash); `None`
    /// if its JSON does not tell.
    pub(super) fn hash_of(
        &self,
        key: Dynamic<'_>,
        budget: &Budget,
    ) -> serde_json::Result<Option<u64>> {
        let text = serde_json::to_string(&key.under(budget))?;
        let value = serde_json::from_str(&text)?;
        Ok(Wanted { text, value }.hash(self, key.type_index()))
    }

    /// Whether keys of a type have the hash that follows from it: a type of a user may have its
    /// own.
    pub(super) fn has_known_hash(&self, key: TypeIndex) -> bool {
        let (mut pending, mut visited) = (vec![key], HashSet::new());
        while let Some(index) = pending.pop() {
            if !visited.insert(index) {
                continue;
            }
            let described = self.archive().types.get(index);
            match &described.shape {
                Shape::Unit | Shape::Bool | Shape::Char | Shape::Unsigned | Shape::Signed => {}
                Shape::String | Shape::Str => {}
                Shape::Vec { item } | Shape::Slice { item } | Shape::Array { item, .. } => {
                    pending.push(*item);
                }
                Shape::Box { target } | Shape::Interned { target } => pending.push(*target),
                Shape::Option { some, .. } => pending.push(*some),
                Shape::Tuple { parts } => {
                    pending.extend(parts.iter().map(|part| part.type_index));
                }
                _ => return false,
            }
        }
        true
    }

    fn is_text(&self, mut index: TypeIndex) -> bool {
        let types = self.archive().types;
        // Pointers may lead around in a circle.
        for _ in types.types() {
            match types.get(index).shape {
                Shape::String | Shape::Str => return true,
                Shape::Box { target } | Shape::Interned { target } => index = target,
                _ => return false,
            }
        }
        false
    }
}

/// Computes the hash of a key from its type and its JSON, as `Key` and its derive do.
struct Hasher<'a> {
    described: &'a Described,
    depth: u16,
}

impl Hasher<'_> {
    fn hash(&mut self, index: TypeIndex, json: &Value) -> Option<u64> {
        self.deeper(|hasher| hasher.hash_here(index, json))
    }

    /// Pointers may lead around in a circle without any JSON between them.
    fn deeper(&mut self, hash: impl FnOnce(&mut Self) -> Option<u64>) -> Option<u64> {
        if self.depth == DEPTH_LIMIT {
            return None;
        }
        self.depth += 1;
        let hash = hash(self);
        self.depth -= 1;
        hash
    }

    fn hash_here(&mut self, index: TypeIndex, json: &Value) -> Option<u64> {
        let described = self.described;
        match &described.archive().types.get(index).shape {
            Shape::Unit => json.is_null().then_some(0),
            Shape::Bool => Some(json.as_bool()?.key_hash()),
            Shape::Char => Some(json.as_str()?.parse::<char>().ok()?.key_hash()),
            Shape::Unsigned | Shape::Signed => self.number(index, &json.to_string()),
            Shape::String | Shape::Str => Some(json.as_str()?.key_hash()),
            Shape::Vec { item } | Shape::Slice { item } | Shape::Array { item, .. } => {
                self.items(*item, json.as_array()?)
            }
            Shape::Box { target } | Shape::Interned { target } => self.hash(*target, json),
            Shape::Option { .. } if json.is_null() => Some(0),
            Shape::Option { some, .. } => Some(mix(self.hash(*some, json)?, 1)),
            Shape::Tuple { parts } => self.joined(0, parts, json.as_array()?),
            Shape::Struct { style, fields } => self.fields(0, *style, fields, json),
            Shape::Enum { variants } => {
                let (name, content) = match json {
                    Value::String(name) => (name, &Value::Null),
                    other => other.as_object()?.iter().next()?,
                };
                let position = variants.iter().position(|it| it.name == *name)?;
                let (start, variant) = (mix(0, position as u64 + 1), &variants[position]);
                self.fields(start, variant.style, &variant.fields, content)
            }
            _ => None,
        }
    }

    /// The hash of an integer, which may have more bits than a JSON value can hold.
    fn number(&mut self, index: TypeIndex, text: &str) -> Option<u64> {
        let described = self.described.archive().types.get(index);
        let (low, high) = match described.shape {
            Shape::Unsigned => {
                let number: u128 = text.parse().ok()?;
                (number as u64, (number >> 64) as u64)
            }
            Shape::Signed => {
                let number: i128 = text.parse().ok()?;
                (number as u64, (number >> 64) as u64)
            }
            Shape::Box { target } | Shape::Interned { target } => {
                return self.deeper(|hasher| hasher.number(target, text));
            }
            Shape::Option { some, .. } => {
                let hash = self.deeper(|hasher| hasher.number(some, text))?;
                return Some(mix(hash, 1));
            }
            _ => return self.hash(index, &serde_json::from_str(text).ok()?),
        };
        Some(match described.size {
            16 => wide_hash(low, high),
            _ => integer_hash(low),
        })
    }

    fn items(&mut self, item: TypeIndex, items: &[Value]) -> Option<u64> {
        let described = self.described.archive().types.get(item);
        if described.shape == Shape::Unsigned && described.size == 1 {
            let byte = |item: &Value| u8::try_from(item.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = items.iter().map(byte).collect();
            return Some(u8::slice_hash(&bytes?));
        }
        items.iter().try_fold(items.len() as u64, |hash, value| {
            Some(mix(hash, self.hash(item, value)?))
        })
    }

    fn fields(
        &mut self,
        start: u64,
        style: FieldStyle,
        fields: &[Field],
        json: &Value,
    ) -> Option<u64> {
        match style {
            FieldStyle::Unit => self.joined(start, fields, []),
            FieldStyle::Tuple if fields.len() == 1 => self.joined(start, fields, [json]),
            FieldStyle::Tuple => self.joined(start, fields, json.as_array()?),
            FieldStyle::Named => {
                let values = fields.iter().map(|field| json.get(&field.name));
                let values: Option<Vec<&Value>> = values.collect();
                self.joined(start, fields, values?)
            }
        }
    }

    /// The hashes of fields, joined in their order; as many values are needed.
    fn joined<'v, I>(&mut self, start: u64, fields: &[Field], values: I) -> Option<u64>
    where
        I: IntoIterator<Item = &'v Value, IntoIter: ExactSizeIterator>,
    {
        let values = values.into_iter();
        if values.len() != fields.len() {
            return None;
        }
        let mut pairs = fields.iter().zip(values);
        pairs.try_fold(start, |hash, (field, value)| {
            Some(mix(hash, self.hash(field.type_index, value)?))
        })
    }
}
