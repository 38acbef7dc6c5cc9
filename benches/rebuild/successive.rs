//! Many rebuilds of one random entry each: what a rebuild costs, what a generation holds, and what
//! reading it costs after them.

use std::collections::HashMap;

use floe_testkit::measure::Random;
use serde::Serialize;

use crate::carry::copy_seconds;
use crate::lookup::get_ratios;
use crate::pages::{file_lengths, runs};
use crate::subject::{Subject, key, value};

#[derive(Debug, Serialize)]
pub(crate) struct Successive {
    pub(crate) rebuilds: u64,
    pub(crate) mean_seconds: f64,
    /// All page files of a generation / its image, at most.
    pub(crate) memory_ratio: f64,
    /// At most.
    pub(crate) files: usize,
    /// Of a get in a map frozen afresh.
    pub(crate) get_ratio: f64,
    /// Of a get in the same image in one file.
    pub(crate) get_ratio_of_image: f64,
    #[serde(skip)]
    pub(crate) copy_seconds: f64,
    #[serde(skip)]
    pub(crate) slowest_seconds: f64,
    #[serde(skip)]
    pub(crate) most_runs: usize,
}

pub(crate) fn measure(entries: u64, rebuilds: u64) -> Successive {
    let subject = Subject::new(entries);
    let mut random = Random(rebuilds);
    let mut versions = HashMap::new();
    let (mut total, mut slowest) = (0.0, 0.0_f64);
    let (mut memory_ratio, mut files, mut most_runs) = (0.0_f64, 0, 0);
    for version in 1..=rebuilds {
        let number = random.below(entries);
        let changed = key(number);
        let seconds = subject.change(std::slice::from_ref(&changed));
        (total, slowest) = (total + seconds, slowest.max(seconds));
        versions.insert(number, version);
        let map = subject.map();
        assert_eq!(map[changed.as_str()].as_str(), value(&changed, version));
        let region = map.region();
        let lengths = file_lengths(region);
        let bytes = lengths.iter().sum::<u64>() as f64;
        memory_ratio = memory_ratio.max(bytes / region.bytes().len() as f64);
        files = files.max(lengths.len());
        most_runs = most_runs.max(runs(region));
    }
    let map = subject.map();
    for number in 0..entries {
        let key = key(number);
        let version = versions.get(&number).copied().unwrap_or(0);
        assert_eq!(map[key.as_str()].as_str(), value(&key, version));
    }
    let get = get_ratios(&map);
    Successive {
        rebuilds,
        mean_seconds: total / rebuilds as f64,
        memory_ratio,
        files,
        get_ratio: get.afresh,
        get_ratio_of_image: get.one_file,
        copy_seconds: copy_seconds(map.region().bytes()),
        slowest_seconds: slowest,
        most_runs,
    }
}
