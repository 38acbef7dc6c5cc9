//! What one read costs while nothing is published: of a handle that stays, of one that follows, and
//! of mmap-sync.
//!
//! Two workers read at the same time, as workers do: what one of them writes to shared memory, the
//! other has to wait for.

use std::hint::black_box;
use std::time::Instant;

use floe::{Frozen, Publisher, prefork};
use serde::Serialize;

use crate::rival::Rival;
use crate::{Error, Numbers, median, numbers};

/// Each measurement is the median of so many.
const REPEATS: usize = 7;
/// Writes of mmap-sync in one measurement.
const WRITES: usize = 20;
const READERS: usize = 2;
const BYTES: usize = 1 << 20;

/// Nanoseconds.
#[derive(Serialize)]
pub(crate) struct Reads {
    deref_ns: f64,
    live_get_ns: f64,
    mmap_sync_read_ns: f64,
    mmap_sync_write_ns: f64,
}

pub(crate) fn measure(count: usize) -> Result<Reads, Error> {
    let value = numbers(1, BYTES);
    let frozen = Frozen::freeze("numbers", &value)?;
    let live = Publisher::new(&frozen, None)?.subscribe::<Numbers>()?;
    let mut rival = Rival::create(&value)?;
    let writes = (0..REPEATS).map(|_| nanos(WRITES, |_| rival.write(&value).map_or(0, |()| 1)));
    let mmap_sync_write_ns = median(writes.collect());
    // In turns, so that what disturbs the machine disturbs all of them.
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..REPEATS {
        rounds[0].push(in_workers(|| {
            nanos(count, |place| black_box(&frozen)[place].to_native())
        })?);
        rounds[1].push(in_workers(|| {
            let mut live = live.clone();
            nanos(count, |place| black_box(&mut live).get()[place].to_native())
        })?);
        rounds[2].push(in_workers(|| {
            let mut rival = rival.reader();
            nanos(count / 10, |place| rival.read(place).unwrap_or(0))
        })?);
    }
    let [deref_ns, live_get_ns, mmap_sync_read_ns] = rounds.map(median);
    Ok(Reads {
        deref_ns,
        live_get_ns,
        mmap_sync_read_ns,
        mmap_sync_write_ns,
    })
}

/// What the workers measured, on average.
fn in_workers(measure: impl FnOnce() -> f64) -> Result<f64, Error> {
    let measured = prefork::spawn(READERS, |_| measure())?.join()?;
    Ok(measured.iter().sum::<f64>() / READERS as f64)
}

/// Nanoseconds for each of `count` reads, all of which must give 1.
fn nanos(count: usize, mut read: impl FnMut(usize) -> u64) -> f64 {
    let began = Instant::now();
    let sum: u64 = (0..count).map(|place| read(place % 64)).sum();
    let elapsed = began.elapsed();
    assert_eq!(sum, count as u64, "a read gave something else than 1");
    elapsed.as_nanos() as f64 / count as f64
}
