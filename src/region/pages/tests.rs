//! Images of several page files: honest ones, and those that lie.

use std::os::fd::OwnedFd;

use super::layout::{self, Run};
use super::*;
use crate::error::{Error, Fingerprint, HeaderError, RegionPart, SectionKind};
use crate::region::format::{Digesting, Header};
use crate::region::{Backing, Label, Region, Unsealed};
use crate::sys::memfd::UnsealedFile;

const FINGERPRINT: Fingerprint = Fingerprint::from_le_bytes([7; 16]);

fn page() -> usize {
    rustix::param::page_size()
}

/// A region in pages, with random bytes.
fn region(name: &str, pages: usize) -> Region {
    let label = Label::first(name).unwrap();
    let mut unsealed = Unsealed::create(label, Backing::Memfd).unwrap();
    let bytes: Vec<u8> = (0..pages * page())
        .map(|at| ((at * 31) >> 3) as u8)
        .collect();
    unsealed.append(&bytes).unwrap();
    unsealed.begin(SectionKind::Schema).unwrap();
    unsealed.append(b"schema").unwrap();
    unsealed.seal(FINGERPRINT).unwrap()
}

/// The next generation, in which some pages of the archive have other bytes.
fn changed(earlier: &Region, pages: &[usize], byte: u8) -> Region {
    let mut archive = earlier.section(SectionKind::Archive).unwrap().to_vec();
    for number in pages {
        archive[number * page()] = byte;
    }
    let label = Label::after(earlier, earlier.generation() + 1);
    let mut next = Successor::new(label, earlier);
    next.begin(SectionKind::Archive);
    next.keep_equal_pages(&archive);
    next.begin(SectionKind::Schema);
    next.keep_or_write(b"schema".to_vec());
    let region = next.seal(FINGERPRINT).unwrap();
    assert_eq!(region.section(SectionKind::Archive).unwrap(), archive);
    assert_eq!(region.section(SectionKind::Schema).unwrap(), b"schema");
    region
}

fn own_file(region: &Region) -> Vec<u8> {
    use std::io::Read;
    let file = region.as_fd().unwrap().try_clone_to_owned().unwrap();
    let mut file = std::fs::File::open(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&file)
    ))
    .unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn sealed(bytes: &[u8]) -> OwnedFd {
    let mut file = UnsealedFile::create("forged").unwrap();
    file.write_all_at(bytes, 0).unwrap();
    std::fs::File::from(file.seal().unwrap()).into()
}

/// The page files of an image whose layout says something else, with digests that are right.
fn with_layout(region: &Region, edit: impl FnOnce(&mut Vec<Run>)) -> Vec<OwnedFd> {
    let mut bytes = own_file(region);
    let mut runs = region.image().unwrap().runs(page() as u64);
    let length = runs.len() * layout::RUN_LENGTH;
    edit(&mut runs);
    let mut encoded = layout::encode(&runs);
    encoded.resize(length, 0);
    bytes[page()..][..length].copy_from_slice(&encoded);
    let mut digesting = Digesting::both();
    digesting.update(&bytes[page()..]);
    let header = Header {
        digests: digesting.finish(),
        ..region.header().clone()
    };
    bytes[..page()].copy_from_slice(&header.encode());
    let mut fds = region.try_clone_fds().unwrap();
    fds[0] = sealed(&bytes);
    fds
}

