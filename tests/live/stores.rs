//! What a store builds reaches those who follow its caches.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use floe::store::Outcome;
use floe::{Clock, Counters, Error, Live, Moment, Policy, Store, prefork};
use tempfile::TempDir;

use crate::fixture::{Numbers, Socket, numbers, read};
use crate::programs::{Follower, connecting, inheriting};

/// A store of the cache `numbers`, whose values are the number in a file; without a number, its
/// build fails.
struct Source {
    store: Store,
    file: PathBuf,
    number: Cell<u64>,
    _directory: TempDir,
}

impl Source {
    fn with(policy: Policy, clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("number");
        let (store, input) = (Store::new().with_clock(clock), file.clone());
        let build = move |inputs: &mut floe::Inputs| {
            let text = inputs.read_to_string(&input)?.unwrap_or_default();
            Ok(numbers(text.parse()?))
        };
        store.cache("numbers", policy, build).unwrap();
        let source = Self {
            store,
            file,
            number: Cell::new(0),
            _directory: directory,
        };
        source.next();
        source
    }

    fn new() -> Self {
        Self::with(Policy::new().revalidate_inputs(), Clock::system())
    }

    fn write(&self, text: &str) -> Outcome {
        std::fs::write(&self.file, text).unwrap();
        self.store.refresh().unwrap().caches[0].outcome
    }

    /// Lets the store publish the next generation, whose values are its number.
    fn next(&self) -> u64 {
        let number = self.number.get() + 1;
        // After a failure it would wait.
        self.store.invalidate("numbers").unwrap();
        assert_eq!(self.write(&number.to_string()), Outcome::Published);
        self.number.set(number);
        number
    }

    fn live(&self) -> Live<Numbers> {
        self.store.live("numbers").unwrap()
    }
}

/// A worker says what it reads each time when there is something newer.
pub(crate) fn workers_follow_a_store() {
    let source = Source::new();
    let mut live = source.live();
    let workers = prefork::spawn(3, |_| {
        let mut seen = vec![read(&mut live)];
        while *seen.last().unwrap() < 4 {
            assert!(live.wait_newer(Duration::from_secs(60)));
            seen.push(read(&mut live));
        }
        seen
    })
    .unwrap();
    for _ in 0..3 {
        source.next();
        assert_eq!(source.write("what is no number"), Outcome::Failed);
        let status = source.store.publisher("numbers").unwrap().status();
        assert!(
            status
                .unwrap()
                .last_error
                .unwrap()
                .contains("invalid digit")
        );
    }
    for seen in workers.join().unwrap() {
        assert!(seen.is_sorted() && seen.ends_with(&[4]), "{seen:?}");
    }
}

pub(crate) fn followers_see_when_a_cache_expires() {
    let start = Moment::now();
    let clock = Clock::manual(start);
    let hour = Duration::from_secs(3600);
    let policy = Policy::new().expire_after(hour).revalidate_inputs();
    let source = Source::with(policy, clock.clone());
    let mut live = source.live();
    let left = live.expires_in().unwrap();
    assert!(left <= hour && left > hour / 2, "{left:?}");
    // Too old, and it cannot be built again: there is an old generation, but none to be served.
    clock.set(start + 2 * hour);
    assert_eq!(source.write("what is no number"), Outcome::Failed);
    assert!(matches!(live.get(), Err(Error::Expired { .. })));
    assert_eq!(read(&mut live), 1);
    let number = source.number.get() + 1;
    clock.set(start + 4 * hour);
    assert_eq!(source.write(&number.to_string()), Outcome::Published);
    assert_eq!(live.get().unwrap()[0], number);
    assert!(live.age() < hour);
}

pub(crate) fn programs_and_clients_follow_a_store() {
    let source = Source::new();
    let mut command = inheriting("numbers");
    source.store.pass_to(&mut command).unwrap();
    let mut program = Follower::start(command);
    let socket = Socket::new();
    let broker = source.store.serve(&socket.path).unwrap();
    let mut client = Follower::start(connecting(&socket.path, "numbers"));
    assert_eq!(
        (program.says(), client.says()),
        ("1 0".into(), "1 0".into())
    );
    for _ in 0..2 {
        let generation = source.next();
        program.follows_to(generation);
        client.follows_to(generation);
    }
    assert_eq!(floe::broker::list(&socket.path).unwrap()[0].generation, 3);
    drop(broker);
    assert!(program.ends() && client.ends());
}

pub(crate) fn a_store_tells_what_workers_count() {
    let source = Source::new();
    let counts = || {
        let status = source.store.status().unwrap().remove(0);
        (status.lookups, status.misses)
    };
    assert_eq!(counts(), (None, None));
    let counters = Counters::for_workers(2).unwrap();
    let publisher = source.store.publisher("numbers").unwrap();
    publisher.report(&counters).unwrap();
    let workers = prefork::spawn(2, |worker| {
        let counter = counters.of(worker.index());
        for found in [Some(1), None, Some(2)] {
            counter.count(found);
        }
    });
    workers.unwrap().join().unwrap();
    assert_eq!(counts(), (Some(6), Some(2)));
}

pub(crate) fn a_store_tells_who_cannot_follow() {
    let source = Source::new();
    let unknown = source.store.live::<Numbers>("letters").unwrap_err();
    assert!(matches!(unknown, Error::UnknownCache { .. }), "{unknown}");
    let mistyped = source.store.live::<String>("numbers").unwrap_err();
    assert!(
        matches!(mistyped, Error::SchemaMismatch { .. }),
        "{mistyped}"
    );
    let policy = Policy::new();
    source.store.cache("later", policy, |_| Ok(1_u32)).unwrap();
    let early = source.store.live::<u32>("later").unwrap_err();
    assert!(matches!(early, Error::NotBuilt { .. }), "{early}");
    // Those that are built are passed on all the same.
    source.store.pass_to(&mut Command::new("true")).unwrap();
    let answers = prefork::spawn(1, |_| {
        let refused = source.store.live::<Numbers>("numbers").unwrap_err();
        matches!(refused, Error::NotOwner { .. })
    });
    assert_eq!(answers.unwrap().join().unwrap(), [true]);
}
