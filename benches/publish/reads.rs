//! What one read costs while nothing is published: of a handle that stays, of one that follows, and
//! of mmap-sync.

use std::hint::black_box;
use std::time::Instant;

use floe::{Frozen, Publisher};
use serde::Serialize;

use crate::rival::Rival;
use crate::{Error, Numbers, median, numbers};

/// Each measurement is the median of so many.
const REPEATS: usize = 15;
/// Writes of mmap-sync in one measurement.
const WRITES: usize = 20;
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
    let publisher = Publisher::new(&frozen, None)?;
    let mut live = publisher.subscribe::<Numbers>()?;
    let mut rival = Rival::create(&value)?;
    let write = median(
        (0..REPEATS.min(count))
            .map(|_| nanos(WRITES, |_| rival.write(&value).map_or(0, |()| 1)))
            .collect::<Result<_, _>>()?,
    );
    // In turns, so that what disturbs the machine disturbs all of them.
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..REPEATS {
        rounds[0].push(nanos(count, |place| black_box(&frozen)[place].to_native())?);
        rounds[1].push(nanos(count, |place| {
            black_box(&mut live).get()[place].to_native()
        })?);
        rounds[2].push(nanos(count / 10, |place| rival.read(place).unwrap_or(0))?);
    }
    let [deref_ns, live_get_ns, mmap_sync_read_ns] = rounds.map(median);
    Ok(Reads {
        deref_ns,
        live_get_ns,
        mmap_sync_read_ns,
        mmap_sync_write_ns: write,
    })
}

/// Nanoseconds for each of `count` reads, all of which must give 1.
fn nanos(count: usize, mut read: impl FnMut(usize) -> u64) -> Result<f64, Error> {
    let began = Instant::now();
    let mut sum = 0;
    for place in 0..count {
        sum += read(place % 64);
    }
    let elapsed = began.elapsed();
    if sum != count as u64 {
        return Err(format!("{count} reads of 1 gave {sum}").into());
    }
    Ok(elapsed.as_nanos() as f64 / count as f64)
}