#[test]
fn an_image_of_several_files_reads_as_one() {
    let first = region("image", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    assert_eq!(second.as_fds().unwrap().len(), 2);
    let again = Region::from_fds(second.try_clone_fds().unwrap()).unwrap();
    assert_eq!(again.bytes(), second.bytes());
    let header = (second.header().lineage, second.header().base);
    assert_eq!(header, (first.header().lineage, first.header().identity()));
    // The header, the layout, the two pages, and the schema, which is too short to be shared.
    assert_eq!(own_file(&second).len(), 5 * page());

    // As one file it has other digests, and the same content.
    let mut file = Vec::new();
    second.write_to(&mut file).unwrap();
    let one = Region::from_bytes(&file).unwrap();
    let archive = |region: &Region| region.section(SectionKind::Archive).unwrap().to_vec();
    assert_eq!(archive(&one), archive(&second));
    assert_eq!(one.header().content, second.header().content);
    let refused = Region::from_bytes(second.bytes()).unwrap_err();
    let Error::Header(HeaderError::Incomplete {
        generation,
        missing,
    }) = refused
    else {
        panic!("{refused}")
    };
    let bytes: Vec<u64> = missing.iter().map(|it| it.bytes).collect();
    assert_eq!((generation, bytes), (2, vec![first.size()]));
}

/// Larger pages than those of the image cannot be mapped to its runs.
#[test]
fn a_system_with_larger_pages_copies_the_image() {
    let first = region("larger", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let image = second.image().unwrap();
    let runs = image.runs(page() as u64);
    for system in [page() as u64, 2 * page() as u64, 1 << 16] {
        let stretches = opening::stretches(image.files(), &runs, page() as u64);
        let bytes = opening::Bytes::of(&stretches, page() as u64, system).unwrap();
        assert_eq!(bytes.is_a_copy(), system > page() as u64);
        assert_eq!(bytes.as_slice(), second.bytes());
    }
}

#[test]
fn page_files_that_do_not_belong_together_are_refused() {
    let first = region("files", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let fds = || second.try_clone_fds().unwrap();
    let refusal = |fds: Vec<OwnedFd>| Region::from_fds(fds).unwrap_err();
    let header = |error: Error| match error {
        Error::Header(error) => error,
        other => panic!("{other}"),
    };

    let missing = fds().drain(..1).collect();
    assert!(matches!(
        header(refusal(missing)),
        HeaderError::Files {
            expected: 2,
            got: 1
        }
    ));
    assert!(matches!(
        header(refusal(Vec::new())),
        HeaderError::Files {
            expected: 1,
            got: 0
        }
    ));
    let mut more = fds();
    more.push(fds().remove(1));
    assert!(matches!(
        header(refusal(more)),
        HeaderError::Files {
            expected: 2,
            got: 3
        }
    ));
    let mut reversed = fds();
    reversed.reverse();
    assert!(matches!(
        header(refusal(reversed)),
        HeaderError::Files {
            expected: 1,
            got: 2
        }
    ));

    let with_base = |base: OwnedFd| vec![fds().remove(0), base];
    let mut other = own_file(&first);
    other[5 * page()] ^= 1;
    let damaged = header(refusal(with_base(sealed(&other))));
    assert!(matches!(
        damaged,
        HeaderError::Damaged {
            part: RegionPart::File(1)
        }
    ));
    let shrunk = header(refusal(with_base(sealed(&other[..other.len() - page()]))));
    assert!(matches!(shrunk, HeaderError::Length { .. }));
    let file = crate::sys::memfd::create("unsealed").unwrap();
    file.set_len(other.len() as u64).unwrap();
    assert!(matches!(
        refusal(with_base(file.into())),
        Error::Unsealed { .. }
    ));
}

#[test]
fn layouts_that_lie_are_refused() {
    let first = region("layouts", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let honest = with_layout(&second, |_| ());
    assert_eq!(
        Region::from_fds(honest)
            .unwrap()
            .section(SectionKind::Archive)
            .unwrap(),
        second.section(SectionKind::Archive).unwrap()
    );
    let problem = |edit: fn(&mut Vec<Run>)| match Region::from_fds(with_layout(&second, edit)) {
        Err(Error::Header(HeaderError::Layout { problem })) => problem,
        other => panic!("{other:?}"),
    };
    assert!(problem(|runs| runs[1].pages += 1).contains("as many pages"));
    assert!(problem(|runs| runs[1].file = 2).contains("does not list"));
    assert!(problem(|runs| runs[1].first = u64::MAX).contains("has not"));
    assert!(problem(|runs| runs[1].first = 300).contains("has not"));
    assert!(problem(|runs| runs[1].first = runs[3].first).contains("twice"));
    assert!(
        problem(|runs| runs[0] = Run {
            file: 1,
            pages: 1,
            first: 299
        })
        .contains("does not begin")
    );
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("memfd:forged"), "nothing stays mapped");
}

/// Where most pages changed, none is shared: the next generation is one file, that others read as
/// such.
#[test]
fn a_generation_that_shares_nothing_is_one_file() {
    let first = region("most", 300);
    let pages: Vec<usize> = (0..300).filter(|page| page % 20 > 0).collect();
    let second = changed(&first, &pages, 0xaa);
    let fds = second.try_clone_fds().unwrap();
    assert_eq!(fds.len(), 1);
    assert!(second.header().section(SectionKind::Layout).is_none());
    let again = Region::from_fds(fds).unwrap();
    assert_eq!(again.bytes(), second.bytes());
    assert_eq!(again.header(), second.header());
    let mut file = Vec::new();
    second.write_to(&mut file).unwrap();
    assert_eq!(Region::from_bytes(&file).unwrap().bytes(), second.bytes());
}

/// However many generations follow each other, files, runs and bytes stay within their bounds.
#[test]
fn bounds_hold_over_many_generations() {
    const PAGES: usize = 400;
    let mut newest = region("bounds", PAGES);
    let mut seed = 1_usize;
    for generation in 0..300 {
        let count = match generation % 30 {
            29 => 2 * PAGES,
            7 | 14 | 21 => 60,
            _ => 2,
        };
        let pages: Vec<usize> = (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % PAGES
            })
            .collect();
        newest = changed(&newest, &pages, generation as u8);
        let again = Region::from_fds(newest.try_clone_fds().unwrap()).unwrap();
        assert_eq!(again.bytes(), newest.bytes(), "generation {generation}");
        let image = newest.image().unwrap();
        let total: u64 = image.files().iter().map(|file| file.sealed.length()).sum();
        assert!(image.files().len() <= 32);
        assert!(image.runs(page() as u64).len() <= layout::MOST_RUNS);
        let most = newest.size() * 3 / 2 + 16 * page() as u64;
        assert!(
            total <= most,
            "{total} bytes of {} in generation {generation}",
            newest.size()
        );
    }
}

/// Changes of one page each, all over an image: past some runs those between the shortest gaps are
/// joined, and that costs a few pages for each change.
#[test]
fn runs_are_joined_past_some_dozens() {
    const PAGES: usize = 2000;
    const CHANGES: usize = 250;
    let mut newest = region("runs", PAGES);
    let (mut most, mut written) = (0, 0);
    for change in 0..CHANGES {
        newest = changed(&newest, &[change * 797 % PAGES], change as u8 | 1);
        most = most.max(newest.image().unwrap().runs(page() as u64).len());
        written += own_file(&newest).len() / page();
    }
    assert!((60..=64).contains(&most), "{most} runs");
    assert!(written < 50 * CHANGES, "{written} pages");
}

/// Bytes of a page file without those that differ from time to time: when it was made, by which
/// version, of which lineage and base, the other memfd, and the digest of all that.
fn stable(file: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for varying in [48..80, 96..128, 400..448, 512..528, 584..608] {
        bytes[varying].fill(0);
    }
    bytes
}

/// The page file of a second generation in which two pages changed, with pages of 4,096 bytes.
#[test]
fn a_page_file_is_written_into_the_same_bytes_for_ever() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pages-2.floe");
    if page() != 4096 {
        return;
    }
    let first = region("golden pages", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let file = own_file(&second);
    let golden = std::fs::read(path).unwrap_or_default();
    if golden.is_empty() || stable(&file) != stable(&golden) {
        let candidate = std::env::temp_dir().join("pages-2.floe");
        std::fs::write(&candidate, &file).unwrap();
        panic!(
            "{path} differs; the new bytes are in {}",
            candidate.display()
        );
    }
    let files = vec![sealed(&golden), first.try_clone_fd().unwrap()];
    let read = Region::from_fds(files).unwrap();
    assert_eq!(read.generation(), 2);
    let archive = |region: &Region| region.section(SectionKind::Archive).unwrap().to_vec();
    assert_eq!(archive(&read), archive(&second));
}

/// What two regions of memfds have in common is known by the files, and taken from the earlier one.
#[test]
fn pages_of_the_same_file_are_the_same() {
    let archive = |region: &Region| region.section(SectionKind::Archive).unwrap().to_vec();
    let first = region("common", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let held = Region::from_fds(first.try_clone_fds().unwrap()).unwrap();
    let next = Region::open(second.try_clone_fds().unwrap(), Some(&held)).unwrap();
    let base = |region: &Region, number: usize| {
        std::sync::Arc::clone(&region.image().unwrap().files()[number])
    };
    assert!(std::sync::Arc::ptr_eq(&base(&held, 0), &base(&next, 1)));
    let own = own_file(&second).len() as u64;
    assert_eq!(next.bytes_to_check(), own, "the other file was compared");
    next.check_bytes().unwrap();
    assert_eq!(next.bytes_to_check(), 0);
    let page = page();
    let pages = [30, 200].map(|number| number * page..(number + 1) * page);
    assert_eq!(next.differing(SectionKind::Archive, &held), pages);
    assert!(!next.begins_as(SectionKind::Archive, &held));
    assert!(next.begins_as(SectionKind::Schema, &held));

    // A copy of the file is another one, though it has the same bytes.
    let copied = vec![
        second.try_clone_fds().unwrap().remove(0),
        sealed(&own_file(&first)),
    ];
    let copied = Region::open(copied, Some(&held)).unwrap();
    assert_eq!(copied.bytes_to_check(), own + first.size());
    copied.check_bytes().unwrap();
    let all = copied.differing(SectionKind::Archive, &held);
    assert_eq!((all.len(), &all[0]), (1, &(0..300 * page)));
    assert!(copied.begins_as(SectionKind::Archive, &second));

    // A page of the same file, but another one, is not the same.
    let shifted = with_layout(&second, |runs| runs[3].first += 1);
    let shifted = Region::open(shifted, Some(&held)).unwrap();
    shifted.check_bytes().unwrap();
    let differing = shifted.differing(SectionKind::Archive, &held);
    assert_eq!(
        (differing.len(), &differing[0]),
        (1, &(30 * page..201 * page))
    );

    // Nobody has compared this one with its digests.
    let unread = Region::open(first.try_clone_fds().unwrap(), None).unwrap();
    let next = Region::open(second.try_clone_fds().unwrap(), Some(&unread)).unwrap();
    assert_eq!(next.bytes_to_check(), own + first.size());

    // Whatever follows whatever, what may not differ does not.
    let mut generations = vec![first, second];
    let mut seed = 7_usize;
    for generation in 0..40 {
        let count = if generation % 10 == 9 { 200 } else { 3 };
        let pages: Vec<usize> = (0..count)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) % 300
            })
            .collect();
        let newest = generations.last().unwrap();
        generations.push(changed(newest, &pages, generation as u8));
    }
    for (number, earlier) in generations.iter().enumerate() {
        let held = Region::from_fds(earlier.try_clone_fds().unwrap()).unwrap();
        for later in &generations[number..] {
            let later = Region::open(later.try_clone_fds().unwrap(), Some(&held)).unwrap();
            let (mut one, mut other) = (archive(&held), archive(&later));
            let differing = later.differing(SectionKind::Archive, &held);
            for range in &differing {
                one[range.clone()].fill(0);
                other[range.clone()].fill(0);
            }
            assert!(one == other);
        }
    }
}

/// A shared file that is another one than the header says.
#[test]
fn a_file_that_is_not_the_one_that_is_held_is_compared() {
    let first = region("swapped", 300);
    let second = changed(&first, &[30, 200], 0xaa);
    let held = Region::from_fds(first.try_clone_fds().unwrap()).unwrap();
    let mut other = own_file(&first);
    other[5 * page()] ^= 1;
    let fds = vec![second.try_clone_fds().unwrap().remove(0), sealed(&other)];
    let next = Region::open(fds, Some(&held)).unwrap();
    assert!(matches!(
        next.check_bytes(),
        Err(Error::Header(HeaderError::Damaged {
            part: RegionPart::File(1)
        }))
    ));
}
