//! From the start of the rebuild of one entry until a worker that polls has read the new value.

use std::io::{self, Read, Write};
use std::time::Duration;
use std::{hint, thread};

use floe::prefork;
use floe_testkit::measure::{Random, median};
use nix::time::{ClockId, clock_gettime};

use crate::subject::{NAME, Subject, Texts, key, value};

/// Between rebuilds.
const GAP: Duration = Duration::from_millis(2);

/// Microseconds, the median of so many rebuilds.
pub(crate) fn measure(entries: u64, rebuilds: u64) -> f64 {
    let subject = Subject::new(entries);
    let live = subject.store.live::<Texts>(NAME).expect("a handle");
    let mut random = Random(entries);
    let keys: Vec<String> = (0..rebuilds).map(|_| key(random.below(entries))).collect();
    let (done, say_done) = io::pipe().expect("a pipe");
    let pool = prefork::spawn(1, |_| {
        let mut live = live;
        let mut moments = Vec::new();
        for (version, key) in (1..).zip(&keys) {
            let expected = value(key, version);
            while live.get_stale()[key.as_str()].as_str() != expected {
                hint::spin_loop();
            }
            moments.push(now());
            let _ = (&say_done).write_all(b".");
        }
        moments
    });
    let pool = pool.expect("a worker");
    drop(say_done);
    let mut began = Vec::new();
    for key in &keys {
        // Long enough for the worker to be idle again.
        thread::sleep(GAP);
        began.push(now());
        subject.change(std::slice::from_ref(key));
        (&done).read_exact(&mut [0]).expect("an answer");
    }
    let seen = pool.join().expect("what the worker saw").swap_remove(0);
    let taken = began.iter().zip(seen);
    median(
        taken
            .map(|(began, seen)| (seen - began) as f64 / 1e3)
            .collect(),
    )
}

/// Nanoseconds of a clock that is the same in all processes.
fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    Duration::from(time).as_nanos() as u64
}
