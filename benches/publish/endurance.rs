//! Many publications with eight readers: none is torn or seen backwards, and all see the last.

use std::fs;
use std::time::Duration;

use floe::{Frozen, Publisher, prefork};
use serde::Serialize;

use crate::readers::read_until;
use crate::{Error, Numbers, numbers};

const READERS: usize = 8;
const BYTES: usize = 4096;
const LONG: Duration = Duration::from_secs(60);

#[derive(Serialize)]
pub(crate) struct Endurance {
    publications: u64,
    torn: u64,
    backwards: u64,
    /// Readers that did not see the last generation.
    missed: usize,
    /// Of the owner's open descriptors.
    descriptors_growth: i64,
}

pub(crate) fn run(publications: u64) -> Result<Endurance, Error> {
    let publisher = Publisher::new(&Frozen::freeze("numbers", &numbers(1, BYTES))?)?;
    let live = publisher.subscribe::<Numbers>()?;
    let last = publications + 1;
    let before = descriptors()?;
    let pool = prefork::spawn(READERS, |worker| {
        let mut live = live;
        let mut seen = read_until(&mut live, last, |live| {
            // Half of them sleep, the others poll.
            if worker.index() % 2 == 0 {
                live.wait_newer(LONG);
            }
        });
        seen.moments.clear();
        seen
    })?;
    for generation in 2..=last {
        publisher.publish(&publisher.freeze(&numbers(generation, BYTES))?)?;
    }
    let seen = pool.join()?;
    Ok(Endurance {
        publications,
        torn: seen.iter().map(|seen| seen.torn).sum(),
        backwards: seen.iter().map(|seen| seen.backwards).sum(),
        missed: seen.iter().filter(|seen| seen.last != last).count(),
        descriptors_growth: descriptors()? - before,
    })
}

impl Endurance {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let faults = (
            self.torn,
            self.backwards,
            self.missed,
            self.descriptors_growth,
        );
        if faults != (0, 0, 0, 0) {
            return Err(format!("torn, backwards, missed, leaked: {faults:?}").into());
        }
        Ok(())
    }
}

fn descriptors() -> Result<i64, Error> {
    Ok(fs::read_dir("/proc/self/fd")?.count() as i64)
}
