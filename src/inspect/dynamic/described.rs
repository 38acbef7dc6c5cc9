//! A region that is read by its own schema.

mod sections;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::archive::{Archive, Beside};
use super::checked::Checked;
use super::collections::EntryLayout;
use super::roots::NamedRoots;
use super::sequences::Entries;
use super::source::{BlockFile, Bytes};
use super::value::{Depth, Dynamic};
use crate::archive::parts::{Extents, Row, check_disjoint};
use crate::error::{Error, Fingerprint, HeaderError, Result};
use crate::frozen::{Content, Frozen};
use crate::inspect::pages::{Pages, page_files};
use crate::region::format::{Header, Section, SectionKind};
#[cfg(feature = "posix-shm")]
use crate::region::posix;
use crate::region::{self, Region};
use crate::schema::{Description, NamedRoot, Shape, TypeIndex};

pub(super) use sections::IndexKind;
use sections::{IndexReading, Source, read_garbage, read_schema, within};

/// A region opened without its Rust types: what its header says, and its values through the schema
/// that it brings along.
///
/// | constructor | reads | checks the digests |
/// |---|---|---|
/// | [`open`](Self::open) | from a file, what is asked for | of header and schema |
/// | [`load`](Self::load) | a sealed copy of a file in memory | all |
/// | [`open_fds`](Self::open_fds) | from sealed memfds, what is asked for | of the header |
/// | [`from_fd`](Self::from_fd) | a sealed memfd | all |
/// | `open_posix`, `load_posix` | as `open` and `load`, by a [POSIX name](mod@crate::posix) | as these |
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
    source: Arc<Source>,
    header: Header,
    schema: Arc<Checked>,
    /// The archive section up to the end of the root, and where the root starts in it.
    archive: Section,
    start: u64,
    index: Option<(IndexKind, Section)>,
    beside: Beside,
}

