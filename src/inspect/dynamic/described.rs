//! A region that is read by its own schema.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::archive::Archive;
use super::checked::Checked;
use super::collections::EntryLayout;
use super::sequences::Entries;
use super::source::{BlockFile, Bytes};
use super::value::{Depth, Dynamic};
use crate::error::{Error, Fingerprint, HeaderError, Result};
use crate::frozen::{Content, Frozen};
use crate::map::{GarbageList, INDEX_HEADER_LENGTH, IndexHeader};
use crate::region::format::{Header, Section, SectionKind};
use crate::region::{self, Region};
use crate::schema::{Description, Shape};

/// Most bytes of a schema. One of 1,000 fields has about 100 KB.
const SCHEMA_LIMIT: u64 = 4 << 20;

/// A region opened without its Rust types: what its header says, and its values through the schema
/// that it brings along.
///
/// | constructor | reads | checks the digests |
/// |---|---|---|
/// | [`open`](Self::open) | from a file, what is asked for | of header and schema |
/// | [`load`](Self::load) | a sealed copy of a file in memory | all |
/// | [`from_fd`](Self::from_fd) | a sealed memfd | all |
/// | [`from_bytes`](Self::from_bytes) | a copy of bytes on the heap | all |
/// | [`of`](Self::of) | the region of a handle | were checked |
///
/// The region may be hostile, and its schema too: whatever the archive says is checked at each
/// step, and an error tells what does not fit, and where.
///
/// ```
/// use floe::Map;
/// use floe::dynamic::Described;
///
/// let versions = [("busybox", "1.37.0"), ("zlib", "1.3.1")];
/// let frozen = Map::<String, String>::freeze(
///     "versions",
///     versions.map(|(k, v)| (k.to_owned(), v.to_owned())),
/// )?;
/// let described = Described::of(&frozen)?;
/// assert_eq!((described.name(), described.entry_count()), ("versions", Some(2)));
/// let root = described.root()?;
/// assert_eq!(serde_json::to_string(&root).unwrap(), r#"{"busybox":"1.37.0","zlib":"1.3.1"}"#);
/// # Ok::<(), floe::Error>(())
/// ```
pub struct Described {
    source: Source,
    header: Header,
    schema: Checked,
    archive: Section,
    index: Option<(IndexHeader, Section)>,
    garbage: Vec<u8>,
}

enum Source {
    Memory(Arc<Region>),
    File(BlockFile),
}

