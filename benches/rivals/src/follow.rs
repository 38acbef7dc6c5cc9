//! The verb `follow`: what one read costs while nothing is published, and what publishing does.
//!
//! Two workers read at the same time, as workers do: what one of them writes to shared memory, the
//! other has to wait for.

mod mmap_sync;

use std::hint::black_box;

use clap::Args;
use floe::{Frozen, Publisher, prefork};

use crate::error::{BenchError, check_answer};
use crate::report::{self, Row, print_json};
use crate::statistics::{Spread, nanoseconds_each, timed};
use mmap_sync::Rival;

/// What is read and published: numbers that are all the same.
type Numbers = Vec<u64>;

const READERS: usize = 2;
const BYTES: usize = 1 << 20;
const FLOE: &str = "floe";
const MMAP_SYNC: &str = "mmap-sync";

/// How following is measured.
#[derive(Debug, Args)]
pub struct Options {
    /// Reads of a worker in one round.
    #[arg(long, default_value_t = 20_000_000)]
    reads: usize,

    /// How often everything is measured.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Prints a list of rows instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures reads and writes.
///
/// # Errors
/// [`BenchError::Answer`] if a contender reads something else than was written,
/// [`BenchError::Floe`] and [`BenchError::Print`].
pub fn run(options: &Options) -> Result<(), BenchError> {
    let value: Numbers = vec![1; BYTES / size_of::<u64>()];
    let frozen = Frozen::freeze("numbers", &value)?;
    let publisher = Publisher::new(&frozen)?;
    let live = publisher.subscribe::<Numbers>()?;
    let mut rival = Rival::create(&value);
    let count = options.reads;

    let mut rows = Vec::new();
    let mut times = [const { Vec::new() }; 5];
    let mut problem = None;
    // In turns, so that what disturbs the machine disturbs all of them.
    for _ in 0..options.rounds {
        times[0].push(in_workers(FLOE, count, |place| {
            black_box(&frozen)[place].to_native()
        })?);
        let mut live = live.clone();
        times[1].push(in_workers(FLOE, count, |place| {
            black_box(&mut live).get_stale()[place].to_native()
        })?);
        let next = publisher.freeze(&value)?;
        let (published, time) = timed(|| publisher.publish(&next));
        published?;
        times[2].push(time.as_nanos() as f64);
        if let Ok(rival) = &mut rival {
            let mut reader = rival.reader();
            times[3].push(in_workers(MMAP_SYNC, count / 10, |place| {
                reader.read(place).unwrap_or(0)
            })?);
            let (written, time) = timed(|| rival.write(&value));
            problem = written.err().or(problem);
            times[4].push(time.as_nanos() as f64);
        }
    }
    let problem = rival.err().or(problem);
    let operations = ["read a generation", "read the newest", "publish"];
    for (operation, times) in operations.into_iter().zip(&times) {
        rows.push(Row::measured(1, FLOE, operation, Spread::of(times), None));
    }
    for (operation, times) in operations[1..].iter().zip(&times[3..]) {
        rows.push(match &problem {
            Some(problem) => Row::skipped(1, MMAP_SYNC, operation, problem),
            None => Row::measured(1, MMAP_SYNC, operation, Spread::of(times), None),
        });
    }
    match options.json {
        true => print_json(&rows)?,
        false => report::print(&report::table(&rows))?,
    }
    Ok(())
}

/// Nanoseconds for a read of which two workers make `count` each, on average.
fn in_workers(
    contender: &'static str,
    count: usize,
    mut read: impl FnMut(usize) -> u64,
) -> Result<f64, BenchError> {
    let measured = prefork::spawn(READERS, |_| {
        let (sum, time) = timed(|| (0..count).map(|place| read(place % 64)).sum::<u64>());
        (sum, nanoseconds_each(time, count))
    })?
    .join()?;
    for (sum, _) in &measured {
        check_answer(contender, "read", 1, count as u64, *sum)?;
    }
    Ok(measured.iter().map(|(_, each)| each).sum::<f64>() / READERS as f64)
}
