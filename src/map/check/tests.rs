//! What a check of the differences accepts, beside a check of everything.

use std::collections::HashSet;
use std::fmt::Debug;

use rkyv::util::AlignedVec;

use super::{Earlier, MapError, Sections, check, check_after, parts};
use crate::archive::Value;
use crate::archive::findings::Findings;
use crate::archive::intern::Intern;
use crate::error::SectionKind;
use crate::frozen::{Content, Frozen};
use crate::map::garbage::encode;
use crate::map::index::{INDEX_HEADER_LENGTH, LINE_SLOTS, Line};
use crate::map::{Key, Map, MapBuilder, MapKey};
use crate::region::{Backing, Label};
use crate::sys::threads;

const OF_LINE: usize = size_of::<Line>();

/// A value whose text entries share.
#[derive(rkyv::Archive, rkyv::Serialize)]
#[rkyv(derive(floe::Schema))]
struct Sharing {
    #[rkyv(with = Intern)]
    text: String,
    number: u64,
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end.max(1)
    }
}

fn key(number: usize) -> String {
    format!("the key with number {number:05}")
}

fn freeze<V: Value>(entries: usize, value: impl Fn(usize) -> V) -> Frozen<Map<String, V>> {
    let mut builder = MapBuilder::on_heap("checks").unwrap();
    for number in 0..entries {
        builder.insert(&key(number), &value(number)).unwrap();
    }
    as_follower(&builder.finish().unwrap())
}

/// The same map as one sees it who has checked it.
fn as_follower<K: MapKey, V: Value>(map: &Frozen<Map<K, V>>) -> Frozen<Map<K, V>> {
    Frozen::from_bytes(map.region().bytes()).unwrap()
}

/// The next generation: some entries are new or have new values, and some are gone.
fn carried<V: Value>(
    earlier: &Frozen<Map<String, V>>,
    put: impl IntoIterator<Item = (usize, V)>,
    gone: &[usize],
) -> Frozen<Map<String, V>> {
    let label = Label::after(earlier.region(), earlier.region().generation() + 1);
    let mut builder = MapBuilder::next_generation(label, Backing::Heap).unwrap();
    let find = |number| {
        let key = key(number);
        earlier.find_entry(key.key_hash(), key.as_str())
    };
    let mut going: HashSet<_> = gone.iter().copied().filter_map(find).collect();
    for (number, value) in put {
        going.extend(find(number));
        builder.insert(&key(number), &value).unwrap();
    }
    let inputs = |_: &crate::map::Moved| Vec::new();
    builder.carry(earlier, &going, inputs).unwrap()
}

/// The sections of a map, for changes.
#[derive(Clone)]
struct Bytes {
    archive: AlignedVec<64>,
    index: AlignedVec<64>,
    garbage: Vec<u64>,
}

fn aligned(bytes: &[u8]) -> AlignedVec<64> {
    let mut aligned = AlignedVec::new();
    aligned.extend_from_slice(bytes);
    aligned
}

impl Bytes {
    fn of<T: Content>(map: &Frozen<T>) -> Self {
        let section = |kind| map.region().section(kind).unwrap_or_default();
        let garbage = section(SectionKind::Garbage).as_chunks().0.iter();
        Self {
            archive: aligned(section(SectionKind::Archive)),
            index: aligned(section(SectionKind::Index)),
            garbage: garbage.copied().map(u64::from_le_bytes).collect(),
        }
    }

    fn line(&self, number: usize) -> Line {
        let start = INDEX_HEADER_LENGTH + number * OF_LINE;
        Line::from_bytes(self.index[start..].first_chunk().unwrap())
    }

    fn put_line(&mut self, number: usize, line: Line) {
        let start = INDEX_HEADER_LENGTH + number * OF_LINE;
        self.index[start..start + OF_LINE].copy_from_slice(&line.to_bytes());
    }

    fn lines(&self) -> usize {
        (self.index.len() - INDEX_HEADER_LENGTH) / OF_LINE
    }

    /// Adds to the numbers of entries and of bytes of garbage in the header.
    fn count(&mut self, entries: i64, garbage: i64) {
        for (at, more) in [(8, entries), (24, garbage)] {
            let number = u64::from_le_bytes(*self.index[at..].first_chunk().unwrap());
            let number = number.wrapping_add_signed(more).to_le_bytes();
            self.index[at..at + 8].copy_from_slice(&number);
        }
    }

