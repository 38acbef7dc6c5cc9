//! Generations that lie to a follower which has the one before: what it takes to be shared may be
//! something else, and what it checks alone may not be all that changed.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use floe::error::HeaderError;
use floe::format::RegionPart;
use floe::{Error, Frozen, Inputs, Map, Policy, Store};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use xxhash_rust::xxh3::xxh3_128;

use crate::descriptors::ALL_SEALS;
use crate::forge::{ARCHIVE, GARBAGE, INDEX, u32_at};
use crate::sign::{HEADER, ROW, TABLE, sign, u64_at};

type Texts = Map<String, String>;

const ENTRIES: u32 = 4000;
/// An "ä".
const UMLAUT: [u8; 2] = [0xc3, 0xa4];
const LABEL: &str = "forged-generation";
/// Where the row of another file has its quick digest.
const ROW_DIGEST: usize = 32;

fn key(number: u32) -> String {
    format!("key-{number:06}")
}

fn text(version: u32) -> String {
    format!("{version:08} ä {}", "x".repeat(200))
}

/// Two generations of a map, of which the second has a new version of one entry.
fn generations() -> [Frozen<Texts>; 2] {
    let store = Store::new();
    let version = Arc::new(AtomicU32::new(0));
    let now = Arc::clone(&version);
    let keys = |_: &mut Inputs| Ok((0..ENTRIES).map(key).collect());
    let build = move |_: &String, _: &mut Inputs| Ok(text(now.load(Relaxed)));
    let cache = store.keyed("texts", Policy::new(), keys, build).unwrap();
    store.refresh().unwrap();
    let first = cache.get().unwrap();
    version.store(1, Relaxed);
    store.invalidate_key("texts", key(77).as_str()).unwrap();
    store.refresh().unwrap();
    let second = cache.get().unwrap();
    assert_eq!(second.region().as_fds().unwrap().len(), 2);
    [first, second]
}

fn content(fd: &OwnedFd) -> Vec<u8> {
    let file = File::from(fd.try_clone().unwrap());
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn sealed(bytes: &[u8]) -> OwnedFd {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(LABEL, flags).unwrap());
    file.write_all(bytes).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(ALL_SEALS)).unwrap();
    file.into()
}

/// The page files of the second generation, to be changed.
struct Forged {
    own: Vec<u8>,
    base: Vec<u8>,
    page: usize,
}

impl Forged {
    fn of(second: &Frozen<Texts>) -> Self {
        let fds = second.region().try_clone_fds().unwrap();
        let own = content(&fds[0]);
        Self {
            page: u32_at(&own, 88) as usize,
            base: content(&fds[1]),
            own,
        }
    }

    /// Offset and length of a section in the image.
    fn section(&self, kind: u32) -> (usize, usize) {
        let rows = self.own[TABLE..].chunks_exact(ROW);
        let mut rows = rows.take(usize::from(self.own[19]));
        let row = rows.find(|row| u32_at(row, 0) == kind).unwrap();
        (u64_at(row, 8) as usize, u64_at(row, 16) as usize)
    }

    /// Writes a list of garbage over the one that is there, in its page.
    fn put_garbage(&mut self, offsets: &[u64]) {
        let rows = self.own[TABLE..].chunks_exact(ROW);
        let row = rows
            .map(|row| u32_at(row, 0))
            .position(|kind| kind == GARBAGE);
        let length = TABLE + row.unwrap() * ROW + 16;
        self.own[length..length + 8].copy_from_slice(&(8 * offsets.len() as u64).to_le_bytes());
        for (number, offset) in offsets.iter().enumerate() {
            self.put(GARBAGE, 8 * number, &offset.to_le_bytes());
        }
    }

    /// The file in which a byte of a section lies, and where.
    fn place(&mut self, kind: u32, at: usize) -> (&mut Vec<u8>, usize) {
        let (start, length) = self.section(kind);
        assert!(at < length);
        let (number, rest) = ((start + at) / self.page, (start + at) % self.page);
        let mut passed = 0;
        for run in self.own[self.page..].chunks_exact(16) {
            let (file, pages) = (u32_at(run, 0), u32_at(run, 4) as usize);
            if number < passed + pages {
                let first = u64_at(run, 8) as usize;
                let place = (first + number - passed) * self.page + rest;
                return match file {
                    0 => (&mut self.own, place),
                    _ => (&mut self.base, place),
                };
            }
            passed += pages;
        }
        panic!("no run has it");
    }

    fn put(&mut self, kind: u32, at: usize, bytes: &[u8]) {
        for (number, byte) in bytes.iter().enumerate() {
            let (file, place) = self.place(kind, at + number);
            file[place] = *byte;
        }
    }

    fn get<const N: usize>(&mut self, kind: u32, at: usize) -> [u8; N] {
        std::array::from_fn(|number| {
            let (file, place) = self.place(kind, at + number);
            file[place]
        })
    }

    /// With all digests right; the file of the first generation is another one only if it changed.
    fn fds(mut self, first: &Frozen<Texts>) -> Vec<OwnedFd> {
        let base = first.region().try_clone_fds().unwrap().remove(0);
        let base = match content(&base) == self.base {
            true => base,
            false => sealed(&self.base),
        };
        let digest = xxh3_128(&self.base[self.page..]).to_le_bytes();
        self.own[HEADER + ROW_DIGEST..][..16].copy_from_slice(&digest);
        sign(&mut self.own);
        vec![sealed(&self.own), base]
    }
}

/// What is changed of the files of a generation.
type Lie = Box<dyn Fn(&mut Forged)>;

fn clones(fds: &[OwnedFd]) -> Vec<OwnedFd> {
    fds.iter().map(|fd| fd.try_clone().unwrap()).collect()
}

