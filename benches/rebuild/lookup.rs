//! Reading a map of many page files, against one frozen afresh with the same content.

use std::hint::black_box;
use std::time::Instant;

use floe::{Frozen, Map};

use crate::random::Random;
use crate::subject::{Texts, key};

const ROUNDS: usize = 15;

/// The time of a `get` in the one / in the other: medians of rounds in turn, each with every key in
/// another order than that of the map.
pub(crate) fn get_ratio(map: &Frozen<Texts>) -> f64 {
    let pairs = map.iter();
    let pairs = pairs.map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()));
    let fresh = Map::freeze("fresh", pairs).expect("a map");
    let numbers = Random(7).all(map.len() as u64);
    let keys: Vec<String> = numbers.into_iter().map(key).collect();
    for key in &keys {
        let (one, other) = (&map[key.as_str()], &fresh[key.as_str()]);
        assert!(one == other && one.starts_with(key.as_str()));
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let mut expected = None;
    for round in 0..ROUNDS {
        let mut time = |map: &Frozen<Texts>, seconds: &mut Vec<f64>| {
            let (taken, sum) = read(map, &keys);
            assert_eq!(sum, *expected.get_or_insert(sum));
            seconds.push(taken);
        };
        if round % 2 == 0 {
            time(map, &mut one);
            time(&fresh, &mut other);
        } else {
            time(&fresh, &mut other);
            time(map, &mut one);
        }
    }
    median(one) / median(other)
}

/// The seconds that it takes to get each key, and the sum of some of the bytes of the values: the
/// end of the number and what stands at the version's place.
fn read(map: &Frozen<Texts>, keys: &[String]) -> (f64, u64) {
    let start = Instant::now();
    let mut sum = 0_u64;
    for key in keys {
        let value = map.get(black_box(key.as_str())).expect("an entry");
        let bytes = value.as_bytes();
        sum += u64::from(bytes[18]) + (u64::from(bytes[20]) << 8) + bytes.len() as u64;
    }
    (start.elapsed().as_secs_f64(), black_box(sum))
}

/// The middle one of what was measured.
pub(crate) fn median(mut measured: Vec<f64>) -> f64 {
    measured.sort_by(f64::total_cmp);
    measured
        .get(measured.len() / 2)
        .copied()
        .unwrap_or(f64::NAN)
}