impl Described {
    /// Opens a file that [`Region::save`](crate::Region::save) wrote, or the memfd behind a
    /// `/proc/PID/fd/N`.
    ///
    /// Reads the header, the schema and the header of the index, whatever the length of the file
    /// is. Values are read when they are asked for, in blocks of 16 KiB; 1 MiB of them is kept.
    /// Only [`load`](Self::load) finds damage in what is not asked for.
    ///
    /// # Errors
    /// [`Error::ReadFile`], and [`Error::Load`] with the reason why the content was refused.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let opened = region::open(path).and_then(|(file, _, header)| {
            let source = Source::File(BlockFile::new(file, header.length));
            Self::from_source(source, header)
        });
        opened.map_err(|error| error.of_file(path))
    }

    /// Copies a file into a sealed memfd, checks all digests, and reads that.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let loaded = region::load(path).and_then(|region| {
            region.check_bytes()?;
            Self::over_region(region)
        });
        loaded.map_err(|error| error.of_file(path))
    }

    /// Opens a sealed memfd from anywhere, and checks all digests.
    ///
    /// # Errors
    /// One variant for each check: [`Error::Unsealed`] to [`Error::Invalid`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::from_fds(vec![fd])
    }

    /// The same for a region whose pages come from several memfds.
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd).
    pub fn from_fds(fds: Vec<OwnedFd>) -> Result<Self> {
        Self::over_region(Region::from_fds(fds)?)
    }

    /// Opens a copy of the bytes of a region, and checks all digests.
    ///
    /// # Errors
    /// As [`from_fd`](Self::from_fd), but for the seals.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::over_region(Region::from_bytes(bytes)?)
    }

    /// The region of a handle, without a copy.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its schema is longer than 4 MiB or deeper than 64 types.
    pub fn of<T: Content>(frozen: &Frozen<T>) -> Result<Self> {
        let region = frozen.shared_region();
        let header = region.header().clone();
        Self::from_source(Source::Memory(region), header)
    }

    fn over_region(region: Region) -> Result<Self> {
        let header = region.header().clone();
        Self::from_source(Source::Memory(Arc::new(region)), header)
    }

    fn from_source(source: Source, header: Header) -> Result<Self> {
        let section = |kind| {
            let found = header.section(kind).copied();
            found.ok_or(Error::Header(HeaderError::MissingSection { section: kind }))
        };
        let (archive, schema) = (
            section(SectionKind::Archive)?,
            section(SectionKind::Schema)?,
        );
        let schema = read_schema(&source, &header, &schema)?;
        let mut index = None;
        if let Shape::Map { .. } = schema.get(schema.description().root).shape {
            let section = section(SectionKind::Index)?;
            index = Some((read_index_header(&source, &header, &section)?, section));
        }
        let garbage = read_garbage(&source, &header)?;
        Ok(Self {
            source,
            header,
            schema,
            archive,
            index,
            garbage,
        })
    }

    /// The name of the cache.
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// The number of this version of the cache, from 1.
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// When the cache was frozen, on the wall clock; where a store has carried entries over, when
    /// it last built all of them.
    pub fn created(&self) -> SystemTime {
        self.header.created.wall()
    }

    /// What froze the cache: a name and a version.
    pub fn producer(&self) -> &str {
        &self.header.producer
    }

    /// The fingerprint of the schema.
    pub fn fingerprint(&self) -> Fingerprint {
        self.header.fingerprint
    }

    /// Length of the whole region in bytes.
    pub fn size(&self) -> u64 {
        self.header.length
    }

    /// Where the sections lie, in the order of the region.
    pub fn sections(&self) -> &[Section] {
        &self.header.sections
    }

    /// The schema: every type of the region.
    pub fn description(&self) -> &Description {
        self.schema.description()
    }

    /// Number of entries, if the region holds a [`Map`](crate::Map).
    pub fn entry_count(&self) -> Option<u64> {
        self.index.as_ref().map(|(header, _)| header.entries)
    }

    /// Bytes of entries that later ones replaced, if the region holds a [`Map`](crate::Map).
    pub fn garbage(&self) -> Option<u64> {
        self.index.as_ref().map(|(header, _)| header.garbage)
    }

    /// The whole value; for a [`Map`](crate::Map), all of its entries.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the archive has no room for it.
    pub fn root(&self) -> Result<Dynamic<'_>> {
        let archive = self.archive();
        match &self.index {
            None => Dynamic::root(archive),
            Some((header, _)) => Ok(Dynamic {
                archive,
                type_index: self.description().root,
                at: 0,
                length: header.entries,
                depth: Depth::default(),
            }),
        }
    }

    /// Keys and values in the order of insertion, if the region holds a [`Map`](crate::Map).
    pub fn entries(&self) -> Option<Entries<'_>> {
        let root = self.root().ok()?;
        let layout = EntryLayout::new(self.description())?;
        Entries::keyed(root, layout).ok()
    }

    pub(crate) fn archive(&self) -> Archive<'_> {
        Archive {
            bytes: self.bytes(&self.archive),
            types: &self.schema,
            garbage: GarbageList::of(&self.garbage),
        }
    }

    pub(super) fn index(&self) -> Option<(&IndexHeader, Bytes<'_>)> {
        let (header, section) = self.index.as_ref()?;
        Some((header, self.bytes(section)))
    }

    fn bytes(&self, section: &Section) -> Bytes<'_> {
        self.source.section(section)
    }
}

impl Source {
    fn section(&self, section: &Section) -> Bytes<'_> {
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

fn read_schema(source: &Source, header: &Header, section: &Section) -> Result<Checked> {
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
    let description: Description =
        serde_json::from_slice(&json).map_err(|error| invalid(error.to_string()))?;
    Checked::new(&header.name, description).map_err(|lie| invalid(lie.to_string()))
}

/// Where the entries of a map stand that are garbage.
fn read_garbage(source: &Source, header: &Header) -> Result<Vec<u8>> {
    let kind = SectionKind::Garbage;
    let Some(section) = header.section(kind) else {
        return Ok(Vec::new());
    };
    let invalid = |reason| Error::Invalid {
        name: header.name.clone(),
        section: kind,
        reason,
    };
    // A header that lies shall cost no memory that the file does not have.
    let bytes = source.section(section).get(0, section.length);
    let bytes = bytes.map_err(|fault| invalid(fault.problem.to_string()))?;
    GarbageList::decode(&bytes).map_err(|problem| invalid(problem.to_owned()))?;
    Ok(bytes.into_owned())
}

fn read_index_header(source: &Source, header: &Header, section: &Section) -> Result<IndexHeader> {
    let invalid = |reason| Error::Invalid {
        name: header.name.clone(),
        section: SectionKind::Index,
        reason,
    };
    let bytes = source.section(section);
    let header = bytes.get(0, bytes.length().min(INDEX_HEADER_LENGTH as u64));
    let header = header.map_err(|fault| invalid(fault.problem.to_string()))?;
    IndexHeader::decode_header(&header, section.length)
        .map_err(|problem| invalid(problem.to_owned()))
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described")
            .field("name", &self.name())
            .field("generation", &self.generation())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
