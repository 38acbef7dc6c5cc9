//! Edits of the header and the layout of an image of several page files, with digests that are
//! right, and other files beside it: refused, or readable to the end.
//!
//! The first byte of the input chooses the files. Edits of six bytes follow: a place (two), and the
//! word that is put there or, where the place is odd, added.
#![no_main]

use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use floe::dynamic::Described;
use floe::{Frozen, Publisher};
use floe_testkit::sign::{sign, u32_at, u64_at};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{pread, pwrite};

type Numbers = Vec<u64>;

/// Bytes of the header that say something: the fields and two rows of files.
const HEADER: usize = 736;
const PAGE: usize = 4096;

struct Image {
    /// The file that begins with the header.
    own: Vec<u8>,
    others: Vec<OwnedFd>,
    /// Where edits go.
    words: Vec<usize>,
}

/// Three files: the first generation, thirty pages of the second, and two of the third.
static IMAGE: LazyLock<Image> = LazyLock::new(|| {
    let mut numbers: Numbers = (0..80_000).collect();
    let mut frozen = Frozen::freeze("fuzz", &numbers).expect("there is memory");
    let publisher = Publisher::new(&frozen).expect("a channel");
    for pages in [10..40, 60..62] {
        for page in pages {
            numbers[page * PAGE / 8] = 7;
        }
        frozen = publisher.freeze(&numbers).expect("there is memory");
        publisher.publish(&frozen).expect("a channel");
    }
    let mut others = frozen.region().try_clone_fds().expect("memfds");
    let first = others.remove(0);
    let mut own = vec![0; frozen.region().size() as usize];
    let length = pread(&first, &mut own, 0).expect("a memfd");
    own.truncate(length);
    assert!(others.len() == 2 && u32_at(&own, 88) as usize == PAGE);
    let last = 256 + 24 * (usize::from(own[19]) - 1);
    let layout = u64_at(&own, last + 16) as usize;
    let words = (0..HEADER).chain(PAGE..PAGE + layout).step_by(4).collect();
    Image { own, others, words }
});

fn sealed(bytes: &[u8]) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("fuzz", flags).expect("a memfd");
    assert_eq!(pwrite(&file, bytes, 0), Ok(bytes.len()));
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals).expect("seals");
    file
}

fn edited(edits: &[u8]) -> Vec<u8> {
    let mut own = IMAGE.own.clone();
    for edit in edits.as_chunks::<6>().0 {
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let word = u32::from_le_bytes([edit[2], edit[3], edit[4], edit[5]]);
        let at = IMAGE.words[place / 2 % IMAGE.words.len()];
        let word = match place % 2 {
            0 => word,
            _ => u32_at(&own, at).wrapping_add(word),
        };
        own[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    sign(&mut own);
    own
}

fn files(choice: u8, own: &[u8]) -> Vec<OwnedFd> {
    let other = |number: usize| IMAGE.others[number].try_clone().expect("a descriptor");
    let mut files = vec![sealed(own), other(0), other(1)];
    match choice % 8 {
        1 => files.swap(1, 2),
        2 => files.swap(0, 1),
        3 => drop(files.pop()),
        4 => files.push(other(0)),
        5 => files[2] = other(0),
        6 => files[1] = sealed(own),
        _ => {}
    }
    files
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, edits)) = input.split_first() else {
        return;
    };
    let own = edited(edits);
    if let Ok(frozen) = Frozen::<Numbers>::from_fds(files(*choice, &own)) {
        let numbers = floe::thaw::<Numbers>(&frozen);
        assert_eq!(numbers.expect("it was checked").len(), frozen.len());
        let mut file = Vec::new();
        frozen
            .region()
            .write_to(&mut file)
            .expect("there is memory");
        let again = Frozen::<Numbers>::from_bytes(&file).expect("it was checked");
        assert!(again.as_slice() == frozen.as_slice());
    }
    if let Ok(described) = Described::from_fds(files(*choice, &own)) {
        let _ = described.check();
    }
});
