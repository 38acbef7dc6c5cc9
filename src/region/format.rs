//! The bytes of a region: a header, then the sections.
//!
//! ```text
//! region = header | archive | index | garbage | inputs | schema | layout
//!          what a region does not need is left out, between sections are zeros
//!
//! offset size header field (integers are little-endian)
//!      0    8 magic: 89 'f' 'l' 'o' 'e' 0d 0a 1a
//!      8    4 format version
//!     12    4 archive format: rkyv's major (u16) and minor (u16) version
//!     16    1 byte order of the archive: 1 little, 2 big
//!     17    1 width of archived pointers in bits: 16, 32 or 64
//!     18    1 alignment of archived primitives: 1 aligned, 0 unaligned
//!     19    1 number of sections
//!     20    4 length of this header: 576, or the size of a page
//!     24    8 generation, from 1
//!     32   16 schema fingerprint
//!     48    8 created: wall clock, nanoseconds since 1970
//!     56    8 created: boot clock, nanoseconds since boot
//!     64   16 created: boot id of the kernel
//!     80    8 length of the whole region
//!     88    4 size of a page, or zero where sections are packed
//!     92    4 number of page files
//!     96   32 producer: UTF-8, zero-padded
//!    128  128 name of the cache: UTF-8, zero-padded
//!    256  144 section table: 6 rows, unused ones zero
//!                 0  4 kind
//!                 4  4 zero
//!                 8  8 offset from the start of the region
//!                16  8 length
//!    400   16 lineage: the number that all generations of a cache have in common
//!    416   32 BLAKE3 of the header of the generation before, or zeros
//!    448   16 digest of the content: of all but the inputs, the number and the date
//!    464   16 xxh3-128 of this file behind its header
//!    480   32 BLAKE3 of the same
//!    512   16 xxh3-128 of this header, but for these 16 bytes
//!    528   48 zero
//!    576      table of the other page files: up to 31 rows, the rest of the page is zero
//!                 0  8 length in pages
//!                 8  8 device, inode, time of the last change (nanoseconds): which memfd it is
//!                32 16 xxh3-128 of the file behind its header
//!                48 32 BLAKE3 of the same
//! ```
//!
//! Most regions have one root, a value or a map. Where there are several, each by its name, their
//! bytes stand one behind the other in these sections, and a table at the end of the archive tells
//! where (`archive/parts.rs`).
//!
//! A small region is *packed*: its sections start at multiples of 64. A larger one is *in pages*:
//! its header is one page, and sections start at multiples of a page, so that generations can share
//! pages. Such an image may come from several *page files*, each of which was written by one
//! generation and starts with the header of that; the layout (`pages/layout.rs`) tells which
//! page comes from where. All that differs between builds of equal content stands in the header.

mod file_row;
pub(crate) mod inputs_head;
mod section;

use std::any::TypeId;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3Default;

use crate::error::{Error, Fingerprint, HeaderError, MissingFile, NameError, Result};
use crate::sys::clock::Moment;

pub use crate::error::{RegionPart, SectionKind};
pub(crate) use file_row::{Digesting, Digests, FileRow};
pub use section::Section;
pub(crate) use section::Spacing;

/// Length of the header in bytes where sections are packed, and of what any header has at least.
pub const HEADER_LENGTH: usize = 576;
/// Version of this layout. A region of another version is refused.
pub const FORMAT_VERSION: u32 = 2;
/// Most bytes of UTF-8 that the name of a cache may have.
pub const NAME_LENGTH: usize = 128;

pub(crate) const SECTION_ALIGNMENT: usize = 64;

const MAGIC: [u8; 8] = *b"\x89floe\r\n\x1a";
/// rkyv 0.8: its archives are stable within a minor version.
const ARCHIVE_FORMAT: u32 = 8;
const LITTLE_ENDIAN: u8 = 1;
pub(crate) const BIG_ENDIAN: u8 = 2;
const POINTER_WIDTH: u8 = (size_of::<rkyv::primitive::ArchivedUsize>() * 8) as u8;
const ALIGNED: u8 = (align_of::<rkyv::Archived<u64>>() > 1) as u8;

const PRODUCER: Range<usize> = 96..128;
const NAME: Range<usize> = 128..128 + NAME_LENGTH;
const SECTIONS: Range<usize> = 256..400;
const LINEAGE: Range<usize> = 400..416;
const BASE: Range<usize> = 416..448;
const CONTENT: usize = 448;
const DIGESTS: usize = 464;
const DIGEST: Range<usize> = 512..528;
const ZEROS: Range<usize> = 528..HEADER_LENGTH;

/// Page files of an image, its own among them.
pub(crate) const MOST_FILES: usize = 32;
/// Bytes of the least page that there is: the table of files stands in the header's page.
pub(crate) const LEAST_PAGE: u64 = 4096;
/// Bytes of the largest page that any kernel has.
const MOST_PAGE: u64 = 1 << 20;

