//! Checking the sections of a map that comes from elsewhere.
#![allow(unsafe_code)]

use rkyv::Archive;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{BoxedError, Strategy};
use rkyv::validation::ArchiveContextExt;

use super::entry::{Entry, HEAD, head_is_garbage, head_length};
use super::index::{HEAD_LENGTH, IndexHead, Line, home, most_steps, next, tag};
use super::key::Key;
use crate::archive::{CheckStrategy, Collections, Validator};
use crate::error::Error;
use crate::format::SectionKind;
use crate::schema::Description;

/// Why a map is not valid, and in which of its sections.
pub(crate) enum Problem {
    Archive(String),
    Index(String),
}

impl Problem {
    pub(crate) fn in_cache(self, name: String) -> Error {
        let (section, reason) = match self {
            Self::Archive(reason) => (SectionKind::Archive, reason),
            Self::Index(reason) => (SectionKind::Index, reason),
        };
        Error::Invalid {
            name,
            section,
            reason,
        }
    }
}

/// What a walk over the entries of an archive section counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) entries: u64,
    pub(crate) garbage: u64,
}

/// Checks every entry of the archive section, and that the index leads to each live entry and
/// nowhere else.
///
/// `description` is that of the map.
pub(crate) fn check<K, V>(
    archive: &[u8],
    index: &[u8],
    description: &Description,
) -> Result<(), Problem>
where
    K: Archive<Archived: CheckBytes<CheckStrategy> + Key>,
    V: Archive<Archived: CheckBytes<CheckStrategy>>,
{
    let head = IndexHead::decode(index).map_err(|problem| Problem::Index(problem.to_owned()))?;
    let (lines, _) = index[HEAD_LENGTH..].as_chunks();
    let taken = check_lines(lines).map_err(|problem| Problem::Index(problem.to_owned()))?;
    let mut search = Search {
        lines,
        steps_left: most_steps(head.lines),
    };
    let counted = check_entries::<K, V>(archive, description, |offset, key| {
        search.expect(key.key_hash(), offset)
    })?;
    if (head.entries, head.garbage) != (counted.entries, counted.garbage) || taken != head.entries {
        return Err(Problem::Index(format!(
            "it counts {} entries, {taken} taken slots and {} bytes of garbage, where the archive has {} entries and {} bytes of garbage",
            head.entries, head.garbage, counted.entries, counted.garbage
        )));
    }
    Ok(())
}

/// Checks every entry of an archive section; `live` is shown those that are not garbage.
pub(crate) fn check_entries<K, V>(
    archive: &[u8],
    description: &Description,
    mut live: impl FnMut(u64, &K::Archived) -> Result<(), Problem>,
) -> Result<Counted, Problem>
where
    K: Archive<Archived: CheckBytes<CheckStrategy>>,
    V: Archive<Archived: CheckBytes<CheckStrategy>>,
{
    let mut validator = Validator::new(archive);
    let mut collections = Collections::new(description, archive);
    let mut counted = Counted {
        entries: 0,
        garbage: 0,
    };
    let mut offset = 0;
    while offset < archive.len() {
        let at = |reason| Problem::Archive(format!("entry at offset {offset}: {reason}"));
        let (length, garbage) = frame::<K, V>(&archive[offset..]).map_err(at)?;
        validator.enter(&archive[offset..offset + length], HEAD);
        if garbage {
            counted.garbage += length as u64;
        } else {
            let key = check_entry::<K, V>(&archive[offset..], &mut validator).map_err(at)?;
            let checked = collections.check(offset);
            checked.map_err(|refusal| at(refusal.to_string()))?;
            live(offset as u64, key)?;
            counted.entries += 1;
        }
        offset += length;
    }
    Ok(counted)
}

/// Checks what the lines of an index say by themselves; returns how many slots are taken.
fn check_lines(lines: &[[u8; 64]]) -> Result<u64, &'static str> {
    let (mut taken, mut ends) = (0, false);
    for line in lines.iter().map(Line::from_bytes) {
        if line.has_stray_offset() {
            return Err("an empty slot has an offset");
        }
        if line.overflows() && !line.is_full() {
            return Err("a line overflows that is not full");
        }
        taken += line.taken();
        ends |= !line.overflows();
    }
    if !ends {
        return Err("all its lines overflow");
    }
    Ok(taken)
}

/// Length of the entry at the start of `archive`, and whether it is garbage.
fn frame<K: Archive, V: Archive>(archive: &[u8]) -> Result<(usize, bool), String> {
    let Some(head) = archive.first_chunk() else {
        return Err("it has no room for its head".to_owned());
    };
    let head = u32::from_le_bytes(*head);
    let length = head_length(head) as usize;
    if length < Entry::<K, V>::SIZE || length > archive.len() {
        return Err(format!(
            "its length of {length} bytes is not between {} and the {} that are left",
            Entry::<K, V>::SIZE,
            archive.len()
        ));
    }
    Ok((length, head_is_garbage(head)))
}

/// Checks key and value of the entry at the start of `archive`, whose frame was checked.
fn check_entry<'a, K, V>(
    archive: &'a [u8],
    validator: &mut Validator,
) -> Result<&'a K::Archived, String>
where
    K: Archive<Archived: CheckBytes<CheckStrategy>>,
    V: Archive<Archived: CheckBytes<CheckStrategy>>,
{
    let entry: *const Entry<K, V> = archive.as_ptr().cast();
    let context = Strategy::<Validator, BoxedError>::wrap(validator);
    // SAFETY: `frame` checked that an `Entry` fits into `archive`, so both field pointers stay in
    // it, and `in_subtree` runs the closures only on aligned pointers within the whole archive.
    // The key is readable as a reference once it was checked.
    unsafe {
        let (key, value) = (&raw const (*entry).key, &raw const (*entry).value);
        context
            .in_subtree(key, |context| K::Archived::check_bytes(key, context))
            .map_err(|error| format!("key: {error}"))?;
        context
            .in_subtree(value, |context| V::Archived::check_bytes(value, context))
            .map_err(|error| format!("value: {error}"))?;
        Ok(&*key)
    }
}

/// Searches a table that may lie, in bounded time.
struct Search<'a> {
    lines: &'a [[u8; 64]],
    steps_left: u64,
}

impl Search<'_> {
    /// Finds the slot of the entry at `offset`, as a lookup of its key would.
    fn expect(&mut self, hash: u64, offset: u64) -> Result<(), Problem> {
        let lines = self.lines.len() as u64;
        let mut number = home(hash, lines);
        loop {
            let line = Line::from_bytes(&self.lines[number as usize]);
            if line.has(tag(hash), offset) {
                return Ok(());
            }
            if !line.overflows() {
                let reason = format!("it does not lead to the entry at offset {offset}");
                return Err(Problem::Index(reason));
            }
            let Some(left) = self.steps_left.checked_sub(1) else {
                let reason = "its entries stand too far from their home lines";
                return Err(Problem::Index(reason.to_owned()));
            };
            self.steps_left = left;
            number = next(number, lines);
        }
    }
}
