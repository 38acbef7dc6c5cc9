//! Few and many changed entries of a fresh generation, at random and in a row: time against a copy
//! of the image, new bytes, files and runs.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::carry::copy_seconds;
use crate::machine::shmem;
use crate::pages::{file_lengths, runs};
use crate::subject::{Subject, key};
use floe_testkit::measure::Random;

/// Time is the best of the rounds, all others are the most of them.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) entries: u64,
    pub(crate) changed: u64,
    pub(crate) is_random: bool,
    pub(crate) seconds: f64,
    pub(crate) copy_seconds: f64,
    /// Letting go of the generation before, all of whose pages were read.
    pub(crate) release_seconds: f64,
    /// Length of the generation's own page file.
    pub(crate) new_bytes: u64,
    /// The same, as the machine sees it.
    pub(crate) shmem_bytes: i64,
    pub(crate) image_bytes: u64,
    pub(crate) files: usize,
    pub(crate) runs: usize,
}

impl Row {
    pub(crate) fn seconds_ratio(&self) -> f64 {
        self.seconds / self.copy_seconds
    }

    pub(crate) fn bytes_ratio(&self) -> f64 {
        self.new_bytes as f64 / self.image_bytes as f64
    }
}

pub(crate) fn find(rows: &[Row], entries: u64, changed: u64, is_random: bool) -> Option<&Row> {
    let wanted = (entries, changed, is_random);
    rows.iter()
        .find(|row| (row.entries, row.changed, row.is_random) == wanted)
}

pub(crate) fn measure(entries: u64, rounds: usize) -> Vec<Row> {
    let subject = Subject::new(entries);
    let copy_seconds = copy_seconds(subject.map().region().bytes());
    let mut counts = BTreeSet::from([1, 10, 1_000, entries / 100]);
    // More than that would be garbage enough to write everything anew.
    counts.retain(|count| *count <= entries / 10);
    let kinds = counts.iter().flat_map(|it| [(*it, true), (*it, false)]);
    let mut random = Random(entries);
    let row = |(count, is_random)| {
        let mut row: Option<Row> = None;
        for _ in 0..rounds {
            let changed = match is_random {
                true => random.some(count, entries),
                false => {
                    let start = random.below(entries - count);
                    (start..start + count).collect()
                }
            };
            let next = change(&subject, &changed, is_random, copy_seconds);
            row = Some(match row {
                Some(row) => worst(&row, &next),
                None => next,
            });
        }
        row
    };
    kinds.filter_map(row).collect()
}

/// Changes entries of a generation that shares nothing with others, and reads all entries.
fn change(subject: &Subject, changed: &BTreeSet<u64>, is_random: bool, copy_seconds: f64) -> Row {
    subject.build_all();
    let before = subject.version();
    subject.check(&BTreeSet::new(), before, before);
    let keys: Vec<String> = changed.iter().map(|number| key(*number)).collect();
    let earlier = subject.map();
    assert_eq!(file_lengths(earlier.region()).len(), 1);
    let memory = shmem();
    let seconds = subject.change(&keys);
    let shmem_bytes = shmem().cast_signed() - memory.cast_signed();
    let start = Instant::now();
    drop(earlier);
    let release_seconds = start.elapsed().as_secs_f64();
    subject.check(changed, before + 1, before);
    let map = subject.map();
    let files = file_lengths(map.region());
    Row {
        entries: subject.entries,
        changed: changed.len() as u64,
        is_random,
        seconds,
        copy_seconds,
        release_seconds,
        new_bytes: files[0],
        shmem_bytes,
        image_bytes: map.region().bytes().len() as u64,
        files: files.len(),
        runs: runs(map.region()),
    }
}

fn worst(row: &Row, next: &Row) -> Row {
    Row {
        seconds: row.seconds.min(next.seconds),
        release_seconds: row.release_seconds.min(next.release_seconds),
        new_bytes: row.new_bytes.max(next.new_bytes),
        shmem_bytes: row.shmem_bytes.max(next.shmem_bytes),
        files: row.files.max(next.files),
        runs: row.runs.max(next.runs),
        ..*row
    }
}
