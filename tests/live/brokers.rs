//! Unrelated processes follow what a broker hands out.

use floe::error::BrokerError;
use std::cell::RefCell;
use std::time::Duration;

use floe::{Broker, Error, Live, Map, Publisher, prefork, prometheus};

use crate::fixture::{Numbers, Socket, channel, publish_next, read};
use crate::programs::{Follower, connecting};

pub(crate) fn a_client_follows_without_the_broker() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let mut follower = Follower::start(connecting(&socket.path, "numbers"));
    assert_eq!(follower.says(), "1 0", "it passes nothing on");
    follower.follows_to(publish_next(&publisher));
    broker.stop();
    assert!(!socket.path.exists());
    follower.follows_to(publish_next(&publisher));
    drop(publisher);
    follower.follows_to(3);
    assert!(follower.ends());
}

pub(crate) fn a_broker_lists_its_caches() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let versions = [("zlib".to_owned(), 1_u32), ("gcc".to_owned(), 15)];
    let map = Map::freeze("a \"map\"", versions).unwrap();
    let hour = Duration::from_secs(3600);
    let versions = Publisher::new(&map).unwrap().expire_after(hour).unwrap();
    broker.offer(&versions).unwrap();
    versions
        .note(Some(hour), Some("it rains".to_owned()))
        .unwrap();
    publish_next(&publisher);

    let list = floe::broker::list(&socket.path).unwrap();
    let [map_row, numbers] = &list[..] else {
        panic!("{list:?}")
    };
    assert_eq!((&*map_row.name, map_row.generation), ("a \"map\"", 1));
    assert_eq!(
        (map_row.entries, map_row.bytes),
        (Some(2), map.region().size())
    );
    assert_eq!(map_row.fingerprint, map.region().fingerprint().to_string());
    assert_eq!(map_row.last_error.as_deref(), Some("it rains"));
    for left in [map_row.expires_in, map_row.refresh_in] {
        assert!(left.unwrap() <= hour && left.unwrap() > hour / 2);
    }
    publisher.note(Some(Duration::MAX), None).unwrap();
    let never = floe::broker::list(&socket.path)
        .unwrap()
        .remove(1)
        .refresh_in;
    assert!(never.unwrap() > hour, "as good as never");
    assert_eq!((&*numbers.name, numbers.generation), ("numbers", 2));
    assert_eq!((numbers.entries, numbers.expires_in), (None, None));
    let fetched = floe::broker::fetch(&socket.path, "numbers").unwrap();
    let numbers = floe::Frozen::<Numbers>::from_fds(fetched).unwrap();
    assert_eq!(
        (numbers.region().generation(), numbers[0].to_native()),
        (2, 2)
    );
    let page = prometheus(&list);
    assert!(
        page.contains("floe_entries{cache=\"a \\\"map\\\"\"} 2\n"),
        "{page}"
    );
    assert!(
        page.contains("floe_failing{cache=\"numbers\"} 0\n"),
        "{page}"
    );
}

/// A broker that lies may list any name.
pub(crate) fn no_name_adds_a_line_to_the_page() {
    let (publisher, _live) = channel();
    let mut status = publisher.status().unwrap();
    let lines = prometheus(std::slice::from_ref(&status)).lines().count();
    status.name = "a\"} 1\nfloe_failing{cache=\"b\\".to_owned();
    let page = prometheus(&[status]);
    assert_eq!(page.lines().count(), lines, "{page}");
    let escaped = r#"floe_failing{cache="a\"} 1\nfloe_failing{cache=\"b\\"} 0"#;
    assert!(page.lines().any(|line| line == escaped), "{page}");
}

pub(crate) fn a_client_gets_an_error_that_names_what_is_wrong() {
    let (publisher, _live) = channel();
    let socket = Socket::new();
    let connect = |name| Live::<Numbers>::connect(&socket.path, name).unwrap_err();
    let gone = connect("numbers");
    assert!(
        matches!(gone, Error::Broker(BrokerError::Step { .. })),
        "{gone}"
    );
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let unknown = connect("letters").to_string();
    assert!(
        unknown.contains("\"letters\"") && unknown.contains("[\"numbers\"]"),
        "{unknown}"
    );
    let too_long = connect(&"x".repeat(1000));
    assert!(matches!(too_long, Error::Name { .. }), "{too_long}");
    let other = Live::<String>::connect(&socket.path, "numbers").unwrap_err();
    assert!(matches!(other, Error::SchemaMismatch { .. }), "{other}");
    drop(broker);
    let gone = floe::broker::list(&socket.path).unwrap_err();
    assert!(
        matches!(gone, Error::Broker(BrokerError::Step { .. })),
        "{gone}"
    );
}

/// The broker is a thread, which forbids safe forks while it runs.
pub(crate) fn fork_serve_stop_fork() {
    let (publisher, live) = channel();
    let socket = Socket::new();
    let broker = Broker::serve(&socket.path, [&publisher]).unwrap();
    let refused = prefork::spawn(1, |_| ()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("got 2"), "{refused}");
    let broker = RefCell::new(Some(broker));
    // SAFETY: the child drops what it has inherited, and reads.
    let may_fork = unsafe { prefork::MayFork::multithreaded() };
    let pool = prefork::spawn_with(&may_fork, 1, |_| {
        let broker = broker.take().unwrap();
        let refused = broker.offer(&publisher).is_err();
        drop(broker);
        let mut live = live.clone();
        (refused, read(&mut live), socket.path.exists())
    });
    assert_eq!(pool.unwrap().join().unwrap(), [(true, 1, true)]);
    assert_eq!(floe::broker::list(&socket.path).unwrap().len(), 1);
    broker.take().unwrap().stop();
    let pool = prefork::spawn(1, |_| live.generation()).unwrap();
    assert_eq!(pool.join().unwrap(), [1]);
}
