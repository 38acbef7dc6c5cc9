//! Checking the sections of a map that comes from elsewhere.
#![allow(unsafe_code)]

use rkyv::Archive;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{BoxedError, Strategy};
use rkyv::validation::ArchiveContextExt;

use super::entry::{Entry, HEAD, entry_alignment, head_is_garbage, head_length};
use super::index::{HEAD_LENGTH, IndexHead, Line, home, most_steps, next, tag};
use super::key::Key;
use crate::archive::{CheckStrategy, Collections, Seen, Validator};
use crate::error::Error;
use crate::region::format::SectionKind;
use crate::schema::{Description, Shape};

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
    let mut search = Search::new(lines);
    let mut counted = EntryCheck::default();
    counted.go_on::<K, V>(archive, description, |offset, key| {
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

/// Whether entries point to nothing in other entries, by their description.
pub(crate) fn entries_are_independent(description: &Description) -> bool {
    let interned = |shape: &Shape| matches!(shape, Shape::Interned { .. });
    !description.types.iter().any(|it| interned(&it.shape))
}

/// Checks the entries of an archive section, which may grow meanwhile.
#[derive(Debug, Default)]
pub(crate) struct EntryCheck {
    /// Archive offset behind the last entry that was checked.
    offset: usize,
    /// Entries that are not garbage.
    entries: u64,
    /// Bytes of those that are.
    garbage: u64,
    validator: Validator,
    seen: Seen,
    /// A check is running, or did not come to a good end. It left shared values started that
    /// nobody has found valid, so there is no going on.
    broken: bool,
}

impl EntryCheck {
    /// Checks every entry from where the last call ended to the end of `archive`, whose bytes
    /// before that have not changed; `live` is shown those that are not garbage.
    ///
    /// After an entry was refused, or `live` panicked, everything is refused.
    pub(crate) fn go_on<K, V>(
        &mut self,
        archive: &[u8],
        description: &Description,
        mut live: impl FnMut(u64, &K::Archived) -> Result<(), Problem>,
    ) -> Result<(), Problem>
    where
        K: Archive<Archived: CheckBytes<CheckStrategy>>,
        V: Archive<Archived: CheckBytes<CheckStrategy>>,
    {
        if std::mem::replace(&mut self.broken, true) {
            let reason = "an entry was refused before".to_owned();
            return Err(Problem::Archive(reason));
        }
        self.validator.grow(archive);
        let shared = !entries_are_independent(description);
        let alignment = entry_alignment(description);
        let seen = std::mem::take(&mut self.seen);
        let mut collections = Collections::resume(description, archive, seen);
        while self.offset < archive.len() {
            let offset = self.offset;
            let at = |reason| Problem::Archive(format!("entry at offset {offset}: {reason}"));
            let (length, garbage) = frame::<K, V>(&archive[offset..], alignment).map_err(at)?;
            self.validator.enter(offset..offset + length, HEAD);
            if shared {
                self.validator.share(offset);
            }
            if garbage {
                self.garbage += length as u64;
            } else {
                let key = check_entry::<K, V>(&archive[offset..], &mut self.validator);
                let key = key.map_err(at)?;
                let checked = collections.check(offset);
                checked.map_err(|refusal| at(refusal.to_string()))?;
                live(offset as u64, key)?;
                self.entries += 1;
            }
            self.offset += length;
        }
        self.seen = collections.into_seen();
        self.broken = false;
        Ok(())
    }

    /// Archive offset behind the last entry that was checked.
    pub(crate) fn offset(&self) -> u64 {
        self.offset as u64
    }

    /// Goes on behind entries that were checked elsewhere, up to the archive offset `end`; they
    /// are those that start at `entries`, and garbage. The head of garbage changes no more, so that
    /// values may lead to its bytes.
    pub(crate) fn skip_to(
        &mut self,
        end: u64,
        description: &Description,
        entries: impl Iterator<Item = u64>,
    ) {
        self.offset = end as usize;
        if !entries_are_independent(description) {
            entries.for_each(|start| self.validator.share(start as usize));
        }
    }
}

/// Checks what the lines of an index say by themselves; returns how many slots are taken.
pub(crate) fn check_lines(lines: &[[u8; 64]]) -> Result<u64, &'static str> {
    let (mut taken, mut ends) = (0, false);
    for line in lines.iter().map(Line::from_bytes) {
        if line.has_stray_bytes() {
            return Err("an empty slot has an offset, or padding is not zero");
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
///
/// Lengths are multiples of the map's alignment, those of garbage too, so that the next entry is
/// aligned, and a block of entries behind this archive.
fn frame<K: Archive, V: Archive>(archive: &[u8], alignment: u64) -> Result<(usize, bool), String> {
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
    if !(length as u64).is_multiple_of(alignment) {
        return Err(format!(
            "its length of {length} bytes is not a multiple of {alignment}"
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
pub(crate) struct Search<'a> {
    lines: &'a [[u8; 64]],
    steps_left: u64,
}

impl<'a> Search<'a> {
    pub(crate) fn new(lines: &'a [[u8; 64]]) -> Self {
        let steps_left = most_steps(lines.len() as u64);
        Self { lines, steps_left }
    }

    /// Finds the slot of the entry at `offset`, as a lookup of its key would.
    pub(crate) fn expect(&mut self, hash: u64, offset: u64) -> Result<(), Problem> {
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
