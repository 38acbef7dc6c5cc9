//! Where each root lies in a region.
//!
//! Most regions have one root, to which all of their sections belong. A region of several named
//! roots has them one after the other, and a table of where they lie ends its archive:
//!
//! ```text
//! archive section = root root ... | table     each root at a multiple of 16, zeros between them
//! root  = what a value points to | the value, or the entries of a map
//! table = a row of 48 bytes for each root, in the order of the schema (integers are little-endian)
//!          0  8 archive offset at which the root starts
//!          8  8 archive offset at which it ends
//!         16  8 offset of its index in the index section, a multiple of 64
//!         24  8 length of its index
//!         32  8 offset of its list of garbage in the garbage section
//!         40  8 length of that
//! ```
//!
//! Offsets in the index and in the list of garbage count from the start of the archive section, and
//! pointers lead into the own root or an earlier one.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::ops::Range;

use super::checked::Form;
use super::content::Content;
use crate::error::{Error, HeaderError, Result, RootError, SectionKind};
use crate::region::Region;
use crate::schema::{self, Description, NamedRoot, TypeIndex, Types};

/// Bytes of a row of the table.
pub(crate) const ROW_LENGTH: usize = 48;
/// Roots start at multiples of this, to which all archived types are aligned.
pub(crate) const ROOT_ALIGNMENT: u64 = 16;
/// Their indexes start at multiples of this in the index section.
pub(crate) const INDEX_ALIGNMENT: usize = 64;
/// Most roots of a region: whoever opens one walks all of them.
pub(crate) const MOST_ROOTS: usize = 64;
/// Most bytes of a schema that is read to find roots in a region of others.
const SCHEMA_LIMIT: usize = 4 << 20;

/// What the reader of a root is given of its region.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// The name of the cache.
    pub(crate) cache: &'a str,
    /// The name of the root, where there are several.
    pub(crate) root: Option<&'static str>,
    /// The archive section up to the end of the root.
    pub(crate) archive: &'a [u8],
    /// Where the root starts in it.
    pub(crate) start: usize,
    index: Option<&'a [u8]>,
    /// Its list of garbage; empty where there is none.
    pub(crate) garbage: &'a [u8],
}

impl<'a> Part<'a> {
    /// All of a region that has one root.
    pub(crate) fn whole(region: &'a Region) -> Result<Self> {
        Ok(Self {
            cache: region.name(),
            root: None,
            archive: region.section(SectionKind::Archive)?,
            start: 0,
            index: region.section(SectionKind::Index).ok(),
            garbage: region.section(SectionKind::Garbage).unwrap_or_default(),
        })
    }

    /// The index.
    pub(crate) fn index(&self) -> Result<&'a [u8]> {
        let section = SectionKind::Index;
        self.index
            .ok_or(Error::Header(HeaderError::MissingSection { section }))
    }

    pub(crate) fn invalid(&self, section: SectionKind, reason: String) -> Error {
        let reason = match self.root {
            Some(root) => format!("root {root:?}: {reason}"),
            None => reason,
        };
        Error::Invalid {
            name: self.cache.to_owned(),
            section,
            reason,
        }
    }
}

/// The type of a root.
#[derive(Debug, Clone, Copy)]
pub struct RootType {
    pub(crate) id: TypeId,
    /// As Rust writes it.
    pub(crate) name: &'static str,
    pub(crate) describe: fn(&mut Types) -> TypeIndex,
}

impl RootType {
    pub(super) fn of<T: Content>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: std::any::type_name::<T>(),
            describe: T::Form::describe,
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// In the archive section.
    pub(crate) archive: Range<u64>,
    /// In the index section.
    pub(crate) index: Range<u64>,
    /// In the garbage section.
    pub(crate) garbage: Range<u64>,
}

/// What a row can mention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extents {
    /// Bytes of the archive before the table.
    pub(crate) archive: u64,
    pub(crate) index: u64,
    pub(crate) garbage: u64,
}

impl Row {
    pub(crate) fn encode(&self) -> [u8; ROW_LENGTH] {
        let length = |range: &Range<u64>| range.end - range.start;
        let words = [
            self.archive.start,
            self.archive.end,
            self.index.start,
            length(&self.index),
            self.garbage.start,
            length(&self.garbage),
        ];
        let mut bytes = [0; ROW_LENGTH];
        for (word, place) in words.iter().zip(bytes.chunks_exact_mut(8)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Reads a row of any origin.
    pub(crate) fn decode(bytes: &[u8; ROW_LENGTH], extents: Extents) -> Result<Self, &'static str> {
        let word = |number: usize| {
            u64::from_le_bytes(std::array::from_fn(|byte| bytes[number * 8 + byte]))
        };
        let range = |start: u64, length: u64| Some(start..start.checked_add(length)?);
        let fits = |range: &Range<u64>, most| range.start <= range.end && range.end <= most;
        let archive = word(0)..word(1);
        if !fits(&archive, extents.archive) || !archive.start.is_multiple_of(ROOT_ALIGNMENT) {
            return Err("the table of roots leads out of the archive, or to where none can start");
        }
        let index = range(word(2), word(3)).filter(|index| {
            fits(index, extents.index) && index.start.is_multiple_of(INDEX_ALIGNMENT as u64)
        });
        let garbage = range(word(4), word(5)).filter(|garbage| fits(garbage, extents.garbage));
        Ok(Self {
            archive,
            index: index
                .ok_or("the table of roots leads out of the index, or into a line of it")?,
            garbage: garbage.ok_or("the table of roots leads out of the list of garbage")?,
        })
    }
}

/// Refuses roots that lie in each other: each byte belongs to one of them.
pub(crate) fn check_disjoint(rows: &[Row]) -> Result<(), &'static str> {
    let disjoint = |range: fn(&Row) -> &Range<u64>| {
        let mut ranges: Vec<&Range<u64>> = rows.iter().map(range).collect();
        ranges.sort_by_key(|range| (range.start, range.end));
        ranges.is_sorted_by(|one, next| one.end <= next.start)
    };
    match disjoint(|row| &row.archive) && disjoint(|row| &row.index) && disjoint(|row| &row.garbage)
    {
        true => Ok(()),
        false => Err("two roots of its table overlap"),
    }
}

