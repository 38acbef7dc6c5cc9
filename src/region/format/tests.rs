use super::*;
use crate::error::HeaderError;
use crate::sys::memfd_id::MemfdId;

/// Position of the n-th row of the section table.
fn row(number: usize) -> usize {
    SECTIONS.start + number * section::ROW_LENGTH
}

fn header() -> Header {
    let section = |kind, offset, length| Section {
        kind,
        offset,
        length,
    };
    Header {
        name: "recipes".to_owned(),
        generation: 0x0102_0304_0506_0708,
        fingerprint: Fingerprint::from_le_bytes(std::array::from_fn(|i| 0x20 + i as u8)),
        created: Moment {
            wall_nanos: 0x1112_1314_1516_1718,
            boot_nanos: 0x2122_2324_2526_2728,
            boot_id: std::array::from_fn(|i| 0x40 + i as u8),
        },
        producer: "floe 0.1.0".to_owned(),
        length: 1000,
        spacing: Spacing::Packed,
        sections: vec![
            section(SectionKind::Archive, 576, 100),
            section(SectionKind::Index, 704, 128),
            section(SectionKind::Schema, 832, 168),
        ],
        lineage: [0x51; 16],
        base: [0x52; 32],
        content: 0x0c0d,
        digests: Digests {
            quick: 0x0a0b,
            strong: [0x53; 32],
        },
        others: Vec::new(),
    }
}

/// The bytes of a header after an edit, with the digest that belongs to them.
fn edited(edit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = header().encode();
    edit(&mut bytes);
    let digest = digest(&bytes);
    bytes[DIGEST].copy_from_slice(&digest.to_le_bytes());
    bytes
}

fn refusal(edit: impl FnOnce(&mut [u8])) -> Error {
    Header::decode(&edited(edit)).unwrap_err()
}

fn put_u64(bytes: &mut [u8], offset: usize, value: u64) {
    bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}

/// The zeros behind each stretch of bytes are left out.
const GOLDEN: [(usize, &str); 14] = [
    (0, "89666c6f650d0a1a 02000000 08000000 01 20 01 03 40020000"),
    (24, "0807060504030201 202122232425262728292a2b2c2d2e2f"),
    (48, "1817161514131211 2827262524232221"),
    (64, "404142434445464748494a4b4c4d4e4f e803000000000000"),
    (92, "01000000"),
    (96, "666c6f6520302e312e30"),
    (128, "72656369706573"),
    (256, "01000000 00000000 4002000000000000 6400000000000000"),
    (280, "02000000 00000000 c002000000000000 8000000000000000"),
    (304, "04000000 00000000 4003000000000000 a800000000000000"),
    (400, "51515151515151515151515151515151"),
    (
        416,
        "5252525252525252525252525252525252525252525252525252525252525252 0d0c",
    ),
    (
        464,
        "0b0a0000000000000000000000000000 5353535353535353535353535353535353535353535353535353535353535353",
    ),
    (512, "e684172380299e80a87d81780bf61a57"),
];

fn golden() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LENGTH];
    for (offset, text) in GOLDEN {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        for (place, pair) in digits.chunks_exact(2).enumerate() {
            let pair = str::from_utf8(pair).unwrap();
            bytes[offset + place] = u8::from_str_radix(pair, 16).unwrap();
        }
    }
    bytes
}

#[test]
fn the_bytes_of_a_header_are_pinned() {
    assert_eq!(header().encode(), golden());
    assert_eq!(Header::decode(&golden()).unwrap(), header());
}

#[test]
fn names_and_producers_may_fill_their_fields() {
    let full = Header {
        name: "ä".repeat(NAME_LENGTH / 2),
        producer: "p".repeat(32),
        ..header()
    };
    assert_eq!(Header::decode(&full.encode()).unwrap(), full);
}

#[test]
fn every_flipped_bit_is_an_error() {
    let bytes = header().encode();
    for bit in 0..HEADER_LENGTH * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = Header::decode(&flipped).unwrap_err();
        match bit / 8 {
            0..8 => assert!(
                matches!(refused, Error::Header(HeaderError::NotRegion { .. })),
                "bit {bit}"
            ),
            8..12 => assert!(
                matches!(refused, Error::Header(HeaderError::Version { .. })),
                "bit {bit}"
            ),
            // How long the header is has to be known before its digest.
            20..24 | 88..92 => assert!(
                matches!(refused, Error::Header(HeaderError::SectionTable { .. })),
                "bit {bit}"
            ),
            _ => assert!(
                matches!(
                    refused,
                    Error::Header(HeaderError::Damaged {
                        part: RegionPart::Header
                    })
                ),
                "bit {bit}"
            ),
        }
    }
}