const _: () = assert!(SECTIONS.end - SECTIONS.start == section::ROWS * section::ROW_LENGTH);
const _: () =
    assert!(NAME.end == SECTIONS.start && DIGESTS + file_row::DIGESTS_LENGTH == DIGEST.start);
const _: () =
    assert!(HEADER_LENGTH + (MOST_FILES - 1) * file_row::ROW_LENGTH <= LEAST_PAGE as usize);
const _: () = assert!(HEADER_LENGTH.is_multiple_of(SECTION_ALIGNMENT));

/// What all generations of a cache have in common, and nobody else.
pub(crate) type Lineage = [u8; 16];

/// What the first bytes of a region say about the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) lineage: Lineage,
    /// BLAKE3 of the header of the generation before, or zeros.
    pub(crate) base: [u8; 32],
    pub(crate) fingerprint: Fingerprint,
    pub(crate) created: Moment,
    pub(crate) producer: String,
    /// Length of the whole region in bytes.
    pub(crate) length: u64,
    pub(crate) spacing: Spacing,
    pub(crate) sections: Vec<Section>,
    /// Digest of all but the inputs, the number and the date.
    pub(crate) content: u128,
    /// Of the file that begins with this header.
    pub(crate) digests: Digests,
    /// The other page files of the image.
    pub(crate) others: Vec<FileRow>,
}

impl Header {
    /// The header as bytes, its digest included.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.spacing.header_length() as usize];
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(12, &ARCHIVE_FORMAT.to_le_bytes());
        let kinds = [byte_order(), POINTER_WIDTH, ALIGNED];
        put(16, &kinds);
        put(19, &[self.sections.len() as u8]);
        put(20, &(self.spacing.header_length() as u32).to_le_bytes());
        put(24, &self.generation.to_le_bytes());
        put(32, &self.fingerprint.to_le_bytes());
        put(48, &self.created.wall_nanos.to_le_bytes());
        put(56, &self.created.boot_nanos.to_le_bytes());
        put(64, &self.created.boot_id);
        put(80, &self.length.to_le_bytes());
        if let Spacing::Pages(size) = self.spacing {
            put(88, &(size as u32).to_le_bytes());
        }
        put(92, &(1 + self.others.len() as u32).to_le_bytes());
        put(PRODUCER.start, self.producer.as_bytes());
        put(NAME.start, self.name.as_bytes());
        for (row, section) in self.sections.iter().enumerate() {
            let at = SECTIONS.start + row * section::ROW_LENGTH;
            put(at, &section.encode());
        }
        put(LINEAGE.start, &self.lineage);
        put(BASE.start, &self.base);
        put(CONTENT, &self.content.to_le_bytes());
        put(DIGESTS, &self.digests.encode());
        for (row, file) in self.others.iter().enumerate() {
            put(HEADER_LENGTH + row * file_row::ROW_LENGTH, &file.encode());
        }
        let digest = digest(&bytes);
        bytes[DIGEST].copy_from_slice(&digest.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    /// One variant for each field that does not fit: see the `Error` variants from
    /// [`HeaderError::NotRegion`] to [`HeaderError::SectionTable`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let spacing = Spacing::of(bytes)?;
        let length = spacing.header_length();
        let Some(bytes) = bytes.get(..length as usize) else {
            return Err(Error::Header(HeaderError::Length {
                expected: length,
                got: bytes.len() as u64,
            }));
        };
        if digest(bytes).to_le_bytes() != bytes[DIGEST] {
            return Err(Error::Header(HeaderError::Damaged {
                part: RegionPart::Header,
            }));
        }
        check_archive_format(bytes)?;
        let (name, generation) = (text(&bytes[NAME])?, u64_at(bytes, 24));
        check_name(&name)?;
        let refuse = |problem| Err(Error::Header(HeaderError::SectionTable { problem }));
        if generation == 0 {
            return refuse("the generation is 0");
        }
        let length = u64_at(bytes, 80);
        let sections = section::decode_table(&bytes[SECTIONS], bytes[19], length, spacing)?;
        let others = decode_files(bytes, spacing)?;
        let has_layout = sections.iter().any(|it| it.kind == SectionKind::Layout);
        if has_layout == others.is_empty() {
            let problem = "a region of one file has one, or a region of several has none";
            return Err(Error::Header(HeaderError::Layout { problem }));
        }
        Ok(Self {
            name,
            generation,
            lineage: array_at(bytes, LINEAGE.start),
            base: array_at(bytes, BASE.start),
            fingerprint: Fingerprint::from_le_bytes(array_at(bytes, 32)),
            created: Moment {
                wall_nanos: u64_at(bytes, 48),
                boot_nanos: u64_at(bytes, 56),
                boot_id: array_at(bytes, 64),
            },
            producer: text(&bytes[PRODUCER])?,
            length,
            spacing,
            sections,
            content: u128::from_le_bytes(array_at(bytes, CONTENT)),
            digests: Digests::decode(bytes, DIGESTS),
            others,
        })
    }