/// That nothing of the forged files is mapped or open.
#[track_caller]
fn assert_no_trace() {
    assert!(
        !fs::read_to_string("/proc/self/maps")
            .unwrap()
            .contains(LABEL)
    );
    for fd in fs::read_dir("/proc/self/fd").unwrap() {
        let link = fs::read_link(fd.unwrap().path()).unwrap_or_default();
        assert!(!link.to_string_lossy().contains(LABEL));
    }
}

/// The refusal, which is that of somebody who has no earlier generation.
#[track_caller]
fn refusal(held: &Frozen<Texts>, fds: Vec<OwnedFd>) -> Error {
    let refused = Frozen::from_fds_after(held, clones(&fds)).unwrap_err();
    let full = Frozen::<Texts>::from_fds(fds).unwrap_err();
    assert_eq!(refused.to_string(), full.to_string());
    assert_no_trace();
    assert_eq!(
        held[key(77).as_str()],
        text(0),
        "the follower keeps what it has"
    );
    refused
}

#[test]
fn lies_to_a_follower_are_found() {
    let [first, second] = generations();
    let held = Frozen::<Texts>::from_fds(first.region().try_clone_fds().unwrap()).unwrap();
    let honest = || Forged::of(&second);

    let next = Frozen::from_fds_after(&held, honest().fds(&first)).unwrap();
    assert_eq!(next[key(77).as_str()], text(1));
    assert_eq!(
        next.region().bytes()[4096..],
        second.region().bytes()[4096..]
    );
    drop(next);
    assert_no_trace();

    // A shared file that is not the one of the header.
    let mut base = honest().base;
    let middle = base.len() / 2;
    base[middle] ^= 1;
    let fds = vec![honest().fds(&first).remove(0), sealed(&base)];
    let refused = refusal(&held, fds);
    assert!(
        matches!(
            refused,
            Error::Header(HeaderError::Damaged {
                part: RegionPart::File(1)
            })
        ),
        "{refused}"
    );

    // Each with digests that are right.
    let archive = 60 * honest().page;
    let list = honest().section(GARBAGE);
    assert_eq!(list.1, 8, "one entry is garbage");
    let gone = u64::from_le_bytes(honest().get(GARBAGE, 0));
    let lies: Vec<(&str, Lie)> = vec![
        (
            "not valid: entry at offset",
            Box::new(move |forged| {
                // A text of the old archive is no text any more.
                let umlaut = (archive..).find(|at| forged.get(ARCHIVE, *at) == UMLAUT);
                forged.put(ARCHIVE, umlaut.unwrap(), &[0xff]);
            }),
        ),
        (
            "not valid: entry at offset",
            Box::new(|forged| {
                let (_, length) = forged.section(ARCHIVE);
                let mut places = (0..length).rev();
                let umlaut =
                    places.find(|at| at + 2 <= length && forged.get(ARCHIVE, *at) == UMLAUT);
                forged.put(ARCHIVE, umlaut.unwrap(), &[0xff]);
            }),
        ),
        (
            "where no entry starts",
            Box::new(move |forged| forged.put_garbage(&[gone, gone + 4])),
        ),
        (
            "do not ascend",
            Box::new(move |forged| forged.put_garbage(&[gone, gone])),
        ),
        (
            // The first entry, which is live.
            "which is garbage",
            Box::new(move |forged| forged.put_garbage(&[0, gone])),
        ),
        (
            "in the middle of the entry",
            Box::new(|forged| {
                let slot = slot_of_own_line(forged);
                let unit = u32::from_le_bytes(forged.get(INDEX, slot));
                forged.put(INDEX, slot, &(unit + 1).to_le_bytes());
            }),
        ),
        (
            "which is garbage",
            Box::new(move |forged| {
                let slot = slot_of_own_line(forged);
                forged.put(INDEX, slot, &((gone / 4) as u32).to_le_bytes());
            }),
        ),
        (
            "behind all entries",
            Box::new(|forged| {
                let slot = slot_of_own_line(forged);
                forged.put(INDEX, slot, &u32::MAX.to_le_bytes());
            }),
        ),
        (
            "it counts",
            Box::new(|forged| {
                forged.put(INDEX, 8, &u64::from(ENTRIES + 1).to_le_bytes());
            }),
        ),
    ];
    for (expected, lie) in lies {
        let mut forged = honest();
        lie(&mut forged);
        let refused = refusal(&held, forged.fds(&first)).to_string();
        assert!(refused.contains(expected), "{expected}: {refused}");
    }

    // What is another value, and no lie, is what everybody reads.
    let mut other = honest();
    let x = (archive..)
        .find(|at| other.get(ARCHIVE, *at) == *b"xxxxx")
        .unwrap();
    other.put(ARCHIVE, x, b"y");
    let fds = other.fds(&first);
    let next = Frozen::from_fds_after(&held, clones(&fds)).unwrap();
    let full = Frozen::<Texts>::from_fds(fds).unwrap();
    assert!(next.iter().eq(full.iter()) && !next.iter().eq(second.iter()));
}

/// Where the offset of a taken slot stands in a line that the second generation wrote.
fn slot_of_own_line(forged: &mut Forged) -> usize {
    let (_, length) = forged.section(INDEX);
    let lines = (64..length).step_by(64);
    let own_length = forged.own.len();
    for line in lines {
        let is_own = {
            let (file, _) = forged.place(INDEX, line);
            file.len() == own_length
        };
        if is_own && line > forged.page {
            let tags: [u8; 10] = forged.get(INDEX, line);
            if let Some(slot) = tags.iter().position(|tag| *tag != 0) {
                return line + 14 + slot * 5;
            }
        }
    }
    panic!("no line is its own");
}
