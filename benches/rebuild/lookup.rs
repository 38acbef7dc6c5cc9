//! Reading a map of many page files, against one frozen afresh with the same content, and against
//! the same image in one file.

use std::hint::black_box;
use std::time::Instant;

use floe::{Frozen, Map};
use floe_testkit::measure::{Random, median};

use crate::subject::{Texts, key};

const ROUNDS: usize = 15;

/// The time of a `get` / that of others with the same content.
pub(crate) struct GetRatios {
    /// In a map that was frozen afresh, entry by entry.
    pub(crate) afresh: f64,
    /// In the same image in one file: the difference is what page files cost.
    pub(crate) one_file: f64,
}

/// Medians of rounds in turn, each with every key in another order than that of the map.
pub(crate) fn get_ratios(map: &Frozen<Texts>) -> GetRatios {
    let pairs = map.iter();
    let pairs = pairs.map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned()));
    let fresh = Map::freeze("fresh", pairs).expect("a map");
    let mut image = Vec::new();
    map.region().write_to(&mut image).expect("there is memory");
    let one_file: Frozen<Texts> = Frozen::from_reader(&image[..]).expect("the image");
    drop(image);
    let maps = [map, &fresh, &one_file];
    let numbers = Random(7).all(map.len() as u64);
    let keys: Vec<String> = numbers.into_iter().map(key).collect();
    for key in &keys {
        let values = maps.map(|map| &map[key.as_str()]);
        assert!(values[0].starts_with(key.as_str()) && values.iter().all(|it| *it == values[0]));
    }
    let mut seconds = maps.map(|_| Vec::new());
    let mut expected = None;
    for round in 0..ROUNDS {
        for turn in 0..maps.len() {
            let number = (round + turn) % maps.len();
            let (taken, sum) = read(maps[number], &keys);
            assert_eq!(sum, *expected.get_or_insert(sum));
            seconds[number].push(taken);
        }
    }
    let [own, afresh, one_file] = seconds.map(median);
    GetRatios {
        afresh: own / afresh,
        one_file: own / one_file,
    }
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
