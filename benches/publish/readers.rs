//! Workers that read what is published, until the last generation.

use floe::Live;
use nix::time::{ClockId, clock_gettime};
use rkyv::{Archive, Deserialize, Serialize};

use crate::Numbers;

/// What a worker has seen.
#[derive(Archive, Serialize, Deserialize, Default)]
pub(crate) struct Seen {
    pub(crate) torn: u64,
    pub(crate) backwards: u64,
    /// When it first saw a generation, for each that it did.
    pub(crate) moments: Vec<(u64, u64)>,
    pub(crate) last: u64,
}

/// Reads until the last generation; `pause` runs between reads that bring nothing new.
pub(crate) fn read_until(
    live: &mut Live<Numbers>,
    last: u64,
    mut pause: impl FnMut(&mut Live<Numbers>),
) -> Seen {
    let mut seen = Seen::default();
    while seen.last < last {
        let values = live.get_stale();
        let generation = values[0].to_native();
        if generation == seen.last {
            pause(live);
            continue;
        }
        let moment = now();
        let is_torn = values.iter().any(|value| *value != generation);
        seen.torn += u64::from(is_torn || live.generation() != generation);
        seen.backwards += u64::from(generation < seen.last);
        seen.moments.push((generation, moment));
        seen.last = generation;
    }
    seen
}

/// Nanoseconds of a clock that is the same in all processes.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    time.map_or(0, |time| std::time::Duration::from(time).as_nanos() as u64)
}