#[test]
fn a_header_cut_short_is_an_error() {
    let bytes = header().encode();
    for length in 0..HEADER_LENGTH {
        assert!(matches!(
            Header::decode(&bytes[..length]),
            Err(Error::Header(HeaderError::Length { expected: 576, got })) if got == length as u64
        ));
    }
}

#[test]
fn each_field_has_its_own_error() {
    assert!(matches!(
        refusal(|bytes| bytes[..4].copy_from_slice(b"\x89PNG")),
        Error::Header(HeaderError::NotRegion { got }) if got == "\\x89PNGe\\r\\n\\x1a"
    ));
    assert!(matches!(
        refusal(|bytes| bytes[8] = 1),
        Error::Header(HeaderError::Version {
            expected: 2,
            got: 1
        })
    ));
    assert!(matches!(
        refusal(|bytes| bytes[14] = 9),
        Error::Header(HeaderError::ArchiveFormat {
            expected: 8,
            got: 0x0009_0008
        })
    ));
    assert!(matches!(
        refusal(|bytes| bytes[16] = 2),
        Error::Header(HeaderError::ByteOrder {
            expected: 1,
            got: 2
        })
    ));
    assert!(matches!(
        refusal(|bytes| bytes[17] = 64),
        Error::Header(HeaderError::PointerWidth {
            expected: 32,
            got: 64
        })
    ));
    assert!(matches!(
        refusal(|bytes| bytes[18] = 0),
        Error::Header(HeaderError::Alignment {
            expected: 1,
            got: 0
        })
    ));
}

#[test]
fn a_name_that_cannot_be_used_is_refused() {
    for name in [&b"../up"[..], b"new\nline", b"\x1b[31m", b""] {
        let refused = refusal(|bytes| {
            bytes[NAME].fill(0);
            bytes[NAME.start..][..name.len()].copy_from_slice(name);
        });
        assert!(matches!(refused, Error::Name { .. }), "{name:?}: {refused}");
    }
}

/// What one edit of the header is told to be.
fn table_problem(edit: impl FnOnce(&mut [u8])) -> &'static str {
    match refusal(edit) {
        Error::Header(HeaderError::SectionTable { problem }) => problem,
        other => panic!("expected an error about the section table, got: {other}"),
    }
}

#[test]
fn contradictions_outside_of_the_table_are_refused() {
    assert!(table_problem(|bytes| bytes[20] = 1).contains("neither 576 nor"));
    for page in [1, 64, 2048, 4095, 4097, 1 << 21] {
        let problem = table_problem(|bytes| put_u64(bytes, 88, page));
        assert!(problem.contains("power of two"), "{page}: {problem}");
    }
    for files in [0, 2, 32, 33] {
        let problem = table_problem(|bytes| bytes[92] = files);
        assert!(problem.contains("page file"), "{files}: {problem}");
    }
    for place in ZEROS {
        assert!(table_problem(|bytes| bytes[place] = 1).contains("unused"));
    }
    assert!(table_problem(|bytes| bytes[24..32].fill(0)).contains("generation"));
    let text = "not zero-padded UTF-8";
    assert!(table_problem(|bytes| bytes[NAME.end - 1] = b'x').contains(text));
    assert!(table_problem(|bytes| bytes[NAME.start] = 0xff).contains(text));
    assert!(table_problem(|bytes| bytes[PRODUCER.end - 1] = b'x').contains(text));
    assert!(table_problem(|bytes| bytes[PRODUCER.start] = 0xff).contains(text));
}

#[test]
fn a_table_with_other_rows_than_it_counts_is_refused() {
    for count in [7, 8, 255] {
        assert!(table_problem(|bytes| bytes[19] = count).contains("six rows"));
    }
    // One row more than there are, one fewer, none.
    assert!(table_problem(|bytes| bytes[19] = 4).contains("unknown kind"));
    for count in [0, 2] {
        assert!(table_problem(|bytes| bytes[19] = count).contains("unused row"));
    }
    assert!(table_problem(|bytes| bytes[row(5) + 23] = 1).contains("unused row"));
    let empty = |bytes: &mut [u8]| {
        bytes[SECTIONS].fill(0);
        bytes[19] = 0;
    };
    assert!(table_problem(empty).contains("does not end the region"));
}

#[test]
fn kinds_that_are_unknown_or_stand_twice_are_refused() {
    for kind in [0, 7, 255] {
        assert!(table_problem(|bytes| bytes[row(1)] = kind).contains("unknown kind"));
    }
    assert!(table_problem(|bytes| bytes[row(1) + 4] = 1).contains("unknown kind"));
    assert!(table_problem(|bytes| bytes[row(1)] = 1).contains("twice"));
}

