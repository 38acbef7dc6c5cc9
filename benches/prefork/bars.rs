//! What is promised of frozen caches, against what was measured.

use std::fmt;

use floe::usage::bytes;

use crate::row::{Kind, Row, find};

/// One promise.
pub(crate) struct Bar {
    what: &'static str,
    asked: &'static str,
    measured: Option<Outcome>,
}

struct Outcome {
    text: String,
    holds: bool,
}

/// All promises.
pub(crate) fn bars(rows: &[Row]) -> Vec<Bar> {
    vec![
        Bar {
            what: "fork with 4 GiB frozen, against fork with nothing",
            asked: "at most 1.2 times",
            measured: forks(rows),
        },
        Bar {
            what: "PSS of 256 workers that have read 1 GiB frozen, and of their owner",
            asked: "at most 1.03 times 1 GiB, on top of as many processes with nothing",
            measured: memory(rows),
        },
    ]
}

fn forks(rows: &[Row]) -> Option<Outcome> {
    let frozen = find(rows, Kind::Frozen, 4 << 30, 1)?.fork_micros;
    let nothing = find(rows, Kind::Nothing, 0, 1)?.fork_micros;
    let ratio = frozen / nothing;
    Some(Outcome {
        text: format!("{ratio:.2} times ({frozen:.0} µs, {nothing:.0} µs)"),
        holds: ratio <= 1.2,
    })
}

fn memory(rows: &[Row]) -> Option<Outcome> {
    let frozen = find(rows, Kind::Frozen, 1 << 30, 256)?;
    let nothing = find(rows, Kind::Nothing, 0, 256)?.pss_total;
    // The region may be a little smaller than it was meant to be.
    let cache = frozen.owner_bytes.min(1 << 30);
    let ratio = frozen.pss_total.saturating_sub(nothing) as f64 / cache as f64;
    Some(Outcome {
        text: format!("{ratio:.3} times ({} with nothing)", bytes(nothing)),
        holds: ratio <= 1.03,
    })
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; ", self.what, self.asked)?;
        match &self.measured {
            Some(Outcome { text, holds: true }) => write!(f, "holds: {text}"),
            Some(Outcome { text, holds: false }) => write!(f, "MISSED: {text}"),
            None => write!(f, "not measured"),
        }
    }
}
