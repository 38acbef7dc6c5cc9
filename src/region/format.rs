//! The bytes of a region: one header of 512 bytes, then the sections.
//!
//! ```text
//! region = header | archive | index | inputs | schema      each at a multiple of 64, zeros between
//!
//! offset size header field (integers are little-endian)
//!      0    8 magic: 89 'f' 'l' 'o' 'e' 0d 0a 1a
//!      8    4 format version
//!     12    4 archive format: rkyv's major (u16) and minor (u16) version
//!     16    1 byte order of the archive: 1 little, 2 big
//!     17    1 width of archived pointers in bits: 16, 32 or 64
//!     18    1 alignment of archived primitives: 1 aligned, 0 unaligned
//!     19    1 number of sections
//!     20    4 length of this header: 512
//!     24    8 generation, from 1
//!     32   16 schema fingerprint
//!     48    8 created: wall clock, nanoseconds since 1970
//!     56    8 created: boot clock, nanoseconds since boot
//!     64   16 created: boot id of the kernel
//!     80    8 length of the whole region
//!     88    8 zero
//!     96   32 producer: UTF-8, zero-padded
//!    128  128 name of the cache: UTF-8, zero-padded
//!    256  240 section table: 6 rows, unused ones zero
//!                 0  4 kind
//!                 4  4 zero
//!                 8  8 offset from the start of the region
//!                16  8 length
//!                24 16 xxh3-128 of the section's bytes
//!    496   16 xxh3-128 of bytes 0..496
//! ```
//!
//! The bytes between sections are zero, the last section ends the region, and the header's own
//! digest covers the digests of the sections: so every bit of a region is covered.

mod section;

use std::any::TypeId;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Fingerprint, HeaderError, NameError, Result};
use crate::sys::clock::Moment;

pub use crate::error::{RegionPart, SectionKind};
pub use section::Section;
pub(crate) use section::align_section;

/// Length of the header in bytes; the first section starts here.
pub const HEADER_LENGTH: usize = 512;
/// Version of this layout. A region of another version is refused.
pub const FORMAT_VERSION: u32 = 1;
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
const SECTIONS: Range<usize> = 256..496;
const DIGEST: Range<usize> = 496..HEADER_LENGTH;

const _: () = assert!(SECTIONS.end - SECTIONS.start == section::ROWS * section::ROW_LENGTH);
const _: () = assert!(NAME.end == SECTIONS.start && DIGEST.end - DIGEST.start == 16);
const _: () = assert!(HEADER_LENGTH.is_multiple_of(SECTION_ALIGNMENT));

/// What the first bytes of a region say about the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) generation: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) created: Moment,
    pub(crate) producer: String,
    /// Length of the whole region in bytes.
    pub(crate) length: u64,
    pub(crate) sections: Vec<Section>,
}

impl Header {
    /// The header as bytes, its digest included.
    pub(crate) fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(12, &ARCHIVE_FORMAT.to_le_bytes());
        put(
            16,
            &[
                byte_order(),
                POINTER_WIDTH,
                ALIGNED,
                self.sections.len() as u8,
            ],
        );
        put(20, &(HEADER_LENGTH as u32).to_le_bytes());
        put(24, &self.generation.to_le_bytes());
        put(32, &self.fingerprint.to_le_bytes());
        put(48, &self.created.wall_nanos.to_le_bytes());
        put(56, &self.created.boot_nanos.to_le_bytes());
        put(64, &self.created.boot_id);
        put(80, &self.length.to_le_bytes());
        put(PRODUCER.start, self.producer.as_bytes());
        put(NAME.start, self.name.as_bytes());
        for (row, section) in self.sections.iter().enumerate() {
            put(
                SECTIONS.start + row * section::ROW_LENGTH,
                &section.encode(),
            );
        }
        let digest = xxh3_128(&bytes[..DIGEST.start]);
        bytes[DIGEST].copy_from_slice(&digest.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    /// One variant for each field that does not fit: see the `Error` variants from
    /// [`HeaderError::NotRegion`] to [`HeaderError::SectionTable`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let Some(bytes) = bytes.first_chunk::<HEADER_LENGTH>() else {
            return Err(Error::Header(HeaderError::Length {
                expected: HEADER_LENGTH as u64,
                got: bytes.len() as u64,
            }));
        };
        if bytes[..8] != MAGIC {
            return Err(Error::Header(HeaderError::NotRegion {
                got: bytes[..8].escape_ascii().to_string(),
            }));
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(Error::Header(HeaderError::Version {
                expected: FORMAT_VERSION,
                got: version,
            }));
        }
        if xxh3_128(&bytes[..DIGEST.start]).to_le_bytes() != bytes[DIGEST] {
            return Err(Error::Header(HeaderError::Damaged {
                part: RegionPart::Header,
            }));
        }
        check_archive_format(bytes)?;
        if u32_at(bytes, 20) != HEADER_LENGTH as u32 || u64_at(bytes, 88) != 0 {
            return Err(Error::Header(HeaderError::SectionTable {
                problem: "the length of the header is not 512",
            }));
        }
        let (name, generation) = (text(&bytes[NAME])?, u64_at(bytes, 24));
        check_name(&name)?;
        if generation == 0 {
            return Err(Error::Header(HeaderError::SectionTable {
                problem: "the generation is 0",
            }));
        }
        let length = u64_at(bytes, 80);
        Ok(Self {
            name,
            generation,
            fingerprint: Fingerprint::from_le_bytes(array_at(bytes, 32)),
            created: Moment {
                wall_nanos: u64_at(bytes, 48),
                boot_nanos: u64_at(bytes, 56),
                boot_id: array_at(bytes, 64),
            },
            producer: text(&bytes[PRODUCER])?,
            length,
            sections: section::decode_table(&bytes[SECTIONS], bytes[19], length)?,
        })
    }

    /// The section of a kind, if the region has one.
    pub(crate) fn section(&self, kind: SectionKind) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }
}

/// What this build writes into the producer field.
pub(crate) fn producer() -> String {
    concat!("floe ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Refuses names that cannot stand in a header, in the name of a memfd and in a file name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let reason = match name {
        "" => NameError::Empty,
        "." | ".." => NameError::Folder,
        name if name.len() > NAME_LENGTH => NameError::TooLong { most: NAME_LENGTH },
        name if name.contains('/') || name.contains(char::is_control) => NameError::Character,
        _ => return Ok(()),
    };
    Err(Error::Name {
        name: name.to_owned(),
        reason,
    })
}

fn check_archive_format(header: &[u8; HEADER_LENGTH]) -> Result<()> {
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
    use rkyv::rend::{u16_be, unaligned::u16_ube};
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
