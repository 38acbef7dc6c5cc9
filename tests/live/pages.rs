//! Generations whose pages come from several files reach those who follow them.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use floe::store::Cache;
use floe::usage::{Usage, frames};
use floe::{Frozen, Inputs, Live, Map, Policy, Store, prefork};

use crate::fixture::Socket;

type Texts = Map<String, String>;

const ENTRIES: u32 = 6000;
const NAME: &str = "texts";

/// A store of entries of about 250 bytes; each change is a new version of one of them.
struct Source {
    store: Store,
    cache: Cache<Texts>,
    version: Arc<AtomicU32>,
    changes: Rc<Cell<u32>>,
}

fn key(number: u32) -> String {
    format!("key-{number:06}")
}

fn text(version: u32) -> String {
    format!("{version:08} {}", "x".repeat(200))
}

impl Source {
    fn new() -> Self {
        let store = Store::new();
        let version = Arc::new(AtomicU32::new(0));
        let now = Arc::clone(&version);
        let keys = |_: &mut Inputs| Ok((0..ENTRIES).map(key).collect());
        let build = move |_: &String, _: &mut Inputs| Ok(text(now.load(Relaxed)));
        let cache = store.keyed(NAME, Policy::new(), keys, build).unwrap();
        store.refresh().unwrap();
        Self {
            store,
            cache,
            version,
            changes: Rc::default(),
        }
    }

    /// Which entry a change is of.
    fn changed(change: u32) -> String {
        key(change * 997 % ENTRIES)
    }

    /// Publishes the next generation, in which one more entry has the number of the change.
    fn change(&self) -> Frozen<Texts> {
        let change = self.changes.get() + 1;
        self.changes.set(change);
        self.version.store(change, Relaxed);
        self.store
            .invalidate_key(NAME, Self::changed(change).as_str())
            .unwrap();
        self.store.refresh().unwrap();
        self.cache.get().unwrap()
    }
}

/// Asserts that a generation has all changes up to its number, and the rest as it was.
fn check(map: &floe::map::ArchivedMap<String, String>, changes: u32) {
    assert_eq!(map.len(), ENTRIES as usize);
    let changed: HashSet<String> = (1..=changes).map(Source::changed).collect();
    for change in 1..=changes {
        assert_eq!(map[Source::changed(change).as_str()], text(change));
    }
    for (key, value) in map {
        assert!(changed.contains(key.as_str()) || *value == text(0));
    }
}

/// Follows up to a number of changes, and checks each generation that it sees.
fn follow(live: &mut Live<Texts>, last: u32) -> u64 {
    loop {
        let map = live.get_stale();
        let changes = live_changes(map);
        check(map, changes);
        if changes == last {
            break;
        }
        assert!(live.wait_newer(Duration::from_secs(60)));
    }
    let (_, regions) = Usage::with_regions(std::process::id()).unwrap();
    let ours = regions.iter().filter(|region| region.name == NAME);
    let newest = live.pin();
    let of_newest = ours
        .clone()
        .filter(|it| it.generation == newest.region().generation());
    let sizes: Vec<u64> = of_newest.map(|region| region.memory.vss).collect();
    assert_eq!(sizes, [newest.region().size()], "all files are one region");
    ours.map(|region| region.memory.anonymous).sum()
}

/// How many changes a generation has.
fn live_changes(map: &floe::map::ArchivedMap<String, String>) -> u32 {
    let has = |change: &u32| map[Source::changed(*change).as_str()] == text(*change);
    (1..).take_while(has).last().unwrap_or(0)
}

const LAST: u32 = 12;

pub(crate) fn workers_follow_generations_that_share_pages() {
    let source = Source::new();
    let mut live: Live<Texts> = source.store.live(NAME).unwrap();
    let workers = prefork::spawn(3, |_| follow(&mut live, LAST)).unwrap();
    let mut most = 0;
    for _ in 0..LAST {
        let newest = source.change();
        most = most.max(newest.region().as_fds().unwrap().len());
    }
    assert!(most > 1, "pages are shared");
    assert_eq!(workers.join().unwrap(), [0; 3], "no page is copied");
}

pub(crate) fn clients_of_a_broker_take_all_page_files() {
    let source = Source::new();
    source.change();
    let socket = Socket::new();
    let path = &socket.path;
    let workers = prefork::spawn(2, |_| {
        // The broker has a thread, so it comes after the fork.
        let mut live = loop {
            match Live::<Texts>::connect(path, NAME) {
                Ok(live) => break live,
                Err(_) => std::thread::yield_now(),
            }
        };
        follow(&mut live, LAST)
    })
    .unwrap();
    let broker = source.store.serve(path).unwrap();
    for _ in 1..LAST {
        source.change();
    }
    assert_eq!(workers.join().unwrap(), [0; 2], "no page is copied");
    let files = floe::broker::fetch(path, NAME).unwrap();
    assert!(files.len() > 1);
    check(&Frozen::<Texts>::from_fds(files).unwrap(), LAST);
    broker.stop();
}

/// The proof by frames: what a change does not touch is the same memory in both generations.
pub(crate) fn generations_have_the_same_frames() {
    let source = Source::new();
    let first = source.cache.get().unwrap();
    let second = source.change();
    let frames_of = |map: &Frozen<Texts>| {
        check(map, live_changes(map));
        let addresses = map.region().address_range();
        let frames = frames(std::process::id(), addresses).unwrap();
        let frames = frames.expect("root sees frames");
        frames.into_iter().collect::<HashSet<u64>>()
    };
    let (first, second) = (frames_of(&first), frames_of(&second));
    let own = second.difference(&first).count();
    assert!(own <= 40, "{own} of {} pages are new", second.len());
}