    /// Refuses an image of several page files, where there is one.
    pub(crate) fn check_one_file(&self) -> Result<()> {
        self.check_missing(&self.others)
    }

    /// Refuses an image of which page files are missing.
    pub(crate) fn check_missing<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a FileRow>,
    ) -> Result<()> {
        let page = self.spacing.header_length();
        let missing: Vec<MissingFile> = rows.into_iter().map(|row| row.missing(page)).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::Header(HeaderError::Incomplete {
                generation: self.generation,
                missing,
            })),
        }
    }

    /// BLAKE3 of the header: with the digests in it, it names the generation.
    pub(crate) fn identity(&self) -> [u8; 32] {
        *blake3::hash(&self.encode()).as_bytes()
    }

    /// The section of a kind, if the region has one.
    pub(crate) fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }
}

/// Reads the table of the other page files.
fn decode_files(header: &[u8], spacing: Spacing) -> Result<Vec<FileRow>> {
    let refuse = |problem| Err(Error::Header(HeaderError::SectionTable { problem }));
    let most = match spacing {
        Spacing::Packed => 1,
        Spacing::Pages(_) => MOST_FILES,
    };
    let files = u32_at(header, 92) as usize;
    if files == 0 || files > most {
        return refuse("it has no page file, or too many");
    }
    let end = HEADER_LENGTH + (files - 1) * file_row::ROW_LENGTH;
    if header[end..]
        .iter()
        .chain(&header[ZEROS])
        .any(|&byte| byte != 0)
    {
        return refuse("what is unused of the header is not zero");
    }
    let rows = header[HEADER_LENGTH..end].chunks_exact(file_row::ROW_LENGTH);
    Ok(rows.map(FileRow::decode).collect())
}

/// xxh3-128 of a header, but for the digest itself.
fn digest(header: &[u8]) -> u128 {
    let mut hasher = Xxh3Default::new();
    hasher.update(&header[..DIGEST.start]);
    hasher.update(&header[DIGEST.end..]);
    hasher.digest128()
}

/// What this build writes into the producer field.
pub(crate) fn producer() -> String {
    concat!("floe ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Refuses names that cannot stand in a header, in the name of a memfd and in a file name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    check_file_name(name, NAME_LENGTH).map_err(|reason| Error::Name {
        name: name.to_owned(),
        reason,
    })
}

/// Refuses what cannot be the name of a file, of so many bytes at most.
pub(crate) fn check_file_name(name: &str, most: usize) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Folder),
        name if name.len() > most => Err(NameError::TooLong { most }),
        name if name.contains('/') || name.contains(char::is_control) => Err(NameError::Character),
        _ => Ok(()),
    }
}

fn check_archive_format(header: &[u8]) -> Result<()> {
    let archive_format = u32_at(header, 12);
    if archive_format != ARCHIVE_FORMAT {
        return Err(Error::Header(HeaderError::ArchiveFormat {
            expected: ARCHIVE_FORMAT,
            got: archive_format,
        }));
    }
    if header[16] != byte_order() {
        return Err(Error::Header(HeaderError::ByteOrder {
            expected: byte_order(),
            got: header[16],
        }));
    }
    if header[17] != POINTER_WIDTH {
        return Err(Error::Header(HeaderError::PointerWidth {
            expected: POINTER_WIDTH,
            got: header[17],
        }));
    }
    if header[18] != ALIGNED {
        return Err(Error::Header(HeaderError::Alignment {
            expected: ALIGNED,
            got: header[18],
        }));
    }
    Ok(())
}

/// rkyv's features decide the byte order of archives; the type that they select tells it.
pub(crate) fn byte_order() -> u8 {
    use rkyv::rend::u16_be;
    use rkyv::rend::unaligned::u16_ube;
    let archived = TypeId::of::<rkyv::Archived<u16>>();
    if archived == TypeId::of::<u16_be>() || archived == TypeId::of::<u16_ube>() {
        BIG_ENDIAN
    } else {
        LITTLE_ENDIAN
    }
}

fn text(field: &[u8]) -> Result<String> {
    let problem = "the name or the producer is not zero-padded UTF-8";
    let end = field
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(field.len());
    if field[end..].iter().any(|&byte| byte != 0) {
        return Err(Error::Header(HeaderError::SectionTable { problem }));
    }
    match str::from_utf8(&field[..end]) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Error::Header(HeaderError::SectionTable { problem })),
    }
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[offset + i])
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, offset))
}

#[cfg(test)]
mod tests;
