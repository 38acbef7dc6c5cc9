//! The check of all values and of the index, without the Rust types.

use std::borrow::Cow;
use std::collections::HashSet;

use super::archive::Run;
use super::collections::{EntryFrames, EntryLayout, Frame, FrameKind};
use super::described::{Described, IndexKind};
use super::fault::{Fault, FaultKind, Read};
use super::sequences::Items;
use super::serialize::Budget;
use super::value::{Dynamic, View};
use crate::archive::{Validator, WORD};
use crate::error::Result;
use crate::map;
use crate::map::{INDEX_HEADER_LENGTH, IndexHeader, Line, Search, SlotHeader};
use crate::schema::{Shape, TypeIndex};
use crate::value;

/// Values for each byte of the archive, and beyond that, that a check visits.
const VISITS_FACTOR: u64 = 64;
const VISITS: u64 = 1 << 24;
/// Values and bytes of text, beyond those for each byte of the archive, that all keys of a map may
/// expand to: a key is expanded to compute its hash.
const KEYS: u64 = 1 << 20;

impl Described {
    /// Checks what opening leaves open: that every value is what the schema says, and that the
    /// index of a [`Map`](crate::Map) leads to each entry and nowhere else.
    ///
    /// Every key is looked for where its hash leads, but for those that a struct or enum of a
    /// user makes: these may have a hash of their own. Digests and seals are not looked at, as
    /// all constructors but [`open`](Self::open) do. Costs 8 bytes an entry and some 24 a shared
    /// or interned value while it runs.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the first value or offset that does not fit.
    pub fn check(&self) -> Result<()> {
        for (_, root) in self.roots() {
            root.check()?;
        }
        let root = self.root()?;
        let mut values = Values {
            seen: HashSet::new(),
            self_describing: None,
            left: VISITS_FACTOR
                .saturating_mul(self.archive().length())
                .saturating_add(VISITS),
        };
        let checked = values.check(&root);
        checked.map_err(|fault| self.archive().error(*fault))?;
        match EntryLayout::new(self.archive().types, self.root_type()) {
            Some(layout) => self.check_index(layout, root),
            None => Ok(()),
        }
    }

    fn check_index(&self, layout: EntryLayout, root: Dynamic<'_>) -> Result<()> {
        let Some((kind, index)) = self.index() else {
            return Ok(());
        };
        let bytes = index.get(0, index.length());
        let bytes = bytes.map_err(|fault| self.archive().error(*fault))?;
        let keys = Keys::new(self, layout, root);
        let checked = match kind {
            IndexKind::Lines(header) => {
                let lines = bytes[INDEX_HEADER_LENGTH..].as_chunks().0;
                Slots::new(keys, lines).and_then(|slots| slots.check(header))
            }
            IndexKind::Slots(header) => keys.check_slots(header, &bytes),
        };
        checked.map_err(|problem| problem.in_cache(self.name().to_owned()))
    }
}

/// Hashes the keys of a map, as far as their hashes are known.
struct Keys<'a> {
    described: &'a Described,
    layout: EntryLayout,
    root: Dynamic<'a>,
    has_known_hash: bool,
    most: u64,
    budget: Budget,
}

impl<'a> Keys<'a> {
    fn new(described: &'a Described, layout: EntryLayout, root: Dynamic<'a>) -> Self {
        let most = VISITS_FACTOR
            .saturating_mul(described.archive().length())
            .saturating_add(KEYS);
        Self {
            described,
            layout,
            root,
            has_known_hash: described.has_known_hash(layout.types().0),
            most,
            budget: Budget::new(most),
        }
    }

    /// The hash of the key of an entry.
    fn hash(&self, frame: Frame) -> Result<Option<u64>, map::MapError> {
        if !self.has_known_hash {
            return Ok(None);
        }
        let key = Dynamic {
            type_index: self.layout.types().0,
            at: self.layout.pair(frame).key,
            ..self.root
        };
        // All keys were read before, so nothing but the budget can fail.
        let used_up = |_| {
            let most = self.most;
            map::MapError::Archive(FaultKind::Expansion { most }.to_string())
        };
        self.described.hash_of(key, &self.budget).map_err(used_up)
    }

    /// Checks an index where entries stand in slots.
    fn check_slots(&self, header: &SlotHeader, index: &[u8]) -> Result<(), map::MapError> {
        let archive = self.described.archive();
        if let Some(offset) = archive.garbage().first() {
            return Err(map::MapError::lists_no_entry(offset));
        }
        let Some(layout) = self.layout.slot() else {
            return Ok(());
        };
        let fault = |fault: Box<Fault>| map::MapError::Archive(fault.problem.to_string());
        map::check_slots(
            header,
            index,
            layout,
            |slots| {
                let (at, length) = (slots.start, slots.end - slots.start);
                archive.bytes(Run { at, length }).map_err(fault)
            },
            |offset| self.hash(self.layout.frame(archive, offset).map_err(fault)?),
        )
    }
}

/// Values that are visited, shared ones once.
struct Values<'a> {
    seen: HashSet<(u64, TypeIndex)>,
    /// The archive, and what self-describing values in it were found to lead to.
    self_describing: Option<(Cow<'a, [u8]>, Validator)>,
    left: u64,
}

