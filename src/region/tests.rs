use super::format::HEADER_LENGTH;
use super::*;
use crate::error::{Fingerprint, HeaderError};

const FINGERPRINT: Fingerprint = Fingerprint::from_le_bytes([7; 16]);

/// A region with sections of 100, 0 and 65 bytes.
fn region(backing: Backing) -> Region {
    let mut unsealed = Unsealed::create(Label::first("sections").unwrap(), backing).unwrap();
    unsealed.append(&[1; 60]).unwrap();
    unsealed.append(&[2; 40]).unwrap();
    unsealed.begin(SectionKind::Index).unwrap();
    unsealed.begin(SectionKind::Schema).unwrap();
    unsealed.append(&[3; 65]).unwrap();
    unsealed.seal(FINGERPRINT).unwrap()
}

fn reopened(bytes: &[u8]) -> Result<Region> {
    Region::from_bytes(bytes)
}

#[test]
fn sections_stand_at_multiples_of_64_and_read_back() {
    for backing in [Backing::Memfd, Backing::Heap] {
        let region = region(backing);
        let archive = region.section(SectionKind::Archive).unwrap();
        assert_eq!(archive[..60], [1; 60]);
        assert_eq!(archive[60..], [2; 40]);
        assert_eq!(region.section(SectionKind::Index).unwrap(), b"");
        assert_eq!(region.section(SectionKind::Schema).unwrap(), [3; 65]);
        assert!(matches!(
            region.section(SectionKind::Inputs),
            Err(Error::Header(HeaderError::MissingSection {
                section: SectionKind::Inputs
            }))
        ));
        let offsets: Vec<u64> = region
            .header()
            .sections
            .iter()
            .map(|it| it.offset)
            .collect();
        assert_eq!(offsets, [576, 704, 704]);
        assert_eq!(region.bytes().len(), 769);
        assert_eq!(region.bytes().as_ptr().addr() % 64, 0);
    }
}

#[test]
fn memory_file_and_heap_hold_the_same_bytes() {
    let (memfd, heap) = (region(Backing::Memfd), region(Backing::Heap));
    assert_eq!(
        memfd.bytes()[HEADER_LENGTH..],
        heap.bytes()[HEADER_LENGTH..]
    );
    assert_eq!(memfd.header().sections, heap.header().sections);
    assert!(memfd.fds().is_some() && heap.fds().is_none());
}

#[test]
fn what_is_checked_again_is_the_same_region() {
    let region = region(Backing::Memfd);
    assert_eq!(reopened(region.bytes()).unwrap().header(), region.header());
    let fds = region.try_clone_fds().unwrap();
    assert_eq!(Region::from_fds(fds).unwrap().bytes(), region.bytes());
}

/// Whoever forges a region can make its digests right, so the padding is looked at too.
#[test]
fn padding_that_is_not_zero_names_the_section_before_it() {
    let region = region(Backing::Heap);
    for place in 676..704 {
        let mut padded = region.bytes().to_vec();
        padded[place] = 1;
        let mut digesting = Digesting::both();
        digesting.update(&padded[HEADER_LENGTH..]);
        let header = Header {
            digests: digesting.finish(),
            ..region.header().clone()
        };
        padded[..HEADER_LENGTH].copy_from_slice(&header.encode());
        assert!(matches!(
            reopened(&padded),
            Err(Error::Header(HeaderError::Damaged {
                part: RegionPart::PaddingBehind(SectionKind::Archive)
            }))
        ));
    }
}

#[test]
fn a_region_without_sections_is_one_header() {
    let header = Header {
        length: HEADER_LENGTH as u64,
        sections: Vec::new(),
        digests: Digesting::both().finish(),
        ..region(Backing::Heap).header().clone()
    };
    let region = reopened(&header.encode()).unwrap();
    assert!(matches!(
        region.section(SectionKind::Archive),
        Err(Error::Header(HeaderError::MissingSection { .. }))
    ));
}

#[test]
fn a_region_in_the_making_shows_what_was_written() {
    for backing in [Backing::Memfd, Backing::Heap] {
        let mut unsealed = Unsealed::create(Label::first("view").unwrap(), backing).unwrap();
        assert_eq!(unsealed.view().unwrap().archive(), b"");
        unsealed.append(b"abc").unwrap();
        unsealed.append(b"def").unwrap();
        assert_eq!(unsealed.view().unwrap().archive(), b"abcdef");
    }
}
