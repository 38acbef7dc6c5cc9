//! Many contributions of many workers, against what they add up to.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use floe::contribute::{NotTaken, Outcome};
use floe::error::ChannelError;
use floe::overlay::{Contribution, Delta};
use floe::{Error, Live, Overlay, prefork};

use crate::fixture::{LONG, Lengths, entries, live, owner, unlimited};

const WORKERS: usize = 32;
/// Without optimisation, the sealing of so many takes most of the time.
const CONTRIBUTIONS: usize = if cfg!(debug_assertions) {
    2_000
} else {
    10_000
};
/// How many answers a worker waits for at the same time.
const PENDING: usize = 8;

/// The keys of a contribution: half of them are those of others too, with the same values.
fn keys(number: usize) -> Vec<String> {
    let shared = |number: usize| format!("shared {}", number % 777);
    vec![
        format!("own {number}"),
        shared(number),
        shared(number * 31 + 5),
        format!("twice {}", number / 2),
    ]
}

fn value(key: &str) -> u64 {
    key.bytes()
        .fold(17, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
}

fn delta(live: &mut Live<Lengths>, number: usize) -> Delta<String, u64> {
    let mut overlay = Overlay::over(&live.pin());
    for key in keys(number) {
        let value = value(&key);
        overlay.insert(&key, &value).unwrap();
    }
    overlay.into_delta().unwrap()
}

/// Contributes until there is room.
fn contribute(live: &mut Live<Lengths>, delta: &Delta<String, u64>) -> Contribution<String, u64> {
    loop {
        match live.contribute_delta(delta) {
            Ok(contribution) => return contribution,
            Err(Error::Channel(ChannelError::NotContributed {
                reason: NotTaken::Full | NotTaken::InFlight { .. },
                ..
            })) => {}
            Err(error) => panic!("{error}"),
        }
        thread::sleep(Duration::from_micros(100));
    }
}

pub(crate) fn all_contributions_count_once() {
    let store = owner(unlimited());
    let live = live(&store);
    let workers = prefork::spawn(WORKERS, |worker| {
        let mut live = live.clone();
        let mut pending: Vec<Contribution<String, u64>> = Vec::new();
        let (mut taken, mut all, mut merged) = (0, 0, 0);
        let mut settle = |mut contribution: Contribution<String, u64>| match contribution.wait(LONG)
        {
            Some(Outcome::Merged(done)) => {
                taken += done.taken;
                all += done.taken + done.equal + done.kept;
                merged += 1;
            }
            other => panic!("{other:?}"),
        };
        for number in (worker.index()..CONTRIBUTIONS).step_by(WORKERS) {
            let delta = delta(&mut live, number);
            pending.push(contribute(&mut live, &delta));
            if pending.len() == PENDING {
                settle(pending.remove(0));
            }
        }
        pending.into_iter().for_each(&mut settle);
        (taken, all, merged)
    })
    .unwrap();
    let model: BTreeMap<String, u64> = (0..CONTRIBUTIONS)
        .flat_map(keys)
        .map(|key| (key.clone(), value(&key)))
        .collect();
    let mut merged = 0;
    while merged < CONTRIBUTIONS {
        crate::fixture::wait_for_arrivals(&store);
        let reports = store.fold().unwrap();
        merged += reports.iter().map(|it| it.deltas.len()).sum::<usize>();
    }
    let told = workers.join().unwrap();
    let sum = |of: fn(&(u64, u64, u64)) -> u64| told.iter().map(of).sum::<u64>();
    assert_eq!(sum(|it| it.2), CONTRIBUTIONS as u64, "none is lost");
    assert_eq!(sum(|it| it.0), model.len() as u64, "each is taken once");
    let got: BTreeMap<String, u64> = entries(&store).into_iter().collect();
    assert_eq!(got, model);
    let counts = store.status().unwrap()[0].contributions.unwrap();
    assert_eq!((counts.merged, counts.refused), (CONTRIBUTIONS as u64, 0));
}