    /// A slot that is taken: its line, its number, its tag and where it leads.
    fn taken(&self, random: &mut Random) -> (usize, usize, u8, u64) {
        loop {
            let (number, slot) = (random.below(self.lines()), random.below(LINE_SLOTS));
            let line = self.line(number);
            let tag = line.to_bytes()[slot];
            if tag != 0 {
                return (number, slot, tag, line.offset(slot));
            }
        }
    }

    fn length_at(&self, offset: u64) -> u64 {
        let header = self.archive[offset as usize..].first_chunk().unwrap();
        u64::from(u32::from_le_bytes(*header)) * 4
    }

    /// What a full check says, and what one of the differences does.
    fn checked<V: Value>(
        &self,
        earlier: &Frozen<Map<String, V>>,
    ) -> (Result<Findings, MapError>, Option<Findings>) {
        let mut garbage = self.garbage.clone();
        let in_order = garbage.is_sorted();
        garbage.dedup();
        let bytes = match in_order && garbage == self.garbage {
            true => encode(garbage),
            false => self
                .garbage
                .iter()
                .flat_map(|it| it.to_le_bytes())
                .collect(),
        };
        let (archive, index) = (&self.archive[..], &self.index[..]);
        let before = Self::of(earlier);
        let begins = self.archive.starts_with(&before.archive);
        let length = self.index.len().min(before.index.len());
        let earlier = Earlier {
            map: earlier,
            findings: earlier.as_checked().findings(),
            index_differs: std::iter::once(0..length).collect(),
        };
        let cheap = begins
            .then(|| check_after(archive, index, &bytes, &earlier))
            .flatten();
        if let Ok(sections) = Sections::decode(archive, 0, index, &bytes) {
            let whole = parts::check_whole::<String, V>(&sections).ok();
            if let Some(together) = parts::check_together::<String, V>(&sections) {
                let whole = whole.expect("all parts are accepted");
                assert_eq!(
                    (together.entries, together.garbage, together.steps),
                    (whole.entries, whole.garbage, whole.steps)
                );
            } else {
                let is_small = sections.archive.len() < 2 * parts::PART;
                let is_one = threads::processors().get() == 1;
                assert!(whole.is_none() || is_small || is_one, "parts show no less");
            }
        }
        (check::<String, V>(archive, 0, index, &bytes), cheap)
    }
}

/// What the differences show, everything shows too.
fn compare<V: Value>(bytes: &Bytes, earlier: &Frozen<Map<String, V>>, what: impl Debug) -> bool {
    let (full, cheap) = bytes.checked(earlier);
    if let Some(cheap) = cheap {
        let full = full.unwrap_or_else(|_| panic!("accepted: {what:?}"));
        assert!(cheap.steps >= full.steps, "{what:?}");
    }
    cheap.is_some()
}

