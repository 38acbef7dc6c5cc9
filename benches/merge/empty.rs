//! Reading through an overlay, against reading the map below.

use std::hint::black_box;
use std::time::Instant;

use floe::{Frozen, Overlay};
use floe_testkit::measure::{Random, median};
use serde::Serialize;

use crate::data::{Texts, key, overlay};

const ROUNDS: usize = 15;

/// Medians of rounds in turn, each with every key in another order than that of the map.
#[derive(Debug, Serialize)]
pub(crate) struct Reads {
    pub(crate) map_nanos: f64,
    /// With nothing added.
    pub(crate) empty_nanos: f64,
    /// With a thousand entries added, of which none is read.
    pub(crate) filled_nanos: f64,
}

impl Reads {
    pub(crate) fn empty_ratio(&self) -> f64 {
        self.empty_nanos / self.map_nanos
    }

    pub(crate) fn filled_ratio(&self) -> f64 {
        self.filled_nanos / self.map_nanos
    }
}

pub(crate) fn measure(map: &Frozen<Texts>) -> Reads {
    let entries = map.len() as u64;
    let keys: Vec<String> = Random(7).all(entries).into_iter().map(key).collect();
    let empty = Overlay::over(map);
    let filled = overlay(map, entries..entries + 1000);
    let mut nanos = [const { Vec::new() }; 3];
    let mut expected = None;
    for round in 0..ROUNDS {
        for turn in 0..3 {
            let number = (round + turn) % 3;
            let (seconds, sum) = match number {
                0 => read(&keys, |key| map.get(key).map(|value| value.as_str())),
                1 => read(&keys, |key| empty.get(key).map(|value| value.as_str())),
                _ => read(&keys, |key| filled.get(key).map(|value| value.as_str())),
            };
            assert_eq!(sum, *expected.get_or_insert(sum));
            nanos[number].push(1e9 * seconds / keys.len() as f64);
        }
    }
    let [map_nanos, empty_nanos, filled_nanos] = nanos.map(median);
    Reads {
        map_nanos,
        empty_nanos,
        filled_nanos,
    }
}

/// The seconds that it takes to get each key, and the sum of some of the bytes of the values.
fn read<'a>(keys: &[String], get: impl Fn(&str) -> Option<&'a str>) -> (f64, u64) {
    let start = Instant::now();
    let mut sum = 0_u64;
    for key in keys {
        let value = get(black_box(key)).expect("an entry").as_bytes();
        sum += u64::from(value[9]) + value.len() as u64;
    }
    (start.elapsed().as_secs_f64(), black_box(sum))
}