/// The roots of these names and types in a region.
///
/// A region that has more is accepted too: each root tells the fingerprint of its type.
///
/// # Errors
/// [`Error::SchemaMismatch`] if the region has no named roots, [`Error::Root`] if one of these is
/// not among them or has another type, [`Error::Invalid`] if one does not lie in its sections.
pub(crate) fn parts<'a>(
    region: &'a Region,
    expected_type: &'static str,
    own: &Description,
    names: &[&'static str],
    types: &[RootType],
) -> Result<Vec<Part<'a>>> {
    let mismatch = || Error::SchemaMismatch {
        name: region.name().to_owned(),
        expected_type,
        expected: own.fingerprint(),
        got: region.fingerprint(),
    };
    let is_own = region.fingerprint() == own.fingerprint();
    let foreign = match is_own {
        true => None,
        false => Some(foreign_description(region).ok_or_else(mismatch)?),
    };
    let there = foreign.as_ref().unwrap_or(own).roots();
    let there = there.ok_or_else(mismatch)?;
    let wanted = own.roots().unwrap_or_default();
    let mut rows = Vec::with_capacity(names.len());
    for ((wanted, name), root_type) in wanted.iter().zip(names).zip(types) {
        let found = find(region.name(), there, wanted, root_type)?;
        rows.push(row(region, name, found, there.len())?);
    }
    check_disjoint(&rows).map_err(|reason| Error::Invalid {
        name: region.name().to_owned(),
        section: SectionKind::Archive,
        reason: reason.to_owned(),
    })?;
    let parts = rows.iter().zip(names);
    parts.map(|(row, name)| part(region, name, row)).collect()
}

fn find<'a>(
    cache: &str,
    there: &'a [NamedRoot],
    wanted: &NamedRoot,
    root_type: &RootType,
) -> Result<&'a NamedRoot> {
    let refused = |reason| Error::Root {
        name: cache.to_owned(),
        root: wanted.name.clone(),
        reason,
    };
    let found = there.iter().find(|root| root.name == wanted.name);
    let found = found.ok_or_else(|| {
        let known = there.iter().map(|root| root.name.clone()).collect();
        refused(RootError::Missing { known })
    })?;
    if found.fingerprint != wanted.fingerprint {
        return Err(refused(RootError::Fingerprint {
            expected_type: root_type.name,
            expected: wanted.fingerprint,
            got: found.fingerprint,
        }));
    }
    Ok(found)
}

/// The row of a root, of so many in a table.
fn row(region: &Region, name: &str, root: &NamedRoot, roots: usize) -> Result<Row> {
    let invalid = |reason: &str| Error::Invalid {
        name: region.name().to_owned(),
        section: SectionKind::Archive,
        reason: format!("root {name:?}: {reason}"),
    };
    let archive = region.section(SectionKind::Archive)?;
    let length = |kind| {
        region
            .section(kind)
            .map_or(0, |section| section.len() as u64)
    };
    let table = archive.len().checked_sub(roots * ROW_LENGTH);
    let table = table.ok_or_else(|| invalid("the archive is shorter than its table of roots"))?;
    let row = archive[table..].get(root.offset..);
    let row = row.and_then(|row| row.first_chunk());
    let row = row.ok_or_else(|| invalid("its row lies out of the table of roots"))?;
    let extents = Extents {
        archive: table as u64,
        index: length(SectionKind::Index),
        garbage: length(SectionKind::Garbage),
    };
    Row::decode(row, extents).map_err(invalid)
}

fn part<'a>(region: &'a Region, name: &'static str, row: &Row) -> Result<Part<'a>> {
    let range = |range: &Range<u64>| range.start as usize..range.end as usize;
    let index = region.section(SectionKind::Index).ok();
    let garbage = region.section(SectionKind::Garbage).unwrap_or_default();
    Ok(Part {
        cache: region.name(),
        root: Some(name),
        archive: &region.section(SectionKind::Archive)?[..row.archive.end as usize],
        start: row.archive.start as usize,
        index: index.map(|index| &index[range(&row.index)]),
        garbage: &garbage[range(&row.garbage)],
    })
}

/// The description that a region brings along, if it can be read.
fn foreign_description(region: &Region) -> Option<Description> {
    let json = region.section(SectionKind::Schema).ok()?;
    let json = Some(json).filter(|json| json.len() <= SCHEMA_LIMIT)?;
    schema::read(json).ok()
}