/// One change that somebody may make who lies, or not.
fn mutate(bytes: &mut Bytes, random: &mut Random) {
    let end = bytes.archive.len() as u64;
    match random.below(16) {
        0 => {
            let at = random.below(bytes.archive.len());
            bytes.archive[at] ^= 1 << random.below(8);
        }
        1 => {
            let at = random.below(bytes.index.len());
            bytes.index[at] ^= 1 << random.below(8);
        }
        2 => {
            let (.., offset) = bytes.taken(random);
            bytes.garbage.push(offset);
        }
        3 => bytes
            .garbage
            .push(random.below(end as usize / 4) as u64 * 4),
        4 if !bytes.garbage.is_empty() => {
            let at = random.below(bytes.garbage.len());
            bytes.garbage.remove(at);
        }
        5 if !bytes.garbage.is_empty() => {
            let at = random.below(bytes.garbage.len());
            bytes.garbage.insert(at, bytes.garbage[at]);
        }
        6 => {
            let (number, slot, tag, _) = bytes.taken(random);
            let mut line = bytes.line(number);
            line.put(slot, tag, random.below(end as usize / 4) as u64 * 4);
            bytes.put_line(number, line);
        }
        7 if !bytes.garbage.is_empty() => {
            // To garbage, as a resurrection or instead of another.
            let (number, slot, tag, _) = bytes.taken(random);
            let mut line = bytes.line(number);
            line.put(slot, tag, bytes.garbage[random.below(bytes.garbage.len())]);
            bytes.put_line(number, line);
        }
        8 => {
            let (number, slot, ..) = bytes.taken(random);
            let mut line = bytes.line(number);
            line.clear(slot);
            bytes.put_line(number, line);
        }
        9 => {
            let (one, one_slot, one_tag, one_offset) = bytes.taken(random);
            let (other, other_slot, other_tag, other_offset) = bytes.taken(random);
            let mut line = bytes.line(one);
            line.put(one_slot, other_tag, other_offset);
            bytes.put_line(one, line);
            let mut line = bytes.line(other);
            line.put(other_slot, one_tag, one_offset);
            bytes.put_line(other, line);
        }
        10 => {
            let number = random.below(bytes.lines());
            let mut line = bytes.line(number).to_bytes();
            line[LINE_SLOTS] ^= 1;
            bytes.put_line(number, Line::from_bytes(&line));
        }
        11 => {
            // An entry that goes, as an honest writer lets it go.
            let (number, slot, _, offset) = bytes.taken(random);
            let length = bytes.length_at(offset);
            let mut line = bytes.line(number);
            line.clear(slot);
            bytes.put_line(number, line);
            bytes.garbage.push(offset);
            bytes.garbage.sort_unstable();
            bytes.count(-1, length as i64);
        }
        12 => bytes.count(1, 0),
        13 => bytes.count(0, 4),
        14 => {
            // A copy of an entry, which has its key.
            let (.., offset) = bytes.taken(random);
            let length = bytes.length_at(offset) as usize;
            let copy = bytes.archive[offset as usize..][..length].to_vec();
            bytes.archive.extend_from_slice(&copy);
            if random.below(2) == 0 {
                bytes.garbage.push(end);
                bytes.count(0, length as i64);
            }
        }
        _ => {
            let (number, slot, tag, offset) = bytes.taken(random);
            let next = (number + 1) % bytes.lines();
            let mut line = bytes.line(next);
            if line.put_in_empty(tag, offset) {
                bytes.put_line(next, line);
                let mut line = bytes.line(number);
                line.clear(slot);
                bytes.put_line(number, line);
            }
        }
    }
}

/// Compares the checks of successors of a map, honest and changed.
fn differ<V: Value>(entries: usize, seed: u64, value: impl Fn(usize) -> V) -> usize {
    let mut random = Random(seed);
    let first = freeze(entries, &value);
    let gone: Vec<usize> = (0..entries / 20).map(|_| random.below(entries)).collect();
    let earlier = as_follower(&carried(&first, [(3, value(1))], &gone));
    let mut shown = 0;
    for round in 0..if cfg!(miri) { 5 } else { 100 } {
        let put: Vec<(usize, V)> = (0..random.below(6))
            .map(|it| (random.below(entries + 5), it))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .map(|(number, it)| (number, value(it)))
            .collect();
        let gone: Vec<usize> = (0..random.below(4))
            .map(|_| random.below(entries))
            .collect();
        let mut bytes = Bytes::of(&carried(&earlier, put, &gone));
        let (full, cheap) = bytes.checked(&earlier);
        assert!(full.is_ok() && cheap.is_some(), "an honest one, {round}");
        for count in 0..3 {
            mutate(&mut bytes, &mut random);
            shown += usize::from(compare(&bytes, &earlier, (seed, round, count)));
        }
    }
    shown
}

#[test]
fn differences_show_no_more_than_everything_does() {
    let text = |number: usize| "a text that is longer than eight bytes".repeat(number % 5);
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        let numbers = differ(60, seed, |number| number as u64);
        let texts = differ(300, seed, |number| vec![text(number); number % 3]);
        let sharing = differ(150, seed, |number| Sharing {
            text: text(number),
            number: number as u64,
        });
        for shown in [numbers, texts, sharing] {
            assert!(cfg!(miri) || shown > 5, "{shown} changed ones are valid");
        }
    }
}

/// An index with more lines is checked by the keys of all entries, and so is one of which nobody
/// has counted the steps.
#[test]
fn an_index_built_anew_is_checked_by_all_keys() {
    let earlier = freeze(100, |number| number as u64);
    let next = carried(&earlier, (100..200).map(|it| (it, it as u64)), &[7]);
    assert!(next.lines().len() > earlier.lines().len());
    let bytes = Bytes::of(&next);
    let (full, cheap) = bytes.checked(&earlier);
    assert_eq!(cheap.unwrap().steps, full.unwrap_or_default().steps);
    let mut random = Random(1);
    for round in 0..if cfg!(miri) { 3 } else { 100 } {
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut random);
        compare(&bytes, &earlier, round);
    }
    let uncounted = Map::freeze("checks", (0..50).map(|it| (key(it), 7_u64))).unwrap();
    assert_eq!(uncounted.as_checked().findings().steps, None);
    let next = Bytes::of(&carried(&uncounted, [(5, 8)], &[6]));
    let (full, cheap) = next.checked(&uncounted);
    assert_eq!(cheap.unwrap().steps, full.unwrap_or_default().steps);
}

