//! Sections of a region, read from memory or from a file.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Fingerprint, HeaderError, Result};
use crate::inspect::dynamic::checked::Checked;
use crate::inspect::dynamic::collections::EntryLayout;
use crate::inspect::dynamic::source::{BlockFile, Bytes};
use crate::map::{GarbageList, INDEX_HEADER_LENGTH, IndexHeader, SlotHeader};
use crate::region::Region;
use crate::region::format::{Header, Section, SectionKind};
use crate::schema;

/// Most bytes of a schema. One of 1,000 fields has about 100 KB.
const SCHEMA_LIMIT: u64 = 4 << 20;

/// Where a region lies.
pub(super) enum Source {
    Memory(Arc<Region>),
    File(BlockFile),
}

impl Source {
    pub(super) fn section(&self, section: &Section) -> Bytes<'_> {
        match self {
            Self::Memory(region) => Bytes::Memory(&region.bytes()[section.range()]),
            Self::File(file) => Bytes::File {
                file,
                start: section.offset,
                length: section.length,
            },
        }
    }
}

/// The header of an index.
#[derive(Debug, Clone, Copy)]
pub(in crate::inspect::dynamic) enum IndexKind {
    Lines(IndexHeader),
    Slots(SlotHeader),
}

impl IndexKind {
    pub(super) fn entries(&self) -> u64 {
        match self {
            Self::Lines(header) => header.entries,
            Self::Slots(header) => header.entries,
        }
    }

    pub(super) fn garbage(&self) -> u64 {
        match self {
            Self::Lines(header) => header.garbage,
            Self::Slots(_) => 0,
        }
    }
}

/// A part of a section.
pub(super) fn within(header: &Header, kind: SectionKind, range: &Range<u64>) -> Result<Section> {
    let section = header.section(kind);
    let section = section.ok_or(Error::Header(HeaderError::MissingSection { section: kind }))?;
    Ok(Section {
        kind,
        offset: section.offset + range.start,
        length: range.end - range.start,
    })
}

pub(super) fn read_schema(source: &Source, header: &Header, section: &Section) -> Result<Checked> {
    let invalid = |reason| Error::Invalid {
        name: header.name.clone(),
        section: SectionKind::Schema,
        reason,
    };
    if section.length > SCHEMA_LIMIT {
        let length = section.length;
        return Err(invalid(format!(
            "it has {length} bytes, where {SCHEMA_LIMIT} are the most"
        )));
    }
    let json = source.section(section).get(0, section.length);
    let json = json.map_err(|fault| invalid(fault.problem.to_string()))?;
    let (expected, got) = (header.fingerprint, Fingerprint::of_json(&json));
    if expected != got {
        return Err(invalid(format!(
            "its fingerprint is {got}, where the header says {expected}"
        )));
    }
    let description = schema::read(&json).map_err(|error| invalid(error.to_string()))?;
    Checked::new(&header.name, description).map_err(|lie| invalid(lie.to_string()))
}

/// Where the entries of a map stand that are garbage.
pub(super) fn read_garbage(source: &Source, header: &Header, section: &Section) -> Result<Vec<u8>> {
    let invalid = |reason| Error::Invalid {
        name: header.name.clone(),
        section: section.kind,
        reason,
    };
    // A header that lies shall cost no memory that the file does not have.
    let bytes = source.section(section).get(0, section.length);
    let bytes = bytes.map_err(|fault| invalid(fault.problem.to_string()))?;
    GarbageList::decode(&bytes).map_err(|problem| invalid(problem.to_owned()))?;
    Ok(bytes.into_owned())
}

/// Where an index is read from.
pub(super) struct IndexReading<'a> {
    pub(super) name: &'a str,
    pub(super) section: &'a Section,
    pub(super) bytes: Bytes<'a>,
}

impl IndexReading<'_> {
    fn invalid(&self, reason: impl ToString) -> Error {
        Error::Invalid {
            name: self.name.to_owned(),
            section: SectionKind::Index,
            reason: reason.to_string(),
        }
    }

    fn get(&self, at: u64, length: u64) -> Result<Cow<'_, [u8]>> {
        let bytes = self.bytes.get(at, length);
        bytes.map_err(|fault| self.invalid(fault.problem))
    }

    pub(super) fn header(&self, layout: EntryLayout, archive: &Section) -> Result<IndexKind> {
        let length = self.section.length;
        let start = self.get(0, length.min(INDEX_HEADER_LENGTH as u64))?;
        let header = match layout.slot() {
            None => IndexHeader::decode_header(&start, length).map(IndexKind::Lines),
            Some(slot) => {
                SlotHeader::decode(&start, length, archive.length, slot.size).map(IndexKind::Slots)
            }
        };
        header.map_err(|problem| self.invalid(problem))
    }

    /// The live bits; the header has promised them within the section.
    pub(super) fn live(&self, header: &SlotHeader) -> Result<Vec<u8>> {
        let start = header.live_at(0);
        let bytes = self.get(start, header.index_length() - start)?;
        Ok(bytes.into_owned())
    }
}