impl Described {
    /// Opens a file that [`Region::save`](crate::Region::save) wrote, or the memfd behind a
    /// `/proc/PID/fd/N`. The other page files of the region, if it has several, are
    /// [found](page_files) beside that.
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
        let opened = or_with_others(opened, path, Self::open_fds);
        opened.map_err(|error| error.of_file(path))
    }

    /// Copies a file into a sealed memfd, checks all digests, and reads that. A memfd of several
    /// page files is checked and read in place.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let loaded = region::load(path).and_then(|region| {
            region.check_bytes()?;
            Self::over_region(region)
        });
        let loaded = or_with_others(loaded, path, Self::from_fds);
        loaded.map_err(|error| error.of_file(path))
    }

    /// Opens what an owner of this user has published under a POSIX name, and reads no more of it
    /// than is asked for, as [`open`](Self::open) does of a file.
    ///
    /// # Errors
    /// [`PosixError`](crate::error::PosixError) for the object, [`Error::Load`] for its content.
    #[cfg(feature = "posix-shm")]
    pub fn open_posix(name: &str) -> Result<Self> {
        let (file, path) = (posix::open(name)?, posix::path(name));
        let opened = region::read_opened(file, &path).and_then(|(file, header)| {
            let source = Source::File(BlockFile::new(file, header.length));
            Self::from_source(source, header)
        });
        opened.map_err(|error| error.of_file(&path))
    }

    /// The same by a copy in a sealed memfd of which all digests are checked, as
    /// [`load`](Self::load) does with a file.
    ///
    /// # Errors
    /// As [`open_posix`](Self::open_posix).
    #[cfg(feature = "posix-shm")]
    pub fn load_posix(name: &str) -> Result<Self> {
        let (file, path) = (posix::open(name)?, posix::path(name));
        let loaded = region::load_opened(file, &path).and_then(|region| {
            region.check_bytes()?;
            Self::over_region(region)
        });
        loaded.map_err(|error| error.of_file(&path))
    }

    /// Opens a sealed memfd from anywhere, and checks all digests.
    ///
    /// # Errors
    /// One variant for each check: [`Error::Unsealed`] to [`Error::Invalid`].
    pub fn from_fd(fd: OwnedFd) -> Result<Self> {
        Self::from_fds(vec![fd])
    }

    /// Opens the sealed memfds of a region, in their order, and reads no more of them than is asked
    /// for. Only [`from_fds`](Self::from_fds) finds damage in what is not.
    ///
    /// # Errors
    /// Those of seals, header and layout: [`Error::Unsealed`] to [`Error::Invalid`].
    pub fn open_fds(fds: Vec<OwnedFd>) -> Result<Self> {
        let (region, _) = Region::from_fds_by_header(fds)?;
        Self::over_region(region)
    }

    /// The same as [`from_fd`](Self::from_fd) for a region whose pages come from several memfds.
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
        let schema = Arc::new(read_schema(&source, &header, &schema)?);
        let whole = Row {
            archive: 0..archive.length,
            index: 0..header.section(SectionKind::Index).map_or(0, |it| it.length),
            garbage: 0..header
                .section(SectionKind::Garbage)
                .map_or(0, |it| it.length),
        };
        let root_type = schema.description().root;
        Self::over_root(Arc::new(source), header, schema, root_type, &whole)
    }

    /// A root that lies somewhere in the sections of a region.
    fn over_root(
        source: Arc<Source>,
        header: Header,
        schema: Arc<Checked>,
        root_type: TypeIndex,
        row: &Row,
    ) -> Result<Self> {
        let layout = EntryLayout::new(&schema, root_type);
        // Entries in slots lead nowhere else, and are counted from the first.
        let start = match layout.is_some_and(|layout| layout.slot().is_some()) {
            true => row.archive.start,
            false => 0,
        };
        let mut described = Self {
            archive: within(&header, SectionKind::Archive, &(start..row.archive.end))?,
            start: row.archive.start - start,
            source,
            header,
            schema,
            index: None,
            beside: Beside::of(root_type),
        };
        let (source, header) = (&described.source, &described.header);
        let schema = Arc::clone(&described.schema);
        if let Some(layout) = layout {
            let section = within(header, SectionKind::Index, &row.index)?;
            let reading = IndexReading {
                name: &header.name,
                section: &section,
                bytes: source.section(&section),
            };
            let kind = reading.header(layout, &described.archive)?;
            if let IndexKind::Slots(header) = kind {
                (described.beside.live, described.beside.slots) =
                    (reading.live(&header)?, header.slots());
            }
            if !row.garbage.is_empty() {
                let section = within(header, SectionKind::Garbage, &row.garbage)?;
                described.beside.garbage = read_garbage(source, header, &section)?;
            }
            described.index = Some((kind, section));
        } else if let Shape::Roots { roots } = &schema.get(root_type).shape {
            described.beside.roots = described.open_roots(roots, row)?;
        }
        Ok(described)
    }

    /// The roots of a table that ends the archive.
    fn open_roots(&self, roots: &[NamedRoot], whole: &Row) -> Result<NamedRoots> {
        let table = self.archive().root();
        let table = table.map_err(|fault| self.archive().error(*fault))?;
        let extents = Extents {
            archive: table,
            index: whole.index.end,
            garbage: whole.garbage.end,
        };
        let invalid = |reason| Error::Invalid {
            name: self.name().to_owned(),
            section: SectionKind::Archive,
            reason,
        };
        let mut rows = Vec::with_capacity(roots.len());
        for root in roots {
            let bytes = self.archive().array(table + root.offset as u64);
            let bytes = bytes.map_err(|fault| self.archive().error(*fault))?;
            let row = Row::decode(&bytes, extents);
            rows.push(row.map_err(|reason| invalid(format!("root {:?}: {reason}", root.name)))?);
        }
        check_disjoint(&rows).map_err(|reason| invalid(reason.to_owned()))?;
        let open = |(root, row): (&NamedRoot, &Row)| {
            let (source, schema) = (Arc::clone(&self.source), Arc::clone(&self.schema));
            let opened = Self::over_root(source, self.header.clone(), schema, root.type_index, row);
            Ok((root.name.clone(), opened?))
        };
        let opened = roots.iter().zip(&rows).map(open);
        opened.collect::<Result<_>>().map(NamedRoots)
    }

    /// The name of the cache.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// The number of this version of the cache, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.header.generation
    }

    /// When the cache was frozen, on the wall clock; where a store has carried entries over, when
    /// it last built all of them.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.header.created.wall()
    }

    /// What froze the cache: a name and a version.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.header.producer
    }

    /// The fingerprint of the schema.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.header.fingerprint
    }

    /// Length of the whole region in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.length
    }

    /// Where the sections lie, in the order of the region.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.header.sections
    }

    /// The schema: every type of the region.
    #[must_use]
    pub fn description(&self) -> &Description {
        self.schema.description()
    }

    /// The type of the value in [`description`](Self::description).
    #[must_use]
    pub fn root_type(&self) -> TypeIndex {
        self.beside.root_type
    }

    /// Archive offset at which it starts, behind other roots of the region.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn named_roots(&self) -> &NamedRoots {
        &self.beside.roots
    }

    /// Number of entries, if the region holds a [`Map`](crate::Map).
    #[must_use]
    pub fn entry_count(&self) -> Option<u64> {
        self.index.as_ref().map(|(header, _)| header.entries())
    }

    /// Bytes of entries that later ones replaced, if the region holds a [`Map`](crate::Map).
    #[must_use]
    pub fn garbage(&self) -> Option<u64> {
        self.index.as_ref().map(|(header, _)| header.garbage())
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
                type_index: self.beside.root_type,
                at: self.start,
                length: header.entries(),
                depth: Depth::default(),
            }),
        }
    }

    /// Keys and values in the [order of the map](crate::Map#order), if the region holds a
    /// [`Map`](crate::Map).
    #[must_use]
    pub fn entries(&self) -> Option<Entries<'_>> {
        let root = self.root().ok()?;
        let layout = EntryLayout::new(&self.schema, self.beside.root_type)?;
        Entries::keyed(root, layout).ok()
    }

    /// Which pages come from which page file, and which generation wrote those.
    #[must_use]
    pub fn pages(&self) -> Pages {
        match &*self.source {
            Source::Memory(region) => Pages::of_region(region),
            Source::File(_) => Pages::of_one_file(&self.header),
        }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn archive(&self) -> Archive<'_> {
        Archive {
            bytes: self.bytes(&self.archive),
            types: &self.schema,
            beside: &self.beside,
        }
    }

    pub(super) fn index(&self) -> Option<(&IndexKind, Bytes<'_>)> {
        let (header, section) = self.index.as_ref()?;
        Some((header, self.bytes(section)))
    }

    fn bytes(&self, section: &Section) -> Bytes<'_> {
        self.source.section(section)
    }
}

/// What there is at a path, or what `open` makes of the page files that its descriptor stands
/// among.
fn or_with_others(
    opened: Result<Described>,
    path: &Path,
    open: impl FnOnce(Vec<OwnedFd>) -> Result<Described>,
) -> Result<Described> {
    match opened {
        Err(Error::Header(HeaderError::Incomplete { .. })) => match page_files(path)? {
            Some(fds) => open(fds),
            None => opened,
        },
        opened => opened,
    }
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
