//! Mapping a file or a POSIX shared memory object where it is, whatever its size.
#![allow(unsafe_code)]

use std::time::Instant;

use floe::Frozen;
use floe_testkit::measure::median;
use serde::Serialize;

use crate::data::{Texts, key, value};

const ROUNDS: usize = 101;

/// Microseconds, medians.
#[derive(Debug, Serialize)]
pub(crate) struct InPlace {
    pub(crate) bytes: u64,
    pub(crate) map_file_micros: f64,
    pub(crate) map_posix_micros: f64,
}

pub(crate) fn measure(map: &Frozen<Texts>) -> InPlace {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("texts.floe");
    map.region().save(&path).expect("a file");
    let name = format!("floe-bench-{}", std::process::id());
    let published = map.region().publish_posix(&name).expect("an object");
    // SAFETY: this process has just saved it, in a folder of its own, and writes to it no more.
    let file = || unsafe { Frozen::<Texts>::map_file(&path) };
    // SAFETY: this process has just published it, under a name of its own.
    let posix = || unsafe { Frozen::<Texts>::map_posix(&name) };
    let last = map.len() as u64 - 1;
    let time = |mapped: &dyn Fn() -> floe::Result<Frozen<Texts>>| {
        let micros = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            let mapped = mapped().expect("a map");
            let micros = 1e6 * start.elapsed().as_secs_f64();
            assert_eq!(mapped[key(last).as_str()].as_str(), value(last));
            micros
        });
        median(micros.collect())
    };
    let (map_file_micros, map_posix_micros) = (time(&file), time(&posix));
    drop(published);
    InPlace {
        bytes: map.region().size(),
        map_file_micros,
        map_posix_micros,
    }
}