/// What was garbage was never checked.
#[test]
fn garbage_does_not_come_back() {
    let first = freeze(60, |number| vec![key(number)]);
    let earlier = as_follower(&carried(&first, [], &[3]));
    let mut next = Bytes::of(&carried(&earlier, [(4, vec![])], &[]));
    let back = Bytes::of(&earlier).garbage[0];
    next.garbage.retain(|offset| *offset != back);
    let length = next.length_at(back);
    next.count(1, -(length as i64));
    let hash = key(3).key_hash();
    let number = crate::map::index::home(hash, next.lines() as u64) as usize;
    let mut line = next.line(number);
    assert!(line.put_in_empty(crate::map::index::tag(hash), back));
    next.put_line(number, line);
    let (full, cheap) = next.checked(&earlier);
    assert!(full.is_ok() && cheap.is_none());
}

/// What new entries share with earlier ones was checked before, but in another check.
#[test]
fn pointers_into_the_earlier_archive_are_checked_with_everything() {
    let value = |text: &str| Sharing {
        text: text.repeat(9),
        number: 7,
    };
    let earlier = freeze(60, |_| value("earlier"));
    let next = carried(&earlier, [(100, value("later"))], &[]);
    let mut bytes = Bytes::of(&next);
    let start = next.archive().as_ptr().addr();
    let pointer = std::ptr::from_ref(&next[&key(100)].text).addr() - start;
    let target = std::ptr::from_ref(&*next[&key(0)].text).addr() - start;
    let distance = (target as i32 - pointer as i32).to_le_bytes();
    bytes.archive[pointer..pointer + 4].copy_from_slice(&distance);
    let (full, cheap) = bytes.checked(&earlier);
    assert!(full.is_ok() && cheap.is_none());
}

/// Each lie about the next generation has its own answer, from the check of everything.
#[test]
fn lies_are_told_apart() {
    let earlier = freeze(60, |number| number as u64);
    let honest = Bytes::of(&carried(&earlier, [(3, 9)], &[]));
    let gone = honest.garbage[0];
    let reason = |change: &dyn Fn(&mut Bytes)| {
        let mut bytes = honest.clone();
        change(&mut bytes);
        match bytes.checked(&earlier) {
            (Err(MapError::Index(reason)), None) => format!("index: {reason}"),
            (Err(MapError::Garbage(reason)), None) => format!("garbage: {reason}"),
            (Err(MapError::Archive(reason)), None) => format!("archive: {reason}"),
            (Ok(_), _) => panic!("it was accepted"),
            (Err(_), Some(_)) => panic!("the differences were accepted"),
        }
    };
    let live = honest.line(0).offsets().next().unwrap();
    let with_slot = |offset: u64| {
        move |bytes: &mut Bytes| {
            let mut line = bytes.line(0);
            let tags = line.to_bytes();
            let slot = (0..LINE_SLOTS).find(|slot| tags[*slot] != 0).unwrap();
            line.put(slot, tags[slot], offset);
            bytes.put_line(0, line);
        }
    };
    let behind = honest.archive.len() as u64;
    for (change, expected) in [
        (
            &(|bytes: &mut Bytes| bytes.garbage.push(gone + 4)) as &dyn Fn(&mut Bytes),
            "garbage: it lists offset",
        ),
        (
            &|bytes| {
                bytes.garbage.push(live);
                bytes.garbage.sort_unstable();
            },
            "which is garbage",
        ),
        (
            &|bytes| bytes.garbage.push(gone),
            "garbage: its offsets do not ascend",
        ),
        (&|bytes| bytes.archive[8] ^= 1, "index: it does not lead to"),
        (&with_slot(live + 4), "in the middle of the entry"),
        (&with_slot(behind), "behind all entries"),
        (&with_slot(gone), "which is garbage"),
    ] {
        let reason = reason(change);
        assert!(reason.contains(expected), "{reason}");
    }
}