impl<'a> Values<'a> {
    fn check(&mut self, value: &Dynamic<'a>) -> Read<()> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| {
            let most = VISITS_FACTOR.saturating_mul(value.archive.length());
            Fault::new(value.at, FaultKind::Expansion { most })
        })?;
        if let Shape::SelfDescribing { .. } = value.described().shape {
            return self.self_describing(value);
        }
        match value.read()? {
            View::Sequence(items) | View::Set(items) => self.items(items),
            View::Map(mut entries) => {
                while let Some(entry) = entries.read_next() {
                    let (key, value) = entry?;
                    self.check(&key)?;
                    self.check(&value)?;
                }
                Ok(())
            }
            View::Tuple(mut fields)
            | View::Struct { mut fields, .. }
            | View::Enum { mut fields, .. } => fields.try_for_each(|(_, field)| self.check(&field)),
            View::Option(Some(inner)) => self.check(&inner),
            View::Pointer(target) => match value.described().shape {
                Shape::Box { .. } => self.check(&target),
                _ => self.shared(&target),
            },
            _ => Ok(()),
        }
    }

    /// Checks a value that tells itself what it is, as readers with its type do.
    fn self_describing(&mut self, value: &Dynamic<'a>) -> Read<()> {
        let (archive, at) = (value.archive, value.at);
        if self.self_describing.is_none() {
            let bytes = archive.bytes(Run {
                at: 0,
                length: archive.length(),
            })?;
            let validator = Validator::new(&bytes);
            self.self_describing = Some((bytes, validator));
        }
        let Some((bytes, validator)) = &mut self.self_describing else {
            return Ok(());
        };
        let checked = value::check::check(bytes, at as usize, validator);
        checked.map_err(|error| Fault::new(at, FaultKind::Value(error.to_string())))
    }

    fn shared(&mut self, target: &Dynamic<'a>) -> Read<()> {
        if !self.seen.insert((target.at, target.type_index)) {
            return Ok(());
        }
        // There are no more targets than pointers, and no more pointers than have room.
        let archive = target.archive.length();
        if self.seen.len() as u64 > archive / WORD as u64 {
            return Err(Fault::new(target.at, FaultKind::Overlap { archive }));
        }
        self.check(target)
    }

    fn items(&mut self, mut items: Items<'a>) -> Read<()> {
        while let Some(item) = items.read_next() {
            let item = item?;
            // Any bytes are a number, and there can be very many of them.
            if let Shape::Unsigned | Shape::Signed | Shape::Float = item.described().shape {
                return Ok(());
            }
            self.check(&item)?;
        }
        Ok(())
    }
}

/// The slots of an index, beside the entries that they should lead to.
struct Slots<'a> {
    keys: Keys<'a>,
    search: Search<'a>,
    /// The offsets in all slots, ascending.
    offsets: Vec<u64>,
}

impl<'a> Slots<'a> {
    fn new(keys: Keys<'a>, lines: &'a [[u8; 64]]) -> Result<Self, map::MapError> {
        map::check_lines(lines).map_err(|problem| map::MapError::Index(problem.to_owned()))?;
        let lines_offsets = |line| Line::from_bytes(line).offsets().collect::<Vec<u64>>();
        let mut offsets: Vec<u64> = lines.iter().flat_map(lines_offsets).collect();
        offsets.sort_unstable();
        Ok(Self {
            keys,
            search: Search::new(lines),
            offsets,
        })
    }

    /// Goes through slots and entries side by side.
    fn check(mut self, header: &IndexHeader) -> Result<(), map::MapError> {
        let archive = self.keys.described.archive();
        let (mut entries, mut garbage) = (0, 0);
        let keys = &self.keys;
        let mut frames = EntryFrames::new(archive, keys.layout, keys.root.at, archive.length());
        for frame in &mut frames {
            let frame = frame.map_err(|fault| map::MapError::Archive(fault.problem.to_string()))?;
            if frame.kind == FrameKind::Garbage {
                garbage += frame.length;
                continue;
            }
            match self.offsets.get(entries) {
                Some(offset) if *offset == frame.at => entries += 1,
                Some(offset) if *offset < frame.at => return Err(leads_nowhere(*offset)),
                _ => return Err(leads_not_to(frame.at)),
            }
            if let Some(hash) = self.keys.hash(frame)? {
                self.search.expect(hash, frame.at)?;
            }
        }
        if let Some(offset) = frames.not_met() {
            return Err(map::MapError::lists_no_entry(offset));
        }
        match self.offsets.get(entries) {
            Some(offset) => Err(leads_nowhere(*offset)),
            None if (header.entries, header.garbage) == (entries as u64, garbage) => Ok(()),
            None => Err(map::MapError::Index(format!(
                "it counts {} entries and {} bytes of garbage, where the archive has {entries} \
                 and {garbage}",
                header.entries, header.garbage
            ))),
        }
    }
}

fn leads_nowhere(offset: u64) -> map::MapError {
    map::MapError::Index(format!(
        "it leads to offset {offset} twice, or where no entry starts"
    ))
}

fn leads_not_to(entry: u64) -> map::MapError {
    map::MapError::Index(format!("it does not lead to the entry at offset {entry}"))
}