#[test]
fn sections_that_lie_about_their_place_are_refused() {
    let follow = "do not follow each other";
    // Overlap, gap, not aligned, inside the header.
    for (number, offset) in [(1, 640), (1, 768), (1, 705), (0, 0), (0, 512), (2, 704)] {
        let problem = table_problem(|bytes| put_u64(bytes, row(number) + 8, offset));
        assert!(problem.contains(follow), "row {number} at {offset}");
    }
    // Longer than the region, or so long that offset and length overflow.
    for length in [169, 1 << 32, i64::MAX as u64, u64::MAX - 832] {
        let problem = table_problem(|bytes| put_u64(bytes, row(2) + 16, length));
        assert!(problem.contains(follow), "{length}: {problem}");
    }
    for (offset, length) in [(832, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        let problem = table_problem(|bytes| {
            put_u64(bytes, row(2) + 8, offset);
            put_u64(bytes, row(2) + 16, length);
        });
        assert!(problem.contains("leaves the region"), "{offset} {length}");
    }
    assert!(table_problem(|bytes| put_u64(bytes, row(2) + 16, 167)).contains("end the region"));
}

#[test]
fn lengths_of_the_region_that_cannot_be_are_refused() {
    for length in [0, 575, 576, 999] {
        assert!(table_problem(|bytes| put_u64(bytes, 80, length)).contains("follow"));
    }
    for length in [1001, 1 << 40, i64::MAX as u64] {
        assert!(table_problem(|bytes| put_u64(bytes, 80, length)).contains("end the region"));
    }
    for length in [i64::MAX as u64 + 1, u64::MAX] {
        assert!(table_problem(|bytes| put_u64(bytes, 80, length)).contains("longer than a file"));
    }
    // The region and its last section agree on a length near the end of what 64 bits hold.
    let problem = table_problem(|bytes| {
        put_u64(bytes, 80, i64::MAX as u64);
        put_u64(bytes, row(1) + 16, i64::MAX as u64 - 704);
        put_u64(bytes, row(2) + 8, (i64::MAX as u64).next_multiple_of(64));
    });
    assert!(problem.contains("follow"), "{problem}");
}

#[test]
fn a_header_of_a_page_lists_the_other_files() {
    let page = 4096;
    let file = |number: u64| FileRow {
        pages: 10 + number,
        id: MemfdId {
            device: 1,
            inode: 100 + number,
            changed: -7,
        },
        digests: Digests {
            quick: number.into(),
            strong: [number as u8; 32],
        },
    };
    let section = |kind, offset, length| Section {
        kind,
        offset,
        length,
    };
    let header = Header {
        spacing: Spacing::Pages(page),
        length: 4 * page,
        sections: vec![
            section(SectionKind::Archive, page, 5000),
            section(SectionKind::Layout, 3 * page, 48),
        ],
        others: (1..32).map(file).collect(),
        ..header()
    };
    let bytes = header.encode();
    assert_eq!(bytes.len() as u64, page);
    assert_eq!(Header::decode(&bytes).unwrap(), header);

    // Pinned: the page's size, the number of files, and the rows of the first and the last.
    assert_eq!(bytes[88..96], [0, 0x10, 0, 0, 32, 0, 0, 0]);
    assert_eq!(bytes[HEADER_LENGTH..][..32], row_start(11, 101));
    assert_eq!(bytes[HEADER_LENGTH + 30 * 80..][..32], row_start(41, 131));
    assert_eq!(bytes[HEADER_LENGTH + 30 * 80 + 48..][..32], [31; 32]);

    let alone = Header {
        others: Vec::new(),
        ..header.clone()
    };
    let mut without_layout = header.clone();
    without_layout.sections[1].kind = SectionKind::Schema;
    for lie in [alone, without_layout] {
        let refused = Header::decode(&lie.encode()).unwrap_err();
        let named = matches!(refused, Error::Header(HeaderError::Layout { .. }));
        assert!(named, "{refused}");
    }

    let shorter = Header::decode(&bytes[..4095]).unwrap_err();
    assert!(matches!(
        shorter,
        Error::Header(HeaderError::Length {
            expected: 4096,
            got: 4095
        })
    ));
    let mut stray = bytes;
    stray[4095] = 1;
    let digest = digest(&stray).to_le_bytes();
    stray[DIGEST].copy_from_slice(&digest);
    let refused = Header::decode(&stray).unwrap_err().to_string();
    assert!(refused.contains("unused of the header"), "{refused}");
}

fn row_start(pages: u8, inode: u8) -> [u8; 32] {
    let mut row = [0; 32];
    (row[0], row[8], row[16], row[24]) = (pages, 1, inode, 0xf9);
    row[25..].fill(0xff);
    row
}
