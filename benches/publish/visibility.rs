//! How long a publication takes for its owner, and until a worker that polls reads it, with up to
//! 64 workers attached.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};
use std::{hint, thread};

use floe::{Frozen, Publisher, prefork};
use serde::Serialize;

use crate::readers::{now, read_until};
use crate::{Error, Numbers, median, numbers};

const BYTES: usize = 1 << 20;
/// Between publications.
const GAP: Duration = Duration::from_micros(500);

/// Microseconds.
#[derive(Serialize)]
pub(crate) struct Visibility {
    /// From the call of `publish` until the worker has read the new value, with 64 workers.
    visible_micros_median: f64,
    publish_micros: ByWorkers,
}

/// The call of `publish` alone, by the number of workers.
#[derive(Serialize)]
struct ByWorkers {
    #[serde(rename = "1")]
    one: f64,
    #[serde(rename = "8")]
    eight: f64,
    #[serde(rename = "64")]
    most: f64,
}

pub(crate) fn measure(publications: u64) -> Result<Visibility, Error> {
    let (one, _) = with_workers(1, publications)?;
    let (eight, _) = with_workers(8, publications)?;
    let (most, visible) = with_workers(64, publications)?;
    Ok(Visibility {
        visible_micros_median: visible,
        publish_micros: ByWorkers { one, eight, most },
    })
}

/// The medians of publishing and of becoming visible. One of the workers polls; the others follow
/// when it has seen the new generation.
fn with_workers(workers: usize, publications: u64) -> Result<(f64, f64), Error> {
    let publisher = Publisher::new(&Frozen::freeze("numbers", &numbers(1, BYTES))?)?;
    let live = publisher.subscribe::<Numbers>()?;
    let last = publications + 1;
    let (done, say_done) = io::pipe()?;
    let turns: Vec<_> = (0..workers).map(|_| io::pipe()).collect::<Result<_, _>>()?;
    let pool = prefork::spawn(workers, |worker| {
        let mut live = live;
        let is_poller = worker.index() == 0;
        let mut moments = Vec::new();
        for generation in 2..=last {
            if !is_poller {
                let _ = (&turns[worker.index()].0).read_exact(&mut [0]);
            }
            let seen = read_until(&mut live, generation, |_| hint::spin_loop());
            moments.extend(seen.moments.into_iter().filter(|it| it.0 == generation));
            let _ = (&say_done).write_all(b".");
        }
        moments
    })?;
    let mut began = Vec::new();
    let mut taken = Vec::new();
    for generation in 2..=last {
        let next = publisher.freeze(&numbers(generation, BYTES))?;
        // Long enough for the worker to be idle again.
        thread::sleep(GAP);
        began.push(now());
        let begin = Instant::now();
        publisher.publish(&next)?;
        taken.push(begin.elapsed().as_nanos() as f64 / 1e3);
        drop(next);
        (&done).read_exact(&mut [0])?;
        for (_, turn) in &turns[1..] {
            (&*turn).write_all(b".")?;
        }
        (&done).read_exact(&mut vec![0; workers - 1])?;
    }
    let seen = pool.join()?.swap_remove(0);
    let visible = began.iter().zip(seen);
    let visible = visible.map(|(began, (_, seen))| seen.saturating_sub(*began) as f64 / 1e3);
    Ok((median(taken), median(visible.collect())))
}
